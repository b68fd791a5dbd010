//! Tracks: what one elementary stream of a file is, and where each of its samples lies.

use crate::codec::Codec;
use crate::time::Timescale;
use std::time::Duration;

/// A playable track of a source.
#[derive(Clone, Debug)]
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
        let end = self.samples.end_pts();
        let shown = self.edit.end.map_or(end, |edit_end| edit_end.min(end)) - self.edit.start;
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

/// The one edit of a track (ISO/IEC 14496-12 §8.6.6), contiguous edits merged: `media-core.md` calls these D and M.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Edit {
    /// Sum of the leading empty edits, in media ticks (D).
    pub delay: i64,
    /// Media time at which presentation begins (M).
    pub start: i64,
    /// Media time at which presentation ends, exclusive; none: at the track's end.
    pub end: Option<i64>,
}

/// One sample (access unit) of a track.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// First byte in the file.
    pub offset: u64,
    /// Bytes.
    pub size: u32,
    /// Decode time in ticks from the track's first sample.
    pub dts: i64,
    /// Composition offset in ticks, signed; presentation (media) time is `dts + cts`.
    pub cts: i32,
    /// Decode duration in ticks.
    pub duration: u32,
    /// Decoding can start here.
    pub sync: bool,
}

/// All samples of a track in decode order.
///
/// Sketch with plain vectors; the packed form (blocks of bit-packed columns, ≤ 3 bytes a sample) keeps these methods.
#[derive(Clone, Debug, Default)]
pub struct SampleTable {
    samples: Vec<Sample>,
}

/// Builds a table sample by sample, in decode order.
#[derive(Debug, Default)]
pub struct SampleTableBuilder {
    samples: Vec<Sample>,
}

impl SampleTableBuilder {
    /// Appends the next sample in decode order; its `dts` must be the sum of the durations before it.
    pub fn push(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// The finished table.
    pub fn finish(self) -> SampleTable {
        SampleTable { samples: self.samples }
    }
}

impl SampleTable {
    /// A table of `samples` in decode order.
    pub fn from_samples(samples: Vec<Sample>) -> Self {
        Self { samples }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// No samples at all.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The sample at `index` in decode order.
    pub fn get(&self, index: usize) -> Option<Sample> {
        self.samples.get(index).copied()
    }

    /// The samples of `range` in decode order, clamped to the table.
    pub fn range(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = Sample> + '_ {
        let end = range.end.min(self.samples.len());
        self.samples[range.start.min(end)..end].iter().copied()
    }

    /// Indexes of sync samples, ascending.
    pub fn sync_samples(&self) -> impl Iterator<Item = usize> + '_ {
        self.samples.iter().enumerate().filter(|(_, s)| s.sync).map(|(i, _)| i)
    }

    /// Index of the first sample whose decode time is at or after `dts`; `len` if none.
    pub fn first_at_or_after(&self, dts: i64) -> usize {
        self.samples.partition_point(|s| s.dts < dts)
    }

    /// Decode time at the end of the last sample.
    pub fn end_dts(&self) -> i64 {
        self.samples.last().map_or(0, |s| s.dts + i64::from(s.duration))
    }

    /// Media time at which the last sample in order of presentation ends, 0 for an empty table.
    pub fn end_pts(&self) -> i64 {
        self.samples.iter().map(|s| s.dts + i64::from(s.cts) + i64::from(s.duration)).max().unwrap_or(0)
    }

    /// Smallest composition offset of any sample, 0 for an empty table.
    pub fn min_cts(&self) -> i32 {
        self.samples.iter().map(|s| s.cts).min().unwrap_or(0)
    }
}
