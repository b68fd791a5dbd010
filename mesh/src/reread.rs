//! What was read from files, and is read again when they changed.

use std::fmt::Display;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// How often the files are looked at, at the most.
const LOOKS_APART: Duration = Duration::from_secs(1);

/// A value that lies in files. Whoever uses it looks whether they changed, so nothing runs while nobody does; they are
/// small, and read faster than a thread is found for it. What can't be used changes nothing, and the log says so.
pub(crate) struct Reread<T> {
    what: &'static str,
    files: Vec<PathBuf>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: T,
    versions: Vec<Version>,
    looked: Instant,
}

/// When a file was written, and how long it is; none if it can't be looked at.
type Version = Option<(SystemTime, u64)>;

impl<T: Clone> Reread<T> {
    /// Reads the value for the first time. `what` it is, for the log.
    pub(crate) fn read<E>(
        what: &'static str,
        files: Vec<PathBuf>,
        load: impl FnOnce(&[PathBuf]) -> Result<T, E>,
    ) -> Result<Self, E> {
        let versions = versions(&files);
        let value = load(&files)?;
        let state = Mutex::new(State { value, versions, looked: Instant::now() });
        Ok(Self { what, files, state })
    }

    /// The files.
    pub(crate) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The value as it is now; `load` reads it again if it has to be.
    pub(crate) fn current<E: Display>(&self, load: impl FnOnce(&[PathBuf]) -> Result<T, E>) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOKS_APART {
            state.looked = Instant::now();
            let versions = versions(&self.files);
            if versions != state.versions {
                state.versions = versions;
                match load(&self.files) {
                    Ok(value) => {
                        state.value = value;
                        tracing::info!("{} changed and was read again", self.what);
                    }
                    Err(error) => {
                        tracing::error!(%error, "{} changed and can't be used; it stays what it was", self.what);
                    }
                }
            }
        }
        state.value.clone()
    }
}

fn versions(files: &[PathBuf]) -> Vec<Version> {
    let version = |file: &PathBuf| {
        let metadata = fs::metadata(file).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.iter().map(version).collect()
}
