//! Sample tables (ISO/IEC 14496-12 §8.6, §8.7): what each sample is, where it lies, when it is decoded and shown.
//!
//! The tables are read side by side, one sample at a time, straight from the file's bytes. Nothing is allocated by a
//! number in the file: a table must be there as bytes, and the count of samples has a limit.

use super::boxes::Node;
use super::error::IndexError;
use super::gathering::{Described, Gathering};

/// Which sample descriptions the samples of a track use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Descriptions {
    /// All the same, counted from 1.
    One(u32),
    /// More than one.
    Several,
}

/// Which sample descriptions `stsc` in `stbl` names.
pub(super) fn descriptions(stbl: &Node<'_>) -> Result<Descriptions, IndexError> {
    let node = stbl.require(*b"stsc")?;
    let mut used = chunk_rows(&node)?.iter().map(|row| u32::from_be_bytes([row[8], row[9], row[10], row[11]]));
    let first = used.next().unwrap_or(1);
    Ok(if used.any(|other| other != first) { Descriptions::Several } else { Descriptions::One(first) })
}

fn chunk_rows<'a>(stsc: &Node<'a>) -> Result<&'a [[u8; 12]], IndexError> {
    let (_, _, mut fields) = stsc.full()?;
    let count = fields.u32()?;
    fields.table(count)
}

/// Gathers the samples that the tables in `stbl` describe, and takes them off those that are `left`: whatever becomes of
/// the track, they cost as much. `all_sync`: every sample is a sync sample, whatever `stss` says.
pub(super) fn gather(stbl: &Node<'_>, all_sync: bool, left: &mut u64) -> Result<Gathering, IndexError> {
    let sizes = Sizes::read(stbl)?;
    let count = u64::from(sizes.count);
    *left = left.checked_sub(count).ok_or_else(|| sizes.node.over_limit(count, *left, "samples"))?;
    if sizes.count == 0 {
        return Ok(Gathering::default());
    }
    let mut chunks = Chunks::read(stbl)?;
    let mut durations = Runs::read(stbl.require(*b"stts")?)?;
    let mut shifts = stbl.find(*b"ctts")?.map(Runs::read).transpose()?;
    let mut sync = if all_sync { None } else { stbl.find(*b"stss")?.map(SyncList::read).transpose()? };
    let mut gathering = Gathering::default();
    for index in 0..sizes.count {
        let size = sizes.get(index);
        let sample = Described {
            offset: chunks.place(size)?,
            size,
            duration: durations.next(index)?,
            // Signed whatever the version: many tools write negative ones into version 0.
            cts: shifts.as_mut().map_or(Ok(0), |shifts| shifts.next(index))?.cast_signed(),
            sync: sync.as_mut().is_none_or(|list| list.contains(index)),
        };
        gathering.push(sample).map_err(|problem| durations.node.malformed(0, problem))?;
    }
    Ok(gathering)
}

/// Gathers uncompressed sound, whose samples are alike: each chunk as one that is taken off those `left`. A frame has
/// `frame_bytes`, which `stsz` gets wrong in old `QuickTime` files.
pub(super) fn gather_runs(stbl: &Node<'_>, frame_bytes: u32, left: &mut u64) -> Result<Gathering, IndexError> {
    let mut frames_left = Sizes::read(stbl)?.count;
    let mut gathering = Gathering::default();
    if frames_left == 0 {
        return Ok(gathering);
    }
    let mut chunks = Chunks::read(stbl)?;
    let durations = stbl.require(*b"stts")?;
    let each = Runs::read(durations.clone())?.next(0)?;
    let limit = *left;
    while frames_left > 0 {
        let (offset, frames) = chunks.take(frames_left)?;
        frames_left -= frames;
        *left = left.checked_sub(1).ok_or_else(|| chunks.offsets_node.over_limit(limit + 1, limit, "chunks"))?;
        let (size, duration) = (frames.checked_mul(frame_bytes), frames.checked_mul(each));
        let (Some(size), Some(duration)) = (size, duration) else {
            return Err(chunks.node.malformed(4, format!("a chunk has {frames} frames of sound")));
        };
        let run = Described { offset, size, duration, cts: 0, sync: true };
        gathering.push(run).map_err(|problem| durations.malformed(0, problem))?;
    }
    Ok(gathering)
}

