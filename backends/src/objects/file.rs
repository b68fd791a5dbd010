//! Objects as files below one directory.
//!
//! A write goes to a scratch file, is synced, and is renamed to its name; then the directory is synced. Names never begin
//! with a dot, so `.scratch` beside them is ours. Several stores, in one process or many, may share a directory.

use std::{
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use rustix::fs::statvfs;

use self::{
    buffers::Buffers,
    directories::Directories,
    scratch::{Scratch, ScratchFile},
};
use super::{ByteStream, ObjectError, ObjectInfo, ObjectName, ObjectPrefix, ObjectStore, Space};

mod buffers;
mod direct;
mod directories;
mod list;
mod read;
mod scratch;

/// How often a step is tried that writes and deletions in one place can spoil for each other.
const ATTEMPTS: usize = 16;

/// An object store on a directory of a local or network file system.
#[derive(Debug, Clone)]
pub struct FileStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    scratch: Scratch,
    directories: Directories,
    buffers: Arc<Buffers>,
}

/// What to do with an object that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Existing {
    Replace,
    Keep,
}

impl FileStore {
    /// Opens the store below `root`, makes the directory when it is missing, and removes what killed writers left.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self, ObjectError> {
        let root = root.into();
        blocking(move || {
            let context = root.display().to_string();
            Inner::open(root).map_err(|error| unavailable("open object store", context, error))
        })
        .await
        .map(|inner| Self { inner: Arc::new(inner) })
    }

    /// Runs a blocking step on the store, off the async threads.
    async fn on_disk<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Inner) -> Result<T, ObjectError> + Send + 'static,
    ) -> Result<T, ObjectError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || step(&inner)).await
    }
}

#[async_trait]
impl ObjectStore for FileStore {
    async fn put(&self, name: &ObjectName, chunks: Vec<Bytes>) -> Result<(), ObjectError> {
        let name = name.clone();
        self.on_disk(move |inner| inner.put(&name, &chunks, Existing::Replace)).await
    }

    async fn put_new(&self, name: &ObjectName, chunks: Vec<Bytes>) -> Result<(), ObjectError> {
        let name = name.clone();
        self.on_disk(move |inner| inner.put(&name, &chunks, Existing::Keep)).await
    }

    async fn head(&self, name: &ObjectName) -> Result<ObjectInfo, ObjectError> {
        let name = name.clone();
        self.on_disk(move |inner| {
            let metadata = fs::metadata(inner.path(&name)).map_err(|error| failed("look up object", &name, error))?;
            if !metadata.is_file() {
                return Err(ObjectError::NotFound { name });
            }
            Ok(info(name, &metadata))
        })
        .await
    }

    async fn get_range(&self, name: &ObjectName, range: Range<u64>) -> Result<ByteStream, ObjectError> {
        self.get_ranges(name, vec![range]).await
    }

    async fn get_ranges(&self, name: &ObjectName, ranges: Vec<Range<u64>>) -> Result<ByteStream, ObjectError> {
        let (path, buffers) = (self.inner.path(name), Arc::clone(&self.inner.buffers));
        read::Reader::open(path, name.clone(), ranges, buffers).await.map(read::Reader::stream)
    }

    fn small_gap(&self) -> u64 {
        read::SMALL_GAP
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), ObjectError> {
        let name = name.clone();
        self.on_disk(move |inner| inner.delete(&name)).await
    }

    async fn delete_prefix(&self, prefix: &ObjectPrefix) -> Result<u64, ObjectError> {
        let prefix = prefix.clone();
        self.on_disk(move |inner| {
            inner.delete_prefix(&prefix).map_err(|error| unavailable("delete objects below", prefix.to_string(), error))
        })
        .await
    }

    async fn space(&self) -> Result<Option<Space>, ObjectError> {
        // A network file system may take its time.
        self.on_disk(|inner| {
            let found = statvfs(&inner.root)
                .map_err(|error| unavailable("look up the room of", inner.root.display().to_string(), error))?;
            let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
            Ok(Some(Space { free: bytes(found.f_bavail), total: bytes(found.f_blocks) }))
        })
        .await
    }

    fn list(&self, prefix: &ObjectPrefix) -> BoxStream<'static, Result<ObjectInfo, ObjectError>> {
        list::list(&self.inner.root, prefix)
    }
}

// === impl Inner ===

impl Inner {
    fn open(root: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        // Absolute, so that a change of the working directory moves nothing, and its own entry can be synced.
        let root = root.canonicalize()?;
        if let Some(parent) = root.parent() {
            directories::sync(parent)?;
        }
        let scratch = Scratch::open(&root)?;
        Ok(Self { directories: Directories::new(root.clone()), scratch, buffers: Arc::default(), root })
    }

    fn path(&self, name: &ObjectName) -> PathBuf {
        self.root.join(name.as_str())
    }

