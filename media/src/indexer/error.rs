//! Why a file has no media index.

use crate::index::{IgnoredCause, IgnoredTrack};
use std::borrow::Cow;

/// Why a file could not be indexed, in words a person can act on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IndexError {
    /// There is not one byte.
    #[error("the file is empty")]
    Empty,
    /// The first bytes are not those of a file that is read: MP4, MOV, Matroska or WebM.
    #[error("this is {found}, not a video or sound that is read")]
    NotMp4 {
        /// What it looks like, with its article: `a Flash video`.
        found: &'static str,
    },
    /// The file is shorter than its own tables say.
    #[error("the file ends before its media does: {have} of at least {need} bytes are there")]
    Truncated {
        /// Bytes of the file.
        have: u64,
        /// Bytes it would need to have.
        need: u64,
    },
    /// The walk reached the end of the file without an index.
    #[error("the file has no index (moov box), as when a recording was never finished; it holds {found}")]
    NoMovie {
        /// The boxes that are there.
        found: String,
    },
    /// The end of the file or its media was reached before what describes its tracks.
    #[error("the file does not describe its tracks (no Tracks element before its media); it holds {found}")]
    NoTracks {
        /// The elements that are there.
        found: String,
    },
    /// A box or an element contradicts itself, its neighbours or the specification.
    #[error("damaged file: {path} at byte {offset}: {problem}")]
    Malformed {
        /// The box or element, as `moov/trak[2]/mdia/minf/stbl/stsz`; tracks count from 1.
        path: String,
        /// Where in the file.
        offset: u64,
        /// What is wrong.
        problem: Cow<'static, str>,
    },
    /// A table is larger than we are willing to read.
    #[error("{path} at byte {offset} has {found} {unit}, more than the limit of {limit}")]
    OverLimit {
        /// The box.
        path: String,
        /// Where in the file.
        offset: u64,
        /// How many the file claims.
        found: u64,
        /// How many are read at most.
        limit: u64,
        /// Of what: `bytes`, `samples`, `tracks`, `boxes`.
        unit: &'static str,
    },
    /// The index was read, and no track of it can be played.
    #[error("nothing playable in the file: {found}")]
    NothingPlayable {
        /// The tracks that are there, each with the reason.
        found: String,
    },
    /// There are playable tracks, and nothing of them is ever shown.
    #[error("the file has a duration of zero: its tracks hold no sample that is shown")]
    ZeroDuration,
}

impl IndexError {
    /// Why there is nothing to play.
    pub(crate) fn nothing(ignored: &[IgnoredTrack], damaged: Option<Self>) -> Self {
        const NAMED: usize = 6;
        if ignored.iter().any(|track| track.cause == IgnoredCause::Empty) {
            return Self::ZeroDuration;
        }
        if let Some(error) = damaged {
            return error;
        }
        if ignored.is_empty() {
            return Self::NothingPlayable { found: "it has no tracks".to_owned() };
        }
        let mut named: Vec<_> =
            ignored.iter().map(|track| format!("track {} ({}): {}", track.id, track.what, track.reason)).collect();
        let more = named.len().saturating_sub(NAMED);
        named.truncate(NAMED);
        let mut found = named.join("; ");
        if more > 0 {
            found = format!("{found}; and {more} more");
        }
        Self::NothingPlayable { found }
    }
}
