//! One feed of the catalog's for all watchers of a gateway, for as long as there are any.

use super::log::{About, Chair, Found, Log};
use super::told::Told;
use super::{leaving, lost, public};
use crate::Deps;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use tokio::task::JoinSet;
use tonic::{Status, Streaming};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb::watch_videos_response::Event;
use vidstream_proto::{field, pb};

/// Something that is there while somebody uses it. Cheap to clone.
#[derive(Debug)]
pub(super) struct Shared<T> {
    now: Arc<Mutex<Weak<T>>>,
}

/// An unbroken stretch of the feed. It ends when the catalog's stream does, and when nobody holds it any more.
#[derive(Debug)]
pub(super) struct Session {
    log: Arc<Log>,
    /// Stops when it is dropped.
    _listener: JoinSet<()>,
}

impl<T> Shared<T> {
    /// What is there if it is `usable`, or what is made.
    pub(super) fn get(&self, usable: impl FnOnce(&T) -> bool, make: impl FnOnce() -> T) -> Arc<T> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = now.upgrade().filter(|there| usable(there)) {
            return there;
        }
        let fresh = Arc::new(make());
        *now = Arc::downgrade(&fresh);
        fresh
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self { now: Arc::clone(&self.now) }
    }
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { now: Arc::default() }
    }
}

impl Session {
    /// Begins now.
    pub(super) fn begin(deps: Deps) -> Self {
        let log = Arc::<Log>::default();
        let mut listener = JoinSet::new();
        listener.spawn({
            let log = Arc::clone(&log);
            async move {
                let stopping = deps.lifecycle.stopping();
                log.end(match stopping.run_until_cancelled(listen(&deps, &log)).await {
                    Some(Ok(())) => lost().into(),
                    Some(Err(status)) => status,
                    None => leaving().into(),
                });
            }
        });
        Self { log, _listener: listener }
    }

    /// Nothing will be told any more.
    pub(super) fn has_ended(&self) -> bool {
        self.log.has_ended()
    }

    /// A seat behind `position`, once the feed is there. Never, if it does not come there.
    pub(super) async fn seat(self: &Arc<Self>, position: String, video: Option<VideoId>) -> Seat {
        let waiting = Chair::at(&self.log, None);
        let number = poll_fn(|context| waiting.poll_place(&position, context)).await;
        let chair = Chair::at(&self.log, video);
        Seat { _session: Arc::clone(self), chair, number, position: position.into() }
    }
}

/// Hears the catalog's feed from now on, until its reset.
async fn listen(deps: &Deps, log: &Log) -> Result<(), Status> {
    let feed = deps.ask(deps.catalog.clone().watch_entries(pb::WatchEntriesRequest::default())).await;
    let mut feed: Streaming<pb::WatchEntriesResponse> = feed?;
    while let Some(message) = feed.message().await? {
        let message = public(message);
        let about = match &message.event {
            Some(Event::Changed(video)) => About::Video(id(&video.id)?),
            Some(Event::Purged(purged)) => About::Video(id(&purged.video_id)?),
            Some(Event::Reset(_)) => About::Last,
            Some(Event::Current(_)) => About::Current,
            Some(Event::Progress(_)) | None => continue,
        };
        let position = message.position.clone();
        log.tell(&position, about, Told::from(message));
        if about == About::Last {
            return Ok(());
        }
    }
    Err(lost().into())
}

/// What is wrong with it is nobody's mistake who watches.
fn id(text: &str) -> Result<VideoId, Problem> {
    field::id("video_id", text)
        .map_err(|problem| Problem::new(Reason::Internal, format!("the catalog's feed makes no sense: {problem}")))
}

/// One watcher's place in the session.
#[derive(Debug)]
pub(super) struct Seat {
    _session: Arc<Session>,
    chair: Chair,
    /// The last event that it may have seen.
    number: u64,
    /// Where it is.
    position: Arc<str>,
}

impl Seat {
    /// Where to watch from after all that was found.
    pub(super) fn position(&self) -> &str {
        &self.position
    }

    /// What comes next.
    pub(super) fn poll_next(&mut self, context: &Context<'_>) -> Poll<Found> {
        let found = ready!(self.chair.poll_next(self.number, context));
        if let Found::Event(number, event) = &found {
            self.number = *number;
            self.position.clone_from(&event.position);
        }
        Poll::Ready(found)
    }
}
