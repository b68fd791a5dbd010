//! Live updates: the catalog's feed and the transcoder's progress, as one stream to each client; and a collection of garbage,
//! told as it goes. However many watch, a gateway hears the feed and the progress of all videos once each.

mod log;
pub mod progress;
mod shared;
mod told;
mod topic;
mod watch;

use crate::Deps;
use futures::future::ready;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use progress::AllProgress;
use shared::{Session, Shared};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::Notify;
pub use told::{Told, rpcs};
use tonic::Status;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb::watch_entries_response::Event as Change;
use vidstream_proto::pb::watch_videos_response::Event;
use vidstream_proto::{field, pb};
use watch::Watch;

/// A stream of answers to a client.
pub type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// What a gateway's watchers share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Live {
    deps: Deps,
    feed: Shared<Session>,
    progress: Shared<AllProgress>,
}

impl Live {
    /// Nobody watches yet.
    pub fn new(deps: Deps) -> Self {
        Self { deps, feed: Shared::default(), progress: Shared::default() }
    }

    /// Changes of all videos or of one, with progress if asked for.
    pub async fn videos(&self, request: pb::WatchVideosRequest) -> Result<Answers<Told>, Problem> {
        let only: Option<VideoId> = field::optional_id("video_id", &request.video_id)?;
        let position = field::text("position", &request.position, 0, 2000)?;
        let watch = Watch::open(self.deps.clone(), self.feed.clone(), position, only).await?;
        Ok(match only {
            _ if !request.include_progress => watch.boxed(),
            None => WithProgress { watch, progress: progress::of_all(&self.deps, &self.progress) }.boxed(),
            Some(video) => {
                let again = Arc::new(Notify::new());
                let progress = progress::of_one(self.deps.clone(), video, Arc::clone(&again)).boxed();
                WithProgress { watch: watch.inspect(move |_| again.notify_one()), progress }.boxed()
            }
        })
    }
}

/// A watch with progress. Its end is that of the watch, whatever progress does.
struct WithProgress<W, P> {
    watch: W,
    progress: P,
}

impl<W, P> Stream for WithProgress<W, P>
where
    W: Stream<Item = Result<Told, Status>> + Unpin,
    P: Stream<Item = Told> + Unpin,
{
    type Item = Result<Told, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(told) = self.watch.poll_next_unpin(context) {
            return Poll::Ready(told);
        }
        match self.progress.poll_next_unpin(context) {
            Poll::Ready(Some(told)) => Poll::Ready(Some(Ok(told))),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

/// Garbage as the catalog finds it.
pub async fn garbage(
    deps: &Deps,
    request: pb::CollectGarbageRequest,
) -> Result<Answers<pb::CollectGarbageResponse>, Problem> {
    use pb::{collect_garbage_response::Event as Public, collect_objects_response::Event};
    let pb::CollectGarbageRequest { dry_run, adopt } = request;
    let found = deps.ask(deps.catalog.clone().collect_objects(pb::CollectObjectsRequest { dry_run, adopt })).await?;
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

/// A feed ends by itself only with a reset: where it does otherwise, its server is gone.
fn lost() -> Problem {
    Problem::new(Reason::Unavailable, "the catalog ended its feed; watch again from the last position")
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
