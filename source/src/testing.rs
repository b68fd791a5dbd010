//! What the tests of this crate share.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    checksum::{Tree, crc32c},
    extents::Extent,
};

/// `len` bytes that differ from place to place.
pub(crate) fn pattern(len: usize) -> Bytes {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(step).flatten().take(len).collect()
}

/// The extent `range` of the file `content`.
pub(crate) fn extent(content: &Bytes, range: Range<u64>) -> Extent {
    let bytes = content.slice(range.start as usize..range.end as usize);
    let crc32c = crc32c(&bytes);
    let tree = Tree::of(range.start, &[bytes], content.len() as u64);
    Extent::new(range, crc32c, tree).expect("a run of granules")
}
