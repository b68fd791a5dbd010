//! What an encoder wrote, as the segments of a plan: its pictures as they are, with the plan's decode times.

use super::Planned;
use crate::cmaf::segment::{Entry, SegmentLayout};
use crate::codec::Codec;
use crate::indexer::{IndexError, index_bytes};
use crate::timeline::Written;
use crate::track::{Sample, Track};
use std::ops::{Range, RangeInclusive};
use std::time::Duration;
use thiserror::Error;

/// A box larger than this is no fragment of a few seconds.
const LARGEST: u64 = 256 << 20;

/// Why what an encoder wrote is not what was planned.
#[derive(Debug, Error)]
pub enum Misfit {
    /// It makes no sense.
    #[error("what ffmpeg wrote can't be read: {0}")]
    Index(#[from] IndexError),
    /// It is something else.
    #[error("what ffmpeg wrote is not what was asked for: {0}")]
    Other(String),
    /// Segments have no picture at all.
    #[error("no picture can be decoded from {:.1} to {:.1} seconds", from.as_secs_f64(), to.as_secs_f64())]
    Hole {
        /// Where the first of them begins.
        from: Duration,
        /// Where the last of them ends.
        to: Duration,
    },
}

/// A segment that was encoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EncodedSegment {
    /// From 1.
    pub number: u32,
    /// All its bytes.
    pub bytes: Vec<u8>,
    /// Bits a second while it plays.
    pub bit_rate: u64,
    /// Pictures in it.
    pub pictures: usize,
}

/// Cuts a stream of fragments: what is before the first, then each fragment.
#[derive(Debug, Default)]
pub struct Cut {
    held: Vec<u8>,
    head: Vec<u8>,
    /// Bytes of what is complete up to a `mdat` that is yet to come.
    whole: usize,
}

impl Cut {
    /// Takes the next bytes; the fragments that are complete with them, each behind what is before the first.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Misfit> {
        self.held.extend_from_slice(bytes);
        let mut fragments = Vec::new();
        while let Some((size, kind)) = self.next_box()? {
            if self.held.len() - self.whole < size {
                break;
            }
            self.whole += size;
            match &kind {
                b"moov" => self.head = self.held.drain(..std::mem::take(&mut self.whole)).collect(),
                b"mdat" => {
                    let whole = std::mem::take(&mut self.whole);
                    fragments.push([&self.head, &self.held[..whole]].concat());
                    self.held.drain(..whole);
                }
                _ => {}
            }
        }
        Ok(fragments)
    }

    fn next_box(&self) -> Result<Option<(usize, [u8; 4])>, Misfit> {
        let rest = &self.held[self.whole..];
        let (Some(size), Some(kind)) = (rest.first_chunk(), rest.get(4..).and_then(|rest| rest.first_chunk())) else {
            return Ok(None);
        };
        let size = u32::from_be_bytes(*size);
        if size < 8 || u64::from(size) > LARGEST {
            return Err(Misfit::Other(format!("a box of {size} bytes")));
        }
        Ok(Some((size as usize, *kind)))
    }
}

/// Makes segments of the fragments of an encoder.
#[derive(Debug)]
pub struct SpanWriter {
    planned: Planned,
    next: u32,
    last: u32,
    /// When the pictures before the next segment are shown on the media's clock, as many as decoding is ahead.
    before: Vec<i64>,
    configuration: Vec<u8>,
}

impl SpanWriter {
    /// Of the segments of `numbers`.
    pub fn new(planned: Planned, numbers: RangeInclusive<u32>) -> Self {
        let (next, last) = (*numbers.start(), *numbers.end());
        let samples = &planned.rendition().track.samples;
        let (first, lag) = (planned.first(next), planned.lag());
        let before = (first..first + lag).map(|place| samples.get(place).map_or(samples.end_dts(), |s| s.dts));
        Self { before: before.collect(), planned, next, last, configuration: Vec::new() }
    }

    /// The decoder's configuration; empty before the first segment.
    pub fn configuration(&self) -> &[u8] {
        &self.configuration
    }

