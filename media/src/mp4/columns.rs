//! The rows of a sample table as few bytes: each number as its difference to the one above it.

use crate::samples::varint;

/// What the rows of a table are made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Row {
    /// So many numbers of 32 bits.
    Words(usize),
    /// One number of 64 bits.
    Long,
    /// A byte, kept as it is.
    Byte,
}

impl Row {
    /// Bytes of a row in the file.
    pub fn bytes(self) -> usize {
        match self {
            Self::Words(count) => 4 * count,
            Self::Long => 8,
            Self::Byte => 1,
        }
    }
}

/// Numbers of a row at most.
const WIDEST: usize = 3;

/// The rows of one table that came so far.
#[derive(Clone, Debug)]
pub(super) struct Column {
    row: Row,
    /// The row above.
    last: [u64; WIDEST],
    bytes: Vec<u8>,
}

impl Column {
    /// None yet.
    pub fn new(row: Row) -> Self {
        Self { row, last: [0; WIDEST], bytes: Vec::new() }
    }

    /// What its rows are made of.
    pub fn row(&self) -> Row {
        self.row
    }

    /// Appends whole rows.
    pub fn push(&mut self, rows: &[u8]) {
        match self.row {
            Row::Byte => self.bytes.extend_from_slice(rows),
            Row::Long => {
                for row in rows.as_chunks::<8>().0 {
                    let number = u64::from_be_bytes(*row);
                    varint::put_signed(&mut self.bytes, number.wrapping_sub(self.last[0]).cast_signed());
                    self.last[0] = number;
                }
            }
            Row::Words(count) => {
                for row in rows.chunks_exact(4 * count) {
                    for (word, last) in row.as_chunks::<4>().0.iter().zip(&mut self.last) {
                        let number = u32::from_be_bytes(*word);
                        // Half of the range either way: signed numbers and large ones cost what their differences do.
                        let above = u32::try_from(*last).unwrap_or_default();
                        varint::put_signed(&mut self.bytes, number.wrapping_sub(above).cast_signed().into());
                        *last = number.into();
                    }
                }
            }
        }
    }

    /// No more will come.
    pub fn finish(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// The rows of a byte.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The first `count` rows of `N` words.
    pub fn rows<const N: usize>(&self, count: u32) -> Rows<'_, N> {
        Rows { bytes: &self.bytes, left: count, last: [0; N] }
    }

    /// The first `count` rows of one number of 64 bits.
    pub fn longs(&self, count: u32) -> Longs<'_> {
        Longs { bytes: &self.bytes, left: count, last: 0 }
    }
}

/// Rows of words, from the first on.
#[derive(Clone, Debug)]
pub(super) struct Rows<'a, const N: usize> {
    bytes: &'a [u8],
    left: u32,
    last: [u32; N],
}

impl<const N: usize> Iterator for Rows<'_, N> {
    type Item = [u32; N];

    fn next(&mut self) -> Option<[u32; N]> {
        self.left = self.left.checked_sub(1)?;
        for last in &mut self.last {
            let difference = varint::take_signed(&mut self.bytes)?;
            // Written as one of 32 bits.
            *last = last.wrapping_add(i32::try_from(difference).ok()?.cast_unsigned());
        }
        Some(self.last)
    }
}

/// Numbers of 64 bits, from the first on.
#[derive(Clone, Debug)]
pub(super) struct Longs<'a> {
    bytes: &'a [u8],
    left: u32,
    last: u64,
}

impl Iterator for Longs<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        self.last = self.last.wrapping_add(varint::take_signed(&mut self.bytes)?.cast_unsigned());
        Some(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_come_back(rows: Vec<[u32; 2]>, longs: Vec<u64>) {
            let mut column = Column::new(Row::Words(2));
            for row in &rows {
                column.push(&row.map(u32::to_be_bytes).concat());
            }
            column.finish();
            prop_assert_eq!(column.rows::<2>(u32::MAX).collect::<Vec<_>>(), rows);
            let mut column = Column::new(Row::Long);
            column.push(&longs.iter().flat_map(|long| long.to_be_bytes()).collect::<Vec<_>>());
            prop_assert_eq!(column.longs(u32::MAX).collect::<Vec<_>>(), longs);
        }
    }

    #[test]
    fn ordinary_tables_are_small() {
        let size = |rows: &[[u32; 1]]| {
            let mut column = Column::new(Row::Words(1));
            for [number] in rows {
                column.push(&number.to_be_bytes());
            }
            column.as_bytes().len()
        };
        let sizes: Vec<_> = (0..1000).map(|i| [4000 + i * 7919 % 900]).collect();
        assert!(size(&sizes) < 2100, "{}", size(&sizes));
        let offsets: Vec<_> = (0..1000).map(|i| [i * 9000]).collect();
        assert!(size(&offsets) < 3100, "{}", size(&offsets));
    }
}
