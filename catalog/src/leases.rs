//! Which leases are dead. Clocks of two machines are never compared: a lease is dead when this observer saw it without a
//! beat for a while of its own monotonic time.

use crate::Catalog;
use crate::store::JobRow;
use crate::sweep::each;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;
use vidstream_proto::error::Problem;
use vidstream_proto::job::{Fence, JobId, JobKind, JobProgress, JobState};

/// Leases of one job that may die without a word: a job that kills its workers must not be tried for ever.
const MOST_LOST: u32 = 10;

#[derive(Clone, Copy, Debug)]
struct Seen {
    fence: Fence,
    beat: u64,
    since: Instant,
}

/// What an observer remembers of the leases it saw.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    seen: HashMap<JobId, Seen>,
}

impl Observer {
    /// Looks at all leases there are; those that were the same for `death` are dead.
    pub(crate) fn dead(&mut self, leased: Vec<JobRow>, death: Duration) -> Vec<JobRow> {
        let now = Instant::now();
        let seen = |row: &JobRow| {
            let fresh = Seen { fence: row.job.fence, beat: row.job.beat, since: now };
            let known = self.seen.get(&row.job.id);
            let same = known.filter(|known| known.fence == fresh.fence && known.beat == fresh.beat);
            (row.job.id.clone(), same.copied().unwrap_or(fresh))
        };
        self.seen = leased.iter().map(seen).collect();
        let is_dead = |row: &JobRow| self.seen.get(&row.job.id).is_some_and(|seen| now - seen.since >= death);
        leased.into_iter().filter(is_dead).collect()
    }
}

impl Catalog {
    /// Ends leases that died: their jobs go back to the queue.
    pub(crate) async fn end_dead_leases(&self, observer: &mut Observer) -> Result<(), Problem> {
        let dead = observer.dead(self.store.leased_jobs().await?, self.config.lease_death);
        each(dead, |row| async move {
            tracing::warn!(job = %row.job.id, fence = %row.job.fence, worker = row.job.worker, "a lease died");
            self.end_lease(&row, true).await
        })
        .await
    }

    /// Ends all leases of workers that lived in this process's former life: once, and before a new one is given.
    pub(crate) async fn free_former_leases(&self) -> Result<(), Problem> {
        if !self.config.free_leases_at_start {
            return Ok(());
        }
        let free = || async {
            for row in self.store.leased_jobs().await? {
                self.end_lease(&row, false).await?;
            }
            Ok(())
        };
        self.freed.get_or_try_init(free).await.copied()
    }

    /// Ends the lease that was seen, unless it moved since. One that was `lost` is counted.
    async fn end_lease(&self, seen: &JobRow, lost: bool) -> Result<(), Problem> {
        let mut ends = false;
        let ended = self.change_job(&seen.job.id, |row| {
            ends = row.revision == seen.revision;
            if !ends {
                return Ok(());
            }
            row.lost += u32::from(lost);
            row.job.progress = JobProgress::default();
            row.job.worker.clear();
            row.job.state = JobState::Queued;
            if row.lost >= MOST_LOST && row.job.kind != JobKind::Delete {
                row.job.state = JobState::Failed;
                row.job.reason = format!("the {MOST_LOST} workers that tried stopped without a word");
                row.unapplied = true;
            }
            Ok(())
        });
        let row = ended.await?;
        if ends && lost {
            self.figures.lease_lost(&row.job);
        }
        tracing::trace!(name: "lease.ended", target: "point", "a lost job waits, and no bell was rung");
        if row.job.state == JobState::Queued {
            self.part_waits(&row.job).await?;
            self.ring(row.job.class());
        }
        self.apply(row).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;
    use vidstream_proto::ids::SourceId;
    use vidstream_proto::job::Job;

    fn leased(id: &JobId, source_id: SourceId, fence: u64, beat: u64) -> JobRow {
        let now = SystemTime::UNIX_EPOCH;
        let job = Job {
            id: id.clone(),
            source_id,
            kind: JobKind::Ingest,
            priority: 0,
            state: JobState::Leased,
            attempts: 0,
            fence: Fence(fence),
            worker: "w".into(),
            beat,
            progress: JobProgress::default(),
            reason: String::new(),
            create_time: now,
            update_time: now,
            not_before: None,
            queue_position: 0,
        };
        JobRow { job, revision: 1, lost: 0, result: None, unapplied: false, maker: 0 }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_lives_as_long_as_it_beats() {
        let (source, death) = (SourceId::generate(), Duration::from_secs(30));
        let id = JobId::new(source, JobKind::Ingest, "index", "0");
        let mut observer = Observer::default();
        let mut look = |fence, beat| observer.dead(vec![leased(&id, source, fence, beat)], death).len();
        assert_eq!(look(1, 0), 0, "seen for the first time");
        tokio::time::advance(death.saturating_sub(Duration::from_secs(1))).await;
        assert_eq!(look(1, 0), 0);
        assert_eq!(look(1, 1), 0, "it beat");
        tokio::time::advance(death.saturating_sub(Duration::from_secs(1))).await;
        assert_eq!(look(2, 1), 0, "another lease");
        tokio::time::advance(death).await;
        assert_eq!(look(2, 1), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_ended_is_forgotten() {
        let (source, death) = (SourceId::generate(), Duration::from_secs(30));
        let id = JobId::new(source, JobKind::Ingest, "index", "0");
        let mut observer = Observer::default();
        observer.dead(vec![leased(&id, source, 1, 0)], death);
        observer.dead(Vec::new(), death);
        tokio::time::advance(death).await;
        assert!(observer.dead(vec![leased(&id, source, 1, 0)], death).is_empty());
        assert_eq!(observer.seen.len(), 1);
    }
}
