//! Runs that are not yet worth an object: cells that fill.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use vidstream_backends::objects::blocks::Blocks;

use super::{growing::Growing, run::Run};
use crate::{
    extents::{CELL, cell_around},
    ranges::ByteRanges,
};

/// Runs by their offsets; none crosses a cell, and none touches another of its cell.
#[derive(Debug)]
pub(super) struct Gathering {
    runs: BTreeMap<u64, Growing>,
    /// The cells that have runs, the one touched last at the end.
    cells: Vec<u64>,
    blocks: Arc<Blocks>,
}

impl Gathering {
    /// An empty one, whose runs grow in `blocks`.
    pub(super) fn new(blocks: Arc<Blocks>) -> Self {
        Self { runs: BTreeMap::new(), cells: Vec::new(), blocks }
    }

    /// Takes in a run that overlaps none and lies in one cell.
    pub(super) fn insert(&mut self, run: Run) {
        let Range { start, end } = run.range();
        let cell = start - start % CELL;
        self.cells.retain(|other| *other != cell);
        self.cells.push(cell);
        let next = if end.is_multiple_of(CELL) { None } else { self.runs.remove(&end) };
        let grown = match self.runs.range_mut(cell..start).next_back() {
            Some((_, before)) if before.range().end == start => {
                before.append(run, &self.blocks);
                before
            }
            _ => self.runs.entry(start).or_insert(Growing::of(run)),
        };
        if let Some(next) = next {
            grown.append(next.into_run(), &self.blocks);
        }
    }

    /// Bytes gathered.
    pub(super) fn len(&self) -> u64 {
        self.runs.values().map(|run| run.len() as u64).sum()
    }

    pub(super) fn runs(&self) -> impl Iterator<Item = &Growing> {
        self.runs.values()
    }

    /// What is gathered of the cell `range`.
    pub(super) fn within(&self, cell: Range<u64>) -> ByteRanges {
        self.runs.range(cell).map(|(_, run)| run.range()).collect()
    }

    /// How many cells are open.
    pub(super) fn cells(&self) -> usize {
        self.cells.len()
    }

    /// The cell that was left alone longest.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.cells.first().copied()
    }

    /// Gives away the runs of the cell at `cell` that have a byte of `of`.
    pub(super) fn take(&mut self, cell: u64, of: &ByteRanges) -> Vec<Run> {
        let bounds = cell_around(cell, u64::MAX);
        let chosen: Vec<u64> =
            self.runs.range(bounds.clone()).filter(|(_, run)| of.intersects(run.range())).map(|(&at, _)| at).collect();
        let taken = chosen.into_iter().filter_map(|at| self.runs.remove(&at)).map(Growing::into_run).collect();
        if self.runs.range(bounds).next().is_none() {
            self.cells.retain(|other| *other != cell);
        }
        taken
    }
}
