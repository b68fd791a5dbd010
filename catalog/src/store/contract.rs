//! What every store must do, as one suite of checks.

use super::Store;
use futures::future::BoxFuture;
use std::sync::Arc;

/// A store that is being opened.
pub type Opened = BoxFuture<'static, Arc<dyn Store>>;

/// Checks the store that `open` opens, empty at first; `open` is called again to see what stayed.
///
/// # Panics
///
/// If the store breaks the contract.
pub async fn store_contract(open: Arc<dyn Fn() -> Opened + Send + Sync>) {
    let _ = open().await;
}
