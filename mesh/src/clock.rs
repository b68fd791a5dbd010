//! Time as a dependency, so that tests can hold it.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::SystemTime;

/// Wall-clock time for rows and people. Intervals use tokio's clock, which tests can pause.
pub trait Clock: Send + Sync + Debug {
    /// Now.
    fn now(&self) -> SystemTime;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// The machine's clock, shared.
pub fn system() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}
