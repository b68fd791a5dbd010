//! The stored form of a table: varints, then the blocks as they lie in memory.
//!
//! Number of samples; 0 where all are sync samples, else 1, the number of sync samples and the steps between their
//! indexes (the first from −1); the offset and decode time (signed) of the first sample; bytes of the blocks; the blocks.

use super::{BLOCK, BlockStart, Columns, Packed, Sample, SampleTable, SyncSamples, Totals, varint};
use std::sync::Arc;

impl SampleTable {
    /// Appends the table.
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
        let (offset, dts) = packed.directory.first().map_or((0, 0), |start| (start.offset, start.dts));
        varint::put(out, offset);
        varint::put_signed(out, dts);
        varint::put(out, packed.bytes.len() as u64);
        out.extend_from_slice(&packed.bytes);
    }

    /// Takes a table off the front of `bytes`: all of its numbers are checked, and that no sample ends behind
    /// `file_size`. What is wrong, otherwise.
    pub(crate) fn take(bytes: &mut &[u8], file_size: u64) -> Result<Self, &'static str> {
        let cut_off = "the sample table is cut off";
        let len = varint::take(bytes).and_then(|len| u32::try_from(len).ok()).ok_or("the number of samples")? as usize;
        let sync = take_sync(bytes, len)?;
        let offset = varint::take(bytes).ok_or(cut_off)?;
        let dts = varint::take_signed(bytes).ok_or(cut_off)?;
        let blocks = varint::take(bytes).and_then(|len| usize::try_from(len).ok()).ok_or(cut_off)?;
        let blocks = bytes.split_off(..blocks).ok_or(cut_off)?;
        // The smallest block takes ten bytes, so the directory is never much larger than what is there.
        let mut directory = Vec::with_capacity(len.div_ceil(BLOCK).min(blocks.len()));
        let mut check = Check { file_size, offset, dts, totals: Totals::default(), columns: Columns::default() };
        let mut rest = blocks;
        for first in (0..len).step_by(BLOCK) {
            let at = blocks.len() - rest.len();
            directory.push(check.block(&mut rest, at, BLOCK.min(len - first))?);
        }
        if !rest.is_empty() {
            return Err("bytes behind the last block of samples");
        }
        Ok(Self(Arc::new(Packed { len, sync, bytes: blocks.to_vec(), directory, totals: check.totals })))
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
    file_size: u64,
    /// Where the next sample lies and when it is decoded, if nothing is between.
    offset: u64,
    dts: i64,
    totals: Totals,
    columns: Columns,
}

impl Check {
    /// Checks the block of `len` samples that is next in `rest`, and says where it begins.
    fn block(&mut self, rest: &mut &[u8], at: usize, len: usize) -> Result<BlockStart, &'static str> {
        let columns = &mut self.columns;
        columns.unpack(rest, len).ok_or("a block of samples")?;
        let mut start = None;
        for i in 0..len {
            // The directory's first entry is the place itself; what the block says of it counts for nothing.
            let (gap, slip) = if at == 0 && i == 0 { (0, 0) } else { (columns.gap[i], columns.slip[i]) };
            let offset = self.offset.checked_add_signed(gap).ok_or("the offset of a sample")?;
            let dts = self.dts.checked_add(slip).ok_or("the decode time of a sample")?;
            let size = u32::try_from(columns.size[i]).map_err(|_| "the size of a sample")?;
            let duration = u32::try_from(columns.duration[i]).map_err(|_| "the duration of a sample")?;
            let cts = i32::try_from(columns.cts[i]).map_err(|_| "the composition offset of a sample")?;
            let end = offset.checked_add(size.into()).filter(|&end| size == 0 || end <= self.file_size);
            self.offset = end.ok_or("a sample ends behind the file's end")?;
            self.dts = dts.checked_add(duration.into()).ok_or("the decode time of a sample")?;
            start.get_or_insert(BlockStart { at, offset, dts });
            self.totals.add(&Sample { offset, size, dts, cts, duration, sync: false });
        }
        start.ok_or("an empty block of samples")
    }
}
