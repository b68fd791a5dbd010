//! Sums of bytes that arrive in any order: CRC-32C of runs, and the BLAKE3 tree of the whole file.
//!
//! BLAKE3 is a binary tree over chunks of 1 KiB (section 2.1 of its paper). A granule is 64 chunks, so a run of granules
//! splits into subtrees that can be hashed alone, each to a chaining value of 32 bytes; the file's hash follows from
//! those without the bytes. Only the root is hashed differently, so no subtree here is the whole tree, except where the
//! file has a single granule: its "subtree" is the file's hash itself.

use std::{ops::Range, sync::OnceLock};

use blake3::{
    Hash, Hasher,
    hazmat::{ChainingValue, HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root},
};
use bytes::Bytes;

use crate::extents::GRANULE;

/// Version of [`Tree::encode`].
const TREE_VERSION: u8 = 1;
/// Runs of so many powers of two of granules, up to a cell, have what joins their CRC-32C kept: it takes 12 µs to find, for
/// each of which 64 KiB could be summed.
const LENGTHS: usize = 8;
/// A chaining value's bytes.
const VALUE: usize = 32;

/// CRC-32C (Castagnoli, RFC 3720 §12.1) of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// The CRC-32C of a run from those of its two parts; the second has `second_len` bytes.
pub fn crc32c_joined(first: u32, second: u32, second_len: usize) -> u32 {
    crc32c_before(first, second_len) ^ second
}

/// What `crc` counts for in the sum of a run that goes on for `len` bytes.
fn crc32c_before(crc: u32, len: usize) -> u32 {
    // One bit after the other: a CRC is linear over GF(2) ("A Painless Guide to CRC Error Detection Algorithms", R. N.
    // Williams), and joined to nothing its bits never change.
    static BITS: [OnceLock<[u32; 32]>; LENGTHS] = [const { OnceLock::new() }; LENGTHS];
    const GRANULE_BYTES: usize = 64 * 1024;
    if crc == 0 || len == 0 {
        return crc;
    }
    let (granules, rest) = (len / GRANULE_BYTES, len % GRANULE_BYTES);
    if granules >> LENGTHS != 0 {
        return crc32c::crc32c_combine(crc, 0, len);
    }
    let whole = (0..LENGTHS).filter(|power| granules >> power & 1 == 1).fold(crc, |crc, power| {
        let bits = BITS[power]
            .get_or_init(|| std::array::from_fn(|bit| crc32c::crc32c_combine(1 << bit, 0, GRANULE_BYTES << power)));
        (0..32).filter(|bit| crc >> bit & 1 == 1).fold(0, |sum, bit| sum ^ bits[bit])
    });
    if rest == 0 { whole } else { crc32c::crc32c_combine(whole, 0, rest) }
}

/// What the file's hash needs of one extent: the chaining values of its subtrees, left to right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree(Vec<ChainingValue>);

/// Why values do not make a hash: some are missing, or they belong to another file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The encoded form has another version or length.
    #[error("the encoded chaining values are of an unknown version or cut off")]
    Encoding,
    /// The values do not cover a file of this size.
    #[error("the chaining values do not make up a file of {size} bytes")]
    Shape {
        /// The file's size in bytes.
        size: u64,
    },
}

impl Tree {
    /// Hashes `chunks`, one after the other the bytes from `offset` on of a file of `size` bytes.
    ///
    /// # Panics
    ///
    /// If the run does not begin and end on granules (or the file's end), or reaches past it.
    pub fn of(offset: u64, chunks: &[Bytes], size: u64) -> Self {
        let len = chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        let mut run = Run { chunks, at: 0 };
        let subtrees = subtrees(offset..offset + len, size);
        Self(
            subtrees
                .map(|subtree| {
                    let mut hasher = Hasher::new();
                    hasher.set_input_offset(subtree.start);
                    run.feed(&mut hasher, subtree.end - subtree.start);
                    if size <= GRANULE { *hasher.finalize().as_bytes() } else { hasher.finalize_non_root() }
                })
                .collect(),
        )
    }

    /// Whether this can be the tree of the run `range` of a file of `size` bytes.
    pub fn fits(&self, range: Range<u64>, size: u64) -> bool {
        is_run(&range, size) && self.0.len() == subtrees(range, size).count()
    }

    /// A hash of the bytes, from their values.
    pub fn digest(&self) -> Hash {
        blake3::hash(self.0.as_flattened())
    }

