//! Segments: one `moof` and the header of its `mdat`, then bytes of the source as they are.
//!
//! Whatever is the same for all samples of a fragment is said once in `tfhd` (ISO/IEC 14496-12 §8.8.7), so a header
//! costs about 13 bytes a picture and 5 a sound sample. Its length follows from a [`Run`] alone, so that playlists know
//! the true size of every segment without writing any.

use super::boxes::{put, put_full, put_u32, put_u64};
use crate::timeline::Written;
use crate::track::Sample;
use std::ops::Range;

/// `sample_flags` (ISO/IEC 14496-12 §8.8.3.1): depends on no other sample.
const SYNC: u32 = 0x0200_0000;
/// Depends on others, is not a sync sample.
const NOT_SYNC: u32 = 0x0101_0000;

/// A segment: bytes to send first, then ranges of the source in the order in which to send them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentLayout {
    /// `moof`, the header of `mdat`, and silence if the segment begins with some.
    pub header: Vec<u8>,
    /// What follows, ranges of the source file; neighbours that touch are one.
    pub ranges: Vec<Range<u64>>,
    /// Bytes of the header and all ranges.
    pub total_len: u64,
}

/// One sample as a fragment describes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub sample: Sample,
    pub written: Written,
    /// Its bytes, where they are not in the file. Such come before all others.
    pub silence: Option<&'static [u8]>,
}

impl SegmentLayout {
    /// The fragment of `entries`, which is number `sequence` of its track.
    pub(crate) fn new(sequence: u32, entries: &[Entry]) -> Self {
        let run: Run = entries.iter().collect();
        let mut header = write_header(sequence, entries, &run);
        let total_len = u64::try_from(header.len()).expect("a length fits 64 bits").saturating_add(run.payload);
        entries.iter().filter_map(|entry| entry.silence).for_each(|silence| header.extend_from_slice(silence));
        Self { header, ranges: merged(entries), total_len }
    }
}

/// The ranges of `entries`, merged where one ends at the next one's start.
fn merged(entries: &[Entry]) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for Entry { sample, .. } in entries.iter().filter(|e| e.sample.size > 0 && e.silence.is_none()) {
        let end = sample.offset.saturating_add(u64::from(sample.size));
        match ranges.last_mut() {
            Some(last) if last.end == sample.offset => last.end = end,
            _ => ranges.push(sample.offset..end),
        }
    }
    ranges
}

/// What is common to the samples of a fragment: decides what is said once and what for every sample.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Run {
    count: u32,
    /// Bytes of the samples.
    pub payload: u64,
    duration: Column,
    size: Column,
    composition: Column,
    first_sync: bool,
    later_sync: Column,
}

/// A field over the samples of a run.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Column {
    #[default]
    Empty,
    Same(u32),
    Varied,
}

impl Column {
    fn push(&mut self, value: u32) {
        *self = match *self {
            Self::Empty => Self::Same(value),
            Self::Same(same) if same == value => Self::Same(same),
            Self::Same(_) | Self::Varied => Self::Varied,
        };
    }

    fn append(&mut self, next: Self) {
        match next {
            Self::Empty => {}
            Self::Same(value) => self.push(value),
            Self::Varied => *self = Self::Varied,
        }
    }
}

impl Run {
    /// Adds a sample at the end.
    pub fn push(&mut self, entry: &Entry) {
        self.payload = self.payload.saturating_add(u64::from(entry.sample.size));
        self.duration.push(entry.written.duration);
        self.size.push(entry.sample.size);
        self.composition.push(entry.written.composition);
        if self.count == 0 {
            self.first_sync = entry.sample.sync;
        } else {
            self.later_sync.push(u32::from(entry.sample.sync));
        }
        self.count += 1;
    }

    /// Adds the samples of `next` at the end.
    pub fn append(&mut self, next: &Self) {
        if self.count == 0 {
            *self = *next;
            return;
        }
        self.payload = self.payload.saturating_add(next.payload);
        self.duration.append(next.duration);
        self.size.append(next.size);
        self.composition.append(next.composition);
        if next.count > 0 {
            self.later_sync.push(u32::from(next.first_sync));
        }
        self.later_sync.append(next.later_sync);
        self.count += next.count;
    }

    /// Bytes of the header of a fragment of these samples.
    pub fn header_len(&self) -> u64 {
        let trun = self.trun_flags();
        let tfhd = 16 + u64::from((self.tfhd_flags() & 0x38).count_ones()) * 4;
        let columns = u64::from((trun & 0xf00).count_ones());
        let trun = 20 + if trun & FIRST_FLAGS == 0 { 0 } else { 4 } + columns * 4 * u64::from(self.count);
        MOOF_AND_MFHD + TRAF + tfhd + TFDT + trun + self.mdat_header_len()
    }

    fn mdat_header_len(&self) -> u64 {
        if self.payload + 8 > u64::from(u32::MAX) { 16 } else { 8 }
    }

    fn tfhd_flags(&self) -> u32 {
        let said = |column: Column, flag: u32| if matches!(column, Column::Same(_)) { flag } else { 0 };
        let flags = if self.default_flags().is_some() { 0x20 } else { 0 };
        DEFAULT_BASE_IS_MOOF | said(self.duration, 0x08) | said(self.size, 0x10) | flags
    }

    fn trun_flags(&self) -> u32 {
        let listed = |column: Column, flag: u32| if column == Column::Varied { flag } else { 0 };
        let flags = match self.default_flags() {
            None => 0x400,
            Some(default) if default != flags_of(self.first_sync) => FIRST_FLAGS,
            Some(_) => 0,
        };
        // Composition offsets have no default in `tfhd`.
        let composition = if matches!(self.composition, Column::Empty | Column::Same(0)) { 0 } else { 0x800 };
        DATA_OFFSET | listed(self.duration, 0x100) | listed(self.size, 0x200) | flags | composition
    }

