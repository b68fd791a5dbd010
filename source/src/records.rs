//! What the writer and the reader need of the catalog. The services implement both with the catalog's client; one value
//! stands for one source.

use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use vidstream_proto::error::Problem;

use crate::{
    extents::{Extent, PageNumber, RecordPage},
    ranges::ByteRanges,
};

/// Where durable extents are recorded.
#[async_trait]
pub trait Recorder: Send + Sync {
    /// Records `extents`, whose objects are durable, in one commit, and returns what is recorded and overlaps one of them
    /// without equalling it. Those overlapped were not recorded; all others are, durably. Repeating it is harmless.
    async fn record(&self, extents: &[Extent]) -> Result<Vec<Extent>, Problem>;
}

/// Where records are read, and arrivals heard of.
#[async_trait]
pub trait Records: Send + Sync {
    /// The page `number` as it is now; empty where nothing is recorded.
    async fn page(&self, number: PageNumber) -> Result<RecordPage, Problem>;

    /// Arrivals from now on, each as the ranges recorded; more than were is harmless, and whoever does not know which
    /// were says all. Ends with an error when the source is being removed or the catalog can't be heard any more.
    async fn arrivals(&self) -> Result<BoxStream<'static, Result<ByteRanges, Problem>>, Problem>;

    /// Asks whoever sends the source for `ranges` next. Replaces what was asked for before; forgotten after `ttl`.
    async fn want(&self, ranges: &ByteRanges, ttl: Duration) -> Result<(), Problem>;
}