    /// The values as bytes: a version, then the values.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + self.0.len() * VALUE);
        bytes.push(TREE_VERSION);
        bytes.extend(self.0.as_flattened());
        bytes
    }

    /// What [`encode`](Self::encode) wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, TreeError> {
        match bytes.split_first() {
            Some((&TREE_VERSION, values)) => Self::from_values(values).ok_or(TreeError::Encoding),
            _ => Err(TreeError::Encoding),
        }
    }

    pub(crate) fn values(&self) -> &[ChainingValue] {
        &self.0
    }

    /// From values one after the other, if `bytes` is a number of them.
    pub(crate) fn from_values(bytes: &[u8]) -> Option<Self> {
        let (values, rest) = bytes.as_chunks::<VALUE>();
        rest.is_empty().then(|| Self(values.to_vec()))
    }
}

/// Chunks read as if they were one.
struct Run<'run> {
    chunks: &'run [Bytes],
    /// Bytes of the first chunk that were read.
    at: usize,
}

impl Run<'_> {
    fn feed(&mut self, hasher: &mut Hasher, mut len: u64) {
        while len > 0 {
            let (first, others) = self.chunks.split_first().expect("subtrees lie inside the run");
            let rest = &first[self.at..];
            let taken = usize::try_from(len).map_or(rest.len(), |len| len.min(rest.len()));
            hasher.update(&rest[..taken]);
            len -= taken as u64;
            self.at += taken;
            if self.at == first.len() {
                (self.chunks, self.at) = (others, 0);
            }
        }
    }
}

/// The largest subtrees that make up the run `range` of a file of `size` bytes; none is the whole tree but of a file of
/// one granule.
fn subtrees(range: Range<u64>, size: u64) -> impl Iterator<Item = Range<u64>> {
    assert!(is_run(&range, size), "bytes {range:?} of {size} are no run of granules");
    let (file, end) = (granules(size), granules(range.end));
    let mut at = range.start / GRANULE;
    std::iter::from_fn(move || {
        let left = end.checked_sub(at).filter(|left| *left > 0)?;
        let mut count = 1 << left.ilog2();
        if at > 0 {
            // A subtree begins at a multiple of its size.
            count = count.min(1 << at.trailing_zeros());
        }
        if count == file && count > 1 {
            count /= 2;
        }
        let subtree = at * GRANULE..((at + count) * GRANULE).min(size);
        at += count;
        Some(subtree)
    })
}

/// Whether `range` begins and ends on granules, or at the end of a file of `size` bytes.
fn is_run(range: &Range<u64>, size: u64) -> bool {
    range.start.is_multiple_of(GRANULE) && range.end <= size && (range.end.is_multiple_of(GRANULE) || range.end == size)
}

/// BLAKE3 of a file of `size` bytes from the trees of its extents, which are given with their ranges in ascending order.
pub fn file_hash<'tree>(
    size: u64,
    extents: impl IntoIterator<Item = (Range<u64>, &'tree Tree)>,
) -> Result<Hash, TreeError> {
    if size == 0 {
        return Ok(blake3::hash(&[]));
    }
    let mut leaves = Leaves { left: Vec::new(), shape: TreeError::Shape { size } };
    let mut covered = 0;
    for (range, tree) in extents {
        if range.start != covered || !tree.fits(range.clone(), size) {
            return Err(leaves.shape);
        }
        covered = range.end;
        let counts = subtrees(range, size).map(|subtree| granules(subtree.end - subtree.start));
        leaves.left.extend(counts.zip(tree.0.iter().copied()));
    }
    leaves.left.reverse();
    if covered != size {
        return Err(leaves.shape);
    }
    leaves.root(granules(size))
}

/// Subtrees that are yet to be merged, the leftmost last.
struct Leaves {
    left: Vec<(u64, ChainingValue)>,
    shape: TreeError,
}

impl Leaves {
    fn root(&mut self, count: u64) -> Result<Hash, TreeError> {
        if count == 1 {
            return self.node(1).map(Hash::from_bytes);
        }
        let (left, right) = self.children(count)?;
        Ok(merge_subtrees_root(&left, &right, Mode::Hash))
    }

    /// The value of the next `count` granules. Every leaf was cut where the tree has a node, so one fits or is smaller.
    fn node(&mut self, count: u64) -> Result<ChainingValue, TreeError> {
        match self.left.last() {
            Some((leaf, value)) if *leaf == count => {
                let value = *value;
                self.left.pop();
                Ok(value)
            }
            Some((leaf, _)) if *leaf < count => {
                let (left, right) = self.children(count)?;
                Ok(merge_subtrees_non_root(&left, &right, Mode::Hash))
            }
            _ => Err(self.shape.clone()),
        }
    }

    fn children(&mut self, count: u64) -> Result<(ChainingValue, ChainingValue), TreeError> {
        // The left child is the largest power of two that leaves something for the right one.
        let left = 1 << (count - 1).ilog2();
        Ok((self.node(left)?, self.node(count - left)?))
    }
}

