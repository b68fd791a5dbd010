//! A file on its way in: `FILE.part` with the bytes so far, `FILE.part.etag` with what they are of. It becomes `FILE` when
//! it is whole.

use crate::errors::Failure;
use blake3::Hasher;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

/// An unfinished file, held by this process alone.
#[derive(Debug)]
pub struct Part {
    target: PathBuf,
    path: PathBuf,
    etag_path: PathBuf,
    file: File,
}

/// Where a chain of links leads, though nothing may be there yet.
fn followed(target: &Path) -> PathBuf {
    let mut path = target.to_owned();
    // As many as the system follows (path_resolution(7)).
    for _ in 0..40 {
        let Ok(next) = fs::read_link(&path) else { break };
        path = path.parent().map_or_else(|| next.clone(), |folder| folder.join(&next));
    }
    path
}

impl Part {
    /// Opens or begins the part of `target`.
    pub fn open(target: &Path) -> Result<Self, Failure> {
        // What a link leads to is written, and the link stays.
        let target = &followed(target);
        if target.is_dir() {
            return Err(Failure::failed(format!("`{}` is a folder; name a file", target.display())));
        }
        // It would be replaced by the file.
        if target.exists() && !target.is_file() {
            let text = format!("`{}` is no plain file; `-o -` writes to stdout", target.display());
            return Err(Failure::failed(text));
        }
        let (path, etag_path) = (with_ending(target, ".part"), with_ending(target, ".part.etag"));
        let open = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let file = open.map_err(|error| Failure::file("write", &path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { target: target.to_owned(), path, etag_path, file }),
            Err(TryLockError::WouldBlock) => {
                Err(Failure::failed(format!("another vidctl is downloading to `{}`", target.display())))
            }
            Err(TryLockError::Error(error)) => Err(Failure::file("lock", &path, &error)),
        }
    }

    /// The `ETag` of what the bytes are of; none if that is not known, or there are none.
    pub fn etag(&self) -> Option<String> {
        let length = self.file.metadata().ok()?.len();
        fs::read_to_string(&self.etag_path).ok().filter(|etag| length > 0 && !etag.is_empty())
    }

    /// Reads the bytes so far into `hasher`, says how many they are, and goes on behind them.
    pub fn resume(&mut self, hasher: &mut Hasher) -> Result<u64, Failure> {
        let mut read = || -> io::Result<u64> {
            self.file.rewind()?;
            hasher.update_reader(&self.file)?;
            self.file.stream_position()
        };
        read().map_err(|error| Failure::file("read", &self.path, &error))
    }

    /// Begins again, with bytes of `etag`.
    pub fn restart(&mut self, etag: Option<&str>) -> Result<(), Failure> {
        // Bytes never stand beside the etag of something else.
        let mut begin = || -> io::Result<()> {
            self.file.set_len(0)?;
            self.file.rewind()?;
            fs::write(&self.etag_path, etag.unwrap_or_default())
        };
        begin().map_err(|error| Failure::file("write", &self.path, &error))
    }

    /// Adds bytes at the end.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| Failure::file("write", &self.path, &error))
    }

    /// It is whole: gives it its name, durably.
    pub fn finish(self) -> Result<(), Failure> {
        let finish = || -> io::Result<()> {
            self.file.sync_all()?;
            fs::rename(&self.path, &self.target)?;
            if let Some(folder) = self.target.parent() {
                let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
                File::open(folder)?.sync_all()?;
            }
            remove(&self.etag_path)
        };
        finish().map_err(|error| Failure::file("finish", &self.target, &error))
    }

    /// It is not what it should be: takes it away.
    pub fn discard(self) -> Result<(), Failure> {
        remove(&self.path)
            .and_then(|()| remove(&self.etag_path))
            .map_err(|error| Failure::file("remove", &self.path, &error))
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_goes_on_where_it_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("a.mp4");
        let mut part = Part::open(&target).expect("new");
        assert_eq!(part.etag(), None);
        part.restart(Some("\"x\"")).expect("begun");
        part.append(b"abc").expect("written");
        assert!(Part::open(&target).is_err(), "held");
        drop(part);
        let mut part = Part::open(&target).expect("free");
        assert_eq!(part.etag().as_deref(), Some("\"x\""));
        let mut hasher = Hasher::new();
        assert_eq!(part.resume(&mut hasher), Ok(3));
        assert_eq!(hasher.finalize(), blake3::hash(b"abc"));
        part.append(b"def").expect("written");
        part.finish().expect("whole");
        assert_eq!(fs::read(&target).expect("there"), b"abcdef");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn a_folder_is_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(Part::open(folder.path()).is_err());
    }
}
