//! Samples of a track, packed: about two bytes each instead of forty, any one of them at hand.
//!
//! Samples lie in blocks of 128. Of each sample a block holds its size, its duration, the gap between the end of the
//! sample before it and its own decode time (zero in every MP4), and its composition offset: four [`column`]s in this
//! order; a fifth, kept apart, is the same kind of gap for its offset (zero within a chunk). Where a block begins, and
//! the offset and decode time of its first sample, are in a directory. Sync samples are a list.
//!
//! The gaps of one track are the samples of the others, so they are not stored: the [`layout`] of the file is, which
//! says in a few bits whose samples come next, and gives all gaps back.

mod column;
pub(crate) mod layout;
pub(crate) mod stored;
pub(crate) mod varint;

use column::BLOCK;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// One sample (access unit) of a track.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
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

/// All samples of a track in decode order. Cheap to clone.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SampleTable(Arc<Packed>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Packed {
    len: usize,
    sync: SyncSamples,
    /// The blocks, one after the other.
    bytes: Vec<u8>,
    /// The columns of gaps, one after the other.
    gaps: Vec<u8>,
    directory: Vec<BlockStart>,
    totals: Totals,
}

/// Which samples are sync samples.
#[derive(Clone, Debug, PartialEq, Eq)]
enum SyncSamples {
    All,
    /// Their indexes, ascending.
    Listed(Vec<u32>),
}

impl Default for SyncSamples {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

/// Where a block begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BlockStart {
    /// In the bytes of the table.
    at: usize,
    /// In the gaps.
    gaps_at: usize,
    /// Of the first sample in the file.
    offset: u64,
    /// Of the first sample.
    dts: i64,
}

/// What is known of all samples together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    end_dts: i64,
    end_pts: Option<i64>,
    min_cts: Option<i32>,
}

impl Totals {
    fn add(&mut self, sample: &Sample) {
        let shown = sample.dts.saturating_add(sample.cts.into()).saturating_add(sample.duration.into());
        self.end_dts = sample.dts.saturating_add(sample.duration.into());
        self.end_pts = self.end_pts.max(Some(shown));
        self.min_cts = Some(self.min_cts.map_or(sample.cts, |least| least.min(sample.cts)));
    }
}

impl SampleTable {
    /// A table of `samples` in decode order.
    pub fn from_samples(samples: Vec<Sample>) -> Self {
        let mut builder = SampleTableBuilder::default();
        for sample in samples {
            builder.push(sample);
        }
        builder.finish()
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// No samples at all.
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// The sample at `index` in decode order. Unpacks its block: for many samples use [`Self::range`].
    pub fn get(&self, index: usize) -> Option<Sample> {
        self.range(index..index.checked_add(1)?).next()
    }

    /// The samples of `range` in decode order, clamped to the table; each block is unpacked once.
    pub fn range(&self, range: Range<usize>) -> Samples<'_> {
        let end = range.end.min(self.len());
        let next = range.start.min(end);
        Samples {
            packed: &self.0,
            next,
            end,
            block: Vec::new(),
            block_number: usize::MAX,
            sync_at: self.0.sync.first_from(next),
        }
    }