/// `stsz` or `stz2`.
struct Sizes<'a> {
    node: Node<'a>,
    count: u32,
    form: SizeForm<'a>,
}

enum SizeForm<'a> {
    Constant(u32),
    Wide(&'a [[u8; 4]]),
    Halves(&'a [[u8; 2]]),
    Bytes(&'a [[u8; 1]]),
    Nibbles(&'a [[u8; 1]]),
}

impl<'a> Sizes<'a> {
    fn read(stbl: &Node<'a>) -> Result<Self, IndexError> {
        if let Some(node) = stbl.find(*b"stsz")? {
            let (_, _, mut fields) = node.full()?;
            let (constant, count) = (fields.u32()?, fields.u32()?);
            let form = match constant {
                0 => SizeForm::Wide(fields.table(count)?),
                size => SizeForm::Constant(size),
            };
            return Ok(Self { node, count, form });
        }
        let Some(node) = stbl.find(*b"stz2")? else {
            return Err(stbl.malformed(0, "has neither an stsz nor an stz2 box"));
        };
        let (_, _, mut fields) = node.full()?;
        let (bits, count) = (fields.u32()? & 0xff, fields.u32()?);
        let form = match bits {
            4 => SizeForm::Nibbles(fields.table(count.div_ceil(2))?),
            8 => SizeForm::Bytes(fields.table(count)?),
            16 => SizeForm::Halves(fields.table(count)?),
            bits => return Err(node.malformed(4, format!("sizes of {bits} bits"))),
        };
        Ok(Self { node, count, form })
    }

    fn get(&self, index: u32) -> u32 {
        let index = index as usize;
        match self.form {
            SizeForm::Constant(size) => size,
            SizeForm::Wide(table) => u32::from_be_bytes(table[index]),
            SizeForm::Halves(table) => u16::from_be_bytes(table[index]).into(),
            SizeForm::Bytes(table) => table[index][0].into(),
            SizeForm::Nibbles(table) => {
                let pair = table[index / 2][0];
                u32::from(if index.is_multiple_of(2) { pair >> 4 } else { pair & 15 })
            }
        }
    }
}

/// `stts` or `ctts`: runs of samples with one value.
struct Runs<'a> {
    node: Node<'a>,
    rows: std::slice::Iter<'a, [u8; 8]>,
    left: u32,
    value: u32,
}

impl<'a> Runs<'a> {
    fn read(node: Node<'a>) -> Result<Self, IndexError> {
        let (_, _, mut fields) = node.full()?;
        let count = fields.u32()?;
        let rows = fields.table(count)?.iter();
        Ok(Self { node, rows, left: 0, value: 0 })
    }

    fn next(&mut self, index: u32) -> Result<u32, IndexError> {
        while self.left == 0 {
            let Some(row) = self.rows.next() else {
                return Err(self.node.malformed(4, format!("ends before sample {index}, which the other tables have")));
            };
            let (words, _) = row.as_chunks::<4>();
            self.left = u32::from_be_bytes(words[0]);
            self.value = u32::from_be_bytes(words[1]);
        }
        self.left -= 1;
        Ok(self.value)
    }
}

/// `stss`: numbers of sync samples, ascending.
struct SyncList<'a> {
    rows: std::iter::Peekable<std::slice::Iter<'a, [u8; 4]>>,
}

impl<'a> SyncList<'a> {
    fn read(node: Node<'a>) -> Result<Self, IndexError> {
        let (_, _, mut fields) = node.full()?;
        let count = fields.u32()?;
        let rows: &[[u8; 4]] = fields.table(count)?;
        // Some tools begin the list with a zero, which counts nothing.
        if let Some(at) = rows.windows(2).position(|pair| pair[0] > pair[1]) {
            return Err(node.malformed(8 + at * 4, "the numbers of sync samples do not ascend"));
        }
        Ok(Self { rows: rows.iter().peekable() })
    }

    /// Whether the sample `index`, one above that of the last call, is listed.
    fn contains(&mut self, index: u32) -> bool {
        let number = (index + 1).to_be_bytes();
        while self.rows.next_if(|row| **row < number).is_some() {}
        self.rows.peek().is_some_and(|row| **row == number)
    }
}

/// `stsc` with `stco` or `co64`: where chunks begin and how many samples each has.
struct Chunks<'a> {
    node: Node<'a>,
    offsets_node: Node<'a>,
    rows: &'a [[u8; 12]],
    offsets: Offsets<'a>,
    /// Row of `rows` that the current chunk belongs to.
    row: usize,
    /// The next chunk, counted from 0.
    chunk: usize,
    /// Samples left in the current chunk.
    left: u32,
    /// Where the next sample of the chunk lies.
    at: u64,
}

