//! The loops: a pass at intervals that repairs what a crash left out, purges when their time comes, the copies of
//! uploads' progress, and now and then the garbage.

use crate::Catalog;
use crate::leases::Observer;
use crate::views;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use vidstream_proto::error::Problem;
use vidstream_proto::ids::SourceId;

/// Rows of one read.
const PAGE: usize = 200;
/// What was begun less than this ago is not taken for a crash.
const BEGUN: Duration = Duration::from_secs(30);
/// Between two passes that forget what is old.
const FORGET_INTERVAL: Duration = Duration::from_mins(10);
/// Between two looks at open uploads, at the most; more often where uploads expire soon, and never more than each second.
const OPEN_INTERVAL: Duration = Duration::from_mins(10);
const OPEN_LOOKS: u32 = 4;
/// The longest sleep until something is due: a wall clock can be set.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

impl Catalog {
    /// Sweeps, purges and notes progress until the lifecycle stops. A store that fails is waited for.
    pub async fn run(self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        // What was taken to be written is lost where that is dropped: views are counted to the end.
        tokio::join!(self.sweep_until_stop(), self.views_until_drained());
        // The rows of open uploads should not be older than they must.
        report("note arrivals", self.note_arrivals().await);
        Ok(())
    }

    async fn sweep_until_stop(&self) {
        let stopping = self.lifecycle.stopping().clone();
        let work = async {
            tokio::join!(
                self.sweep_loop(),
                self.newer_loop(),
                self.open_loop(),
                self.due_loop(),
                self.arrivals_loop(),
                self.hear_wants(),
                self.garbage_loop()
            )
        };
        tokio::select! {
            () = stopping.cancelled() => {}
            _ = work => {}
        }
    }

    async fn sweep_loop(&self) {
        let mut observer = Observer::default();
        let mut forget_at = Instant::now();
        report("free leases", self.free_former_leases().await);
        loop {
            self.sweep(&mut observer).await;
            if Instant::now() >= forget_at {
                report("forget what is old", self.forget().await);
                forget_at = Instant::now() + FORGET_INTERVAL;
            }
            tokio::time::sleep(self.config.sweep_interval).await;
        }
    }

    /// What an older version left unreadable is made anew as soon as a newer worker is there, not on the next sweep.
    async fn newer_loop(&self) {
        loop {
            self.makers.newer().await;
            report("try outdated sources again", self.try_outdated_again().await);
        }
    }

    async fn open_loop(&self) {
        let interval = (self.config.upload_expiry / OPEN_LOOKS).clamp(Duration::from_secs(1), OPEN_INTERVAL);
        loop {
            report("look at open uploads", self.look_at_open_uploads().await);
            tokio::time::sleep(interval).await;
        }
    }

    /// One pass. A step that fails does not keep the others from being done.
    pub(crate) async fn sweep(&self, observer: &mut Observer) {
        report("set the clock", self.set_clock().await);
        report("complete creations", self.complete_creations().await);
        report("apply outcomes", self.apply_outcomes().await);
        report("settle sources", self.settle_sources().await);
        report("try outdated sources again", self.try_outdated_again().await);
        report("end dead leases", self.end_dead_leases(observer).await);
        report("resume purges", self.resume_purges().await);
        report("ring", self.ring_for_waiting().await);
        self.wants.forget_expired();
    }

    async fn complete_creations(&self) -> Result<(), Problem> {
        let pending = self.store.pending_requests(self.now() - BEGUN, PAGE).await?;
        each(pending, |row| async move { self.complete_creation(&row).await.map(drop) }).await
    }

    async fn apply_outcomes(&self) -> Result<(), Problem> {
        each(self.store.unapplied_jobs(PAGE).await?, |row| async move { self.apply(row).await }).await
    }

    async fn settle_sources(&self) -> Result<(), Problem> {
        each(self.store.unsettled_sources(PAGE).await?, |source| async move { self.settle(&source).await }).await
    }

    async fn ring_for_waiting(&self) -> Result<(), Problem> {
        for class in self.store.waiting_classes(self.now()).await? {
            self.ring(class);
        }
        Ok(())
    }

    /// Copies how much of each open upload is recorded into its row, where what came last before a crash is missing, and
    /// gives up those that brought nothing for long.
    async fn look_at_open_uploads(&self) -> Result<(), Problem> {
        let mut after: Option<SourceId> = None;
        loop {
            let open = self.store.open_sources(after, PAGE).await?;
            let Some(last) = open.last() else {
                return Ok(());
            };
            after = Some(last.id);
            each(open, |source| async move {
                self.note_received(source.id).await?;
                self.expire_upload(source.id).await
            })
            .await?;
        }
    }

    async fn forget(&self) -> Result<(), Problem> {
        let now = self.now();
        self.store.forget_requests(now - self.config.requests_kept).await?;
        self.store.forget_buried(now - self.config.tombstones_kept).await?;
        self.store.forget_jobs(now - self.config.requests_kept).await?;
        while self.store.forget_viewers(now - views::WINDOW, views::MOST_VIEWERS).await? {}
        Ok(())
    }

    /// Purges when their time comes, and rings when jobs become due.
    async fn due_loop(&self) {
        loop {
            report("purge", self.purge_due().await);
            report("ring", self.ring_for_waiting().await);
            let now = self.now();
            let next = self.store.next_due(now).await.ok().flatten();
            let delay = next.and_then(|due| due.duration_since(now).ok()).unwrap_or(LONGEST_SLEEP);
            tokio::select! {
                () = sleep_until(Instant::now() + delay.min(LONGEST_SLEEP)) => {}
                () = self.due.notified() => {}
            }
        }
    }

    async fn arrivals_loop(&self) {
        loop {
            tokio::time::sleep(self.config.received_interval).await;
            report("note arrivals", self.note_arrivals().await);
        }
    }
}

/// Does `step` for every row, so that one that can't be done does not hold up the others; the last problem is told.
pub(crate) async fn each<T, F>(rows: impl IntoIterator<Item = T>, step: impl Fn(T) -> F) -> Result<(), Problem>
where
    F: Future<Output = Result<(), Problem>>,
{
    let mut outcome = Ok(());
    for row in rows {
        outcome = step(row).await.and(outcome);
    }
    outcome
}

/// Failures of the store are nobody's answer here: the next pass tries again.
pub(crate) fn report(step: &'static str, outcome: Result<(), Problem>) {
    if let Err(problem) = outcome {
        tracing::warn!(step, error = %problem, "a step of the sweep failed; the next one tries again");
    }
}
