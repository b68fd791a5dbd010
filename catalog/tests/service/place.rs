//! Where a catalog of these tests keeps its rows: a file.

use std::sync::Arc;
use tempfile::TempDir;
use vidstream_catalog::store::{self, Store};

/// A file of a test's own.
pub struct Place(TempDir);

impl Place {
    #[expect(clippy::unused_async, reason = "a place on a server has to be asked for")]
    pub async fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// What is kept there.
    pub async fn open(&self) -> Arc<dyn Store> {
        store::open_file(&self.0.path().join("catalog.db")).await.unwrap()
    }
}
