//! Silence before sound that starts late.
//!
//! What is missing is computed: frames of silence, a few bytes each.

use crate::cmaf::segment::Entry;
use crate::codec::Codec;
use crate::codec::aac::AacConfig;
use crate::fill::{Span, is_worth_it};
use crate::timeline::{Timeline, Written};
use crate::track::{Sample, Track, TrackKind};

/// What an AAC encoder writes for silence (ISO/IEC 14496-3 §4.5.2.1, `raw_data_block`), by the channel configuration.
const AAC: [&[u8]; 7] = [
    b"\x01\x18\x20\x07",
    b"\x21\x10\x04\x60\x8c\x1c",
    b"\x01\x18\x20\x01\x08\x80\x23\x04\x60\xe0",
    b"\x01\x18\x20\x01\x08\x80\x23\x04\x60\x03\x18\x20\x07",
    b"\x01\x18\x20\x01\x08\x80\x23\x04\x60\x23\x10\x04\x60\x8c\x1c",
    b"\x01\x18\x20\x01\x08\x80\x23\x04\x60\x23\x10\x04\x60\x8c\x0c\x23\x00\x00\xe0",
    b"\x01\x18\x20\x01\x08\x80\x23\x04\x60\x23\x10\x04\x60\x8c\x04\xa2\x00\x8c\x11\x81\x84\x60\x00\x1c",
];
/// Opus in which nothing is coded, mono and stereo (RFC 6716 §3.1: CELT, full band, one frame), and its samples.
const OPUS: [&[u8]; 2] = [b"\xf8\xff\xfe", b"\xfc\xff\xfe"];
const OPUS_SAMPLES: u32 = 960;

/// Frames of silence from zero to the first sample of a track.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Silence {
    frame: &'static [u8],
    /// When they are heard.
    pub span: Span,
}

impl Silence {
    /// What is missing before `track`; none where it is no sound, starts in time, or has a codec whose silence is not known.
    pub fn before(track: &Track, timeline: &Timeline) -> Option<Self> {
        let TrackKind::Audio(_) = track.kind else { return None };
        let late = timeline.lateness();
        if !is_worth_it(track.timescale.duration(late)) || track.samples.min_cts() != 0 {
            return None;
        }
        let ticks = track.samples.get(timeline.kept().start)?.duration;
        let frame = frame(&track.codec, ticks)?;
        let frames = late.checked_div(ticks.into()).filter(|frames| *frames > 0)?;
        Some(Self { frame, span: Span::new(late, frames, ticks.into())? })
    }

    /// The frame `number`, counted from 0, as a fragment describes it.
    pub fn entry(&self, number: usize) -> Entry {
        let (time, duration) = self.span.place(number);
        let size = u32::try_from(self.frame.len()).expect("a few bytes");
        let sample = Sample { offset: 0, size, dts: time, cts: 0, duration, sync: true };
        Entry { sample, written: Written { time, duration, composition: 0 }, silence: Some(self.frame) }
    }
}

/// A frame of silence for `codec`, whose frames last `ticks`.
fn frame(codec: &Codec, ticks: u32) -> Option<&'static [u8]> {
    match codec {
        Codec::Aac { asc } => {
            let configuration = usize::from(AacConfig::parse(asc)?.configuration);
            AAC.get(configuration.checked_sub(1)?).copied()
        }
        // Mapping family 0 (RFC 7845 §5.1.1): one stream.
        Codec::Opus { dops } if ticks == OPUS_SAMPLES && dops.get(10) == Some(&0) => {
            OPUS.get(usize::from(*dops.get(1)?).checked_sub(1)?).copied()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made::sound;

    #[test]
    fn late_sound_is_silence_first() {
        let mut track = sound(100);
        track.edit.delay = 1024 * 140 + 300;
        let silence = Silence::before(&track, &Timeline::of(&track)).unwrap();
        assert_eq!(silence.span.count, 140);
        let ends: Vec<_> = (0..140).map(|i| silence.entry(i).written).map(|w| w.time + i64::from(w.duration)).collect();
        assert_eq!((ends[0], ends[1], ends[139]), (1324, 2348, 1024 * 140 + 300));
    }

    #[test]
    fn silence_that_is_not_needed_or_not_known() {
        let of = |delay, codec: Option<Codec>| {
            let mut track = sound(100);
            track.edit.delay = delay;
            track.codec = codec.unwrap_or(track.codec);
            Silence::before(&track, &Timeline::of(&track))
        };
        assert_eq!(of(0, None), None);
        assert_eq!(of(4800, None), None, "a tenth of a second");
        assert!(of(4801, None).is_some());
        assert_eq!(of(48_000 * 3601, None), None);
        assert_eq!(of(48_000, Some(Codec::Flac { dfla: Vec::new() })), None);
        assert_eq!(of(48_000, Some(Codec::Aac { asc: vec![0x11, 0x80, 0, 0] })), None, "channels by an element");
    }
}
