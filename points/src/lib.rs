//! Fail points: a server that ends itself, as `kill -9` would, where a test wants it to.
//!
//! A point is an event of `tracing` with the target [`TARGET`] and a name of its own, such as
//!
//! ```text
//! tracing::trace!(name: "upload.stored", target: "point", "an extent is stored and not recorded");
//! ```
//!
//! In what people run it is that and no more: a line of the log that nobody asks for. Only with the feature `armed` is there
//! somebody who looks for the point that [`VARIABLE`] names. That it needs a crate of its own saves time: the feature is on
//! where the tests are built (`vidstream-tests` asks for it) and off where only the server is; either way everything else is
//! compiled once, because nothing but the server's `main` depends on this.

use tracing_subscriber::{Layer, Registry};

/// The target of the events that are points.
pub const TARGET: &str = "point";
/// The variable that names a point, `upload.stored`, or its third passing, `upload.stored:3`.
pub const VARIABLE: &str = "FAIL_POINT";

/// Who watches for the point that the environment names; nobody where it names none, and nobody in an unarmed build.
pub fn watcher() -> Option<Box<dyn Layer<Registry> + Send + Sync>> {
    #[cfg(feature = "armed")]
    return armed::Watcher::of_environment().map(armed::Watcher::boxed);
    #[cfg(not(feature = "armed"))]
    None
}

#[cfg(feature = "armed")]
mod armed {
    use super::{TARGET, VARIABLE};
    use rustix::process::{Signal, getpid, kill_process};
    use std::sync::atomic::{AtomicU32, Ordering};
    use tracing::{Event, Metadata};
    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::{Context, Layer};

    pub(super) struct Watcher {
        point: String,
        /// Passings that are let by, and the one that is not.
        left: AtomicU32,
    }

    impl Watcher {
        pub(super) fn of_environment() -> Option<Self> {
            let given = std::env::var(VARIABLE).ok()?;
            let (point, count) = given.split_once(':').unwrap_or((&given, "1"));
            let count = count.parse().unwrap_or(1);
            Some(Self { point: point.to_owned(), left: AtomicU32::new(count) })
        }

        pub(super) fn boxed(self) -> Box<dyn Layer<Registry> + Send + Sync> {
            let is_point = tracing_subscriber::filter::filter_fn(|metadata: &Metadata<'_>| metadata.target() == TARGET);
            Layer::boxed(self.with_filter(is_point))
        }
    }

    impl Layer<Registry> for Watcher {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, Registry>) {
            if event.metadata().name() == self.point && self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
                // Nothing is flushed, closed or unwound.
                let _ = kill_process(getpid(), Signal::KILL);
            }
        }
    }
}
