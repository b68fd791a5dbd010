//! The BLAKE3 of a file whose pieces are read in any order.
//!
//! BLAKE3 is a binary tree over chunks of 1 KiB (<https://github.com/BLAKE3-team/BLAKE3-specs>, §2.4), so each granule of
//! 64 chunks is a subtree of its own: it is hashed alone when it is read, and two neighbours become their parent at once.
//! What is held is one value a gap, not one a granule.

use blake3::Hasher;
use blake3::hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use std::collections::BTreeMap;
use vidstream_proto::upload::GRANULE;

/// The sums of what was read so far.
#[derive(Debug)]
pub struct Tree {
    granules: u64,
    /// Subtrees that have no sibling yet, by level (0: one granule) and number within the level.
    subtrees: BTreeMap<(u32, u64), ChainingValue>,
    /// Of a file of a single granule, which is its own root.
    only: Option<blake3::Hash>,
}

impl Tree {
    /// For a file of `size` bytes.
    pub fn new(size: u64) -> Self {
        Self { granules: size.div_ceil(GRANULE), subtrees: BTreeMap::new(), only: None }
    }

    /// Takes in `data`, which begins at `offset`, a multiple of [`GRANULE`]. Bytes that were taken in before change nothing.
    pub fn add(&mut self, offset: u64, data: &[u8]) {
        if self.granules == 1 {
            self.only = Some(blake3::hash(data));
            return;
        }
        let granule = usize::try_from(GRANULE).expect("64 KiB");
        for (number, bytes) in (offset / GRANULE..).zip(data.chunks(granule)) {
            if self.covers(number) {
                continue;
            }
            let mut hasher = Hasher::new();
            hasher.set_input_offset(number * GRANULE).update(bytes);
            self.put(0, number, hasher.finalize_non_root());
        }
    }

    /// The sum of the file; none if parts of it were never taken in.
    pub fn finish(&self) -> Option<blake3::Hash> {
        if self.granules == 1 {
            return self.only;
        }
        // Left to right: largest subtrees first, exactly covering the granules.
        let mut peaks: Vec<((u32, u64), &ChainingValue)> = self.subtrees.iter().map(|(at, sum)| (*at, sum)).collect();
        peaks.sort_by_key(|((level, number), _)| number << level);
        let covered = peaks.iter().try_fold(0, |at, ((level, number), _)| {
            (number << level == at).then(|| at + (1_u64 << level)).map(|end| end.min(self.granules))
        });
        if covered != Some(self.granules) {
            return None;
        }
        let (_, first) = peaks.first()?;
        let (_, last) = peaks.last()?;
        let middle = peaks.get(1..peaks.len() - 1)?;
        let right =
            middle.iter().rev().fold(**last, |right, (_, left)| merge_subtrees_non_root(left, &right, Mode::Hash));
        Some(merge_subtrees_root(first, &right, Mode::Hash))
    }

    fn put(&mut self, mut level: u32, mut number: u64, mut sum: ChainingValue) {
        // The last merge makes the root, by another rule: it is left to `finish`.
        while (2_u64 << level) < self.granules
            && let Some(sibling) = self.subtrees.remove(&(level, number ^ 1))
        {
            let (left, right) = if number & 1 == 0 { (sum, sibling) } else { (sibling, sum) };
            sum = merge_subtrees_non_root(&left, &right, Mode::Hash);
            (level, number) = (level + 1, number / 2);
        }
        self.subtrees.insert((level, number), sum);
    }

    fn covers(&self, granule: u64) -> bool {
        (0..64).any(|level| self.subtrees.contains_key(&(level, granule >> level)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(size: u64) -> Vec<u8> {
        (0..size).map(|n| u8::try_from((n * 7 + n / 251) % 256).expect("a byte")).collect()
    }

    fn granules(size: u64) -> Vec<u64> {
        (0..size.div_ceil(GRANULE)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_order_gives_the_files_sum(
            (size, order) in (1u64..40 * GRANULE).prop_flat_map(|s| (Just(s), Just(granules(s)).prop_shuffle())),
        ) {
            let bytes = file(size);
            let mut tree = Tree::new(size);
            for (done, number) in order.iter().enumerate() {
                prop_assert_eq!(tree.finish(), None, "after {} granules", done);
                let start = usize::try_from(number * GRANULE).expect("small");
                let end = bytes.len().min(start + usize::try_from(GRANULE).expect("small"));
                tree.add(number * GRANULE, &bytes[start..end]);
                tree.add(number * GRANULE, &bytes[start..end]);
            }
            prop_assert_eq!(tree.finish(), Some(blake3::hash(&bytes)));
        }
    }

    #[test]
    fn in_order_little_is_held() {
        let size = 1000 * GRANULE + 5;
        let (bytes, mut tree, mut hasher) = (vec![7; 1 << 20], Tree::new(size), Hasher::new());
        let mut offset = 0;
        while offset < size {
            let piece = &bytes[..usize::try_from((size - offset).min(1 << 20)).expect("small")];
            tree.add(offset, piece);
            hasher.update(piece);
            assert!(tree.subtrees.len() <= 11, "{}", tree.subtrees.len());
            offset += piece.len() as u64;
        }
        assert_eq!(tree.finish(), Some(hasher.finalize()));
    }
}
