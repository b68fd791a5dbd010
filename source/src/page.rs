//! A page of records: the extents of 64 cells, one row of the catalog.

use std::ops::Range;

use vidstream_proto::{error::Problem, pb};

use crate::{
    checksum::Tree,
    extents::{Extent, ExtentError, GRANULE, PageNumber},
};

/// Version of [`RecordPage::encode`].
const VERSION: u8 = 1;

/// The recorded extents of one page, ascending and disjoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordPage {
    number: PageNumber,
    extents: Vec<Extent>,
}

/// What became of an extent that was to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insertion {
    /// It is recorded now.
    New,
    /// It was recorded already, with the same bytes.
    Repeat,
    /// Something that overlaps it is recorded, and it was not recorded: either the same run with other bytes, or a
    /// different run, whose bytes only somebody who holds them can compare.
    Overlaps,
}

/// Why bytes are not a page of records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// Written by another version.
    #[error("page {page} of records has version {version}; known: {VERSION}")]
    Version {
        /// The page.
        page: PageNumber,
        /// The version found.
        version: u8,
    },
    /// Cut off, or with something behind.
    #[error("page {page} of records is cut off or too long")]
    Length {
        /// The page.
        page: PageNumber,
    },
    /// An extent overlaps the one before it or belongs to another page.
    #[error("page {page} of records has the extent at {offset} in the wrong place")]
    Place {
        /// The page.
        page: PageNumber,
        /// Where the extent begins.
        offset: u64,
    },
    /// An extent is none.
    #[error("page {page} of records")]
    Extent {
        /// The page.
        page: PageNumber,
        /// What is wrong.
        source: ExtentError,
    },
}

impl RecordPage {
    /// A page without records.
    pub fn new(number: PageNumber) -> Self {
        Self { number, extents: Vec::new() }
    }

    /// Its number.
    pub fn number(&self) -> PageNumber {
        self.number
    }

    /// Its extents, ascending.
    pub fn extents(&self) -> impl Iterator<Item = &Extent> {
        self.extents.iter()
    }

    /// Its extents, ascending.
    pub fn into_extents(self) -> impl Iterator<Item = Extent> {
        self.extents.into_iter()
    }

    /// Bytes recorded in it.
    pub fn received(&self) -> u64 {
        self.extents.iter().map(|extent| u64::from(extent.len())).sum()
    }

    /// Whether every byte of a file of `size` bytes that belongs here is recorded: then the page never changes again.
    pub fn is_full(&self, size: u64) -> bool {
        let bytes = self.number.bytes();
        self.received() == bytes.end.min(size).saturating_sub(bytes.start)
    }

    /// The extent that has the byte at `offset`.
    pub fn find(&self, offset: u64) -> Option<&Extent> {
        self.overlapping(offset..offset.saturating_add(1)).next()
    }

    /// The extents with a byte in `range`, ascending.
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = &Extent> {
        let first = self.extents.partition_point(|extent| extent.range().end <= range.start);
        self.extents[first..].iter().take_while(move |extent| extent.offset() < range.end)
    }

    /// Records `extent`, unless what is recorded already overlaps it.
    ///
    /// # Panics
    ///
    /// If it belongs to another page.
    pub fn insert(&mut self, extent: Extent) -> Insertion {
        assert_eq!(extent.page(), self.number, "an extent is recorded in its page");
        let at = self.extents.partition_point(|other| other.range().end <= extent.offset());
        match self.extents.get(at) {
            Some(other) if *other == extent => Insertion::Repeat,
            Some(other) if other.offset() < extent.range().end => Insertion::Overlaps,
            _ => {
                self.extents.insert(at, extent);
                Insertion::New
            }
        }
    }

    /// The page as bytes: a version, then for each extent its place (granules from the page's start, 2 bytes), length in
    /// bytes (4), CRC-32C (4), number of chaining values (1), and those (32 each); numbers little-endian. A page of whole
    /// cells has 2.7 KB.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for extent in &self.extents {
            let place = (extent.offset() - self.number.bytes().start) / GRANULE;
            let place = u16::try_from(place).expect("a page has 8192 granules");
            let values = extent.tree().values();
            bytes.extend(place.to_le_bytes());
            bytes.extend(extent.len().to_le_bytes());
            bytes.extend(extent.crc32c().to_le_bytes());
            bytes.push(u8::try_from(values.len()).expect("a cell has at most 14 subtrees"));
            bytes.extend(values.as_flattened());
        }
        bytes
    }

    /// What [`encode`](Self::encode) wrote for the page `number`.
    pub fn decode(number: PageNumber, bytes: &[u8]) -> Result<Self, PageError> {
        let length = PageError::Length { page: number };
        let mut rest = match bytes.split_first() {
            Some((&VERSION, rest)) => rest,
            Some((&version, _)) => return Err(PageError::Version { page: number, version }),
            None => return Err(length),
        };
        let mut page = Self::new(number);
        while !rest.is_empty() {
            let (extent, after) = decode_extent(number, rest).ok_or_else(|| length.clone())?;
            page.append(extent.map_err(|source| PageError::Extent { page: number, source })?)?;
            rest = after;
        }
        Ok(page)
    }

    fn append(&mut self, extent: Extent) -> Result<(), PageError> {
        let after = self.extents.last().map_or(0, |last| last.range().end);
        if extent.page() != self.number || extent.offset() < after {
            return Err(PageError::Place { page: self.number, offset: extent.offset() });
        }
        self.extents.push(extent);
        Ok(())
    }
}

