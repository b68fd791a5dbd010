//! Jobs: who has them, and how they end.

use crate::catalog::{Catalog, TRIES};
use crate::sources::{contended, is_going};
use crate::store::{JobRow, JobsQuery, Maker};
use crate::wanted::{Wanted, derive, part_of};
use std::time::Duration;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::SourceId;
use vidstream_proto::job::{Fence, Job, JobClass, JobId, JobKind, JobProgress, JobState};
use vidstream_proto::pb::{FailureKind, finish_job_request};
use vidstream_proto::source::{Part, Source};

/// Attempts that may fail by the job's own fault.
const MOST_ATTEMPTS: u32 = 3;
/// Before a job that failed by its own fault is tried again; doubled each time.
const FIRST_BACKOFF: Duration = Duration::from_secs(5);
/// Before a job that the infrastructure failed is tried again.
const INFRASTRUCTURE_BACKOFF: Duration = Duration::from_secs(2);
/// The longest time between two attempts to delete something.
const LONGEST_BACKOFF: Duration = Duration::from_mins(5);

fn is_unfinished(job: &Job) -> bool {
    matches!(job.state, JobState::Queued | JobState::Leased)
}

/// Whether its last lease may still bring a result, or has brought one that its source may not show yet.
pub(crate) fn can_finish(row: &JobRow) -> bool {
    row.job.state == JobState::Leased || row.unapplied
}

/// Whether the lease `fence` of `job` is the present one.
pub(crate) fn check_fence(job: &Job, fence: Fence) -> Result<(), Problem> {
    if job.fence == fence {
        return Ok(());
    }
    Err(lost(job, fence))
}

pub(crate) fn lost(job: &Job, fence: Fence) -> Problem {
    let text = format!("lease {fence} of job {} was lost; the last one is {}", job.id, job.fence);
    Problem::new(Reason::StaleFence, text)
}

fn back_to_queue(job: &mut Job) {
    job.state = JobState::Queued;
    job.worker.clear();
    job.progress = JobProgress::default();
}

impl Catalog {
    pub(crate) async fn job(&self, id: &JobId) -> Result<JobRow, Problem> {
        self.store.job(id).await?.ok_or_else(|| Problem::not_found("job", id))
    }

    /// Changes a job's row by compare-and-set; a change that leaves it as it was is not written. `change` is called again
    /// when somebody else was faster.
    pub(crate) async fn change_job(
        &self,
        id: &JobId,
        mut change: impl FnMut(&mut JobRow) -> Result<(), Problem> + Send,
    ) -> Result<JobRow, Problem> {
        for _ in 0..TRIES {
            let before = self.job(id).await?;
            let mut after = before.clone();
            change(&mut after)?;
            if after == before {
                return Ok(before);
            }
            after.revision += 1;
            after.job.update_time = self.now();
            if self.store.replace_job(after.clone(), before.revision).await? {
                return Ok(after);
            }
        }
        Err(contended("job", id))
    }

    /// Sees to it that a wanted job is queued or leased; `known` are the jobs that its source has.
    pub(crate) async fn ensure_job(&self, source: SourceId, wanted: Wanted, known: &[JobRow]) -> Result<(), Problem> {
        let class = wanted.kind.class();
        let row = known.iter().find(|row| row.job.id == wanted.id).cloned();
        let row = match row {
            Some(row) => row,
            None if self.store.insert_job(self.new_job(source, &wanted, known)).await? => {
                tracing::trace!(name: "job.queued", target: "point", "a job waits, and no bell was rung");
                self.ring(class);
                return Ok(());
            }
            None => self.job(&wanted.id).await?,
        };
        if is_unfinished(&row.job) && row.job.priority < wanted.priority {
            return self.hurry(&wanted).await;
        }
        if is_unfinished(&row.job) || row.unapplied {
            return Ok(());
        }
        // It ended before. Whether the source still wants it is only known from a row read after the job's.
        let source = self.source(source).await?;
        if !derive(&source).iter().any(|still| still.id == wanted.id) {
            return Ok(());
        }
        let row = self.change_job(&wanted.id, |now| {
            if now.revision == row.revision {
                back_to_queue(&mut now.job);
                (now.job.attempts, now.lost, now.job.not_before) = (0, 0, None);
                (now.result, now.job.reason) = (None, String::new());
            }
            Ok(())
        });
        row.await?;
        tracing::trace!(name: "job.again", target: "point", "a job waits once more, and no bell was rung");
        self.ring(class);
        Ok(())
    }