    /// Makes the next segment of a fragment, with what comes before the first one, as [`Cut`] gives it.
    pub fn segment(&mut self, fragment: &[u8]) -> Result<EncodedSegment, Misfit> {
        let index = index_bytes(fragment)?;
        let track = index.tracks.first().ok_or_else(|| Misfit::Other("there are no pictures".to_owned()))?;
        let Codec::H264 { avcc } = &track.codec else {
            return Err(Misfit::Other(format!("it is {}", track.codec.name())));
        };
        if self.configuration.is_empty() {
            self.configuration.clone_from(avcc);
        } else if self.configuration != *avcc {
            return Err(Misfit::Other("its parameters change".to_owned()));
        }
        let number = self.next;
        let shown = self.shown(track, begin_of(fragment)? - edit_of(fragment));
        self.check_place(number, &shown)?;
        let entries = self.entries(number, track, &shown)?;
        let layout = SegmentLayout::new(number, &entries);
        let mut bytes = layout.header.clone();
        for range in &layout.ranges {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            let payload = fragment.get(place(range.start)..place(range.end));
            bytes.extend_from_slice(payload.ok_or_else(|| Misfit::Other("it is cut off".to_owned()))?);
        }
        self.next += 1;
        let bit_rate = self.bit_rate(number, bytes.len());
        Ok(EncodedSegment { number, bytes, bit_rate, pictures: entries.len() })
    }

    /// Whether all segments came.
    pub fn finish(&self) -> Result<(), Misfit> {
        if self.next > self.last { Ok(()) } else { Err(self.hole(self.next, self.last)) }
    }

    /// When each picture of a fragment is shown on the clock of the plan, in decode order; the first one is decoded at `begin`.
    fn shown(&self, track: &Track, begin: i64) -> Vec<i64> {
        let own = self.planned.rendition().track.edit.start;
        let samples = track.samples.range(0..track.samples.len());
        let first = track.samples.get(0).map_or(0, |sample| sample.dts);
        let mut shown: Vec<i64> =
            samples.map(|sample| begin + sample.dts - first + i64::from(sample.cts) + own).collect();
        // The first picture of all is shown from the beginning.
        if self.next == 1
            && let Some(first) = shown.first_mut()
        {
            *first = own;
        }
        shown
    }

    /// The fragment must begin with what its segment begins with, or soon after where pictures could not be decoded.
    fn check_place(&self, number: u32, shown: &[i64]) -> Result<(), Misfit> {
        let begin = |number: u32| self.begin(number);
        let earliest = shown.iter().copied().min().unwrap_or(i64::MAX);
        if number > self.last || earliest < begin(number) {
            return Err(Misfit::Other("pictures that nobody asked for".to_owned()));
        }
        let end = begin(number + 1);
        if earliest >= end {
            let last = (number..=self.last).take_while(|number| begin(*number + 1) <= earliest).last();
            return Err(self.hole(number, last.unwrap_or(number)));
        }
        if shown.iter().any(|shown| *shown >= end) {
            return Err(Misfit::Other(format!("no keyframe where segment {} begins", number + 1)));
        }
        Ok(())
    }

    /// When segment `number` begins on the media's clock.
    fn begin(&self, number: u32) -> i64 {
        let track = self.planned.rendition().track;
        self.planned.shown(self.planned.first(number)).map_or(i64::MAX, |shown| shown + track.edit.start)
    }

    fn hole(&self, first: u32, last: u32) -> Misfit {
        let track = self.planned.rendition().track;
        let time = |number: u32| match self.planned.shown(self.planned.first(number)) {
            Some(shown) => track.timescale.duration(shown),
            None => self.planned.presentation.index().duration,
        };
        Misfit::Hole { from: time(first), to: time(last + 1) }
    }

    /// The pictures with the plan's decode times.
    fn entries(&mut self, number: u32, track: &Track, shown: &[i64]) -> Result<Vec<Entry>, Misfit> {
        let samples = &self.planned.rendition().track.samples;
        let mut in_order = shown.to_vec();
        in_order.sort_unstable();
        let mut clock = self.before.clone();
        clock.extend_from_slice(&in_order);
        let lag = self.before.len();
        // What the next segment begins with, if nothing is missing here; at the end of a span what the next span does.
        let end = match clock.get(in_order.len()).filter(|_| number < self.last && lag > 0) {
            Some(end) => *end,
            None => samples.get(self.planned.first(number + 1)).map_or(samples.end_dts(), |sample| sample.dts),
        };
        let mut entries = Vec::with_capacity(shown.len());
        for (place, sample) in track.samples.range(0..track.samples.len()).enumerate() {
            let time = clock[place];
            let next = if place + 1 < in_order.len() { clock[place + 1] } else { end };
            let late = || Misfit::Other("its pictures are in an order that was not asked for".to_owned());
            let duration = u32::try_from(next - time).map_err(|_| late())?;
            let composition = u32::try_from(shown[place] - time).map_err(|_| late())?;
            let sample = Sample { sync: place == 0, ..sample };
            entries.push(Entry { sample, written: Written { time, duration, composition }, silence: None });
        }
        self.before = clock[clock.len() - lag..].to_vec();
        Ok(entries)
    }

