//! Why a file has no media index.

use std::borrow::Cow;

/// Why a file could not be indexed, in words a person can act on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IndexError {
    /// There is not one byte.
    #[error("the file is empty")]
    Empty,
    /// The first bytes are not those of an MP4 or MOV file.
    #[error("this is {found}, not a video or sound that is read")]
    NotMp4 {
        /// What it looks like, with its article: `a Matroska file`.
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
    /// A box contradicts itself, its neighbours or the specification.
    #[error("damaged file: {path} at byte {offset}: {problem}")]
    Malformed {
        /// The box, as `moov/trak[2]/mdia/minf/stbl/stsz`; tracks count from 1.
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
