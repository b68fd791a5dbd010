//! Memory that stores write best from: aligned as disks want it, and used again.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

/// What addresses, offsets and lengths of a write past the page cache are multiples of, bytes. Disks want 512 or 4096.
pub const ALIGNMENT: usize = 4096;
/// Bytes of a block. Above what an allocator keeps for itself, so that memory goes back when its blocks are dropped.
pub const BLOCK: usize = 1 << 20;

/// Blocks that nobody uses, at most a given number of them.
#[derive(Debug)]
pub struct Blocks {
    free: Mutex<Vec<Memory>>,
    kept: usize,
}

/// Aligned memory that is filled from its begin on. Dropped, it goes back to where it was taken.
#[derive(Debug)]
pub struct Block {
    memory: Memory,
    len: usize,
    home: Arc<Blocks>,
}

#[derive(Default)]
struct Memory {
    bytes: Box<[u8]>,
    /// Where aligned memory begins.
    start: usize,
}

impl Blocks {
    /// Keeps at most `kept` unused blocks.
    pub fn keeping(kept: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::default(), kept })
    }

    /// An empty block.
    pub fn take(self: &Arc<Self>) -> Block {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Block { memory: free.unwrap_or_else(Memory::fresh), len: 0, home: Arc::clone(self) }
    }

    fn put(&self, memory: Memory) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.kept {
            free.push(memory);
        }
    }
}

impl Block {
    /// Appends as many of `bytes` as there is room for and returns the rest.
    pub fn fill<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (now, later) = bytes.split_at(bytes.len().min(BLOCK - self.len));
        let at = self.memory.start + self.len;
        self.memory.bytes[at..at + now.len()].copy_from_slice(now);
        self.len += now.len();
        later
    }

    /// Whether there is no more room.
    pub fn is_full(&self) -> bool {
        self.len == BLOCK
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Its bytes, which come back to where they were taken with the last handle on them.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory.bytes[self.memory.start..self.memory.start + self.len]
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.home.put(std::mem::take(&mut self.memory));
    }
}

impl Memory {
    fn fresh() -> Self {
        let bytes = vec![0; BLOCK + ALIGNMENT].into_boxed_slice();
        let start = bytes.as_ptr().align_offset(ALIGNMENT);
        Self { bytes, start }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

/// Whether `bytes` can be written past the page cache from where they are.
pub fn is_aligned(bytes: &[u8]) -> bool {
    bytes.len().is_multiple_of(ALIGNMENT) && bytes.as_ptr().addr().is_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(blocks: &Blocks) -> usize {
        blocks.free.lock().unwrap().len()
    }

    #[test]
    fn a_block_is_aligned_filled_and_comes_back() {
        let blocks = Blocks::keeping(1);
        let mut block = blocks.take();
        assert_eq!(block.fill(&[1; ALIGNMENT]), []);
        assert!(is_aligned(&block) && !block.is_full());
        assert_eq!(block.fill(&vec![2; BLOCK]).len(), ALIGNMENT);
        assert!(block.is_full());
        assert_eq!((block[ALIGNMENT - 1], block[ALIGNMENT], block.len()), (1, 2, BLOCK));
        let bytes = block.freeze();
        let part = bytes.slice(1..2);
        assert!(is_aligned(&bytes) && !is_aligned(&part));
        drop(bytes);
        assert_eq!(free(&blocks), 0);
        drop((part, blocks.take()));
        assert_eq!(free(&blocks), 1, "one is kept");
        assert!(blocks.take().is_empty(), "nobody sees what was in it");
    }
}
