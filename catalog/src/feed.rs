//! The change feed: what changed after a position, then what changes.

use crate::Catalog;
use crate::answers::{self, Answering};
use crate::store::{Change, Changes, ChangesQuery};
use futures::{FutureExt, Stream, StreamExt};
use look::Why;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;
use std::time::Duration;
use vidstream_backends::bus::{Event as Notice, Events};
use vidstream_proto::error::Problem;
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb;
use vidstream_proto::pb::watch_entries_response::Event;

pub(crate) mod look;

/// Between two looks for what came late, at the least.
const LOOK_BACK: Duration = Duration::from_secs(1);
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

/// One watcher. It goes over the feed in rounds: a look at what is new, then looks at what is behind that, until there is
/// nothing. Once in a second the round begins with what may have come late, because every notice wakes it and that is all
/// that changed in a while. It remembers a page of changes and what it told since.
struct Watcher {
    catalog: Catalog,
    video: Option<VideoId>,
    /// Where the watcher goes on from if it comes again.
    position: Position,
    /// What it looks behind next.
    behind: Position,
    page: VecDeque<(Position, Change)>,
    /// What it was told since it last looked for what came late: it may be there again.
    told: HashMap<VideoId, Position>,
    /// When it last did, as [`Looks::second`](look::Looks::second) has it; none in its first round.
    looked_back: Option<u64>,
    /// Whether this round does.
    looks_back: bool,
    /// What was there in this round.
    round: HashMap<VideoId, Position>,
    notices: Events,
    /// The round is over, and the watcher heard that it has seen everything.
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
        let watcher = Watcher {
            catalog: self.clone(),
            video,
            position,
            behind: position,
            page: VecDeque::new(),
            told: HashMap::new(),
            looked_back: None,
            looks_back: true,
            round: HashMap::new(),
            notices,
            current: false,
            why: None,
        };
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
                // One that came late is told late: the position never goes back.
                if position.number > self.position.number {
                    self.position = position;
                }
                return Ok(ControlFlow::Continue(response(self.position, event_of(change))));
            }
            if self.current {
                self.wait().await;
            }
            let Some(changes) = self.look().await? else {
                let latest = self.catalog.store.position().await?;
                return Ok(ControlFlow::Break(response(latest, Event::Reset(pb::FeedReset {}))));
            };
            let Some((last, _)) = changes.changes.last() else {
                self.end_round(changes.latest);
                return Ok(ControlFlow::Continue(response(self.position, Event::Current(pb::FeedCurrent {}))));
            };
            (self.behind, self.current) = (*last, false);
            self.take(changes.changes);
        }
    }
}

impl Watcher {
    async fn look(&mut self) -> Result<Option<Changes>, Problem> {
        let store = &*self.catalog.store;
        if self.current {
            let second = self.catalog.looks.second();
            self.looks_back = self.looked_back != Some(second);
            self.looked_back = Some(second);
        }
        let again = self.looks_back && self.round.is_empty();
        let query = ChangesQuery { after: self.behind, again, video: self.video, limit: PAGE };
        Ok(match self.why.filter(|_| self.video.is_none()) {
            Some(why) => self.catalog.looks.changes(store, query, why).await?,
            None => store.changes(query).await?,
        })
    }

    /// Takes what was not told yet.
    fn take(&mut self, changes: Vec<(Position, Change)>) {
        for (position, change) in changes {
            let id = id_of(&change);
            self.round.insert(id, position);
            if self.told.get(&id) != Some(&position) {
                self.page.push_back((position, change));
            }
        }
    }

    fn end_round(&mut self, latest: Position) {
        let round = std::mem::take(&mut self.round);
        if self.looks_back {
            self.told = round;
        } else {
            self.told.extend(round);
        }
        (self.position, self.behind, self.current) = (latest, latest, true);
    }

    /// Until something may have changed, or a while.
    async fn wait(&mut self) {
        // What came late is not left to the next notice.
        let soon = if self.looks_back { self.catalog.config.feed_interval } else { LOOK_BACK };
        let interval = self.catalog.config.feed_interval.min(soon);
        let heard = async {
            while let Some(event) = self.notices.next().await {
                if concerns(&event, self.video) {
                    return;
                }
            }
            // They go on for ever.
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

fn id_of(change: &Change) -> VideoId {
    match change {
        Change::Changed(entry) => entry.id,
        Change::Purged { id, .. } => *id,
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
