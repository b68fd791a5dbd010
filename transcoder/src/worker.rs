//! The loops that take jobs, and the life of one job: lease, beats, work, report.

use crate::beat::{self, Lost};
use crate::catalog::{Lease, passes};
use crate::examine::Condition;
use crate::jobs::{self, Failure, Task, Tools};
use crate::pace::{Backoff, jittered};
use crate::place::{Place, Places};
use crate::progress::{Gauge, Teller};
use futures::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;
use vidstream_backends::bus::EventBus;
use vidstream_backends::queue::{Bells, Class, JobQueue};
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_mesh::trace::{self, Kind, Span, Tracer};
use vidstream_proto::error::Problem;
use vidstream_proto::job::{JobClass, JobProgress, class_name};
use vidstream_proto::pb::finish_job_request::Result as Outcome;
use vidstream_proto::pb::{FailureKind, PartState};

/// How long a worker that is to stop tries to say what became of a job. After it the lease dies by itself.
const FAREWELL: Duration = Duration::from_secs(5);

/// Takes jobs and does them.
#[derive(Debug)]
pub(crate) struct Worker {
    tools: Tools,
    queue: Arc<dyn JobQueue>,
    bus: Arc<dyn EventBus>,
    life: Lifecycle,
    tracer: Tracer,
    condition: Condition,
    name: String,
}

/// How work on a job ended.
enum End {
    /// By itself.
    Done(Box<Result<Outcome, Failure>>),
    /// The lease is gone: nothing is to be said any more.
    Lost(Lost),
    /// The process is to stop.
    Stopping,
}

impl Worker {
    pub fn new(
        tools: Tools,
        queue: Arc<dyn JobQueue>,
        bus: Arc<dyn EventBus>,
        life: Lifecycle,
        tracer: Tracer,
        condition: Condition,
    ) -> Self {
        let name = format!("{}-{}", std::process::id(), uuid::Uuid::new_v4().simple());
        Self { tools, queue, bus, life, tracer, condition, name }
    }

    /// Takes jobs until the process is to stop; returns when every job was handed back and every ffmpeg is reaped.
    pub async fn run(self) {
        let worker = Arc::new(self);
        let config = &worker.tools.config;
        let light = worker.serve(JobClass::Light, config.light_places);
        let pictures = worker.serve(JobClass::Pictures, config.picture_places);
        let encode = worker.serve(JobClass::Encode, config.encode_places);
        futures::join!(Box::pin(light), Box::pin(pictures), Box::pin(encode));
        worker.tools.program.idle().await;
    }

    async fn serve(self: &Arc<Self>, class: JobClass, count: usize) {
        let bell = Class::new(class_name(class));
        let places = Places::new(count.max(1), self.tools.config.waiting_places);
        let mut ear = Ear { queue: &*self.queue, class: bell, bells: None };
        let tasks = TaskTracker::new();
        let mut backoff = Backoff::default();
        let stopping = self.life.stopping();
        while let Some(place) = stopping.run_until_cancelled(places.take()).await {
            // Not cut short by stopping: a lease that nobody knows of would be dead wood for half a minute.
            let answer = self.tools.catalog.take(class, &self.name).await;
            self.condition.asked(bell.as_str(), &answer);
            let wait = match answer {
                Ok(Some(lease)) => {
                    backoff = Backoff::default();
                    tasks.spawn(Arc::clone(self).work(Arc::new(lease), place));
                    continue;
                }
                Ok(None) => {
                    backoff = Backoff::default();
                    ear.listen(jittered(self.tools.config.poll)).boxed()
                }
                Err(problem) => {
                    tracing::warn!(class = bell.as_str(), %problem, "no job could be taken; trying again");
                    sleep(backoff.next()).boxed()
                }
            };
            drop(place);
            stopping.run_until_cancelled(wait).await;
        }
        tasks.close();
        tasks.wait().await;
    }

    /// One job from its lease to its report, as part of the trace of the upload that it follows from.
    async fn work(self: Arc<Self>, lease: Arc<Lease>, place: Place) {
        let kind = lease.job.kind.name();
        let parent = lease.source.trace_parent.parse().ok();
        let mut span = Span::begin(&self.tracer, "transcoder", Kind::Consumer, || format!("job {kind}").into(), parent);
        span.note("vidstream.job", || lease.job.id.to_string().into());
        span.note("vidstream.worker", || self.name.clone().into());
        // Without the box it would be in the future twice.
        let done = trace::within(span.active().clone(), Box::pin(self.work_within(&lease, place))).await;
        if !done {
            span.fail(|| "the attempt did not end with a result".into());
        }
    }

