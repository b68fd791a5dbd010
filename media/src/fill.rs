//! What fills the wait before a track that starts late.
//!
//! A player of MSE shows nothing while one of its tracks has no data, so where one starts seconds after the others it
//! begins there or never. Before sound it is silence, before pictures the first of them.

use crate::cmaf::segment::Entry;
use crate::silence::Silence;
use crate::still::Still;
use crate::timeline::Timeline;
use crate::track::Track;

/// Samples from zero to the first one of a track.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fill {
    Silence(Silence),
    Still(Still),
}

impl Fill {
    /// What is missing before `track`, if anything is that is known.
    pub fn before(track: &Track, timeline: &Timeline) -> Option<Self> {
        let still = timeline.still().map(Self::Still);
        still.or_else(|| Silence::before(track, timeline).map(Self::Silence))
    }

    /// How many samples there are, at least one.
    pub fn len(self) -> usize {
        match self {
            Self::Silence(silence) => silence.frames,
            Self::Still(still) => still.pictures,
        }
    }

    /// The sample `number`, counted from 0, as a fragment describes it.
    pub fn entry(self, number: usize) -> Entry {
        match self {
            Self::Silence(silence) => silence.entry(number),
            Self::Still(still) => still.entry(number),
        }
    }
}