    /// Indexes of sync samples, ascending.
    pub fn sync_samples(&self) -> impl Iterator<Item = usize> + '_ {
        let (all, listed) = match &self.0.sync {
            SyncSamples::All => (0..self.len(), &[][..]),
            SyncSamples::Listed(list) => (0..0, &list[..]),
        };
        all.chain(listed.iter().map(|&index| index as usize))
    }

    /// Index of the first sample whose decode time is at or after `dts`; `len` if none.
    pub fn first_at_or_after(&self, dts: i64) -> usize {
        let later = self.0.directory.partition_point(|start| start.dts < dts);
        let Some(block) = later.checked_sub(1) else { return 0 };
        let first = block * BLOCK;
        let samples = self.range(first..first + BLOCK);
        first + samples.take_while(|sample| sample.dts < dts).count()
    }

    /// Decode time at the end of the last sample.
    pub fn end_dts(&self) -> i64 {
        self.0.totals.end_dts
    }

    /// Media time at which the last sample in order of presentation ends, 0 for an empty table.
    pub fn end_pts(&self) -> i64 {
        self.0.totals.end_pts.unwrap_or(0)
    }

    /// Smallest composition offset of any sample, 0 for an empty table.
    pub fn min_cts(&self) -> i32 {
        self.0.totals.min_cts.unwrap_or(0)
    }

    /// Bytes of memory that the table takes, for caches that weigh what they hold.
    pub fn memory(&self) -> usize {
        let sync = match &self.0.sync {
            SyncSamples::All => 0,
            SyncSamples::Listed(list) => list.capacity() * size_of::<u32>(),
        };
        let bytes = self.0.bytes.capacity() + self.0.gaps.capacity();
        size_of::<Packed>() + bytes + self.0.directory.capacity() * size_of::<BlockStart>() + sync
    }
}

impl fmt::Debug for SampleTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleTable")
            .field("len", &self.len())
            .field("bytes", &self.0.bytes.len())
            .finish_non_exhaustive()
    }
}

impl SyncSamples {
    /// Position in the list of the first that is `index` or later.
    fn first_from(&self, index: usize) -> usize {
        match self {
            Self::All => 0,
            Self::Listed(list) => list.partition_point(|&sync| (sync as usize) < index),
        }
    }
}

/// Samples of a range of a table, in decode order.
#[derive(Clone, Debug)]
pub struct Samples<'a> {
    packed: &'a Packed,
    next: usize,
    end: usize,
    /// The unpacked block that `next` was in last.
    block: Vec<Sample>,
    block_number: usize,
    /// Position in the list of sync samples.
    sync_at: usize,
}

impl Iterator for Samples<'_> {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        if self.next >= self.end {
            return None;
        }
        let number = self.next / BLOCK;
        if number != self.block_number {
            self.packed.unpack(number, &mut self.block);
            self.block_number = number;
        }
        let mut sample = self.block[self.next % BLOCK];
        sample.sync = match &self.packed.sync {
            SyncSamples::All => true,
            SyncSamples::Listed(list) => {
                let is_sync = list.get(self.sync_at).is_some_and(|&sync| sync as usize == self.next);
                self.sync_at += usize::from(is_sync);
                is_sync
            }
        };
        self.next += 1;
        Some(sample)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Samples<'_> {}

impl Packed {
    /// Number of samples in block `number`.
    fn block_len(&self, number: usize) -> usize {
        BLOCK.min(self.len - number * BLOCK)
    }

    /// Unpacks the block `number` into `out`, without sync flags.
    fn unpack(&self, number: usize, out: &mut Vec<Sample>) {
        let start = self.directory[number];
        let mut columns = Columns::default();
        let mut bytes = &self.bytes[start.at..];
        let len = self.block_len(number);
        columns.unpack(&mut bytes, len).expect("checked when the table was made");
        let mut gaps = &self.gaps[start.gaps_at..];
        column::unpack(&mut gaps, &mut columns.gap[..len]).expect("checked when the table was made");
        out.clear();
        columns.samples(start.offset, start.dts, out).expect("checked when the table was made");
    }
}

/// The columns of a block.
struct Columns {
    len: usize,
    gap: [i64; BLOCK],
    size: [i64; BLOCK],
    duration: [i64; BLOCK],
    slip: [i64; BLOCK],
    cts: [i64; BLOCK],
}

impl Default for Columns {
    fn default() -> Self {
        let zeros = [0; BLOCK];
        Self { len: 0, size: zeros, gap: zeros, duration: zeros, slip: zeros, cts: zeros }
    }
}

impl Columns {
    /// All but the gaps.
    fn own(&mut self) -> [&mut [i64; BLOCK]; 4] {
        [&mut self.size, &mut self.duration, &mut self.slip, &mut self.cts]
    }

    fn pack(&mut self, out: &mut Vec<u8>, gaps: &mut Vec<u8>) {
        let len = self.len;
        column::pack(&self.gap[..len], gaps);
        for values in self.own() {
            column::pack(&values[..len], out);
        }
    }