fn granules(bytes: u64) -> u64 {
    bytes.div_ceil(GRANULE)
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "files in tests are small")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{extents::CELL, testing::pattern};

    /// Hashes `content` by runs that end after `cuts` granules and at cells.
    fn hash_in_runs(content: &Bytes, cuts: impl Iterator<Item = u64>) -> Hash {
        let size = content.len() as u64;
        let mut ends: Vec<u64> = cuts.map(|cut| cut * GRANULE).chain((0..size).step_by(CELL as usize)).collect();
        ends.retain(|end| (1..size).contains(end));
        ends.push(size);
        ends.sort_unstable();
        ends.dedup();
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let runs: Vec<Range<u64>> = starts.zip(ends.iter().copied()).map(|(start, end)| start..end).collect();
        let trees: Vec<Tree> = runs
            .iter()
            .map(|run| {
                let bytes = content.slice(run.start as usize..run.end as usize);
                // Chunks that end nowhere in particular.
                let chunks: Vec<Bytes> = bytes.chunks(100_001).map(Bytes::copy_from_slice).collect();
                Tree::of(run.start, &chunks, size)
            })
            .collect();
        file_hash(size, runs.into_iter().zip(&trees)).unwrap()
    }

    #[test]
    fn hashes_are_those_of_blake3() {
        let content = pattern(3 * CELL as usize + 123_457);
        let (granule, cell) = (GRANULE as usize, CELL as usize);
        let around = |size: usize| [size - 1, size, size + 1];
        let sizes = [1, 2, 1023, 1024, 1025, 5 * granule / 2, 3 * granule, cell / 2 + 5, content.len()];
        let edges = [granule, 2 * granule, 3 * granule, 4 * granule, cell / 2, cell, 2 * cell, 3 * cell];
        for size in sizes.into_iter().chain(edges.into_iter().flat_map(around)) {
            let content = content.slice(..size);
            let expected = blake3::hash(&content);
            assert_eq!(hash_in_runs(&content, 0..0), expected, "{size} bytes by cells");
            assert_eq!(
                hash_in_runs(&content, [1, 5, 64, 127, 129].into_iter()),
                expected,
                "{size} bytes in uneven runs"
            );
        }
        assert_eq!(file_hash(0, []).unwrap(), blake3::hash(&[]));
    }

    #[test]
    fn a_whole_cell_is_one_value_unless_it_is_the_file() {
        let cell = [pattern(CELL as usize)];
        assert_eq!(Tree::of(0, &cell, CELL + 1).values().len(), 1);
        assert_eq!(Tree::of(0, &cell, CELL).values().len(), 2);
        assert_eq!(Tree::of(CELL, &cell, 2 * CELL).values().len(), 1);
    }

    #[test]
    fn what_does_not_cover_the_file_has_no_hash() {
        let size = 3 * GRANULE;
        let content = pattern(size as usize);
        let tree =
            |range: Range<u64>| Tree::of(range.start, &[content.slice(range.start as usize..range.end as usize)], size);
        let (first, rest) = (0..GRANULE, GRANULE..size);
        let (first_tree, rest_tree) = (tree(first.clone()), tree(rest.clone()));
        let shape = Err(TreeError::Shape { size });
        assert_eq!(file_hash(size, [(first.clone(), &first_tree)]), shape);
        assert_eq!(file_hash(size, [(rest.clone(), &rest_tree)]), shape);
        assert_eq!(file_hash(size, [(rest.clone(), &rest_tree), (first.clone(), &first_tree)]), shape);
        assert_eq!(file_hash(size, [(first.clone(), &rest_tree), (rest.clone(), &rest_tree)]), shape);
        assert_eq!(file_hash(size, [(first, &first_tree), (rest, &rest_tree)]), Ok(blake3::hash(&content)));
    }

    #[test]
    fn sums_join() {
        let content = pattern(300_000);
        let (first, second) = content.split_at(GRANULE as usize);
        assert_eq!(crc32c_joined(crc32c(first), crc32c(second), second.len()), crc32c(&content));
        // RFC 3720, B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
    }

    #[test]
    fn encoded_values_come_back() {
        let tree = Tree::of(GRANULE, &[pattern(4 * GRANULE as usize)], 9 * GRANULE);
        assert_eq!(tree.values().len(), 3);
        assert_eq!(Tree::decode(&tree.encode()), Ok(tree.clone()));
        for wrong in [&[][..], &[2], &tree.encode()[..40]] {
            assert_eq!(Tree::decode(wrong), Err(TreeError::Encoding));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_runs_give_the_same_hash(size in 1..40 * GRANULE as usize, cuts in prop::collection::vec(1..40_u64, 0..12)) {
            let content = pattern(size);
            prop_assert_eq!(hash_in_runs(&content, cuts.into_iter()), blake3::hash(&content));
        }
    }
}
