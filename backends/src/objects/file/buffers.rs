//! Buffers that are used again. A fresh one of 256 KiB costs about as much as filling it from the page cache: its pages
//! are made and cleared first.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::read::READ;

/// Buffers kept for later, 8 MiB.
const KEPT: usize = 32;
/// What is much smaller than a buffer gets memory of its own.
const SMALL: usize = READ / 8;

/// Buffers that nobody uses.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    free: Mutex<Vec<Box<[u8]>>>,
}

/// Memory to be filled.
pub(super) struct Buffer {
    memory: Box<[u8]>,
    len: usize,
    home: Option<Arc<Buffers>>,
}

impl Buffers {
    /// Memory for `len` bytes, at most [`READ`]. What is in it is left over from somebody else.
    pub(super) fn take(self: &Arc<Self>, len: usize) -> Buffer {
        assert!(len <= READ, "a buffer has at most {READ} bytes");
        if len < SMALL {
            return Buffer { memory: vec![0; len].into(), len, home: None };
        }
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let memory = free.unwrap_or_else(|| vec![0; READ].into());
        Buffer { memory, len, home: Some(Arc::clone(self)) }
    }

    fn put(&self, memory: Box<[u8]>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(memory);
        }
    }
}

impl Buffer {
    /// The bytes asked for.
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[..self.len]
    }

    /// The filled bytes. The memory comes back when the last handle on them is dropped.
    pub(super) fn freeze(mut self) -> Bytes {
        if self.home.is_none() {
            return std::mem::take(&mut self.memory).into();
        }
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            home.put(std::mem::take(&mut self.memory));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(buffers: &Buffers) -> usize {
        buffers.free.lock().unwrap().len()
    }

    #[test]
    fn memory_comes_back_with_the_last_handle() {
        let buffers = Arc::new(Buffers::default());
        let mut buffer = buffers.take(READ - 1);
        buffer.bytes().fill(7);
        let bytes = buffer.freeze();
        assert_eq!((bytes.len(), bytes[READ - 2]), (READ - 1, 7));
        let part = bytes.slice(5..6);
        drop(bytes);
        assert_eq!(free(&buffers), 0);
        drop(part);
        assert_eq!(free(&buffers), 1);
        // Unused, or small.
        drop(buffers.take(READ));
        assert_eq!(free(&buffers), 1);
        assert_eq!(buffers.take(SMALL - 1).freeze().len(), SMALL - 1);
        assert_eq!(free(&buffers), 1);
    }

    #[test]
    fn not_all_is_kept() {
        let buffers = Arc::new(Buffers::default());
        let all: Vec<_> = (0..2 * KEPT).map(|_| buffers.take(READ)).collect();
        drop(all);
        assert_eq!(free(&buffers), KEPT);
    }
}
