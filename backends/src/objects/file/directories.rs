//! Which directories are known to survive a power loss.
//!
//! A file's entry is durable when its directory is synced, the directory's entry when its parent is, and so on up. The
//! parents change once, so each is synced once a process and then remembered.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Beyond this many remembered directories all are forgotten; what is forgotten costs one more sync.
const REMEMBERED: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Directories {
    root: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Directories whose own entry, and all entries above it, are durable.
    durable: HashSet<PathBuf>,
    /// Counts removals. A directory synced before a removal may have been removed and made anew since, so nothing synced
    /// before one is remembered after it.
    removals: u64,
}

impl Directories {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, known: Mutex::default() }
    }

    /// Syncs `directory`, and those above it that are not known to be durable.
    pub(super) fn make_durable(&self, directory: &Path) -> io::Result<()> {
        sync(directory)?;
        let (removals, unknown) = {
            let known = self.known();
            let unknown: Vec<PathBuf> =
                self.up_to_root(directory).take_while(|path| !known.durable.contains(*path)).map(Into::into).collect();
            (known.removals, unknown)
        };
        for path in &unknown {
            sync(path.parent().unwrap_or(&self.root))?;
        }
        let mut known = self.known();
        if known.removals == removals {
            if known.durable.len() + unknown.len() > REMEMBERED {
                known.durable.clear();
            }
            known.durable.extend(unknown);
        }
        Ok(())
    }

    /// To be called before `directory` is removed: it and all below it are not durable any more.
    pub(super) fn forget(&self, directory: &Path) {
        let mut known = self.known();
        known.removals += 1;
        known.durable.retain(|path| !path.starts_with(directory));
    }

    /// Removes the directories above `path` that became empty, up to the root.
    pub(super) fn remove_empty_above(&self, path: &Path) {
        let Some(parent) = path.parent() else { return };
        for directory in self.up_to_root(parent) {
            // Looked at first, because forgetting makes the next writer sync again.
            let empty = fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none());
            if !empty {
                return;
            }
            self.forget(directory);
            // A writer may just have put something there; then it stays.
            if fs::remove_dir(directory).is_err() {
                return;
            }
        }
    }

    fn up_to_root<'path>(&self, directory: &'path Path) -> impl Iterator<Item = &'path Path> {
        directory.ancestors().take_while(|path| *path != self.root)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        // Every change of the set leaves it valid, so a panic elsewhere spoils nothing.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the entries of `directory` durable.
pub(super) fn sync(directory: &Path) -> io::Result<()> {
    fs::File::open(directory)?.sync_all()
}

/// Like [`sync`], for a directory that somebody may be removing.
pub(super) fn sync_if_present(directory: &Path) -> io::Result<()> {
    match sync(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
