//! One watcher. It reads the past from a feed of its own; once that has caught up it goes over to the one that all share,
//! at the place where it is, and comes back if it was too slow for that.

use super::log::Found;
use super::shared::{Seat, Session, Shared};
use super::told::Told;
use super::{lost, public, until_stopping};
use crate::Deps;
use futures::future::pending;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tonic::{Status, Streaming};
use vidstream_proto::error::Problem;
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb;
use vidstream_proto::pb::watch_videos_response::Event;

/// A feed of a watcher's own.
type Feed = Streaming<pb::WatchEntriesResponse>;

/// See the module. Ends after a reset or a problem.
pub(super) struct Watch {
    watcher: Watcher,
    stage: Stage,
}

/// Who watches what.
#[derive(Clone)]
struct Watcher {
    deps: Deps,
    shared: Shared<Session>,
    video: Option<VideoId>,
}

enum Stage {
    /// By a feed of its own.
    Alone(BoxStream<'static, Result<Step, Status>>),
    /// By the one that all share.
    Together(Seat),
    /// Nothing follows.
    Over,
}

/// What happens to one that watches by a feed of its own.
enum Step {
    Told(Told),
    /// It was told this, and nothing follows.
    Last(Told),
    /// It can go over.
    Seat(Seat),
}

impl Watch {
    /// Watches what comes after `position`, or after now if it is empty.
    pub(super) async fn open(
        deps: Deps,
        shared: Shared<Session>,
        position: String,
        video: Option<VideoId>,
    ) -> Result<Self, Problem> {
        let watcher = Watcher { deps, shared, video };
        let feed = watcher.open(&position).await?;
        let stage = Stage::Alone(watcher.clone().alone(position, Some(feed)));
        Ok(Self { watcher, stage })
    }
}

impl Stream for Watch {
    type Item = Result<Told, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let (stage, told) = match &mut this.stage {
                Stage::Alone(steps) => match ready!(steps.poll_next_unpin(context)) {
                    Some(Ok(Step::Told(told))) => return Poll::Ready(Some(Ok(told))),
                    Some(Ok(Step::Last(told))) => (Stage::Over, Some(Ok(told))),
                    Some(Ok(Step::Seat(seat))) => (Stage::Together(seat), None),
                    Some(Err(status)) => (Stage::Over, Some(Err(status))),
                    None => (Stage::Over, None),
                },
                Stage::Together(seat) => match ready!(seat.poll_next(context)) {
                    Found::Event(_, event) if event.is_last() => (Stage::Over, Some(Ok(event.told))),
                    Found::Event(_, event) => return Poll::Ready(Some(Ok(event.told))),
                    Found::Behind => {
                        let alone = this.watcher.clone().alone(seat.position().to_owned(), None);
                        (Stage::Alone(alone), None)
                    }
                    Found::Ended(status) => (Stage::Over, Some(Err(status))),
                },
                Stage::Over => return Poll::Ready(None),
            };
            this.stage = stage;
            if told.is_some() {
                return Poll::Ready(told);
            }
        }
    }
}

impl Watcher {
    async fn open(&self, position: &str) -> Result<Feed, Problem> {
        let video_id = self.video.map(|id| id.to_string()).unwrap_or_default();
        let call = pb::WatchEntriesRequest { position: position.to_owned(), video_id };
        self.deps.ask(self.deps.catalog.clone().watch_entries(call)).await
    }

    /// Watches by `feed`, or by one that is opened, until there is a seat.
    fn alone(self, position: String, feed: Option<Feed>) -> BoxStream<'static, Result<Step, Status>> {
        let deps = self.deps.clone();
        let alone = Alone { watcher: self, position, feed, session: None, current: false };
        let steps = stream::try_unfold(alone, |mut alone| async {
            let step = alone.step().await?;
            Ok(Some((step, alone)))
        });
        until_stopping(&deps, steps)
    }
}

/// A watcher by a feed of its own.
struct Alone {
    watcher: Watcher,
    /// Where it is: that of the last event with one.
    position: String,
    feed: Option<Feed>,
    /// What it goes over to.
    session: Option<Arc<Session>>,
    /// It has heard all, and says so.
    current: bool,
}

impl Alone {
    async fn step(&mut self) -> Result<Step, Status> {
        let feed = match &mut self.feed {
            Some(feed) => feed,
            none => none.insert(self.watcher.open(&self.position).await?),
        };
        let seat = async {
            match self.session.as_ref().filter(|_| self.current) {
                Some(session) => session.seat(self.position.clone(), self.watcher.video).await,
                None => pending().await,
            }
        };
        let message = tokio::select! {
            // The seat first: what follows its place is told there.
            biased;
            seat = seat => return Ok(Step::Seat(seat)),
            message = feed.message() => public(message?.ok_or_else(lost)?),
        };
        if !message.position.is_empty() {
            self.position.clone_from(&message.position);
        }
        self.current = matches!(message.event, Some(Event::Current(_)));
        match &message.event {
            Some(Event::Current(_)) => {
                let make = || Session::begin(self.watcher.deps.clone());
                self.session = Some(self.watcher.shared.get(|session| !session.has_ended(), make));
            }
            Some(Event::Reset(_)) => return Ok(Step::Last(message.into())),
            _ => {}
        }
        Ok(Step::Told(message.into()))
    }
}
