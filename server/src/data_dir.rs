//! The data directory: one process at a time, and a format version so that a later program knows what it opens.

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::Write;
use std::path::Path;

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
        let lock = File::create(path.join("lock")).with_context(|| format!("open the lock in {shown}"))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!("{shown} is in use by another vidstream; stop that one, or choose another --data-dir");
        }
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