    fn put(&self, name: &ObjectName, chunks: &[Bytes], existing: Existing) -> Result<(), ObjectError> {
        self.write(&self.path(name), chunks, existing).map_err(|error| match error.kind() {
            // What is not found is a directory, perhaps the store's own: no object is missing.
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                unavailable("write object", name.to_string(), error)
            }
            _ => failed("write object", name, error),
        })
    }

    fn write(&self, target: &Path, chunks: &[Bytes], existing: Existing) -> io::Result<()> {
        let directory = target.parent().unwrap_or(&self.root);
        tracing::trace!(name: "object.begun", target: "point", "an object is about to be written");
        let scratch = self.scratch.write(chunks)?;
        tracing::trace!(name: "object.written", target: "point", "an object is written and synced and has no name");
        let published = Self::publish(scratch, target, directory, existing);
        match &published {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return published,
            // Also for `put_new`'s loser: whoever won may not have synced the directory yet.
            _ => {}
        }
        tracing::trace!(name: "object.named", target: "point", "an object has its name, which is not synced");
        match self.directories.make_durable(directory) {
            // A deletion took the directory, and the object with it, after it was there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
        published
    }

    /// Gives the written bytes their name. A deletion may take the directory away at any moment; then it is made anew.
    fn publish(scratch: ScratchFile, target: &Path, directory: &Path, existing: Existing) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            match fs::create_dir_all(directory) {
                // The latter when it vanished while it was looked at.
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => {
                    continue;
                }
                result => result?,
            }
            let result = match existing {
                Existing::Replace => fs::rename(scratch.path(), target),
                // A link, unlike a rename, fails when the name is taken.
                Existing::Keep => fs::hard_link(scratch.path(), target),
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Ok(()) if existing == Existing::Replace => {
                    scratch.published();
                    return Ok(());
                }
                result => return result,
            }
        }
        Err(io::Error::other("its directory can't be made, or is deleted again and again"))
    }

    fn delete(&self, name: &ObjectName) -> Result<(), ObjectError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(failed("delete object", name, error)),
        }
        self.directories.remove_empty_above(&path);
        Ok(())
    }

    /// Takes the whole directory out of the names at once, then removes it at leisure: a crash in between leaves it in
    /// the scratch directory, where the next start removes it.
    fn delete_prefix(&self, prefix: &ObjectPrefix) -> io::Result<u64> {
        if !prefix.as_str().is_empty() {
            return self.discard(&self.root.join(prefix.as_str()));
        }
        let mut deleted = 0;
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            deleted +=
                if entry.file_type()?.is_dir() { self.discard(&path)? } else { fs::remove_file(&path).map(|()| 1)? };
        }
        Ok(deleted)
    }

    fn discard(&self, path: &Path) -> io::Result<u64> {
        // An object of exactly this name is not below it.
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Ok(0),
            Err(error) if is_absent(&error) => return Ok(0),
            Err(error) => return Err(error),
        }
        let trash = self.scratch.unused_path();
        self.directories.forget(path);
        match fs::rename(path, &trash) {
            Ok(()) => {}
            Err(error) if is_absent(&error) => return Ok(0),
            Err(error) => return Err(error),
        }
        directories::sync_if_present(path.parent().unwrap_or(&self.root))?;
        tracing::trace!(name: "objects.discarded", target: "point", "objects have lost their names and are still there");
        self.directories.remove_empty_above(path);
        remove_tree(&trash)
    }
}

/// Removes a tree and counts its files.
fn remove_tree(tree: &Path) -> io::Result<u64> {
    let mut removed = 0;
    for attempt in 1..=ATTEMPTS {
        removed += remove_files(tree)?;
        match fs::remove_dir_all(tree) {
            // A writer that looked its directory up before it was moved has just put something there.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && attempt < ATTEMPTS => {}
            result => return result.map(|()| removed),
        }
    }
    Ok(removed)
}

fn remove_files(directory: &Path) -> io::Result<u64> {
    let mut removed = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        removed +=
            if entry.file_type()?.is_dir() { remove_files(&path)? } else { fs::remove_file(&path).map(|()| 1)? };
    }
    Ok(removed)
}

/// Also when a segment of the path is an object: nothing can be below it.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn info(name: ObjectName, metadata: &fs::Metadata) -> ObjectInfo {
    let age = metadata.modified().ok().and_then(|written| SystemTime::now().duration_since(written).ok());
    ObjectInfo { name, size: metadata.len(), age: age.unwrap_or_default() }
}

async fn blocking<T: Send + 'static>(
    step: impl FnOnce() -> Result<T, ObjectError> + Send + 'static,
) -> Result<T, ObjectError> {
    match tokio::task::spawn_blocking(step).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(unavailable("reach", "the object store".into(), error)),
        },
    }
}

fn failed(doing: &'static str, name: &ObjectName, error: io::Error) -> ObjectError {
    let name = name.clone();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ObjectError::NotFound { name },
        io::ErrorKind::AlreadyExists => ObjectError::AlreadyExists { name },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ObjectError::NoSpace { name },
        _ => unavailable(doing, name.to_string(), error),
    }
}

fn unavailable(
    doing: &'static str,
    name: String,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> ObjectError {
    ObjectError::Unavailable { doing, name, source: source.into() }
}

#[cfg(test)]
mod tests;
