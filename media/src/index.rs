//! The media index: everything needed to package a source without reading it again.

use crate::track::Track;
use std::time::Duration;

/// What a file's own tables say.
#[derive(Clone, Debug)]
pub struct MediaIndex {
    /// The container it was read from.
    pub container: Container,
    /// Bytes of the file the offsets point into.
    pub file_size: u64,
    /// Playable tracks: the one video (if any) first, then every audio track in file order.
    pub tracks: Vec<Track>,
    /// Tracks that are not used, each with the reason.
    pub ignored: Vec<IgnoredTrack>,
    /// Presentation end of the longest playable track.
    pub duration: Duration,
}

/// A container that `media` indexes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Container {
    /// ISO base media (MP4, M4V, M4A, 3GP).
    Mp4,
    /// QuickTime.
    Mov,
}

/// A track that is not played, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IgnoredTrack {
    /// The file's own track id.
    pub id: u32,
    /// What it is, for people: a handler or sample entry code such as `tmcd`.
    pub what: String,
    /// Why it is not played, a sentence fragment such as `timecode is not played`.
    pub reason: String,
}
