//! Whether a service is there.

use super::pool::Pool;
use std::fmt;
use std::sync::Arc;

/// Says whether some replica of a service can be reached.
#[derive(Clone, Debug)]
pub struct Reach(Option<Arc<Pool>>);

/// Why no replica can be reached.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct Unreached {
    peers: String,
    why: String,
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nobody can be reached at {}: {}", self.peers, self.why)
    }
}

impl Reach {
    /// That of a service in the same process, which is always there.
    pub fn within() -> Self {
        Self(None)
    }

    pub(super) fn of(pool: Arc<Pool>) -> Self {
        Self(Some(pool))
    }

    /// Whether a replica is connected now; if none is, why.
    pub fn now(&self) -> Result<(), Unreached> {
        let Some(pool) = &self.0 else { return Ok(()) };
        pool.standing().map_err(|why| Unreached { peers: pool.peers.to_string(), why })
    }

    /// Returns when a replica is connected.
    pub async fn come(&self) {
        let Some(pool) = &self.0 else { return };
        let mut changes = pool.changes();
        while pool.standing().is_err() {
            // The pool holds the sender.
            let _ = changes.changed().await;
        }
    }
}
