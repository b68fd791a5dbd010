//! Live updates: the catalog's feed and the transcoder's progress, as one stream to each client; and a collection of garbage,
//! told as it goes.

use crate::{Deps, service};
use futures::future::ready;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tonic::{Status, Streaming};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb::watch_entries_response::Event as Change;
use vidstream_proto::pb::watch_videos_response::Event;
use vidstream_proto::{field, pb};

type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// How long to wait before progress that broke off is asked for again. Progress is no truth: a watch outlives its loss.
const PROGRESS_AGAIN: Duration = Duration::from_secs(1);

/// Changes of all videos or of one, with progress if asked for.
pub async fn videos(deps: &Deps, request: pb::WatchVideosRequest) -> Result<Answers<pb::WatchVideosResponse>, Problem> {
    let only: Option<VideoId> = field::optional_id("video_id", &request.video_id)?;
    let call = pb::WatchEntriesRequest {
        position: field::text("position", &request.position, 0, 2000)?,
        video_id: request.video_id,
    };
    let changes = deps.ask(deps.catalog.clone().watch_entries(call)).await?;
    let again = Arc::new(Notify::new());
    let changes = changes.map({
        let again = Arc::clone(&again);
        move |change| {
            again.notify_one();
            Ok(public(change?))
        }
    });
    if !request.include_progress {
        return Ok(until_stopping(deps, endless(changes)));
    }
    let progress = match only {
        Some(video) => own_progress(deps.clone(), video, again).boxed(),
        None => all_progress(deps.clone()).boxed(),
    };
    let progress = progress.map(|progress| {
        Ok(pb::WatchVideosResponse { position: String::new(), event: Some(Event::Progress(progress)) })
    });
    // The feed's end is the stream's end, whatever progress does.
    let both = stream::select(endless(changes).map(Some).chain(stream::once(ready(None))), progress.map(Some));
    Ok(until_stopping(deps, both.take_while(|item| ready(item.is_some())).filter_map(ready)))
}

/// Progress of one video's parts until none waits or runs.
pub async fn progress(deps: &Deps, video: VideoId) -> Result<Answers<pb::WatchProgressResponse>, Problem> {
    let entry = service::entry(deps, video).await?;
    let call =
        pb::WatchSourceProgressRequest { source_id: entry.source_id.to_string(), video_id: entry.id.to_string() };
    let stages = deps.ask(deps.transcoder.clone().watch_source_progress(call)).await?;
    let stages = stages.map(|stage| Ok(pb::WatchProgressResponse { progress: stage?.progress }));
    Ok(until_stopping(deps, stages))
}

/// Garbage as the catalog finds it.
pub async fn garbage(deps: &Deps, dry_run: bool) -> Result<Answers<pb::CollectGarbageResponse>, Problem> {
    use pb::{collect_garbage_response::Event as Public, collect_objects_response::Event};
    let found = deps.ask(deps.catalog.clone().collect_objects(pb::CollectObjectsRequest { dry_run })).await?;
    let found = found.map(|message| {
        let event = message?.event.map(|event| match event {
            Event::Found(garbage) => Public::Found(garbage),
            Event::Total(total) => Public::Total(total),
        });
        Ok(pb::CollectGarbageResponse { event })
    });
    Ok(until_stopping(deps, found))
}

fn public(change: pb::WatchEntriesResponse) -> pb::WatchVideosResponse {
    let event = change.event.and_then(|event| match event {
        Change::Changed(entry) => entry.video.map(Event::Changed),
        Change::Purged(gone) => {
            Some(Event::Purged(pb::PurgedVideo { video_id: gone.video_id, revision: gone.revision }))
        }
        Change::Reset(_) => Some(Event::Reset(pb::WatchReset {})),
        Change::Current(_) => Some(Event::Current(pb::WatchCurrent {})),
    });
    pb::WatchVideosResponse { position: change.position, event }
}