    /// Raises the priority of a job; one that waits for its next attempt waits no longer.
    async fn hurry(&self, wanted: &Wanted) -> Result<(), Problem> {
        let raised = self.change_job(&wanted.id, |row| {
            if row.job.priority < wanted.priority {
                (row.job.priority, row.job.not_before) = (wanted.priority, None);
            }
            Ok(())
        });
        raised.await?;
        tracing::trace!(name: "job.hurried", target: "point", "a job waits no longer, and no bell was rung");
        self.ring(wanted.kind.class());
        Ok(())
    }

    /// A job beside those that the source has. Fences go on where those of its kind are: outputs lie by kind and fence, and
    /// what one job wrote must not be written over by another one.
    fn new_job(&self, source_id: SourceId, wanted: &Wanted, known: &[JobRow]) -> JobRow {
        let now = self.now();
        let same_kind = known.iter().filter(|row| row.job.kind == wanted.kind);
        let fence = same_kind.map(|row| row.job.fence).max().unwrap_or_default();
        let job = Job {
            id: wanted.id.clone(),
            source_id,
            kind: wanted.kind,
            priority: wanted.priority,
            state: JobState::Queued,
            attempts: 0,
            fence,
            worker: String::new(),
            beat: 0,
            progress: JobProgress::default(),
            reason: String::new(),
            create_time: now,
            update_time: now,
            not_before: None,
            queue_position: 0,
        };
        JobRow { job, revision: 1, lost: 0, result: None, unapplied: false, maker: 0 }
    }

    /// Cancels what a source that goes does not want any more.
    pub(crate) async fn cancel_unwanted(&self, source: &Source) -> Result<(), Problem> {
        if !is_going(source) {
            return Ok(());
        }
        let wanted = derive(source);
        let is_wanted = |job: &Job| wanted.iter().any(|wanted| wanted.id == job.id);
        for row in self.store.jobs_of(source.id).await? {
            if is_unfinished(&row.job) && !is_wanted(&row.job) {
                self.cancel(&row.job.id).await?;
            }
        }
        Ok(())
    }

    async fn cancel(&self, id: &JobId) -> Result<(), Problem> {
        let cancelled = self.change_job(id, |row| {
            if is_unfinished(&row.job) {
                row.job.state = JobState::Cancelled;
                row.unapplied = false;
            }
            Ok(())
        });
        cancelled.await.map(|_| ())
    }

    /// Leases the best job of these classes, with its source.
    pub(crate) async fn take_job(
        &self,
        classes: &[JobClass],
        worker: &str,
        maker: Maker,
    ) -> Result<Option<(Job, Source)>, Problem> {
        self.free_former_leases().await?;
        self.makers.note(maker);
        self.workers.note(classes);
        while let Some(row) = self.store.lease_job(classes, worker, maker.version, self.now()).await? {
            let job = row.job;
            match self.begin(&job).await {
                Ok(Some(source)) => return Ok(Some((job, source))),
                Ok(None) => {}
                Err(problem) => {
                    self.give_back(&job).await;
                    return Err(problem);
                }
            }
        }
        Ok(None)
    }

    /// Begins a job that was leased; its source, unless that does not want it any more.
    async fn begin(&self, job: &Job) -> Result<Option<Source>, Problem> {
        let wants = |source: &Source| derive(source).iter().any(|wanted| wanted.id == job.id);
        if !self.store.source(job.source_id).await?.as_ref().is_some_and(wants) {
            self.cancel(&job.id).await?;
            return Ok(None);
        }
        tracing::trace!(name: "job.leased", target: "point", "a job has a lease, and its worker was not told");
        self.move_part(job.source_id, job.kind, &job.id, Part::running()).await.map(Some)
    }

    /// Puts a job back whose lease no worker got. Left alone it would die, and count as one whose worker did.
    async fn give_back(&self, job: &Job) {
        let later = self.now() + INFRASTRUCTURE_BACKOFF;
        let back = self.change_job(&job.id, |row| {
            if row.job.fence == job.fence && row.job.state == JobState::Leased {
                back_to_queue(&mut row.job);
                row.job.not_before = Some(later);
            }
            Ok(())
        });
        match back.await {
            Ok(_) => self.due.notify_one(),
            Err(problem) => {
                tracing::warn!(job = %job.id, error = %problem, "a lease that nobody has must die by itself");
            }
        }
    }

    /// Moves the part of a job that waits or runs, while the source wants the job.
    pub(crate) async fn move_part(
        &self,
        source: SourceId,
        kind: JobKind,
        id: &JobId,
        part: Part,
    ) -> Result<Source, Problem> {
        self.update_source(source, |source| {
            let wanted = derive(source).iter().any(|wanted| wanted.id == *id);
            if let Some(moved) = part_of(source, id, kind).filter(|_| wanted) {
                moved.clone_from(&part);
            }
            Ok(())
        })
        .await
    }

