//! Blocks on a disk of this machine.
//!
//! One file without a name, which goes with the process however that ends: nothing is left behind, and nothing old is believed. A block is
//! written when it came from the store for the second time. What is where, and each block's sum, is known in memory; a block that is not what
//! was written is fetched again. A disk that is full or fails is left alone for a while, and everything goes on without it.

use super::shelf::Shelf;
use super::{BLOCK, Key};
use bytes::Bytes;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Writes that are under way at the most; what comes meanwhile is not written.
const WRITES: u64 = 8;
/// How long a disk that failed is left alone.
const REST: Duration = Duration::from_mins(1);

/// The disk can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// No file can be made there.
    #[error("no file can be made in {}", folder.display())]
    Folder {
        /// Where.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Blocks on a disk. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Disk {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    file: File,
    state: Mutex<State>,
    free: Arc<Free>,
    writes: Arc<Semaphore>,
}

#[derive(Debug)]
struct State {
    held: Shelf<Arc<Slot>>,
    reads_from: Option<Instant>,
    writes_from: Option<Instant>,
}

/// A place for a block in the file.
#[derive(Debug)]
struct Slot {
    number: u64,
    /// CRC-32C of what was written.
    sum: u32,
    free: Arc<Free>,
}

/// Places that nobody uses: those given back, and those that were never used.
#[derive(Debug)]
struct Free(Mutex<(Vec<u64>, Range<u64>)>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.free.lock().0.push(self.number);
    }
}

impl Free {
    fn lock(&self) -> MutexGuard<'_, (Vec<u64>, Range<u64>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place; the file grows only where there is no other.
    fn take(&self) -> Option<u64> {
        let (given_back, fresh) = &mut *self.lock();
        given_back.pop().or_else(|| fresh.next())
    }
}

impl Disk {
    /// At most `size` bytes in `folder`, which is made when missing.
    pub fn open(folder: &Path, size: u64) -> Result<Self, DiskError> {
        let made = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
        let file = made.map_err(|source| DiskError::Folder { folder: folder.to_owned(), source })?;
        Ok(Self::on(file, folder, size))
    }

    fn on(file: File, folder: &Path, size: u64) -> Self {
        let slots = size / BLOCK;
        // Those that are written have a place besides what is held.
        let held = slots.saturating_sub(WRITES);
        let marks = usize::try_from(held).unwrap_or(usize::MAX);
        let state = State { held: Shelf::second_time(held * BLOCK, marks), reads_from: None, writes_from: None };
        let free = Arc::new(Free(Mutex::new((Vec::new(), 0..slots))));
        let writes = Arc::new(Semaphore::new(usize::try_from(WRITES).unwrap_or(usize::MAX)));
        let inner = Inner { folder: folder.to_owned(), file, state: Mutex::new(state), free, writes };
        Self { inner: Arc::new(inner) }
    }

    /// Whether the block is here.
    pub(super) fn has(&self, key: &Key) -> bool {
        let state = self.inner.state();
        state.reads_from.is_none() && state.held.has(key)
    }

    /// The block's `len` bytes, if it is here as it was written.
    pub(super) async fn read(&self, key: &Key, len: u64) -> Option<Bytes> {
        let slot = self.inner.slot(key)?;
        let (inner, key) = (Arc::clone(&self.inner), key.clone());
        let reading = tokio::task::spawn_blocking(move || inner.read(&key, &slot, len));
        reading.await.ok().flatten()
    }

    /// Writes the block, which just came from the store, if it did so before. Nobody waits for it.
    pub(super) fn offer(&self, key: &Key, bytes: &Bytes) {
        if !self.inner.welcomes(key) {
            return;
        }
        let Ok(permit) = Arc::clone(&self.inner.writes).try_acquire_owned() else { return };
        let Some(number) = self.inner.free.take() else { return };
        let slot = Slot { number, sum: crc32c::crc32c(bytes), free: Arc::clone(&self.inner.free) };
        let (inner, key, bytes) = (Arc::clone(&self.inner), key.clone(), bytes.clone());
        tokio::task::spawn_blocking(move || {
            inner.write(key, slot, &bytes);
            drop(permit);
        });
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, key: &Key) -> Option<Arc<Slot>> {
        let mut state = self.state();
        if state.reads_from.is_some_and(|from| Instant::now() < from) {
            return None;
        }
        state.reads_from = None;
        state.held.get(key).cloned()
    }

    fn welcomes(&self, key: &Key) -> bool {
        let mut state = self.state();
        state.writes_from.is_none_or(|from| Instant::now() >= from) && state.held.welcomes(key)
    }

    fn read(&self, key: &Key, slot: &Arc<Slot>, len: u64) -> Option<Bytes> {
        let mut bytes = vec![0; usize::try_from(len).ok()?];
        let read = self.file.read_exact_at(&mut bytes, slot.number * BLOCK);
        if read.is_ok() && crc32c::crc32c(&bytes) == slot.sum {
            return Some(bytes.into());
        }
        let folder = self.folder.display();
        let mut state = self.state();
        match read {
            // A file that was cut short has lost what it had, like one that was written over.
            Ok(()) => {
                tracing::warn!(%folder, "a block of the cache is not what was written; it comes from the store again");
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                tracing::warn!(%folder, "a block of the cache is missing; it comes from the store again");
            }
            Err(error) => {
                state.reads_from = Some(Instant::now() + REST);
                tracing::warn!(%folder, %error, "the cache's disk can't be read; it is left alone for a minute");
            }
        }
        let is_it = state.held.get(key).is_some_and(|held| Arc::ptr_eq(held, slot));
        let removed = is_it.then(|| state.held.remove(key));
        drop(state);
        drop(removed);
        None
    }

    fn write(&self, key: Key, slot: Slot, bytes: &Bytes) {
        let written = self.file.write_all_at(bytes, slot.number * BLOCK);
        let mut state = self.state();
        let left = match written {
            Ok(()) => {
                state.writes_from = None;
                state.held.insert(key, Arc::new(slot), BLOCK)
            }
            Err(error) => {
                let folder = self.folder.display();
                if state.writes_from.is_none_or(|from| Instant::now() >= from) {
                    tracing::warn!(%folder, %error, "the cache's disk takes no more; it is left as it is for a minute");
                }
                state.writes_from = Some(Instant::now() + REST);
                vec![Arc::new(slot)]
            }
        };
        // Their places are free once the last reading of them ends.
        drop(state);
        drop(left);
    }
}

#[cfg(test)]
impl Disk {
    /// One on which there is no room for anything.
    pub(super) fn full() -> Self {
        let file = File::options().read(true).write(true).open("/dev/full").expect("every Linux has it");
        Self::on(file, Path::new("/dev/full"), 16 << 20)
    }

    /// Writes over everything that is here.
    pub(super) fn damage(&self) {
        let len = self.inner.file.metadata().expect("a file").len();
        self.inner.file.write_all_at(&vec![0x55; usize::try_from(len).expect("small")], 0).expect("room");
    }

    /// Cuts everything away that is here.
    pub(super) fn cut(&self) {
        self.inner.file.set_len(0).expect("it can be cut");
    }

    /// Bytes of the file.
    pub(super) fn len(&self) -> u64 {
        self.inner.file.metadata().expect("a file").len()
    }

    /// Waits until nothing is being written.
    pub(super) async fn settled(&self) {
        let all = u32::try_from(WRITES).expect("few");
        drop(self.inner.writes.acquire_many(all).await.expect("it is never closed"));
    }
}