    /// Says whether the job has its result.
    async fn work_within(&self, lease: &Arc<Lease>, place: Place) -> bool {
        let job = &lease.job;
        tracing::info!(job = %job.id, fence = %job.fence, "took a job");
        let gauge = Gauge::default();
        let teller = Teller::new(Arc::clone(&self.bus), Arc::clone(lease));
        let mut beats = Box::pin(beat::keep(&self.tools.catalog, lease, gauge.read(), &self.tools.config));
        let task = Task { tools: &self.tools, lease, gauge: &gauge, place };
        let end = {
            let work = AssertUnwindSafe(jobs::run(task)).catch_unwind();
            // Whatever branch is taken, the work is dropped with this block: its ffmpeg is killed, nothing more is written.
            tokio::select! {
                biased;
                () = self.life.stopping().cancelled() => End::Stopping,
                lost = &mut beats => End::Lost(lost),
                done = work => End::Done(Box::new(done.unwrap_or_else(|_| Err(Failure::panicked())))),
                () = teller.follow(gauge.read()) => End::Stopping,
            }
        };
        let told = match end {
            End::Lost(lost) => {
                tracing::info!(job = %job.id, fence = %job.fence, ?lost, "stopped");
                return false;
            }
            End::Done(done) => match *done {
                Ok(outcome) => self.finish(lease, outcome, &mut beats).await,
                Err(failure) => self.fail(lease, failure, &mut beats).await,
            },
            End::Stopping => self.fail(lease, Failure::stopping(), &mut beats).await,
        };
        let done = matches!(told, Some((PartState::Ready | PartState::NotOffered, _)));
        if let Some((state, progress)) = told {
            let progress = progress.unwrap_or_else(|| *gauge.read().borrow());
            teller.tell(progress, state).await;
        }
        done
    }

    /// Says that a job is done; a result that is refused is a failed attempt.
    async fn finish(
        &self,
        lease: &Lease,
        outcome: Outcome,
        beats: &mut (impl Future<Output = Lost> + Unpin),
    ) -> Option<(PartState, Option<JobProgress>)> {
        let (id, fence, catalog) = (&lease.job.id, lease.job.fence, &self.tools.catalog);
        match self.report(&mut *beats, || catalog.finish(id, fence, outcome.clone())).await? {
            Ok(()) => {
                tracing::info!(job = %id, %fence, "finished a job");
                Some((PartState::Ready, Some(JobProgress { percent: 100.0, ..JobProgress::default() })))
            }
            Err(problem) => {
                tracing::error!(job = %id, %fence, %problem, "a result was refused");
                let refused = Failure::new(FailureKind::Attempt, format!("the result was refused: {problem}"));
                self.fail(lease, refused, beats).await
            }
        }
    }

    /// Says that an attempt failed.
    async fn fail(
        &self,
        lease: &Lease,
        failure: Failure,
        beats: &mut (impl Future<Output = Lost> + Unpin),
    ) -> Option<(PartState, Option<JobProgress>)> {
        let (id, fence, catalog) = (&lease.job.id, lease.job.fence, &self.tools.catalog);
        let Failure { kind, reason } = failure;
        tracing::info!(job = %id, %fence, ?kind, reason, "a job failed");
        match self.report(beats, || catalog.fail(id, fence, kind, &reason)).await? {
            Ok(()) => match kind {
                FailureKind::Input => Some((PartState::Failed, None)),
                FailureKind::NotOffered => Some((PartState::NotOffered, None)),
                // Whether it is tried again is the catalog's to say.
                FailureKind::Attempt | FailureKind::Infrastructure | FailureKind::Unspecified => None,
            },
            Err(problem) => {
                tracing::warn!(job = %id, %fence, %problem, "a failure could not be reported; the lease will die");
                None
            }
        }
    }

    /// Tries until the catalog has heard it, the lease is lost, or time is up for a worker that is to stop.
    async fn report<F>(
        &self,
        beats: &mut (impl Future<Output = Lost> + Unpin),
        call: impl Fn() -> F,
    ) -> Option<Result<(), Problem>>
    where
        F: Future<Output = Result<(), Problem>>,
    {
        let mut backoff = Backoff::default();
        let tries = async {
            loop {
                match call().await {
                    Err(problem) if passes(&problem) => sleep(backoff.next()).await,
                    heard => return heard,
                }
            }
        };
        let farewell = async {
            self.life.stopping().cancelled().await;
            sleep(FAREWELL).await;
        };
        tokio::select! {
            biased;
            heard = tries => Some(heard),
            _ = beats => None,
            () = farewell => None,
        }
    }
}

/// Hears the bells of one class.
struct Ear<'a> {
    queue: &'a dyn JobQueue,
    class: Class,
    bells: Option<Box<dyn Bells>>,
}

impl Ear<'_> {
    /// Waits for a bell, at most for so long. A queue that fails is as good as silent.
    async fn listen(&mut self, longest: Duration) {
        let heard = async {
            if self.bells.is_none() {
                self.bells = Some(self.queue.listen(&[self.class]).await?);
            }
            match &mut self.bells {
                Some(bells) => bells.next().await.map(drop),
                None => Ok(()),
            }
        };
        let begun = tokio::time::Instant::now();
        if let Ok(Err(error)) = timeout(longest, heard).await {
            tracing::warn!(class = self.class.as_str(), %error, "bells can't be heard; looking at intervals");
            self.bells = None;
            tokio::time::sleep_until(begun + longest).await;
        }
    }
}
