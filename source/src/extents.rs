//! How a file is divided, and what of it is there.
//!
//! A file has **cells** of 8 MiB, a cell **granules** of 64 KiB. What is stored are **extents**: immutable runs of whole
//! granules inside one cell. Records of extents lie in pages of 64 cells ([`RecordPage`]), one row each.

use std::{collections::BTreeMap, fmt, ops::Range};

use blake3::Hash;
pub use vidstream_proto::upload::GRANULE;
use vidstream_proto::{error::Problem, pb};

pub use crate::page::{Insertion, RecordPage};
use crate::{
    checksum::{Tree, TreeError, file_hash},
    ranges::ByteRanges,
};

/// Bytes of a cell: 8 MiB.
pub const CELL: u64 = 8 * 1024 * 1024;
/// Bytes whose extents are recorded in one page: 64 cells, 512 MiB.
pub const PAGE: u64 = 64 * CELL;

/// The cell that the byte at `offset` lies in, cut at the file's end.
pub fn cell_around(offset: u64, size: u64) -> Range<u64> {
    let start = offset - offset % CELL;
    start..start.saturating_add(CELL).min(size)
}

/// `range` widened to whole granules, cut at the file's end.
pub fn on_granules(range: Range<u64>, size: u64) -> Range<u64> {
    range.start - range.start % GRANULE..range.end.checked_next_multiple_of(GRANULE).unwrap_or(size).min(size)
}

/// Number of a page of records, from 0 at the file's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageNumber(pub u32);

impl PageNumber {
    /// The page that records the byte at `offset`.
    pub fn of(offset: u64) -> Self {
        Self(u32::try_from(offset / PAGE).unwrap_or(u32::MAX))
    }

    /// The pages of a file of `size` bytes.
    pub fn all(size: u64) -> impl Iterator<Item = Self> {
        let last = Self::of(size.saturating_sub(1));
        (0..=last.0).map(Self)
    }

    /// The bytes recorded in it, were the file long enough.
    pub fn bytes(self) -> Range<u64> {
        let start = u64::from(self.0) * PAGE;
        start..start + PAGE
    }
}

impl fmt::Display for PageNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An immutable run of whole granules inside one cell, stored as one object (see [`names`](crate::names)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    offset: u64,
    len: u32,
    crc32c: u32,
    tree: Tree,
}

/// Why something can't be an extent, or not of this file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtentError {
    /// It does not begin on a granule, is empty, or is longer than its cell.
    #[error("bytes {start}..{end} are not a run of granules inside one cell")]
    NoRun {
        /// First byte.
        start: u64,
        /// Byte after the last.
        end: u64,
    },
    /// It reaches past the file's end, ends inside a granule before it, or has another tree than such a run has.
    #[error("extent {start}..{end} can't belong to a file of {size} bytes")]
    OtherFile {
        /// First byte.
        start: u64,
        /// Byte after the last.
        end: u64,
        /// The file's size in bytes.
        size: u64,
    },
}

impl Extent {
    /// The extent of the bytes `range` with these sums.
    pub fn new(range: Range<u64>, crc32c: u32, tree: Tree) -> Result<Self, ExtentError> {
        let Range { start, end } = range;
        let len = end.checked_sub(start).and_then(|len| u32::try_from(len).ok()).unwrap_or(0);
        let fits = len > 0 && start.is_multiple_of(GRANULE) && start / CELL == (end - 1) / CELL;
        if !fits || PageNumber::of(start) == PageNumber(u32::MAX) {
            return Err(ExtentError::NoRun { start, end });
        }
        Ok(Self { offset: start, len, crc32c, tree })
    }

    /// Checks what depends on the file's size.
    pub fn within(self, size: u64) -> Result<Self, ExtentError> {
        let Range { start, end } = self.range();
        let on_grid = end == size || (end < size && end.is_multiple_of(GRANULE));
        if on_grid && self.tree.fits(start..end, size) {
            return Ok(self);
        }
        Err(ExtentError::OtherFile { start, end, size })
    }

    /// Its bytes in the file.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset + u64::from(self.len)
    }

    /// Its first byte in the file.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Its length in bytes, 1 byte to 8 MiB.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Never: an extent has at least one byte.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// CRC-32C of its bytes.
    pub fn crc32c(&self) -> u32 {
        self.crc32c
    }

    /// What the file's BLAKE3 needs of it.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The page that records it.
    pub fn page(&self) -> PageNumber {
        PageNumber::of(self.offset)
    }
}

impl From<&Extent> for pb::Extent {
    fn from(extent: &Extent) -> Self {
        Self {
            offset: extent.offset,
            length: extent.len.into(),
            crc32c: extent.crc32c,
            tree: extent.tree.encode().into(),
        }
    }
}

impl TryFrom<&pb::Extent> for Extent {
    type Error = Problem;

    fn try_from(extent: &pb::Extent) -> Result<Self, Problem> {
        let problem = |field: &str, error: &dyn fmt::Display| Problem::field(field, error.to_string());
        let tree = Tree::decode(&extent.tree).map_err(|error| problem("extent.tree", &error))?;
        let end = extent.offset.saturating_add(extent.length);
        Self::new(extent.offset..end, extent.crc32c, tree).map_err(|error| problem("extent", &error))
    }
}

/// The extents of one file that are recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtentMap {
    size: u64,
    pages: BTreeMap<PageNumber, RecordPage>,
}

impl ExtentMap {
    /// Of a file of `size` bytes nothing of which is there.
    pub fn new(size: u64) -> Self {
        Self { size, pages: BTreeMap::new() }
    }

    /// Of a file of `size` bytes with these records.
    pub fn from_pages(size: u64, pages: impl IntoIterator<Item = RecordPage>) -> Result<Self, ExtentError> {
        let mut map = Self::new(size);
        for page in pages {
            for extent in page.into_extents() {
                map.insert(extent)?;
            }
        }
        Ok(map)
    }

