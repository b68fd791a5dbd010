//! A source's records, read from the catalog.

use super::views::senseless;
use crate::Deps;
use async_trait::async_trait;
use futures::stream::BoxStream;
use std::time::Duration;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::SourceId;
use vidstream_proto::pb;
use vidstream_source::extents::{PageNumber, RecordPage};
use vidstream_source::ranges::ByteRanges;
use vidstream_source::records::Records;

/// Records of one complete source, to which nothing is added any more.
#[derive(Clone, Debug)]
pub struct CompleteRecords {
    deps: Deps,
    source: SourceId,
}

impl CompleteRecords {
    /// The records of `source`.
    pub fn new(deps: Deps, source: SourceId) -> Self {
        Self { deps, source }
    }

    fn incomplete(&self) -> Problem {
        Problem::new(Reason::Internal, format!("source {} is complete, but not all of it is recorded", self.source))
    }
}

#[async_trait]
impl Records for CompleteRecords {
    async fn page(&self, number: PageNumber) -> Result<RecordPage, Problem> {
        let request = pb::ListExtentsRequest { source_id: self.source.to_string(), first_page: number.0, pages: 1 };
        let answer = self.deps.ask(self.deps.catalog.clone().list_extents(request)).await?;
        let page = answer.pages.iter().find(|page| page.number == number.0);
        page.map_or_else(|| Ok(RecordPage::new(number)), |page| RecordPage::try_from(page).map_err(senseless))
    }

    async fn arrivals(&self) -> Result<BoxStream<'static, Result<ByteRanges, Problem>>, Problem> {
        Err(self.incomplete())
    }

    async fn want(&self, _ranges: &ByteRanges, _ttl: Duration) -> Result<(), Problem> {
        Err(self.incomplete())
    }
}
