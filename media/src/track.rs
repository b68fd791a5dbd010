//! Tracks: what one elementary stream of a file is, and where each of its samples lies.

pub use crate::samples::{Sample, SampleTable, SampleTableBuilder, Samples};

use crate::codec::Codec;
use crate::time::Timescale;
use std::time::Duration;

/// A playable track of a source.
#[derive(Clone, PartialEq, Debug)]
pub struct Track {
    /// The file's own track id (`tkhd`).
    pub id: u32,
    /// Ticks per second of all times below.
    pub timescale: Timescale,
    /// BCP 47 language tag; none where the file says `und` or nothing.
    pub language: Option<String>,
    /// The name people gave the track (`hdlr` or `udta/name`), where it says more than the tool's default.
    pub name: Option<String>,
    /// The decoder's configuration.
    pub codec: Codec,
    /// What is particular to pictures or sound.
    pub kind: TrackKind,
    /// Which part of the media is shown, and when.
    pub edit: Edit,
    /// Where the samples lie and when they are shown.
    pub samples: SampleTable,
    /// Whether some sample decoded after a sync sample is shown before it (an open GOP): such a track can't be cut there.
    pub open_gop: bool,
}

impl Track {
    /// How long the presentation is when this track ends: its delay, and what its edit shows.
    pub fn duration(&self) -> Duration {
        let end = match self.edit.parts {
            Parts::One => self.samples.end_pts(),
            Parts::Several | Parts::Speed => i64::MAX,
        };
        let shown = self.edit.end.map_or(end, |edit_end| edit_end.min(end)).saturating_sub(self.edit.start);
        self.timescale.duration(self.edit.delay.saturating_add(shown.max(0)))
    }
}

/// What is particular to a kind of track.
#[derive(Clone, PartialEq, Debug)]
pub enum TrackKind {
    /// Pictures.
    Video(VideoFormat),
    /// Sound.
    Audio(AudioFormat),
}

/// Shape and colour of a video track.
#[derive(Clone, PartialEq, Debug)]
pub struct VideoFormat {
    /// Coded width in samples (visual sample entry).
    pub width: u16,
    /// Coded height in samples.
    pub height: u16,
    /// Sample aspect ratio, horizontal and vertical spacing (`pasp`, or 1:1).
    pub sample_aspect: (u32, u32),
    /// The nine numbers of `tkhd`, as stored (16.16 and 2.30 fixed point).
    pub matrix: [i32; 9],
    /// The matrix as a clockwise quarter turn.
    pub rotation: Rotation,
    /// Colour description (`colr` of type `nclx` or `nclc`).
    pub colour: Option<Colour>,
}

/// Clockwise turn to show a picture upright.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Rotation {
    /// None.
    #[default]
    None,
    /// A quarter turn.
    Quarter,
    /// Upside down.
    Half,
    /// Three quarters.
    ThreeQuarters,
}

/// Coding-independent code points (ISO/IEC 23091-2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Colour {
    /// `ColourPrimaries`.
    pub primaries: u16,
    /// `TransferCharacteristics`: 16 is PQ, 18 is HLG.
    pub transfer: u16,
    /// `MatrixCoefficients`.
    pub matrix: u16,
    /// Full range samples.
    pub full_range: bool,
}

/// Shape of an audio track.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AudioFormat {
    /// Sampling rate in hertz, of the decoder's configuration where it has one.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u16,
}

/// The edit of a track (ISO/IEC 14496-12 §8.6.6), contiguous edits merged. Where it has several [`Parts`], only the delay
/// and, as the end, the time that they last in all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Edit {
    /// Sum of the leading empty edits, in media ticks (D).
    pub delay: i64,
    /// Media time at which presentation begins (M).
    pub start: i64,
    /// Media time at which presentation ends, exclusive; none: at the track's end.
    pub end: Option<i64>,
    /// Whether that says all.
    pub parts: Parts,
}

/// How many edits there are after contiguous ones were merged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Parts {
    /// One.
    #[default]
    One,
    /// Parts of the media out of order, repeated or with gaps.
    Several,
    /// A speed other than 1, or a still.
    Speed,
}
