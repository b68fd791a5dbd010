//! Where files are before they have their name, and directories after they lost it.

use std::{
    fs::{self, File, TryLockError},
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use uuid::Uuid;

use super::{
    super::blocks::Blocks,
    direct::{self, LARGE},
};

const DIRECTORY: &str = ".scratch";
const LOCK: &str = "lock";
/// Blocks kept for later, for bytes that come in memory that is not aligned.
const KEPT: usize = 4;

/// One store's own scratch directory, locked while the store lives: what is not locked was left by a killed one.
#[derive(Debug)]
pub(super) struct Scratch {
    directory: PathBuf,
    blocks: Arc<Blocks>,
    _alive: File,
}

/// A written and synced file that has no name yet. Removed when dropped before [`ScratchFile::published`].
#[derive(Debug)]
pub(super) struct ScratchFile {
    path: PathBuf,
    published: bool,
}

impl Scratch {
    /// Makes this store's scratch directory below `root` and removes those of dead stores.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let all = root.join(DIRECTORY);
        fs::create_dir_all(&all)?;
        // Held while opening, so that nobody takes a directory for dead between its making and its locking.
        let opening = lock_file(&all.join(LOCK))?;
        opening.lock()?;
        for entry in fs::read_dir(&all)? {
            let directory = entry?.path();
            if directory.is_dir() && is_dead(&directory)? {
                fs::remove_dir_all(&directory)?;
            }
        }
        let directory = all.join(Uuid::new_v4().to_string());
        fs::create_dir(&directory)?;
        let alive = lock_file(&directory.join(LOCK))?;
        alive.lock()?;
        Ok(Self { directory, blocks: Blocks::keeping(KEPT), _alive: alive })
    }

    /// A path nothing has.
    pub(super) fn unused_path(&self) -> PathBuf {
        self.directory.join(Uuid::new_v4().to_string())
    }

    /// Writes `chunks` to a new file and syncs it.
    pub(super) fn write(&self, chunks: &[Bytes]) -> io::Result<ScratchFile> {
        let scratch = ScratchFile { path: self.unused_path(), published: false };
        let file = if chunks.iter().map(Bytes::len).sum::<usize>() < LARGE {
            let mut file = File::create_new(&scratch.path)?;
            let mut slices: Vec<IoSlice<'_>> = chunks.iter().map(|chunk| IoSlice::new(chunk)).collect();
            direct::write_slices(&mut file, &mut slices)?;
            file
        } else {
            direct::write(&scratch.path, chunks, &self.blocks)?
        };
        file.sync_data()?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // If it fails, the next store to open removes it.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl ScratchFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file was renamed to its name and is not ours any more.
    pub(super) fn published(mut self) {
        self.published = true;
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn lock_file(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).write(true).open(path)
}

fn is_dead(directory: &Path) -> io::Result<bool> {
    match lock_file(&directory.join(LOCK))?.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
