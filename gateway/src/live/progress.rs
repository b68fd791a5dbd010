//! Progress: of all videos, heard once for all who watch them, and of single ones.

use super::shared::Shared;
use super::told::Told;
use super::topic::{Next, Topic};
use super::{Answers, until_stopping};
use crate::{Deps, service};
use futures::future::ready;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tonic::{Status, Streaming};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb;
use vidstream_proto::pb::watch_videos_response::Event;

/// How long to wait before progress that broke off is asked for again. Progress is no truth: a watch outlives its loss.
const AGAIN: Duration = Duration::from_secs(1);

/// The progress of all videos, while somebody hears it.
#[derive(Debug)]
pub(super) struct AllProgress {
    steps: Arc<Mutex<Steps>>,
    /// Stops when it is dropped.
    _listener: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Steps {
    told: u64,
    topic: Topic<Told>,
}

impl AllProgress {
    fn begin(deps: Deps) -> Self {
        let (steps, mut listener) = (Arc::<Mutex<Steps>>::default(), JoinSet::new());
        listener.spawn({
            let steps = Arc::clone(&steps);
            async move {
                let mut heard = pin!(heard_of_all(deps));
                while let Some(progress) = heard.next().await {
                    let step = told(progress);
                    let woken: Vec<Waker> = {
                        let mut steps = lock(&steps);
                        steps.told += 1;
                        let number = steps.told;
                        steps.topic.push(number, step);
                        steps.topic.rouse().collect()
                    };
                    woken.into_iter().for_each(Waker::wake);
                }
            }
        });
        Self { steps, _listener: listener }
    }
}

fn lock(steps: &Mutex<Steps>) -> MutexGuard<'_, Steps> {
    steps.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The progress of all videos, as one hears it.
struct Listener {
    all: Arc<AllProgress>,
    seat: u64,
    heard: u64,
}

/// Progress of all videos from now on, for ever.
pub(super) fn of_all(deps: &Deps, shared: &Shared<AllProgress>) -> impl Stream<Item = Told> + use<> {
    let all = shared.get(|_| true, || AllProgress::begin(deps.clone()));
    let (seat, heard) = {
        let mut steps = lock(&all.steps);
        (steps.topic.enter(), steps.told)
    };
    Listener { all, seat, heard }
}

impl Stream for Listener {
    type Item = Told;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Told>> {
        let this = &mut *self;
        let mut steps = lock(&this.all.steps);
        loop {
            match steps.topic.next(this.heard) {
                Some(Next::Event(number, told)) => {
                    this.heard = number;
                    return Poll::Ready(Some(told));
                }
                // The latest says all.
                Some(Next::Behind(forgotten)) => this.heard = forgotten,
                None => break,
            }
        }
        steps.topic.wait(this.seat, context.waker());
        Poll::Pending
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        lock(&self.all.steps).topic.leave(self.seat);
    }
}

/// Progress of one video's parts until none waits or runs.
pub async fn of_video(deps: &Deps, video: VideoId) -> Result<Answers<pb::WatchProgressResponse>, Problem> {
    let entry = service::entry(deps, video).await?;
    let call =
        pb::WatchSourceProgressRequest { source_id: entry.source_id.to_string(), video_id: entry.id.to_string() };
    let stages = deps.ask(deps.transcoder.clone().watch_source_progress(call)).await?;
    let stages = stages.map(|stage| Ok(pb::WatchProgressResponse { progress: stage?.progress }));
    Ok(until_stopping(deps, stages))
}

/// Progress of one video, for ever: it begins with how far everything is, also what waits, and goes on with each change
/// after that, of which `again` is notified. What was said is not said again.
pub(super) fn of_one(deps: Deps, video: VideoId, again: Arc<Notify>) -> impl Stream<Item = Told> {
    let attempts = stream::unfold(true, move |first| {
        let (deps, again) = (deps.clone(), Arc::clone(&again));
        async move {
            if !first {
                again.notified().await;
            }
            Some((open_one(deps, video, again).await, false))
        }
    });
    let mut said = HashMap::new();
    let fresh = attempts.flatten().filter(move |progress| {
        let before = said.insert(progress.stage, progress.clone());
        ready(before.as_ref() != Some(progress))
    });
    fresh.map(told)
}

fn told(progress: pb::Progress) -> Told {
    pb::WatchVideosResponse { position: String::new(), event: Some(Event::Progress(progress)) }.into()
}

/// Progress of all videos, for ever: opened again whenever it breaks off.
fn heard_of_all(deps: Deps) -> impl Stream<Item = pb::Progress> {
    let attempts = stream::unfold(true, move |first| {
        let deps = deps.clone();
        async move {
            if !first {
                tokio::time::sleep(AGAIN).await;
            }
            Some((open_all(&deps).await, false))
        }
    });
    attempts.flatten().flat_map(|heard| stream::iter(of_videos(heard)))
}

/// Progress of one video until nothing of it waits or runs. Where it breaks off, `again` is notified a little later.
async fn open_one(deps: Deps, video: VideoId, again: Arc<Notify>) -> BoxStream<'static, pb::Progress> {
    let broken = {
        let again = Arc::clone(&again);
        move |error: Status| async move {
            tracing::debug!(%error, "no progress for a watch");
            tokio::time::sleep(AGAIN).await;
            again.notify_one();
            None
        }
    };
    match of_video(&deps, video).await {
        Ok(heard) => heard
            .filter_map(move |item| {
                let broken = broken.clone();
                async move {
                    match item {
                        Ok(heard) => heard.progress,
                        Err(error) => broken(error).await,
                    }
                }
            })
            .boxed(),
        // A video that is gone has no progress, and if it comes back that is a change.
        Err(problem) if problem.reason == Reason::NotFound => stream::empty().boxed(),
        Err(problem) => stream::once(broken(problem.into())).filter_map(ready).boxed(),
    }
}

async fn open_all(deps: &Deps) -> BoxStream<'static, pb::WatchAllProgressResponse> {
    let opened = deps.ask(deps.transcoder.clone().watch_all_progress(pb::WatchAllProgressRequest {})).await;
    let opened: Result<Streaming<_>, Problem> = opened;
    match opened {
        Ok(heard) => heard.take_while(|item| ready(item.is_ok())).filter_map(|item| ready(item.ok())).boxed(),
        Err(error) => {
            tracing::debug!(%error, "no progress for watches");
            stream::empty().boxed()
        }
    }
}

/// One message for each video that shows the source.
fn of_videos(heard: pb::WatchAllProgressResponse) -> Vec<pb::Progress> {
    let Some(progress) = heard.progress else { return Vec::new() };
    heard.video_ids.into_iter().map(|video_id| pb::Progress { video_id, ..progress.clone() }).collect()
}
