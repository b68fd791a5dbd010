//! The media index: everything needed to package a source without reading it again.

use crate::track::{Track, TrackKind};
use std::time::Duration;

/// What a file's own tables say.
#[derive(Clone, PartialEq, Debug)]
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
    /// Byte of the file from which on nothing whole is there any more, where it is cut off.
    pub cut_off: Option<u64>,
}

impl MediaIndex {
    /// The video that is not played though the file means it to be, if only sound is left.
    pub fn lost_pictures(&self) -> Option<&IgnoredTrack> {
        let has_video = self.tracks.iter().any(|track| matches!(track.kind, TrackKind::Video(_)));
        let meant = |track: &&IgnoredTrack| track.is_video && track.cause != IgnoredCause::Auxiliary;
        self.ignored.iter().find(meant).filter(|_| !has_video)
    }
}

/// A container that `media` indexes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Container {
    /// ISO base media (MP4, M4V, M4A, 3GP).
    Mp4,
    /// QuickTime.
    Mov,
    /// Matroska.
    Matroska,
    /// WebM, which is Matroska of a few codecs.
    WebM,
}

/// A track that is not played, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IgnoredTrack {
    /// The file's own track id.
    pub id: u32,
    /// What it is, for people: a handler or sample entry code such as `tmcd`.
    pub what: String,
    /// Whether it shows pictures.
    pub is_video: bool,
    /// What kind of reason it is, to decide by.
    pub cause: IgnoredCause,
    /// Why it is not played, a sentence fragment such as `timecode is not played`.
    pub reason: String,
}

/// Kinds of reasons to leave a track out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IgnoredCause {
    /// Its coding or its kind is not one that is carried (PCM, timecode, subtitles, …).
    NotCarried,
    /// The file turns it off (a thumbnail track), or it serves another track (chapter pictures).
    Auxiliary,
    /// Another video track was taken.
    Surplus,
    /// It is encrypted.
    Encrypted,
    /// The decoder's configuration lacks what a player needs before the first sample (parameter sets).
    Configuration,
    /// Several sample descriptions.
    SeveralDescriptions,
    /// It has no sample that is shown.
    Empty,
    /// Its tables contradict themselves.
    Damaged,
}