    /// Keeps a lease alive; says whether the worker shall stop.
    pub(crate) async fn beat_job(
        &self,
        id: &JobId,
        fence: Fence,
        beat: u64,
        progress: Option<JobProgress>,
    ) -> Result<bool, Problem> {
        let row = self.change_job(id, |row| {
            check_fence(&row.job, fence)?;
            match row.job.state {
                JobState::Leased => {}
                JobState::Cancelled => return Ok(()),
                _ => return Err(lost(&row.job, fence)),
            }
            row.job.beat = row.job.beat.max(beat);
            row.job.progress = progress.unwrap_or(row.job.progress);
            Ok(())
        });
        Ok(row.await?.job.state == JobState::Cancelled)
    }

    /// Ends a job with its result.
    pub(crate) async fn finish_job(
        &self,
        id: &JobId,
        fence: Fence,
        result: finish_job_request::Result,
    ) -> Result<(), Problem> {
        let mut ended = false;
        let row = self.change_job(id, |row| {
            check_fence(&row.job, fence)?;
            ended = row.job.state == JobState::Leased;
            match row.job.state {
                JobState::Leased => {}
                // Said before; the answer was lost.
                JobState::Done => return Ok(()),
                JobState::Cancelled => {
                    return Err(Problem::new(Reason::SourceDying, format!("job {id} is not wanted any more")));
                }
                _ => return Err(lost(&row.job, fence)),
            }
            row.job.state = JobState::Done;
            row.job.progress.percent = 100.0;
            row.job.reason.clear();
            row.result = Some(result.clone());
            row.unapplied = true;
            Ok(())
        });
        let row = row.await?;
        if ended {
            self.figures.attempt_ended(&row.job, true);
        }
        tracing::trace!(name: "job.done", target: "point", "a job is done, and its source does not know");
        self.apply(row).await
    }

    /// Ends an attempt without a result.
    pub(crate) async fn fail_job(
        &self,
        id: &JobId,
        fence: Fence,
        kind: FailureKind,
        reason: &str,
    ) -> Result<(), Problem> {
        let now = self.now();
        let mut ended = false;
        let row = self.change_job(id, |row| {
            check_fence(&row.job, fence)?;
            ended = row.job.state == JobState::Leased;
            if ended {
                reason.clone_into(&mut row.job.reason);
                let delay = end_attempt(row, kind);
                row.job.not_before = delay.map(|delay| now + delay);
            }
            Ok(())
        });
        let row = row.await?;
        if ended {
            self.figures.attempt_ended(&row.job, kind != FailureKind::NotOffered);
        }
        tracing::trace!(name: "job.failed", target: "point", "an attempt has ended, and its source does not know");
        if row.job.state == JobState::Queued && ended {
            let job = &row.job;
            tracing::info!(job = %job.id, attempts = job.attempts, reason, "an attempt failed; it will be tried again");
            self.due.notify_one();
            self.part_waits(job).await?;
        }
        self.apply(row).await
    }

    /// The part of a job that is in the queue again waits.
    pub(crate) async fn part_waits(&self, job: &Job) -> Result<(), Problem> {
        match self.move_part(job.source_id, job.kind, &job.id, Part::waiting()).await {
            Err(problem) if problem.reason != Reason::NotFound => Err(problem),
            _ => Ok(()),
        }
    }

    /// Jobs with their places in the queue.
    pub(crate) async fn list_jobs(&self, query: JobsQuery) -> Result<Vec<Job>, Problem> {
        Ok(self.store.jobs(query).await?)
    }
}

/// Moves a leased job on after a failed attempt; says how long it waits if it is tried again.
fn end_attempt(row: &mut JobRow, kind: FailureKind) -> Option<Duration> {
    let job = &mut row.job;
    let deletes = job.kind == JobKind::Delete;
    let backoff = |attempts: u32| FIRST_BACKOFF * 2u32.saturating_pow(attempts.saturating_sub(1).min(10));
    match kind {
        FailureKind::Infrastructure => {
            back_to_queue(job);
            Some(INFRASTRUCTURE_BACKOFF)
        }
        // Nothing but a deletion ends a dying source, so it is never given up.
        _ if deletes => {
            job.attempts += 1;
            back_to_queue(job);
            Some(backoff(job.attempts).min(LONGEST_BACKOFF))
        }
        FailureKind::Attempt if job.attempts + 1 < MOST_ATTEMPTS => {
            job.attempts += 1;
            back_to_queue(job);
            Some(backoff(job.attempts))
        }
        FailureKind::NotOffered => {
            job.state = JobState::Done;
            (row.result, row.unapplied) = (None, true);
            None
        }
        FailureKind::Attempt | FailureKind::Input | FailureKind::Unspecified => {
            job.attempts += 1;
            job.state = JobState::Failed;
            row.unapplied = true;
            None
        }
    }
}
