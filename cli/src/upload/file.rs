//! A file that is uploaded, and what it is recognised by.

use crate::errors::Failure;
use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The unit of a source's bytes: 8 MiB.
const CELL: u64 = 8 << 20;

/// What a file is recognised by after an interruption, without reading all of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Bytes.
    pub size: u64,
    /// Time of the last change, nanoseconds since 1970 as text (JSON numbers are not that long).
    pub modified: String,
    /// BLAKE3 of the first cell.
    pub first_cell: String,
    /// BLAKE3 of the last cell.
    pub last_cell: String,
}

/// An open file.
#[derive(Debug)]
pub struct SourceFile {
    /// Absolute, without symbolic links.
    pub path: PathBuf,
    /// As it was when it was opened.
    pub fingerprint: Fingerprint,
    file: File,
}

impl SourceFile {
    /// Opens `path` and reads its first and last cell.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let failure = |error: io::Error| Failure::file("open", path, &error);
        let path = path.canonicalize().map_err(failure)?;
        // Asked before it is opened: opening a pipe would wait for its other end.
        let metadata = path.metadata().map_err(failure)?;
        if !metadata.is_file() {
            return Err(Failure::failed(format!("`{}` is not a regular file", path.display())));
        }
        if metadata.len() == 0 {
            return Err(Failure::failed(format!("`{}` is empty: there is nothing to upload", path.display())));
        }
        let file = File::open(&path).map_err(failure)?;
        let fingerprint = fingerprint(&file).map_err(failure)?;
        Ok(Self { path, fingerprint, file })
    }

    /// Its name without folders, and with `_` for what a name may have here and not everywhere: the server takes no other.
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        name.chars().map(|c| if c.is_control() || c == '\\' { '_' } else { c }).collect()
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.fingerprint.size
    }

    /// Fills `buffer` from `offset`.
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    /// Whether it is still what it was when it was opened, as far as size and time tell.
    pub fn is_unchanged(&self) -> io::Result<bool> {
        let now = self.file.metadata()?;
        Ok(now.len() == self.fingerprint.size && modified(&now) == self.fingerprint.modified)
    }
}

fn fingerprint(file: &File) -> io::Result<Fingerprint> {
    let metadata = file.metadata()?;
    let size = metadata.len();
    let last = size.saturating_sub(1) / CELL * CELL;
    Ok(Fingerprint {
        size,
        modified: modified(&metadata),
        first_cell: sum(file, 0, size.min(CELL))?,
        last_cell: sum(file, last, size)?,
    })
}

fn modified(metadata: &Metadata) -> String {
    (i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec())).to_string()
}

fn sum(file: &File, start: u64, end: u64) -> io::Result<String> {
    let length = usize::try_from(end - start).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, start)?;
    Ok(blake3::hash(&bytes).to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_no_file_is_refused_in_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let empty = folder.path().join("empty.mp4");
        fs::write(&empty, "").expect("written");
        let cases = [(folder.path().to_owned(), "regular"), (empty, "empty"), (folder.path().join("none"), "No such")];
        for (path, word) in cases {
            let Failure::Told { message, .. } = SourceFile::open(&path).expect_err("refused") else { panic!("told") };
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn a_change_at_either_end_or_in_time_is_seen() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.mp4");
        let length = usize::try_from(CELL * 2 + 5).expect("small");
        let mut bytes = vec![1; length];
        let write = |bytes: &[u8], seconds: u64| {
            fs::write(&path, bytes).expect("written");
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            File::options().write(true).open(&path).and_then(|f| f.set_modified(time)).expect("dated");
            SourceFile::open(&path).expect("a file").fingerprint
        };
        let first = write(&bytes, 1000);
        assert_eq!(write(&bytes, 1000), first);
        assert_ne!(write(&bytes, 1001), first);
        bytes[0] = 2;
        assert_ne!(write(&bytes, 1000), first);
        bytes[0] = 1;
        bytes[length - 1] = 2;
        assert_ne!(write(&bytes, 1000), first);
        bytes.pop();
        assert_ne!(write(&bytes, 1000), first);
    }
}
