//! Reads and sums pieces in a thread of its own, a cell ahead of the network.

use super::file::SourceFile;
use super::plan::Plan;
use super::tree::Tree;
use bytes::Bytes;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use vidstream_proto::pb;

/// Pieces that may be read before the network takes them: a cell of 8 MiB.
pub const AHEAD: usize = 8;

/// Reads what `plan` asks for until it asks for nothing or nobody takes it.
pub fn read(
    file: &SourceFile,
    plan: &Mutex<Plan>,
    tree: &Mutex<Tree>,
    pieces: &mpsc::Sender<pb::Piece>,
) -> io::Result<()> {
    loop {
        let Some(range) = lock(plan).next() else { return Ok(()) };
        let mut data = vec![0; usize::try_from(range.end - range.start).map_err(io::Error::other)?];
        file.read(&mut data, range.start)?;
        lock(tree).add(range.start, &data);
        let piece = pb::Piece { offset: range.start, crc32c: crc32c::crc32c(&data), data: Bytes::from(data) };
        if pieces.blocking_send(piece).is_err() {
            return Ok(());
        }
    }
}

/// What others changed is whole even if they panicked: every change is one call.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
