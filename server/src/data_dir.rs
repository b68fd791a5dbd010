//! What one process at a time may have: the data directory, with a format version so that a later program knows what it
//! opens, and a catalog's file, which may lie elsewhere.

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Version of what lies in the directory.
const FORMAT: &str = "vidstream data 1\n";

/// Holds the directory's lock while it lives; the system frees it however the process ends.
#[derive(Debug)]
pub struct DataDir {
    _lock: File,
}

impl DataDir {
    /// Makes the directory where it is missing, locks it and checks its format.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let made = path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).count();
        std::fs::create_dir_all(path).with_context(|| format!("make the data directory {shown}"))?;
        let lock = hold(&path.join("lock"), || {
            format!("{shown} is in use by another vidstream; stop that one, or choose another --data-dir")
        })?;
        let format = path.join("format");
        let written = match std::fs::read_to_string(&format) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("read {}", format.display())),
        };
        // Its beginning, or nothing of it: the disk was full, or the process was killed, when it was written.
        if written != FORMAT && FORMAT.starts_with(&written) {
            let mut file = File::create(&format).with_context(|| format!("write {}", format.display()))?;
            file.write_all(FORMAT.as_bytes()).and_then(|()| file.sync_all()).context("write the format")?;
            sync_upwards(path, made).with_context(|| format!("sync {shown}"))?;
        } else if written != FORMAT {
            bail!("{shown} has the format `{}`, this program knows `{}`", written.trim(), FORMAT.trim());
        }
        Ok(Self { _lock: lock })
    }
}

/// Holds the file of a catalog on SQLite while it lives. SQLite itself lets several processes write; but one that starts frees
/// all leases, because it takes them for those of its former self, and one does not hear of what the other changes.
#[derive(Debug)]
pub struct CatalogFile {
    _lock: File,
}

impl CatalogFile {
    /// Locks the catalog at `path`, wherever that is and by whatever name; it need not be there yet. The lock is a file of its
    /// own beside it: SQLite's locks on the file itself would go with ours.
    pub fn hold(path: &Path) -> anyhow::Result<Self> {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut beside = path.clone().into_os_string();
        beside.push("-lock");
        let lock = hold(&PathBuf::from(beside), || {
            format!(
                "the catalog {} is in use by another vidstream; stop that one, choose another --catalog, or let this \
                 process use that one's by --to-catalog",
                path.display()
            )
        })?;
        Ok(Self { _lock: lock })
    }
}

/// The lock at `path`; refused in these words if another process has it.
fn hold(path: &Path, taken: impl FnOnce() -> String) -> anyhow::Result<File> {
    let lock = File::create(path).with_context(|| format!("open the lock {}", path.display()))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(Errno::WOULDBLOCK) => bail!(taken()),
        Err(error) => Err(error).with_context(|| format!("lock {}", path.display())),
    }
}

/// Makes what is in `path` durable, and its own entry, and those of the folders above it of which `made` are new. A power cut
/// would otherwise take everything that was acknowledged.
fn sync_upwards(path: &Path, made: usize) -> std::io::Result<()> {
    let path = path.canonicalize()?;
    path.ancestors().take(made.max(1) + 1).try_for_each(|folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time() {
        let dir = tempfile::tempdir().expect("tempdir");
        let first = DataDir::open(dir.path()).expect("fresh");
        assert!(DataDir::open(dir.path()).expect_err("locked").to_string().contains("in use"));
        drop(first);
        DataDir::open(dir.path()).expect("free again");
    }

    #[test]
    fn a_catalog_has_one_process_by_whatever_name() {
        let dir = tempfile::tempdir().expect("tempdir");
        let (file, other) = (dir.path().join("catalog.db"), dir.path().join("other"));
        let first = CatalogFile::hold(&file).expect("not there yet");
        assert!(CatalogFile::hold(&file).expect_err("held").to_string().contains("is in use"));
        std::fs::write(&file, "").expect("written");
        std::os::unix::fs::symlink(&file, &other).expect("linked");
        assert!(CatalogFile::hold(&other).expect_err("the same").to_string().contains("is in use"));
        drop(first);
        CatalogFile::hold(&other).expect("free again");
        let missing = CatalogFile::hold(&dir.path().join("missing/catalog.db")).expect_err("no folder").to_string();
        assert!(missing.contains("open the lock"), "{missing}");
    }

    #[test]
    fn what_a_full_disk_left_is_written_again() {
        let dir = tempfile::tempdir().expect("tempdir");
        let format = dir.path().join("format");
        for torn in ["", "vidstream da"] {
            std::fs::write(&format, torn).expect("written");
            DataDir::open(dir.path()).expect("mended");
            assert_eq!(std::fs::read_to_string(&format).expect("text"), FORMAT);
        }
        std::fs::write(&format, "vidstream data 9\n").expect("written");
        let error = DataDir::open(dir.path()).expect_err("of a later program").to_string();
        assert!(error.contains("has the format `vidstream data 9`"), "{error}");
    }

    #[test]
    fn another_format_is_refused() {
        let dir = tempfile::tempdir().expect("tempdir");
        std::fs::write(dir.path().join("format"), "vidstream data 9\n").expect("write");
        assert!(DataDir::open(dir.path()).expect_err("format").to_string().contains("data 9"));
    }
}
