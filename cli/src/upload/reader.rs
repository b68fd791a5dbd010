//! Reads and sums pieces in a thread of its own, a little ahead of the network.

use super::file::SourceFile;
use super::plan::Plan;
use super::tree::Tree;
use bytes::Bytes;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use vidstream_proto::pb;

/// Pieces that may be read before the network takes them: 2 MiB, which stay in the processor's caches.
pub const AHEAD: usize = 8;

/// Reads what `plan` asks for until it asks for nothing or nobody takes it.
pub fn read(
    file: &SourceFile,
    plan: &Mutex<Plan>,
    tree: &Mutex<Tree>,
    pieces: &mpsc::Sender<pb::Piece>,
) -> io::Result<()> {
    let buffers = Arc::new(Buffers::default());
    loop {
        let Some(range) = lock(plan).next() else { return Ok(()) };
        let mut data = buffers.take(usize::try_from(range.end - range.start).map_err(io::Error::other)?);
        file.read(&mut data.memory, range.start)?;
        lock(tree).add(range.start, &data.memory);
        let crc32c = crc32c::crc32c(&data.memory);
        let piece = pb::Piece { offset: range.start, crc32c, data: Bytes::from_owner(data) };
        if pieces.blocking_send(piece).is_err() {
            return Ok(());
        }
    }
}

/// Memory of pieces that were sent. Fresh memory costs about as much as reading into it: it is made and cleared first.
#[derive(Debug, Default)]
struct Buffers(Mutex<Vec<Vec<u8>>>);

/// The memory of one piece, used again when the piece is gone.
struct Buffer {
    memory: Vec<u8>,
    home: Arc<Buffers>,
}

impl Buffers {
    fn take(self: &Arc<Self>, len: usize) -> Buffer {
        let mut memory = lock(&self.0).pop().unwrap_or_default();
        memory.resize(len, 0);
        Buffer { memory, home: Arc::clone(self) }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        lock(&self.home.0).push(std::mem::take(&mut self.memory));
    }
}

/// What others changed is whole even if they panicked: every change is one call.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
