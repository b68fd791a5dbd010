//! The change feed: what changed after a position, then what changes.

use crate::Catalog;
use crate::answers::{self, Answering};
use crate::store::{Change, Changes};
use futures::{FutureExt, Stream, StreamExt};
use look::Why;
use std::collections::VecDeque;
use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;
use vidstream_backends::bus::{Event as Notice, Events};
use vidstream_proto::error::Problem;
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb;
use vidstream_proto::pb::watch_entries_response::Event;

pub(crate) mod look;

/// Changes read at once: what a slow watcher holds in memory.
const PAGE: usize = 64;

/// A place in the feed of one database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// Which feed: another database's positions mean nothing here.
    pub feed: u64,
    /// Rises with every write of a video.
    pub number: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{}", self.feed, self.number)
    }
}

impl FromStr for Position {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let wrong = || Problem::field("position", "is not a position of a feed");
        let (feed, number) = text.split_once('.').ok_or_else(wrong)?;
        let feed = u64::from_str_radix(feed, 16).map_err(|_| wrong())?;
        let number = number.parse().ok().filter(|n| i64::try_from(*n).is_ok()).ok_or_else(wrong)?;
        Ok(Self { feed, number })
    }
}

/// One watcher. It remembers a position and a page of changes, whatever happens in the meantime.
struct Watcher {
    catalog: Catalog,
    video: Option<VideoId>,
    position: Position,
    page: VecDeque<(Position, Change)>,
    notices: Events,
    /// The watcher has heard that it has seen everything.
    current: bool,
    /// Why it looks next; none while it catches up, alone.
    why: Option<Why>,
}

impl Catalog {
    /// Changes after `position`, or after now.
    pub(crate) async fn watch_entries(
        &self,
        position: Option<Position>,
        video: Option<VideoId>,
    ) -> Result<impl Stream<Item = Result<pb::WatchEntriesResponse, Problem>> + Send + use<>, Problem> {
        // Before the first look, so that nothing falls between.
        let notices = self.notices.videos().await;
        let position = match position {
            Some(position) => position,
            None => self.store.position().await?,
        };
        let catalog = self.clone();
        let page = VecDeque::new();
        let watcher = Watcher { catalog, video, position, page, notices, current: false, why: None };
        Ok(answers::stream(watcher, &self.lifecycle))
    }
}

fn response(position: Position, event: Event) -> pb::WatchEntriesResponse {
    pb::WatchEntriesResponse { position: position.to_string(), event: Some(event) }
}

impl Answering for Watcher {
    type Answer = pb::WatchEntriesResponse;

    async fn answer(&mut self) -> Result<ControlFlow<Self::Answer, Self::Answer>, Problem> {
        loop {
            if let Some((position, change)) = self.page.pop_front() {
                self.position = position;
                return Ok(ControlFlow::Continue(response(position, event_of(change))));
            }
            if self.current {
                self.wait().await;
            }
            let Some(changes) = self.look().await? else {
                let latest = self.catalog.store.position().await?;
                return Ok(ControlFlow::Break(response(latest, Event::Reset(pb::FeedReset {}))));
            };
            self.current = changes.changes.is_empty();
            self.page = changes.changes.into();
            if self.current {
                self.position = changes.latest;
                return Ok(ControlFlow::Continue(response(self.position, Event::Current(pb::FeedCurrent {}))));
            }
        }
    }
}

impl Watcher {
    async fn look(&mut self) -> Result<Option<Changes>, Problem> {
        let store = &*self.catalog.store;
        Ok(match self.why.filter(|_| self.video.is_none()) {
            Some(why) => self.catalog.looks.changes(store, self.position, why, PAGE).await?,
            None => store.changes(self.position, self.video, PAGE).await?,
        })
    }

    /// Until something may have changed, or a while.
    async fn wait(&mut self) {
        let interval = self.catalog.config.feed_interval;
        let heard = async {
            while let Some(event) = self.notices.next().await {
                if concerns(&event, self.video) {
                    return;
                }
            }
            // The bus is gone: only looking at intervals is left.
            std::future::pending::<()>().await;
        };
        let told = tokio::time::timeout(interval, heard).await.is_ok();
        // One look answers all notices that came until now.
        while self.notices.next().now_or_never().flatten().is_some() {}
        self.why = Some(if told { Why::Since(self.catalog.looks.number()) } else { Why::Interval });
    }
}

fn concerns(event: &Notice, video: Option<VideoId>) -> bool {
    match (event, video) {
        (Notice::Notice { topic, .. }, Some(id)) => topic.as_str().ends_with(&id.to_string()),
        (Notice::Missed, _) | (_, None) => true,
    }
}

fn event_of(change: Change) -> Event {
    match change {
        Change::Changed(entry) => Event::Changed((*entry).into()),
        Change::Purged { id, revision } => Event::Purged(pb::PurgedEntry { video_id: id.to_string(), revision }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_as_written() {
        let position = Position { feed: u64::MAX, number: 17 };
        assert_eq!(position.to_string().parse::<Position>().expect("written by us"), position);
        for wrong in ["", "17", "x.1", "1.-1", "1.x", "1.99999999999999999999", "1.9999999999999999999"] {
            assert!(wrong.parse::<Position>().is_err(), "{wrong}");
        }
    }
}