    /// Records `extent`, unless what is recorded already overlaps it.
    pub fn insert(&mut self, extent: Extent) -> Result<Insertion, ExtentError> {
        let extent = extent.within(self.size)?;
        let number = extent.page();
        Ok(self.pages.entry(number).or_insert_with(|| RecordPage::new(number)).insert(extent))
    }

    /// The file's size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that are there.
    pub fn received(&self) -> u64 {
        self.pages.values().map(RecordPage::received).sum()
    }

    /// Whether every byte is there.
    pub fn is_complete(&self) -> bool {
        self.received() == self.size
    }

    /// What is there.
    pub fn recorded(&self) -> ByteRanges {
        self.extents().map(Extent::range).collect()
    }

    /// What of `range` is not there.
    pub fn missing(&self, range: Range<u64>) -> ByteRanges {
        let mut missing = ByteRanges::from(range.clone());
        for extent in self.overlapping(range) {
            missing.remove(extent.range());
        }
        missing
    }

    /// The extents with a byte in `range`, ascending.
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = &Extent> {
        let pages = PageNumber::of(range.start)..=PageNumber::of(range.end.saturating_sub(1).max(range.start));
        self.pages.range(pages).flat_map(move |(_, page)| page.overlapping(range.clone()))
    }

    /// All extents, ascending.
    pub fn extents(&self) -> impl Iterator<Item = &Extent> {
        self.pages.values().flat_map(RecordPage::extents)
    }

    /// BLAKE3 of the file, when every byte is there.
    pub fn hash(&self) -> Result<Hash, TreeError> {
        file_hash(self.size, self.extents().map(|extent| (extent.range(), extent.tree())))
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "files in tests are small")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{extent, pattern};

    #[test]
    fn runs_outside_one_cell_or_off_the_grid_are_no_extents() {
        let tree = Tree::of(0, &[pattern(1)], 1);
        let last = u64::MAX - u64::MAX % GRANULE;
        #[expect(clippy::reversed_empty_ranges, reason = "the wire can carry one")]
        let wrong = [0..0, 1..2, GRANULE..GRANULE, CELL - GRANULE..CELL + 1, 0..CELL + 1, GRANULE..0, last..u64::MAX];
        for range in wrong {
            assert!(Extent::new(range.clone(), 0, tree.clone()).is_err(), "{range:?}");
        }
        for range in [0..1, 0..CELL, CELL - GRANULE..CELL, CELL..CELL + 5] {
            assert!(Extent::new(range.clone(), 0, tree.clone()).is_ok(), "{range:?}");
        }
    }

    #[test]
    fn extents_of_other_files_are_refused() {
        let content = pattern(5 * GRANULE as usize);
        let tail = extent(&content, 4 * GRANULE..5 * GRANULE);
        let mut map = ExtentMap::new(5 * GRANULE - 1);
        assert!(map.insert(tail.clone()).is_err());
        assert_eq!(ExtentMap::new(5 * GRANULE).insert(tail), Ok(Insertion::New));
        let short = Extent::new(0..5, 0, Tree::of(0, &[pattern(5)], 5)).unwrap();
        assert!(map.insert(short).is_err(), "it ends inside a granule");
    }

    #[test]
    fn the_wire_brings_an_extent_back() {
        let content = pattern(5 * GRANULE as usize);
        let sent = extent(&content, GRANULE..4 * GRANULE);
        assert_eq!(Extent::try_from(&pb::Extent::from(&sent)).unwrap(), sent);
        let cut = pb::Extent { tree: vec![1, 2].into(), ..(&sent).into() };
        assert!(Extent::try_from(&cut).is_err());
        let long = pb::Extent { length: u64::MAX, ..(&sent).into() };
        assert!(Extent::try_from(&long).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_map_knows_what_is_there(
            tail in 1..=GRANULE,
            runs in prop::collection::vec((0..20_u64, 1..8_u64), 0..16),
            asked in (0..20_u64, 0..20_u64),
        ) {
            let size = 19 * GRANULE + tail;
            let content = pattern(size as usize);
            let mut map = ExtentMap::new(size);
            let mut there = ByteRanges::new();
            for (start, count) in runs {
                let range = start * GRANULE..((start + count) * GRANULE).min(size);
                let known = map.extents().any(|extent| extent.range() == range);
                let expected = match (known, there.intersects(range.clone())) {
                    (true, _) => Insertion::Repeat,
                    (false, true) => Insertion::Overlaps,
                    (false, false) => Insertion::New,
                };
                prop_assert_eq!(map.insert(extent(&content, range.clone())), Ok(expected));
                if expected == Insertion::New {
                    there.insert(range);
                }
            }
            prop_assert_eq!(map.recorded(), there.clone());
            prop_assert_eq!(map.received(), there.len());
            let asked = asked.0 * GRANULE + 1..(asked.0 + asked.1) * GRANULE + 1;
            prop_assert_eq!(map.missing(asked.clone()), there.missing_from(asked.clone()));
            let found: ByteRanges = map.overlapping(asked.clone()).map(Extent::range).collect();
            prop_assert_eq!(found.within(asked.clone()), there.within(asked));

            for range in there.missing_from(0..size).iter() {
                prop_assert_eq!(map.insert(extent(&content, range)), Ok(Insertion::New));
            }
            prop_assert!(map.is_complete());
            prop_assert_eq!(map.hash(), Ok(blake3::hash(&content)));
            let pages: Vec<RecordPage> = map.pages.values().cloned().collect();
            prop_assert_eq!(ExtentMap::from_pages(size, pages), Ok(map));
        }
    }
}