    fn bit_rate(&self, number: u32, bytes: usize) -> u64 {
        let plan = self.planned.rendition().plan;
        let ticks = plan.ticks(usize::try_from(number - 1).unwrap_or(usize::MAX)).max(1);
        let bits = u128::try_from(bytes).unwrap_or(u128::MAX).saturating_mul(8 * u128::from(plan.timescale.get()));
        u64::try_from(bits / u128::try_from(ticks).unwrap_or(1)).unwrap_or(u64::MAX)
    }
}

/// Decode time of the first sample of a fragment (`tfdt`, ISO/IEC 14496-12 §8.8.12), which the index counts from.
fn begin_of(fragment: &[u8]) -> Result<i64, Misfit> {
    let missing = || Misfit::Other("a fragment does not say when it begins".to_owned());
    let moof = inside(fragment, *b"moof").ok_or_else(missing)?;
    let traf = inside(moof, *b"traf").ok_or_else(missing)?;
    let tfdt = inside(traf, *b"tfdt").ok_or_else(missing)?;
    let time = match tfdt {
        [0, _, _, _, rest @ ..] => rest.first_chunk().map(|time| u32::from_be_bytes(*time).into()),
        [1, _, _, _, rest @ ..] => rest.first_chunk().and_then(|time| u64::from_be_bytes(*time).try_into().ok()),
        _ => None,
    };
    time.ok_or_else(missing)
}

/// Media time that is shown at zero (`elst`, ISO/IEC 14496-12 §8.6.6). Of a fragment that begins late the index does not have it.
fn edit_of(fragment: &[u8]) -> i64 {
    let path = [*b"moov", *b"trak", *b"edts", *b"elst"];
    let elst = path.into_iter().try_fold(fragment, inside);
    let time = match elst {
        Some([0, rest @ ..]) => {
            rest.get(11..).and_then(|rest| rest.first_chunk()).map(|time| i32::from_be_bytes(*time).into())
        }
        Some([1, rest @ ..]) => {
            rest.get(15..).and_then(|rest| rest.first_chunk()).map(|time| i64::from_be_bytes(*time))
        }
        _ => None,
    };
    time.unwrap_or(0).max(0)
}

/// Where the first picture of a segment is, by the segment's first bytes: it is the keyframe.
pub fn keyframe_of(head: &[u8]) -> Option<Range<u64>> {
    let traf = inside(inside(head, *b"moof")?, *b"traf")?;
    let (tfhd, trun) = (inside(traf, *b"tfhd")?, inside(traf, *b"trun")?);
    let word = |payload: &[u8], at: usize| Some(u32::from_be_bytes(*payload.get(at..)?.first_chunk()?));
    let count = |flags: u32, of: &[u32]| of.iter().filter(|flag| flags & **flag != 0).count();
    let said = word(trun, 0)?;
    // Version and flags, the count, where the data begins, perhaps the first sample's flags, perhaps its duration.
    let row = 8 + 4 * count(said, &[0x1, 0x4]);
    let size = if said & 0x200 == 0 {
        let defaults = word(tfhd, 0)?;
        // Behind the track's id, none of which a segment of ours has: base, description; perhaps a duration.
        word(tfhd, 8 + 4 * count(defaults, &[0x8])).filter(|_| defaults & 0x10 != 0)?
    } else {
        word(trun, row + 4 * count(said, &[0x100]))?
    };
    let begin = u64::from(word(trun, 8)?);
    Some(begin..begin + u64::from(size))
}

/// The payload of the first box of `kind` among `boxes`.
fn inside(mut boxes: &[u8], kind: [u8; 4]) -> Option<&[u8]> {
    loop {
        let size = usize::try_from(u32::from_be_bytes(*boxes.first_chunk()?)).ok()?;
        let (this, rest) = boxes.split_at_checked(size.max(8))?;
        if this[4..8] == kind {
            return Some(&this[8..]);
        }
        boxes = rest;
    }
}
