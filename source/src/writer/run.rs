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

    pub(super) fn into_chunks(self) -> Vec<Bytes> {
        self.chunks
    }

    /// Takes in the run that begins where this one ends.
    pub(super) fn append(&mut self, next: Self) {
        debug_assert_eq!(self.range().end, next.offset, "runs are joined where they meet");
        self.crc32c = crc32c_joined(self.crc32c, next.crc32c, next.len);
        self.len += next.len;
        self.chunks.extend(next.chunks);
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

    /// Where both runs have bytes, whether those are the same.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        let Some(both) = overlap(&self.range(), &other.range()) else { return true };
        let mut at = both.start;
        other.slices(both).all(|(chunk, slice)| {
            let bytes = &chunk[slice];
            let agrees = self.has(at, bytes);
            at += bytes.len() as u64;
            agrees
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
        let mut run = Run::new(offset, content.slice(..cuts[0]));
        for cut in cuts.windows(2) {
            run.append(Run::new(offset + cut[0] as u64, content.slice(cut[0]..cut[1])));
        }
        run
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
            prop_assert!(run.agrees_with(&part) && part.agrees_with(&run));
            let mut other = expected.to_vec();
            *other.last_mut().unwrap() ^= 1;
            prop_assert!(!run.has(1000 + from, &other));
            prop_assert!(!run.agrees_with(&Run::new(1000 + from, other.into())));
        }
    }
}
