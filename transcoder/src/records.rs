//! Records of one source, read from the catalog: what the reader of a source needs.

use crate::catalog::{Catalog, Heard};
use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use std::sync::Arc;
use std::time::Duration;
use vidstream_backends::objects::ObjectStore;
use vidstream_proto::error::Problem;
use vidstream_proto::ids::SourceId;
use vidstream_proto::source::Source;
use vidstream_source::extents::{PageNumber, RecordPage};
use vidstream_source::ranges::ByteRanges;
use vidstream_source::reader::SourceReader;
use vidstream_source::records::Records;

struct CatalogRecords {
    catalog: Catalog,
    source: SourceId,
    size: u64,
    waiter: String,
}

/// A reader of `source` that waits for what has not come; `waiter` names it to the catalog.
pub(crate) fn reader(
    catalog: &Catalog,
    objects: &Arc<dyn ObjectStore>,
    source: &Source,
    waiter: String,
) -> SourceReader {
    let records = CatalogRecords { catalog: catalog.clone(), source: source.id, size: source.size, waiter };
    SourceReader::new(source.id, source.size, Arc::clone(objects), Arc::new(records))
}

#[async_trait]
impl Records for CatalogRecords {
    async fn page(&self, number: PageNumber) -> Result<RecordPage, Problem> {
        self.catalog.page(self.source, number).await
    }

    async fn arrivals(&self) -> Result<BoxStream<'static, Result<ByteRanges, Problem>>, Problem> {
        let heard = self.catalog.recorded(self.source, self.size).await?;
        let arrived = |heard| match heard {
            Heard::Recorded(ranges) => ranges,
            Heard::Missed(anywhere) => anywhere.into(),
        };
        Ok(heard.map(move |heard| heard.map(arrived)).boxed())
    }

    async fn want(&self, ranges: &ByteRanges, ttl: Duration) -> Result<(), Problem> {
        self.catalog.want(self.source, &self.waiter, ranges, ttl).await
    }
}
