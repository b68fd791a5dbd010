//! The layout of a file: whose samples lie where, as runs of samples of one track, in the order of their places.
//!
//! A run has its track's number, how many samples it has, and the hole between the end of the run before it and its
//! own beginning: zero in ordinary files, where everything but the index is samples. Stored are the number of runs and
//! the bytes of the blocks (varints), then blocks of 128 runs: three [`column`](super::column)s, in this order.

use super::column::{self, BLOCK};
use super::stored::Unplaced;
use super::{SampleTable, varint};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// Appends the layout of `tables`, numbered as they come.
pub(crate) fn put(tables: &[&SampleTable], out: &mut Vec<u8>) {
    let mut tracks: Vec<_> = tables.iter().map(|table| table.range(0..table.len()).peekable()).collect();
    let first = |(number, table): (usize, &&SampleTable)| table.get(0).map(|sample| Reverse((sample.offset, number)));
    let mut next: BinaryHeap<_> = tables.iter().enumerate().filter_map(first).collect();
    let (mut runs, mut at) = (Runs::default(), 0u64);
    while let Some(Reverse((offset, number))) = next.pop() {
        let hole = offset.wrapping_sub(at).cast_signed();
        let (track, mut count) = (&mut tracks[number], 0);
        at = offset;
        while let Some(sample) = track.next_if(|sample| sample.offset == at) {
            at = at.wrapping_add(sample.size.into());
            count += 1;
        }
        runs.push([i64::try_from(number).expect("few tracks"), count, hole]);
        if let Some(sample) = track.peek() {
            next.push(Reverse((sample.offset, number)));
        }
    }
    runs.put(out);
}

/// Takes the layout of `tables` off the front of `bytes`, checking that no sample ends behind `file_size`.
pub(crate) fn take(bytes: &mut &[u8], tables: Vec<Unplaced>, file_size: u64) -> Result<Vec<SampleTable>, &'static str> {
    let cut_off = "the layout is cut off";
    let count = varint::take(bytes).ok_or(cut_off)?;
    let blocks = varint::take(bytes).and_then(|len| usize::try_from(len).ok()).ok_or(cut_off)?;
    let mut blocks = bytes.split_off(..blocks).ok_or(cut_off)?;
    let mut tracks: Vec<_> = tables.into_iter().map(Placing::new).collect();
    let (mut left, mut at) = (count, 0u64);
    let [mut numbers, mut counts, mut holes] = [[0; BLOCK]; 3];
    while left > 0 {
        let len = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
        for values in [&mut numbers, &mut counts, &mut holes] {
            column::unpack(&mut blocks, &mut values[..len]).ok_or(cut_off)?;
        }
        for ((&number, &count), &hole) in numbers.iter().zip(&counts).zip(&holes).take(len) {
            let track =
                usize::try_from(number).ok().and_then(|number| tracks.get_mut(number)).ok_or("a run's track")?;
            at = at.checked_add_signed(hole).ok_or("a run's place")?;
            let end = track.place(at, count).ok_or("a run of samples")?;
            // Samples without bytes may be said to lie anywhere.
            if end > file_size && end > at {
                return Err("a sample ends behind the file's end");
            }
            at = end;
        }
        left -= len as u64;
    }
    if !blocks.is_empty() {
        return Err("bytes behind the layout");
    }
    tracks.into_iter().map(|track| track.finish().ok_or("samples without a place")).collect()
}

/// Runs on their way into columns.
#[derive(Default)]
struct Runs {
    count: u64,
    pending: [Vec<i64>; 3],
    bytes: Vec<u8>,
}

impl Runs {
    fn push(&mut self, run: [i64; 3]) {
        for (column, value) in self.pending.iter_mut().zip(run) {
            column.push(value);
        }
        self.count += 1;
        if self.pending[0].len() == BLOCK {
            self.flush();
        }
    }

    fn flush(&mut self) {
        for column in &mut self.pending {
            column::pack(column, &mut self.bytes);
            column.clear();
        }
    }

    fn put(mut self, out: &mut Vec<u8>) {
        if !self.pending[0].is_empty() {
            self.flush();
        }
        varint::put(out, self.count);
        varint::put(out, self.bytes.len() as u64);
        out.append(&mut self.bytes);
    }
}

/// A table whose samples get their places one run after the other.
struct Placing {
    table: Unplaced,
    /// The next sample.
    next: usize,
    /// Where it lies if it follows the last one.
    expected: u64,
    gaps: [i64; BLOCK],
}

impl Placing {
    fn new(table: Unplaced) -> Self {
        Self { table, next: 0, expected: 0, gaps: [0; BLOCK] }
    }

    /// Places the next `count` samples at `at`; where they end. None if there are not so many, or if they end beyond
    /// what a number holds.
    fn place(&mut self, at: u64, count: i64) -> Option<u64> {
        let end = self.next.checked_add(usize::try_from(count).ok()?)?;
        if end > self.table.packed.len {
            return None;
        }
        let (mut at, mut gap) = (at, at.wrapping_sub(self.expected).cast_signed());
        while self.next < end {
            let within = self.next % BLOCK;
            if within == 0 {
                let start = &mut self.table.packed.directory[self.next / BLOCK];
                (start.gaps_at, start.offset) = (self.table.packed.gaps.len(), at);
            }
            let many = (end - self.next).min(BLOCK - within);
            self.gaps[within] = gap;
            gap = 0;
            for &size in &self.table.sizes[self.next..self.next + many] {
                at = at.checked_add(size.into())?;
            }
            self.next += many;
            if self.next.is_multiple_of(BLOCK) {
                self.flush(BLOCK);
            }
        }
        self.expected = at;
        Some(at)
    }

    fn flush(&mut self, len: usize) {
        column::pack(&self.gaps[..len], &mut self.table.packed.gaps);
        self.gaps = [0; BLOCK];
    }

    /// The table, if all of its samples have a place.
    fn finish(mut self) -> Option<SampleTable> {
        if self.next < self.table.packed.len {
            return None;
        }
        match self.next % BLOCK {
            0 => {}
            len => self.flush(len),
        }
        self.table.packed.gaps.shrink_to_fit();
        Some(SampleTable(Arc::new(self.table.packed)))
    }
}
