//! What fills the wait before a track that starts late.
//!
//! A player of MSE shows nothing while one of its tracks has no data, so where one starts seconds after the others it
//! begins there or never. Before sound it is silence, before pictures the first of them.

use crate::cmaf::segment::Entry;
use crate::silence::Silence;
use crate::still::Still;
use crate::timeline::Timeline;
use crate::track::Track;
use std::time::Duration;

/// So little missing at the start players pass over.
const UNFELT: Duration = Duration::from_millis(100);
/// The longest wait that is filled; whoever waits for longer waits anyway.
const LONGEST: Duration = Duration::from_hours(1);

/// Whether a wait is neither too short nor too long to be filled.
pub(crate) fn is_worth_it(wait: Duration) -> bool {
    UNFELT < wait && wait <= LONGEST
}

/// Samples from zero to the end of a wait: alike, but for the first, which also has what is left over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    /// How many there are, at least one.
    pub count: usize,
    ticks: u32,
    first_ticks: u32,
}

impl Span {
    /// `count` samples of `ticks` each, or more for the first, that take `wait` ticks. None where there is none, or more than
    /// the fields of a fragment can say.
    pub fn new(wait: i64, count: i64, ticks: i64) -> Option<Self> {
        let later = count.checked_sub(1).filter(|later| *later >= 0)?;
        let first = wait.checked_sub(later.checked_mul(ticks)?)?;
        let (count, ticks, first_ticks) =
            (usize::try_from(count).ok()?, u32::try_from(ticks).ok()?, u32::try_from(first).ok()?);
        Some(Self { count, ticks, first_ticks })
    }

    /// Ticks of all of them.
    pub fn duration(self) -> i64 {
        self.place(self.count).0
    }

    /// When the sample `number`, counted from 0, begins, and how long it lasts.
    pub fn place(self, number: usize) -> (i64, u32) {
        match i64::try_from(number).unwrap_or(i64::MAX) {
            0 => (0, self.first_ticks),
            later => {
                (i64::from(self.first_ticks).saturating_add((later - 1).saturating_mul(self.ticks.into())), self.ticks)
            }
        }
    }
}

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
            Self::Silence(silence) => silence.span.count,
            Self::Still(still) => still.span.count,
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
