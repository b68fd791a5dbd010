//! The beat of a lease: says that the worker lives and how far it is, and hears whether it shall stop.

use crate::catalog::{Catalog, Lease, passes};
use crate::config::Config;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use vidstream_proto::job::JobProgress;

/// Before a beat that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Why a lease is no longer to be worked on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lost {
    /// The job is not wanted any more.
    Cancelled,
    /// Somebody else has it.
    Taken,
    /// The catalog was not heard for so long that somebody else may have it.
    Unheard,
}

/// Beats until the lease is lost.
pub(crate) async fn keep(
    catalog: &Catalog,
    lease: &Lease,
    progress: watch::Receiver<JobProgress>,
    config: &Config,
) -> Lost {
    // When a beat was sent that was answered: the catalog counts from then on, or later.
    let mut heard = Instant::now();
    let mut number = lease.job.beat;
    let mut next = heard + config.beat;
    loop {
        let given_up = heard + config.lost_after;
        sleep_until(next.min(given_up)).await;
        let sent = Instant::now();
        if sent >= given_up {
            return Lost::Unheard;
        }
        number += 1;
        let now = *progress.borrow();
        match timeout_at(given_up, catalog.beat(&lease.job, number, now)).await {
            Ok(Ok(false)) => (heard, next) = (sent, sent + config.beat),
            Ok(Ok(true)) => return Lost::Cancelled,
            Ok(Err(problem)) if passes(&problem) => {
                tracing::debug!(job = %lease.job.id, %problem, "a beat failed");
                next = Instant::now() + AGAIN;
            }
            Ok(Err(problem)) => {
                tracing::debug!(job = %lease.job.id, %problem, "a beat was refused");
                return Lost::Taken;
            }
            Err(_) => return Lost::Unheard,
        }
    }
}