    /// The flags of all samples but perhaps the first.
    fn default_flags(&self) -> Option<u32> {
        match self.later_sync {
            Column::Empty => Some(flags_of(self.first_sync)),
            Column::Same(sync) => Some(flags_of(sync == 1)),
            Column::Varied => None,
        }
    }
}

impl<'a> FromIterator<&'a Entry> for Run {
    fn from_iter<I: IntoIterator<Item = &'a Entry>>(entries: I) -> Self {
        let mut run = Self::default();
        entries.into_iter().for_each(|entry| run.push(entry));
        run
    }
}

const MOOF_AND_MFHD: u64 = 8 + 16;
const TRAF: u64 = 8;
const TFDT: u64 = 20;
const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;
const DATA_OFFSET: u32 = 0x1;
const FIRST_FLAGS: u32 = 0x4;

fn flags_of(sync: bool) -> u32 {
    if sync { SYNC } else { NOT_SYNC }
}

fn write_header(sequence: u32, entries: &[Entry], run: &Run) -> Vec<u8> {
    let len = usize::try_from(run.header_len()).expect("a header fits memory");
    let mut out = Vec::with_capacity(len);
    put(&mut out, *b"moof", |out| {
        put_full(out, *b"mfhd", 0, 0, |out| put_u32(out, sequence));
        put(out, *b"traf", |out| {
            put_full(out, *b"tfhd", 0, run.tfhd_flags(), |out| put_tfhd(out, run));
            let time = entries.first().map_or(0, |e| e.written.time.max(0));
            put_full(out, *b"tfdt", 1, 0, |out| put_u64(out, u64::try_from(time).expect("not negative")));
            put_full(out, *b"trun", 0, run.trun_flags(), |out| put_trun(out, entries, run));
        });
    });
    let mdat = run.payload + run.mdat_header_len();
    // A size of 1 says that the true one follows in 64 bits.
    put_u32(&mut out, u32::try_from(mdat).unwrap_or(1));
    out.extend_from_slice(b"mdat");
    if u32::try_from(mdat).is_err() {
        put_u64(&mut out, mdat);
    }
    debug_assert_eq!(out.len(), len, "the length announced is the length written");
    out
}

fn put_tfhd(out: &mut Vec<u8>, run: &Run) {
    put_u32(out, super::init::TRACK_ID);
    for column in [run.duration, run.size] {
        if let Column::Same(value) = column {
            put_u32(out, value);
        }
    }
    if let Some(flags) = run.default_flags() {
        put_u32(out, flags);
    }
}

fn put_trun(out: &mut Vec<u8>, entries: &[Entry], run: &Run) {
    let flags = run.trun_flags();
    put_u32(out, run.count);
    put_u32(out, u32::try_from(run.header_len()).expect("a header is far below 4 GiB"));
    if flags & FIRST_FLAGS != 0 {
        put_u32(out, flags_of(run.first_sync));
    }
    for Entry { sample, written, .. } in entries {
        let columns = [
            (0x100, written.duration),
            (0x200, sample.size),
            (0x400, flags_of(sample.sync)),
            (0x800, written.composition),
        ];
        for (_, value) in columns.into_iter().filter(|(flag, _)| flags & flag != 0) {
            put_u32(out, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(offset: u64, size: u32, sync: bool, duration: u32, composition: u32) -> Entry {
        let sample = Sample { offset, size, dts: 0, cts: 0, duration, sync };
        Entry { sample, written: Written { time: 0, duration, composition }, silence: None }
    }

    #[test]
    fn touching_ranges_are_one_and_order_is_kept() {
        let entries = [
            entry(100, 10, true, 1, 0),
            entry(110, 5, false, 1, 0),
            entry(400, 7, false, 1, 0),
            entry(20, 4, false, 1, 0),
            entry(9, 0, false, 1, 0),
        ];
        let layout = SegmentLayout::new(1, &entries);
        assert_eq!(layout.ranges, [100..115, 400..407, 20..24]);
        assert_eq!(layout.total_len, layout.header.len() as u64 + 26);
    }

    #[test]
    fn a_segment_beyond_4_gib_has_a_64_bit_mdat() {
        let entries: Vec<_> = (0..3_u32).map(|i| entry(u64::from(i) << 31, 1 << 31, i == 0, 1, 0)).collect();
        let layout = SegmentLayout::new(1, &entries);
        let mdat = &layout.header[layout.header.len() - 16..];
        assert_eq!(mdat[..8], *b"\0\0\0\x01mdat");
        assert_eq!(mdat[8..], (3_u64 * (1 << 31) + 16).to_be_bytes());
    }

    proptest! {
        #[test]
        fn the_announced_length_is_the_written_one(
            samples in prop::collection::vec((0u32..3, any::<bool>(), 0u32..2, 0u32..2), 1..40),
            at: prop::sample::Index,
        ) {
            let entries: Vec<_> = samples.iter().map(|&(size, sync, d, c)| entry(0, size, sync, d, c)).collect();
            let run: Run = entries.iter().collect();
            prop_assert_eq!(run.header_len(), write_header(7, &entries, &run).len() as u64);
            let (head, tail) = entries.split_at(at.index(entries.len()));
            let mut joined: Run = head.iter().collect();
            joined.append(&tail.iter().collect());
            prop_assert_eq!(joined, run);
        }
    }
}