/// Progress of all videos, for ever: opened again whenever it breaks off.
fn all_progress(deps: Deps) -> impl Stream<Item = pb::Progress> {
    let attempts = stream::unfold(true, move |first| {
        let deps = deps.clone();
        async move {
            if !first {
                tokio::time::sleep(PROGRESS_AGAIN).await;
            }
            Some((open_progress(&deps).await, false))
        }
    });
    attempts.flatten().flat_map(|heard| stream::iter(of_videos(heard)))
}

/// Progress of one video, for ever: it begins with how far everything is, also what waits, and goes on with each change
/// after that. What was said is not said again.
fn own_progress(deps: Deps, video: VideoId, again: Arc<Notify>) -> impl Stream<Item = pb::Progress> {
    let attempts = stream::unfold(true, move |first| {
        let (deps, again) = (deps.clone(), Arc::clone(&again));
        async move {
            if !first {
                again.notified().await;
            }
            Some((open_own_progress(deps, video, again).await, false))
        }
    });
    let mut said = HashMap::new();
    attempts.flatten().filter(move |progress| {
        let before = said.insert(progress.stage, progress.clone());
        ready(before.as_ref() != Some(progress))
    })
}

/// Progress of one video until nothing of it waits or runs. Where it breaks off, `again` is notified a little later.
async fn open_own_progress(deps: Deps, video: VideoId, again: Arc<Notify>) -> BoxStream<'static, pb::Progress> {
    let broken = {
        let again = Arc::clone(&again);
        move |error: Status| async move {
            tracing::debug!(%error, "no progress for a watch");
            tokio::time::sleep(PROGRESS_AGAIN).await;
            again.notify_one();
            None
        }
    };
    match progress(&deps, video).await {
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

async fn open_progress(deps: &Deps) -> BoxStream<'static, pb::WatchAllProgressResponse> {
    let opened = deps.ask(deps.transcoder.clone().watch_all_progress(pb::WatchAllProgressRequest {})).await;
    let opened: Result<Streaming<_>, Problem> = opened;
    match opened {
        Ok(heard) => heard.take_while(|item| ready(item.is_ok())).filter_map(|item| ready(item.ok())).boxed(),
        Err(error) => {
            tracing::debug!(%error, "no progress for a watch");
            stream::empty().boxed()
        }
    }
}

/// One message for each video that shows the source.
fn of_videos(heard: pb::WatchAllProgressResponse) -> Vec<pb::Progress> {
    let Some(progress) = heard.progress else { return Vec::new() };
    heard.video_ids.into_iter().map(|video_id| pb::Progress { video_id, ..progress.clone() }).collect()
}

/// A feed ends by itself only with a reset: where it does otherwise, its server is gone.
fn endless(
    feed: impl Stream<Item = Result<pb::WatchVideosResponse, Status>>,
) -> impl Stream<Item = Result<pb::WatchVideosResponse, Status>> {
    let lost = || Problem::new(Reason::Unavailable, "the catalog ended its feed; watch again from the last position");
    let over = Arc::new(AtomicBool::new(false));
    let feed = feed.inspect({
        let over = Arc::clone(&over);
        move |item| {
            let reset = item.as_ref().is_ok_and(|message| matches!(message.event, Some(Event::Reset(_))));
            over.fetch_or(reset, Ordering::Relaxed);
        }
    });
    let end = stream::once(async move { (!over.load(Ordering::Relaxed)).then(|| Err(lost().into())) });
    feed.chain(end.filter_map(ready))
}

/// `answers`, ended with `UNAVAILABLE` once the server is to stop.
fn until_stopping<T: Send + 'static>(
    deps: &Deps,
    answers: impl Stream<Item = Result<T, Status>> + Send + 'static,
) -> Answers<T> {
    let stopping = deps.lifecycle.stopping().clone();
    let farewell = stopping.clone();
    let last =
        stream::once(ready(())).filter_map(move |()| ready(farewell.is_cancelled().then(|| Err(leaving().into()))));
    answers.take_until(stopping.cancelled_owned()).chain(last).boxed()
}

/// What every open stream is told when the server stops.
pub fn leaving() -> Problem {
    Problem::new(Reason::Unavailable, "the server is stopping; open the stream again")
}