    /// Takes a block of `len` samples, without its gaps, off the front of `bytes`.
    fn unpack(&mut self, bytes: &mut &[u8], len: usize) -> Option<()> {
        self.len = len;
        self.own().into_iter().try_for_each(|values| column::unpack(bytes, &mut values[..len]))
    }

    /// Appends the samples, the first of which lies at `offset` and is decoded at `dts`; none if a number is
    /// outside what samples can have.
    fn samples(&self, offset: u64, dts: i64, out: &mut Vec<Sample>) -> Option<()> {
        let (mut offset, mut dts) = (offset, dts);
        for at in 0..self.len {
            if at > 0 {
                offset = offset.wrapping_add_signed(self.gap[at]);
                dts = dts.wrapping_add(self.slip[at]);
            }
            let size = u32::try_from(self.size[at]).ok()?;
            let duration = u32::try_from(self.duration[at]).ok()?;
            let cts = i32::try_from(self.cts[at]).ok()?;
            out.push(Sample { offset, size, dts, cts, duration, sync: false });
            offset = offset.wrapping_add(size.into());
            dts = dts.wrapping_add(duration.into());
        }
        Some(())
    }
}

/// Builds a table sample by sample, in decode order; holds one block that is not packed yet.
#[derive(Default)]
pub struct SampleTableBuilder {
    packed: Packed,
    pending: Columns,
    /// Where the next sample lies and when it is decoded, if it follows the last without a gap.
    expected: (u64, i64),
    /// Every sample so far is a sync sample.
    only_sync: bool,
}

impl SampleTableBuilder {
    /// Appends the next sample in decode order.
    pub fn push(&mut self, sample: Sample) {
        let at = self.pending.len;
        if at == 0 {
            let (at, gaps_at) = (self.packed.bytes.len(), self.packed.gaps.len());
            self.packed.directory.push(BlockStart { at, gaps_at, offset: sample.offset, dts: sample.dts });
        }
        self.pending.size[at] = sample.size.into();
        self.pending.gap[at] = sample.offset.wrapping_sub(self.expected.0).cast_signed();
        self.pending.duration[at] = sample.duration.into();
        self.pending.slip[at] = sample.dts.wrapping_sub(self.expected.1);
        self.pending.cts[at] = sample.cts.into();
        self.pending.len += 1;
        self.expected =
            (sample.offset.wrapping_add(sample.size.into()), sample.dts.wrapping_add(sample.duration.into()));
        self.add_sync(sample.sync);
        self.packed.totals.add(&sample);
        self.packed.len += 1;
        if self.pending.len == BLOCK {
            self.flush();
        }
    }

    /// Keeps a list only from the first sample on that is none: most tracks of sound have none such.
    fn add_sync(&mut self, is_sync: bool) {
        let index = u32::try_from(self.packed.len).expect("fewer than 2³² samples");
        if index == 0 {
            self.only_sync = is_sync;
        } else if self.only_sync && !is_sync {
            self.only_sync = false;
            self.packed.sync = SyncSamples::Listed((0..index).collect());
        }
        if is_sync
            && !self.only_sync
            && let SyncSamples::Listed(list) = &mut self.packed.sync
        {
            list.push(index);
        }
    }

    fn flush(&mut self) {
        self.pending.pack(&mut self.packed.bytes, &mut self.packed.gaps);
        self.pending.len = 0;
    }

    /// The finished table.
    pub fn finish(mut self) -> SampleTable {
        if self.pending.len > 0 {
            self.flush();
        }
        if self.only_sync {
            self.packed.sync = SyncSamples::All;
        }
        self.packed.bytes.shrink_to_fit();
        self.packed.gaps.shrink_to_fit();
        self.packed.directory.shrink_to_fit();
        SampleTable(Arc::new(self.packed))
    }
}

impl fmt::Debug for SampleTableBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleTableBuilder").field("len", &self.packed.len).finish_non_exhaustive()
    }
}