enum Offsets<'a> {
    Narrow(&'a [[u8; 4]]),
    Wide(&'a [[u8; 8]]),
}

impl<'a> Offsets<'a> {
    fn read(stbl: &Node<'a>) -> Result<(Node<'a>, Self), IndexError> {
        let narrow = stbl.find(*b"stco")?;
        let is_narrow = narrow.is_some();
        let node = match narrow {
            Some(node) => node,
            None => stbl.find(*b"co64")?.ok_or_else(|| stbl.malformed(0, "has neither an stco nor a co64 box"))?,
        };
        let (_, _, mut fields) = node.full()?;
        let count = fields.u32()?;
        let table = if is_narrow { Self::Narrow(fields.table(count)?) } else { Self::Wide(fields.table(count)?) };
        Ok((node, table))
    }

    fn get(&self, chunk: usize) -> Option<u64> {
        match self {
            Self::Narrow(table) => table.get(chunk).map(|bytes| u32::from_be_bytes(*bytes).into()),
            Self::Wide(table) => table.get(chunk).map(|bytes| u64::from_be_bytes(*bytes)),
        }
    }
}

impl<'a> Chunks<'a> {
    fn read(stbl: &Node<'a>) -> Result<Self, IndexError> {
        let node = stbl.require(*b"stsc")?;
        let rows = chunk_rows(&node)?;
        let (offsets_node, offsets) = Offsets::read(stbl)?;
        let chunks = Self { node, offsets_node, rows, offsets, row: 0, chunk: 0, left: 0, at: 0 };
        chunks.check_rows()?;
        Ok(chunks)
    }

    fn check_rows(&self) -> Result<(), IndexError> {
        let first = |row: &[u8; 12]| u32::from_be_bytes([row[0], row[1], row[2], row[3]]);
        if self.rows.first().is_some_and(|row| first(row) != 1) {
            return Err(self.node.malformed(8, "does not begin with the first chunk"));
        }
        match self.rows.windows(2).position(|pair| first(&pair[0]) >= first(&pair[1])) {
            Some(at) => Err(self.node.malformed(8 + at * 12, "the numbers of chunks do not ascend")),
            None => Ok(()),
        }
    }

    /// Where the next sample, of `size` bytes, lies.
    fn place(&mut self, size: u32) -> Result<u64, IndexError> {
        self.go_on()?;
        self.left -= 1;
        let at = self.at;
        self.at = at.checked_add(size.into()).ok_or_else(|| self.offsets_node.malformed(4, "a chunk begins at 2⁶⁴"))?;
        Ok(at)
    }

    /// The next chunk: where it lies, and how many samples it has, at most `limit`.
    fn take(&mut self, limit: u32) -> Result<(u64, u32), IndexError> {
        self.go_on()?;
        let samples = std::mem::take(&mut self.left);
        Ok((self.at, samples.min(limit)))
    }

    /// Goes to the next chunk that has samples, if none is left in this one.
    fn go_on(&mut self) -> Result<(), IndexError> {
        while self.left == 0 {
            let Some(offset) = self.offsets.get(self.chunk) else {
                return Err(self.offsets_node.malformed(4, "there are fewer chunks than the samples need"));
            };
            self.chunk += 1;
            let begins = |row: &[u8; 12]| u32::from_be_bytes([row[0], row[1], row[2], row[3]]) as usize;
            if self.rows.get(self.row + 1).is_some_and(|next| begins(next) == self.chunk) {
                self.row += 1;
            }
            let Some(row) = self.rows.get(self.row) else {
                return Err(self.node.malformed(4, "is empty, though there are samples"));
            };
            self.left = u32::from_be_bytes([row[4], row[5], row[6], row[7]]);
            self.at = offset;
        }
        Ok(())
    }
}
