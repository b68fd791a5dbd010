//! Sample tables (ISO/IEC 14496-12 §8.6, §8.7): what each sample is, where it lies, when it is decoded and shown.
//!
//! The tables are read side by side, one sample at a time, from the columns that the sieve made of them. Nothing is
//! allocated by a number in the file: a table must be there as bytes, and the count of samples has a limit.

use super::boxes::Node;
use super::columns::{Longs, Rows};
use crate::gathering::{Described, Gathering};
use crate::indexer::IndexError;

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
    let mut used = chunk_rows(&node)?.map(|[.., description]| description);
    let first = used.next().unwrap_or(1);
    Ok(if used.any(|other| other != first) { Descriptions::Several } else { Descriptions::One(first) })
}

/// Rows of `stsc`: the first chunk that they are of, samples of each chunk, the description.
fn chunk_rows<'a>(stsc: &Node<'a>) -> Result<Rows<'a, 3>, IndexError> {
    let (_, _, mut fields) = stsc.full()?;
    let count = fields.u32()?;
    Ok(stsc.table(8, count.into())?.rows(count))
}

/// Gathers the samples that the tables in `stbl` describe, and takes them off those that are `left`: whatever becomes of
/// the track, they cost as much. `all_sync`: every sample is a sync sample, whatever `stss` says.
pub(super) fn gather(stbl: &Node<'_>, all_sync: bool, left: &mut u64) -> Result<Gathering, IndexError> {
    let mut sizes = Sizes::read(stbl)?;
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
        let size = sizes.next();
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
    Wide(Rows<'a, 1>),
    Bytes(std::slice::Iter<'a, u8>),
    Halves(std::slice::Iter<'a, [u8; 2]>),
    /// And the lower half of the last byte, if that comes next.
    Nibbles(std::slice::Iter<'a, u8>, Option<u8>),
}

impl<'a> Sizes<'a> {
    fn read(stbl: &Node<'a>) -> Result<Self, IndexError> {
        if let Some(node) = stbl.find(*b"stsz")? {
            let (_, _, mut fields) = node.full()?;
            let (constant, count) = (fields.u32()?, fields.u32()?);
            let form = match constant {
                0 => SizeForm::Wide(node.table(12, count.into())?.rows(count)),
                size => SizeForm::Constant(size),
            };
            return Ok(Self { node, count, form });
        }
        let Some(node) = stbl.find(*b"stz2")? else {
            return Err(stbl.malformed(0, "has neither an stsz nor an stz2 box"));
        };
        let (_, _, mut fields) = node.full()?;
        let (bits, count) = (fields.u32()? & 0xff, fields.u32()?);
        let bytes = || Ok(node.table(12, (u64::from(count) * u64::from(bits)).div_ceil(8))?.as_bytes());
        let form = match bits {
            4 => SizeForm::Nibbles(bytes()?.iter(), None),
            8 => SizeForm::Bytes(bytes()?.iter()),
            16 => SizeForm::Halves(bytes()?.as_chunks().0.iter()),
            bits => return Err(node.malformed(4, format!("sizes of {bits} bits"))),
        };
        Ok(Self { node, count, form })
    }

    /// The size of the next of `count` samples.
    fn next(&mut self) -> u32 {
        let next = match &mut self.form {
            SizeForm::Constant(size) => Some(*size),
            SizeForm::Wide(rows) => rows.next().map(|[size]| size),
            SizeForm::Bytes(bytes) => bytes.next().map(|byte| u32::from(*byte)),
            SizeForm::Halves(halves) => halves.next().map(|half| u32::from(u16::from_be_bytes(*half))),
            SizeForm::Nibbles(bytes, lower) => match lower.take() {
                Some(nibble) => Some(nibble.into()),
                None => bytes.next().map(|byte| {
                    *lower = Some(byte & 15);
                    u32::from(byte >> 4)
                }),
            },
        };
        // As many as are counted are there.
        next.unwrap_or_default()
    }
}

/// `stts` or `ctts`: runs of samples with one value.
struct Runs<'a> {
    node: Node<'a>,
    rows: Rows<'a, 2>,
    left: u32,
    value: u32,
}

impl<'a> Runs<'a> {
    fn read(node: Node<'a>) -> Result<Self, IndexError> {
        let (_, _, mut fields) = node.full()?;
        let count = fields.u32()?;
        let rows = node.table(8, count.into())?.rows(count);
        Ok(Self { node, rows, left: 0, value: 0 })
    }

    fn next(&mut self, index: u32) -> Result<u32, IndexError> {
        while self.left == 0 {
            let Some(row) = self.rows.next() else {
                return Err(self.node.malformed(4, format!("ends before sample {index}, which the other tables have")));
            };
            [self.left, self.value] = row;
        }
        self.left -= 1;
        Ok(self.value)
    }
}

/// `stss`: numbers of sync samples, ascending.
struct SyncList<'a> {
    rows: std::iter::Peekable<Rows<'a, 1>>,
}

impl<'a> SyncList<'a> {
    fn read(node: Node<'a>) -> Result<Self, IndexError> {
        let (_, _, mut fields) = node.full()?;
        let count = fields.u32()?;
        let rows: Rows<'a, 1> = node.table(8, count.into())?.rows(count);
        // Some tools begin the list with a zero, which counts nothing.
        if let Some(at) = rows.clone().zip(rows.clone().skip(1)).position(|(one, next)| one > next) {
            return Err(node.malformed_row(8, at * 4, "the numbers of sync samples do not ascend"));
        }
        Ok(Self { rows: rows.peekable() })
    }

    /// Whether the sample `index`, one above that of the last call, is listed.
    fn contains(&mut self, index: u32) -> bool {
        while self.rows.next_if(|[number]| *number < index + 1).is_some() {}
        self.rows.peek() == Some(&[index + 1])
    }
}

/// `stsc` with `stco` or `co64`: where chunks begin and how many samples each has.
struct Chunks<'a> {
    node: Node<'a>,
    offsets_node: Node<'a>,
    /// Rows after `row`.
    rows: std::iter::Peekable<Rows<'a, 3>>,
    /// The row that the current chunk belongs to.
    row: Option<[u32; 3]>,
    offsets: Offsets<'a>,
    /// The next chunk, counted from 0.
    chunk: u32,
    /// Samples left in the current chunk.
    left: u32,
    /// Where the next sample of the chunk lies.
    at: u64,
}

enum Offsets<'a> {
    Narrow(Rows<'a, 1>),
    Wide(Longs<'a>),
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
        let column = node.table(8, count.into())?;
        let offsets = if is_narrow { Self::Narrow(column.rows(count)) } else { Self::Wide(column.longs(count)) };
        Ok((node, offsets))
    }

    fn next(&mut self) -> Option<u64> {
        match self {
            Self::Narrow(rows) => rows.next().map(|[offset]| offset.into()),
            Self::Wide(longs) => longs.next(),
        }
    }
}

impl<'a> Chunks<'a> {
    fn read(stbl: &Node<'a>) -> Result<Self, IndexError> {
        let node = stbl.require(*b"stsc")?;
        let mut rows = chunk_rows(&node)?;
        let (offsets_node, offsets) = Offsets::read(stbl)?;
        if rows.clone().next().is_some_and(|[first, ..]| first != 1) {
            return Err(node.malformed_row(8, 0, "does not begin with the first chunk"));
        }
        if let Some(at) = rows.clone().zip(rows.clone().skip(1)).position(|(one, next)| one[0] >= next[0]) {
            return Err(node.malformed_row(8, at * 12, "the numbers of chunks do not ascend"));
        }
        let row = rows.next();
        Ok(Self { node, offsets_node, rows: rows.peekable(), row, offsets, chunk: 0, left: 0, at: 0 })
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
            let Some(offset) = self.offsets.next() else {
                return Err(self.offsets_node.malformed(4, "there are fewer chunks than the samples need"));
            };
            self.chunk += 1;
            if let Some(next) = self.rows.next_if(|[first, ..]| *first == self.chunk) {
                self.row = Some(next);
            }
            let Some([_, samples, _]) = self.row else {
                return Err(self.node.malformed(4, "is empty, though there are samples"));
            };
            (self.left, self.at) = (samples, offset);
        }
        Ok(())
    }
}
