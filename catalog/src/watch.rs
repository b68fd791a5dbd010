//! One source's records, wants and state as they change.

use crate::Catalog;
use crate::answers::{self, Answering};
use crate::sources::is_going;
use futures::{Stream, StreamExt};
use prost::Message;
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use vidstream_backends::bus::{Event, Events};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::SourceId;
use vidstream_proto::pb;
use vidstream_proto::ranges;
use vidstream_source::extents::{ExtentMap, PageNumber};

/// Between two looks at the wants, which end by time.
const LOOK_AT_WANTS: Duration = Duration::from_secs(1);
/// Between two looks at the row, should a notice have been lost.
const LOOK_AT_ROW: Duration = Duration::from_secs(5);

struct Watcher {
    catalog: Catalog,
    id: SourceId,
    notices: Events,
    wanted: watch::Receiver<()>,
    /// What the watcher was told last.
    wants: Vec<pb::ByteRange>,
    revision: i64,
    next_row: Instant,
    started: bool,
}

impl Catalog {
    /// What a source has and wants, and what comes.
    pub(crate) async fn watch_source(
        &self,
        id: SourceId,
    ) -> Result<impl Stream<Item = Result<pb::WatchSourceResponse, Problem>> + Send + use<>, Problem> {
        // Before the first look, so that nothing falls between.
        let notices = self.notices.source(id).await;
        self.source(id).await?;
        let watcher = Watcher {
            catalog: self.clone(),
            id,
            notices,
            wanted: self.wants.changes(),
            wants: Vec::new(),
            revision: 0,
            next_row: Instant::now(),
            started: false,
        };
        Ok(answers::stream(watcher, &self.lifecycle))
    }
}

impl Answering for Watcher {
    type Answer = pb::WatchSourceResponse;

    async fn answer(&mut self) -> Result<ControlFlow<Self::Answer, Self::Answer>, Problem> {
        let message = self.message().await?;
        self.wants.clone_from(&message.wants);
        self.revision = self.revision.max(message.revision);
        Ok(if message.dying { ControlFlow::Break(message) } else { ControlFlow::Continue(message) })
    }
}

impl Watcher {
    async fn message(&mut self) -> Result<pb::WatchSourceResponse, Problem> {
        if !self.started {
            self.started = true;
            return self.all().await;
        }
        loop {
            let event = tokio::select! {
                Some(event) = self.notices.next() => Some(event),
                Ok(()) = self.wanted.changed() => None,
                () = sleep(LOOK_AT_WANTS) => None,
            };
            let Some(event) = event else {
                if let Some(message) = self.look().await? {
                    return Ok(message);
                }
                continue;
            };
            match event {
                Event::Notice { payload, .. } => {
                    if let Ok(mut message) = pb::WatchSourceResponse::decode(payload) {
                        // Those of the catalog that sent it may be behind.
                        message.wants = ranges::to_wire(self.catalog.wants.of(self.id).iter());
                        return Ok(message);
                    }
                }
                Event::Missed => return self.lagged().await,
            }
        }
    }

    /// What changed without a notice, if anything did.
    async fn look(&mut self) -> Result<Option<pb::WatchSourceResponse>, Problem> {
        if Instant::now() >= self.next_row {
            let now = self.now().await?;
            if now.revision > self.revision {
                return Ok(Some(pb::WatchSourceResponse { lagged: true, ..now }));
            }
        }
        let wants = ranges::to_wire(self.catalog.wants.of(self.id).iter());
        if wants == self.wants {
            return Ok(None);
        }
        Ok(Some(pb::WatchSourceResponse { wants, revision: self.revision, ..pb::WatchSourceResponse::default() }))
    }

    async fn lagged(&mut self) -> Result<pb::WatchSourceResponse, Problem> {
        Ok(pb::WatchSourceResponse { lagged: true, ..self.now().await? })
    }

    /// State and wants. A source without a row is as good as dying.
    async fn now(&mut self) -> Result<pb::WatchSourceResponse, Problem> {
        self.next_row = Instant::now() + LOOK_AT_ROW;
        let source = self.catalog.store.source(self.id).await?;
        let dying = source.as_ref().is_none_or(is_going);
        Ok(pb::WatchSourceResponse {
            recorded: Vec::new(),
            wants: ranges::to_wire(self.catalog.wants.of(self.id).iter()),
            revision: source.map_or(self.revision, |source| source.revision),
            dying,
            lagged: false,
        })
    }

    /// State, wants and all that is recorded.
    async fn all(&mut self) -> Result<pb::WatchSourceResponse, Problem> {
        let now = self.now().await?;
        let size = self.catalog.store.source(self.id).await?.map_or(0, |source| source.size);
        let pages = self.catalog.store.pages(self.id, PageNumber(0), usize::MAX).await?;
        let map = ExtentMap::from_pages(size, pages);
        let map = map.map_err(|error| Problem::new(Reason::Internal, error.to_string()))?;
        Ok(pb::WatchSourceResponse { recorded: ranges::to_wire(map.recorded().iter()), ..now })
    }
}