/// The first extent of `bytes` and what follows it, or nothing if they are cut off.
fn decode_extent(page: PageNumber, bytes: &[u8]) -> Option<(Result<Extent, ExtentError>, &[u8])> {
    let (place, bytes) = bytes.split_first_chunk()?;
    let (len, bytes) = bytes.split_first_chunk()?;
    let (crc32c, bytes) = bytes.split_first_chunk()?;
    let (count, bytes) = bytes.split_first()?;
    let (values, bytes) = bytes.split_at_checked(usize::from(*count) * 32)?;
    let start = page.bytes().start + u64::from(u16::from_le_bytes(*place)) * GRANULE;
    let range = start..start + u64::from(u32::from_le_bytes(*len));
    Some((Extent::new(range, u32::from_le_bytes(*crc32c), Tree::from_values(values)?), bytes))
}

impl From<&RecordPage> for pb::ExtentPage {
    fn from(page: &RecordPage) -> Self {
        Self { number: page.number.0, extents: page.extents.iter().map(Into::into).collect() }
    }
}

impl TryFrom<&pb::ExtentPage> for RecordPage {
    type Error = Problem;

    fn try_from(page: &pb::ExtentPage) -> Result<Self, Problem> {
        let mut read = Self::new(PageNumber(page.number));
        for extent in &page.extents {
            read.append(extent.try_into()?).map_err(|error| Problem::field("extents", error.to_string()))?;
        }
        Ok(read)
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "files in tests are small")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        extents::{CELL, PAGE},
        testing::{extent, pattern},
    };

    /// A page of every other run of a few granules, at a file's start.
    fn page() -> RecordPage {
        let content = pattern(CELL as usize + 77);
        let mut page = RecordPage::new(PageNumber(0));
        for range in [0..GRANULE, 3 * GRANULE..7 * GRANULE, CELL..CELL + 77] {
            assert_eq!(page.insert(extent(&content, range)), Insertion::New);
        }
        page
    }

    #[test]
    fn other_bytes_for_a_recorded_run_are_no_repeat() {
        let mut page = page();
        let mut other = pattern(CELL as usize + 77).to_vec();
        other[5] ^= 1;
        let other = extent(&other.into(), 0..GRANULE);
        assert_eq!(page.insert(other), Insertion::Overlaps);
    }

    #[test]
    fn pages_are_full_when_their_part_of_the_file_is_there() {
        let content = pattern(GRANULE as usize + 5);
        let size = content.len() as u64;
        let mut page = RecordPage::new(PageNumber(0));
        page.insert(extent(&content, 0..GRANULE));
        assert!(!page.is_full(size));
        page.insert(extent(&content, GRANULE..size));
        assert!(page.is_full(size));
        assert!(!page.is_full(PAGE));
        assert!(RecordPage::new(PageNumber(1)).is_full(PAGE));
    }

    #[test]
    fn the_wire_brings_a_page_back() {
        let page = page();
        let sent = pb::ExtentPage::from(&page);
        assert_eq!(RecordPage::try_from(&sent).unwrap(), page);
        let mut reversed = sent.clone();
        reversed.extents.reverse();
        assert!(RecordPage::try_from(&reversed).is_err());
        assert!(RecordPage::try_from(&pb::ExtentPage { number: 1, ..sent }).is_err());
    }

    #[test]
    fn stored_bytes_are_read_as_written() {
        let page = page();
        let bytes = page.encode();
        assert_eq!(RecordPage::decode(PageNumber(0), &bytes), Ok(page));
        assert!(matches!(RecordPage::decode(PageNumber(0), &[9]), Err(PageError::Version { version: 9, .. })));
        assert!(matches!(RecordPage::decode(PageNumber(0), &[]), Err(PageError::Length { .. })));
        let whole = (1..bytes.len()).filter(|&cut| RecordPage::decode(PageNumber(0), &bytes[..cut]).is_ok());
        assert_eq!(whole.count(), 3, "only what ends behind an extent is a page");
    }

    #[test]
    fn a_page_of_whole_cells_is_small() {
        let content = pattern(2 * CELL as usize);
        let mut page = RecordPage::new(PageNumber(0));
        page.insert(extent(&content, CELL..2 * CELL));
        assert_eq!(page.encode().len(), 1 + 43);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), number in any::<u32>()) {
            let mut versioned = vec![VERSION];
            versioned.extend(bytes);
            if let Ok(page) = RecordPage::decode(PageNumber(number), &versioned) {
                prop_assert_eq!(page.encode(), versioned);
            }
        }
    }
}
