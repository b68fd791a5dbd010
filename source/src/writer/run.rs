//! Bytes in hand: a run of granules as the pieces it came in.

use std::ops::Range;

use bytes::Bytes;

use crate::checksum::{crc32c, crc32c_joined};

/// Consecutive bytes of the file.
#[derive(Debug, Clone)]
pub(super) struct Run {
    offset: u64,
    len: usize,
    chunks: Vec<Bytes>,
    crc32c: u32,
}

impl Run {
    pub(super) fn new(offset: u64, bytes: Bytes) -> Self {
        Self { offset, len: bytes.len(), crc32c: crc32c(&bytes), chunks: vec![bytes] }
    }

    /// Of `chunks`, which together have the sum `crc32c`.
    pub(super) fn summed(offset: u64, chunks: Vec<Bytes>, crc32c: u32) -> Self {
        Self { offset, len: chunks.iter().map(Bytes::len).sum(), chunks, crc32c }
    }

    pub(super) fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.len as u64
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn crc32c(&self) -> u32 {
        self.crc32c
    }

    pub(super) fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// What the chunks hold.
    pub(super) fn bytes(&self) -> impl Iterator<Item = &[u8]> {
        self.chunks.iter().map(|chunk| &chunk[..])
    }

    pub(super) fn into_chunks(self) -> Vec<Bytes> {
        self.chunks
    }

    /// The part `range` of this run, which it must contain.
    pub(super) fn part(&self, range: Range<u64>) -> Self {
        if range == self.range() {
            return self.clone();
        }
        let chunks: Vec<Bytes> = self.slices(range.clone()).map(|(chunk, at)| chunk.slice(at)).collect();
        let crc32c = chunks.iter().fold(0, |sum, chunk| crc32c_joined(sum, crc32c(chunk), chunk.len()));
        let len = chunks.iter().map(Bytes::len).sum();
        Self { offset: range.start, len, chunks, crc32c }
    }

    /// Whether `bytes` are those of this run from `offset` on; they must lie inside it.
    pub(super) fn has(&self, offset: u64, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        self.slices(offset..offset + bytes.len() as u64).all(|(chunk, at)| {
            let (compared, after) = rest.split_at(at.len());
            rest = after;
            chunk[at] == *compared
        })
    }

    /// Where this run and `others`, which begin at `offset` and follow each other, overlap, whether they are the same.
    pub(super) fn agrees_with<'a>(&self, offset: u64, others: impl IntoIterator<Item = &'a [u8]>) -> bool {
        let mut at = offset;
        others.into_iter().all(|bytes| {
            let start = at;
            at += bytes.len() as u64;
            overlap(&self.range(), &(start..at)).is_none_or(|both| {
                let index = |at: u64| usize::try_from(at - start).expect("inside the bytes");
                self.has(both.start, &bytes[index(both.start)..index(both.end)])
            })
        })
    }

    /// The chunks with bytes of `range`, each with the part of it that they are.
    fn slices(&self, range: Range<u64>) -> impl Iterator<Item = (&Bytes, Range<usize>)> {
        let mut chunk_start = self.offset;
        self.chunks.iter().filter_map(move |chunk| {
            let chunk_range = chunk_start..chunk_start + chunk.len() as u64;
            chunk_start = chunk_range.end;
            let both = overlap(&chunk_range, &range)?;
            let index = |at: u64| usize::try_from(at - chunk_range.start).expect("inside a chunk");
            Some((chunk, index(both.start)..index(both.end)))
        })
    }
}

/// The bytes in both ranges, if any.
pub(super) fn overlap(one: &Range<u64>, other: &Range<u64>) -> Option<Range<u64>> {
    let both = one.start.max(other.start)..one.end.min(other.end);
    (!both.is_empty()).then_some(both)
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "files in tests are small")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::pattern;

    fn run(content: &Bytes, offset: u64, mut cuts: Vec<usize>) -> Run {
        cuts.retain(|cut| (1..content.len()).contains(cut));
        cuts.push(content.len());
        cuts.sort_unstable();
        cuts.dedup();
        let starts = std::iter::once(0).chain(cuts.iter().copied());
        let chunks = starts.zip(&cuts).map(|(start, &end)| content.slice(start..end)).collect();
        Run::summed(offset, chunks, crc32c(content))
    }

    proptest! {
        #[test]
        fn a_run_is_its_bytes(cuts in prop::collection::vec(0..100_usize, 0..5), from in 0..100_u64, len in 1..100_u64) {
            let content = pattern(100);
            let run = run(&content, 1000, cuts);
            prop_assert_eq!(run.range(), 1000..1100);
            prop_assert_eq!(run.crc32c(), crc32c(&content));
            let end = (from + len).min(100);
            let part = run.part(1000 + from..1000 + end);
            let expected = &content[from as usize..end as usize];
            prop_assert_eq!(part.chunks().concat(), expected);
            prop_assert_eq!((part.crc32c(), part.len()), (crc32c(expected), expected.len()));
            prop_assert!(run.has(1000 + from, expected));
            prop_assert!(run.agrees_with(1000 + from, part.bytes()) && part.agrees_with(1000, run.bytes()));
            let mut other = expected.to_vec();
            *other.last_mut().unwrap() ^= 1;
            prop_assert!(!run.has(1000 + from, &other));
            prop_assert!(!run.agrees_with(1000 + from, [&other[..]]));
        }
    }
}
