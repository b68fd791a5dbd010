//! Indexes made up for tests.

use crate::codec::Codec;
use crate::index::{Container, MediaIndex};
use crate::time::Timescale;
use crate::track::{AudioFormat, Edit, Rotation, Sample, SampleTable, Track, TrackKind, VideoFormat};

/// Ticks per second of [`video`].
pub const VIDEO_TICKS: u32 = 600;

/// A file of `tracks`.
pub fn index(tracks: Vec<Track>) -> MediaIndex {
    let sane = |track: &&Track| track.edit.start.unsigned_abs() < 1 << 40;
    let duration = tracks.iter().filter(sane).map(Track::duration).max().unwrap_or_default();
    MediaIndex { container: Container::Mp4, file_size: 1 << 30, tracks, ignored: Vec::new(), duration, cut_off: None }
}

/// Samples of equal duration and size, each sync where `sync` says so.
pub fn samples(count: u32, duration: u32, size: u32, sync: impl Fn(u32) -> bool) -> SampleTable {
    let sample = |i: u32| Sample {
        offset: u64::from(i) * 10_000,
        size,
        dts: i64::from(i) * i64::from(duration),
        cts: 0,
        duration,
        sync: sync(i),
    };
    SampleTable::from_samples((0..count).map(sample).collect())
}

/// 1280×720 H.264 at 25 frames a second with a keyframe every `gop` frames.
pub fn video(frames: u32, gop: u32) -> Track {
    let format = VideoFormat {
        width: 1280,
        height: 720,
        sample_aspect: (1, 1),
        matrix: [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000],
        rotation: Rotation::None,
        colour: None,
    };
    let avcc = vec![1, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0, 1, 0x67, 1, 0, 1, 0x68];
    track(VIDEO_TICKS, Codec::H264 { avcc }, TrackKind::Video(format), samples(frames, 24, 4000, |i| i % gop == 0))
}

/// Stereo AAC of 48 kHz.
pub fn sound(frames: u32) -> Track {
    let format = AudioFormat { sample_rate: 48_000, channels: 2 };
    let codec = Codec::Aac { asc: vec![0x11, 0x90] };
    track(48_000, codec, TrackKind::Audio(format), samples(frames, 1024, 300, |_| true))
}

fn track(timescale: u32, codec: Codec, kind: TrackKind, samples: SampleTable) -> Track {
    Track {
        id: 1,
        timescale: Timescale::new(timescale).unwrap(),
        language: None,
        name: None,
        codec,
        kind,
        edit: Edit::default(),
        samples,
        open_gop: false,
    }
}
