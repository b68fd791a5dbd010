//! One look at the store for all watchers that stand at the same place. A change wakes everybody who watches all videos, and
//! each would ask the store the same.

use crate::store::{Changes, ChangesQuery, Store, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// A look that nothing but time was the reason for may be so old.
const STALE: Duration = Duration::from_millis(500);

/// Why a watcher looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Why {
    /// It heard of a change, or of the end of its page: what it is told must be at least as new as this number.
    Since(u64),
    /// A notice may have been lost.
    Interval,
}

/// What was seen last, and by whom it may be used.
struct Seen {
    query: ChangesQuery,
    /// All numbers given out before the look began.
    covers: u64,
    began: Instant,
    changes: Option<Changes>,
}

/// Looks that watchers share.
pub(crate) struct Looks {
    began: Instant,
    asked: AtomicU64,
    last: Mutex<Option<Arc<Seen>>>,
}

impl Default for Looks {
    fn default() -> Self {
        Self { began: Instant::now(), asked: AtomicU64::default(), last: Mutex::default() }
    }
}

impl std::fmt::Debug for Looks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Looks").field("asked", &self.asked).finish_non_exhaustive()
    }
}

impl Looks {
    /// Which second this is: one for all watchers, so that they look for the same.
    pub(super) fn second(&self) -> u64 {
        self.began.elapsed().as_secs()
    }

    /// A number for a watcher that has just taken all notices there were.
    pub(super) fn number(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// As [`Store::changes`].
    pub(super) async fn changes(
        &self,
        store: &dyn Store,
        query: ChangesQuery,
        why: Why,
    ) -> Result<Option<Changes>, StoreError> {
        let mut last = self.last.lock().await;
        let usable = |seen: &&Arc<Seen>| {
            seen.query == query
                && match why {
                    Why::Since(number) => seen.covers >= number,
                    Why::Interval => seen.began.elapsed() <= STALE,
                }
        };
        if let Some(seen) = last.as_ref().filter(usable) {
            let seen = Arc::clone(seen);
            drop(last);
            return Ok(seen.changes.clone());
        }
        let (covers, began) = (self.asked.load(Ordering::Relaxed), Instant::now());
        let changes = store.changes(query).await?;
        *last = Some(Arc::new(Seen { query, covers, began, changes: changes.clone() }));
        Ok(changes)
    }
}
