//! The stored form of a table without the places of its samples: varints, then the blocks as they lie in memory.
//!
//! Number of samples; 0 where all are sync samples, else 1, the number of sync samples and the steps between their
//! indexes (the first from −1); the decode time (signed) of the first sample; bytes of the blocks; the blocks.

use super::{BLOCK, BlockStart, Columns, Packed, Sample, SampleTable, SyncSamples, Totals, varint};

/// A table whose samples have no place in the file yet.
#[derive(Debug)]
pub(crate) struct Unplaced {
    pub(super) packed: Packed,
    /// Of every sample.
    pub(super) sizes: Vec<u32>,
}

impl SampleTable {
    /// Appends the table, without the places of its samples.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let packed = &self.0;
        varint::put(out, packed.len as u64);
        match &packed.sync {
            SyncSamples::All => varint::put(out, 0),
            SyncSamples::Listed(list) => {
                varint::put(out, 1);
                varint::put(out, list.len() as u64);
                let mut expected = 0;
                for &index in list {
                    varint::put(out, (index - expected).into());
                    expected = index + 1;
                }
            }
        }
        varint::put_signed(out, packed.directory.first().map_or(0, |start| start.dts));
        varint::put(out, packed.bytes.len() as u64);
        out.extend_from_slice(&packed.bytes);
    }
}

impl Unplaced {
    /// Takes a table off the front of `bytes` and checks all of its numbers. What is wrong, otherwise.
    pub fn take(bytes: &mut &[u8]) -> Result<Self, &'static str> {
        let cut_off = "the sample table is cut off";
        let len = varint::take(bytes).and_then(|len| u32::try_from(len).ok()).ok_or("the number of samples")? as usize;
        let sync = take_sync(bytes, len)?;
        let dts = varint::take_signed(bytes).ok_or(cut_off)?;
        let blocks = varint::take(bytes).and_then(|len| usize::try_from(len).ok()).ok_or(cut_off)?;
        let blocks = bytes.split_off(..blocks).ok_or(cut_off)?;
        let mut check = Check { dts, totals: Totals::default(), columns: Columns::default(), sizes: Vec::new() };
        let (mut directory, mut rest) = (Vec::new(), blocks);
        for first in (0..len).step_by(BLOCK) {
            let at = blocks.len() - rest.len();
            let dts = check.block(&mut rest, first == 0, BLOCK.min(len - first))?;
            directory.push(BlockStart { at, gaps_at: 0, offset: 0, dts });
        }
        if !rest.is_empty() {
            return Err("bytes behind the last block of samples");
        }
        directory.shrink_to_fit();
        let packed = Packed { len, sync, bytes: blocks.to_vec(), gaps: Vec::new(), directory, totals: check.totals };
        Ok(Self { packed, sizes: check.sizes })
    }

    /// Media time at which the last sample in order of presentation ends.
    pub fn end_pts(&self) -> i64 {
        self.packed.totals.end_pts.unwrap_or(0)
    }
}

fn take_sync(bytes: &mut &[u8], len: usize) -> Result<SyncSamples, &'static str> {
    let wrong = "the list of sync samples";
    match varint::take(bytes).ok_or(wrong)? {
        0 => Ok(SyncSamples::All),
        1 => {
            let count = varint::take(bytes).and_then(|count| usize::try_from(count).ok()).ok_or(wrong)?;
            // Each takes at least a byte.
            if count > len || count > bytes.len() {
                return Err(wrong);
            }
            let mut list = Vec::with_capacity(count);
            let mut expected = 0u64;
            for _ in 0..count {
                let index = varint::take(bytes).and_then(|step| expected.checked_add(step)).ok_or(wrong)?;
                if index >= len as u64 {
                    return Err(wrong);
                }
                list.push(u32::try_from(index).map_err(|_| wrong)?);
                expected = index + 1;
            }
            Ok(SyncSamples::Listed(list))
        }
        _ => Err(wrong),
    }
}

/// Goes through all blocks once.
struct Check {
    /// When the next sample is decoded, if nothing is between.
    dts: i64,
    totals: Totals,
    columns: Columns,
    sizes: Vec<u32>,
}

impl Check {
    /// Checks the block of `len` samples that is next in `rest`; the decode time of its first sample.
    fn block(&mut self, rest: &mut &[u8], is_first: bool, len: usize) -> Result<i64, &'static str> {
        let columns = &mut self.columns;
        columns.unpack(rest, len).ok_or("a block of samples")?;
        let mut start = None;
        for i in 0..len {
            // Where the table begins is stored beside it; what its first block says of that counts for nothing.
            let slip = if is_first && i == 0 { 0 } else { columns.slip[i] };
            let dts = self.dts.checked_add(slip).ok_or("the decode time of a sample")?;
            let size = u32::try_from(columns.size[i]).map_err(|_| "the size of a sample")?;
            let duration = u32::try_from(columns.duration[i]).map_err(|_| "the duration of a sample")?;
            let cts = i32::try_from(columns.cts[i]).map_err(|_| "the composition offset of a sample")?;
            self.dts = dts.checked_add(duration.into()).ok_or("the decode time of a sample")?;
            start.get_or_insert(dts);
            self.sizes.push(size);
            self.totals.add(&Sample { offset: 0, size, dts, cts, duration, sync: false });
        }
        start.ok_or("an empty block of samples")
    }
}
