//! A run that grows, in memory that stores write best from.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use vidstream_backends::objects::blocks::{BLOCK, Block, Blocks};

use super::run::Run;
use crate::checksum::crc32c_joined;

/// A run that more is appended to. What is appended is copied into blocks while it is still in the processor's caches: the
/// memory it came in is free for the next piece at once, and the store takes the blocks as they are.
#[derive(Debug)]
pub(super) struct Growing {
    offset: u64,
    chunks: Vec<Bytes>,
    /// What follows the chunks.
    filling: Option<Block>,
    len: usize,
    crc32c: u32,
}

impl Growing {
    /// Of one run, which is left where it is: perhaps nothing follows.
    pub(super) fn of(run: Run) -> Self {
        let (offset, len, crc32c) = (run.range().start, run.len(), run.crc32c());
        Self { offset, chunks: run.into_chunks(), filling: None, len, crc32c }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.len as u64
    }

    /// Takes in the run that begins where this one ends.
    pub(super) fn append(&mut self, next: Run, blocks: &Arc<Blocks>) {
        debug_assert_eq!(self.range().end, next.range().start, "runs are joined where they meet");
        self.crc32c = crc32c_joined(self.crc32c, next.crc32c(), next.len());
        let loose = if self.filling.is_none() && self.len < BLOCK { self.len } else { BLOCK };
        self.len += next.len();
        // A block that stays half empty would hold more than was sent.
        if loose + next.len() < BLOCK / 2 {
            self.chunks.extend(next.into_chunks());
            return;
        }
        if loose < BLOCK {
            for chunk in std::mem::take(&mut self.chunks) {
                self.fill(&chunk, blocks);
            }
        }
        for chunk in next.chunks() {
            self.fill(chunk, blocks);
        }
    }

    /// The whole run.
    pub(super) fn into_run(mut self) -> Run {
        self.freeze();
        Run::summed(self.offset, self.chunks, self.crc32c)
    }

    /// Where both have bytes, whether those are the same.
    pub(super) fn agrees_with(&self, other: &Run) -> bool {
        let filling = self.filling.iter().map(|block| &block[..]);
        other.agrees_with(self.offset, self.chunks.iter().map(|chunk| &chunk[..]).chain(filling))
    }

    fn fill(&mut self, mut bytes: &[u8], blocks: &Arc<Blocks>) {
        while !bytes.is_empty() {
            let block = self.filling.get_or_insert_with(|| blocks.take());
            bytes = block.fill(bytes);
            if block.is_full() {
                self.freeze();
            }
        }
    }

    fn freeze(&mut self) {
        self.chunks.extend(self.filling.take().map(Block::freeze));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pattern;
    use proptest::prelude::*;
    use vidstream_backends::objects::blocks::is_aligned;

    const GRANULE: usize = 64 * 1024;

    fn grown(content: &Bytes, cuts: &[usize], blocks: &Arc<Blocks>) -> Growing {
        let mut growing: Option<Growing> = None;
        for (start, end) in std::iter::once(&0).chain(cuts).zip(cuts.iter().chain([&content.len()])) {
            let run = Run::new(*start as u64, content.slice(*start..*end));
            match &mut growing {
                Some(growing) => growing.append(run, blocks),
                none => *none = Some(Growing::of(run)),
            }
        }
        growing.expect("at least one run")
    }

    proptest! {
        #[test]
        fn however_it_grew_it_is_the_same_run(
            granules in 1..60_usize,
            cuts in prop::collection::btree_set(1..60_usize, 0..8),
            tail in 0..GRANULE,
        ) {
            let content = pattern((granules - 1) * GRANULE + tail + 1);
            let cuts: Vec<usize> =
                cuts.into_iter().filter(|cut| cut * GRANULE < content.len()).map(|cut| cut * GRANULE).collect();
            let growing = grown(&content, &cuts, &Blocks::keeping(2));
            let whole = Run::new(0, content.clone());
            prop_assert!(growing.agrees_with(&whole));
            let mut other = content.to_vec();
            other[content.len() / 2] ^= 1;
            prop_assert!(!growing.agrees_with(&Run::new(0, other.into())));
            let run = growing.into_run();
            prop_assert_eq!((run.range(), run.crc32c()), (whole.range(), whole.crc32c()));
            prop_assert!(run.chunks().concat() == content);
        }
    }

    #[test]
    fn what_comes_in_order_is_written_as_it_is_and_what_is_scattered_takes_no_more_than_it_has() {
        let blocks = Blocks::keeping(2);
        let content = pattern(3 * BLOCK);
        let quarters: Vec<usize> = (1..12).map(|n| n * BLOCK / 4).collect();
        let run = grown(&content, &quarters, &blocks).into_run();
        assert!(run.chunks().iter().all(|chunk| is_aligned(chunk) && chunk.len() == BLOCK));
        let little = grown(&content.slice(..3 * GRANULE), &[GRANULE, 2 * GRANULE], &blocks);
        assert!(little.filling.is_none());
    }
}
