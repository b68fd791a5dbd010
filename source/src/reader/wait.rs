//! Waiting for bytes that have not come.

use std::{ops::Range, time::Duration};

use futures::{StreamExt as _, future::Either, stream::BoxStream};
use tokio::time::Instant;
use vidstream_proto::error::{Problem, Reason};

use super::{ReadError, SourceReader, Uploaded};
use crate::{
    extents::{CELL, Extent, RecordPage, on_granules},
    ranges::ByteRanges,
};

/// How often a want is renewed, and the records are looked at though no arrival was heard of.
const RENEWAL: Duration = Duration::from_secs(5);
/// How long a want lives without renewal; two of those may be lost.
const TTL: Duration = Duration::from_secs(15);

type Arrivals = BoxStream<'static, Result<ByteRanges, Problem>>;

impl Uploaded {
    /// The extent with the first byte of `range`, waited for as `reader` does.
    pub(super) async fn wait(&self, range: Range<u64>, reader: &SourceReader) -> Result<Extent, ReadError> {
        let (patience, hurries) = (reader.patience, reader.hurries);
        let offset = range.start;
        if let Some(extent) = self.refreshed(offset).await?.find(offset) {
            return Ok(extent.clone());
        }
        match patience {
            None => self.arrival(range, hurries).await,
            Some(Duration::ZERO) => Err(ReadError::NotCome { offset, patience: Duration::ZERO }),
            Some(patience) => tokio::time::timeout(patience, self.arrival(range, hurries))
                .await
                .unwrap_or(Err(ReadError::NotCome { offset, patience })),
        }
    }

    /// A catalog that can't be reached for a while is waited for like the bytes; only a refusal ends the wait.
    async fn arrival(&self, range: Range<u64>, hurries: bool) -> Result<Extent, ReadError> {
        let want = self.wants.begin();
        let mut arrivals = None;
        loop {
            // Heard before looked at, so that nothing arrives unnoticed in between.
            if arrivals.is_none() {
                arrivals = passing(self.records.arrivals().await)?;
            }
            if let Some(page) = passing(self.refreshed(range.start).await)? {
                if let Some(extent) = page.find(range.start) {
                    return Ok(extent.clone());
                }
                if hurries {
                    want.set(self.missing(&page, &range));
                    passing(self.records.want(&self.wants.ranges(), TTL).await)?;
                }
            }
            heard(&mut arrivals, range.start).await?;
        }
    }

    /// The first bytes of `range` that are missing: as far as the next that are there, and not more than a cell at once.
    fn missing(&self, page: &RecordPage, range: &Range<u64>) -> Range<u64> {
        let wanted = on_granules(range.start..range.end.min(range.start + CELL), self.size);
        let next = page.overlapping(wanted.clone()).next();
        wanted.start..next.map_or(wanted.end, Extent::offset)
    }
}

/// Waits until the byte at `offset` may have arrived, or the want has to be renewed.
async fn heard(arrivals: &mut Option<Arrivals>, offset: u64) -> Result<(), Problem> {
    let renewal = Instant::now() + RENEWAL;
    loop {
        let next = match arrivals {
            Some(arrivals) => Either::Left(arrivals.next()),
            None => Either::Right(std::future::pending()),
        };
        let arrived = match tokio::time::timeout_at(renewal, next).await {
            Err(_) => return Ok(()),
            Ok(None) => None,
            Ok(Some(arrived)) => passing(arrived)?,
        };
        match arrived {
            Some(ranges) if ranges.contains(offset..offset + 1) => return Ok(()),
            Some(_) => {}
            // The stream broke: there is another try at the renewal.
            None => *arrivals = None,
        }
    }
}

/// Nothing instead of a problem that passes by itself.
fn passing<T>(result: Result<T, Problem>) -> Result<Option<T>, Problem> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(problem) => match problem.reason {
            Reason::Unavailable | Reason::DeadlineExceeded | Reason::ResourceExhausted => {
                tracing::warn!(%problem, "the catalog can't say what has come; trying again");
                Ok(None)
            }
            _ => Err(problem),
        },
    }
}
