//! One upload as the catalog knows it.

use super::memory::UploadMemory;
use crate::Deps;
use async_trait::async_trait;
use futures::future::ready;
use futures::stream::{self, Stream, TryStreamExt};
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::watch;
use tonic::Streaming;
use vidstream_mesh::trace::{self, Active, Kind, Span};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::UploadId;
use vidstream_proto::source::{Source, SourceLife, UploadState};
use vidstream_proto::{field, pb, ranges, time};
use vidstream_source::extents::{Extent, ExtentMap, PageNumber, RecordPage};
use vidstream_source::ranges::ByteRanges;
use vidstream_source::records::Recorder;
use vidstream_source::writer::SourceWriter;

/// An upload whose source is alive.
#[derive(Clone, Debug)]
pub struct Session {
    deps: Deps,
    source: Source,
}

impl Session {
    /// The upload `id`; one whose source is on its way out is not found.
    pub async fn find(deps: &Deps, id: UploadId) -> Result<Self, Problem> {
        let key = Some(pb::get_source_request::Key::UploadId(id.to_string()));
        let answer = deps.ask(deps.catalog.clone().get_source(pb::GetSourceRequest { key })).await;
        let answer = answer.map_err(|problem| match problem.reason {
            Reason::NotFound => Problem::not_found("upload", id),
            _ => problem,
        })?;
        let session = Self::of(deps, answer.source)?;
        if session.source.life != SourceLife::Live || session.source.upload_state == UploadState::Expired {
            return Err(Problem::new(Reason::NotFound, format!("upload {id} is gone: it expired or was removed")));
        }
        Ok(session)
    }

    /// The upload of a source that the catalog just answered.
    pub fn of(deps: &Deps, source: Option<pb::Source>) -> Result<Self, Problem> {
        let source =
            field::present("source", source).and_then(Source::try_from).map_err(|problem| confused(&problem))?;
        Ok(Self { deps: deps.clone(), source })
    }

    /// Its source.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Work for this upload, as part of the trace that it began with: one upload is one trace, however many calls and gateways
    /// bring it.
    pub fn span(&self, what: &'static str) -> Span {
        let tracer = trace::active().map(|active| active.tracer).unwrap_or_default();
        let upload = self.source.trace_parent.parse().ok().or_else(trace::current);
        let mut span = Span::begin(&tracer, "gateway", Kind::Internal, || what.into(), upload);
        span.note("vidstream.upload", || self.source.upload_id.to_string().into());
        span
    }

    /// Refuses bytes for an upload that is complete.
    pub fn takes_bytes(&self) -> Result<(), Problem> {
        if self.source.upload_state == UploadState::Complete {
            let text = format!("upload {} is complete and takes no more bytes", self.source.upload_id);
            return Err(Problem::new(Reason::UploadComplete, text));
        }
        Ok(())
    }

    /// As clients see it.
    pub async fn public(&self) -> Result<pb::Upload, Problem> {
        let durable = self.durable().await?;
        let source = &self.source;
        Ok(pb::Upload {
            id: source.upload_id.to_string(),
            video_id: source.video_ids.first().map(ToString::to_string).unwrap_or_default(),
            file_name: source.file_name.clone(),
            size: source.size,
            state: source.upload_state.into(),
            durable: ranges::to_wire(durable.iter()),
            create_time: Some(time::timestamp(source.create_time)),
        })
    }

    /// All that is durable.
    pub async fn durable(&self) -> Result<ByteRanges, Problem> {
        let all = PageNumber::all(self.source.size).count();
        let add = |mut durable: ByteRanges, page: RecordPage| async move {
            durable.extend(page.extents().map(Extent::range));
            Ok(durable)
        };
        self.pages(0..u32::try_from(all).unwrap_or(u32::MAX)).try_fold(ByteRanges::new(), add).await
    }

    /// What is recorded of the pages that `range` touches.
    pub async fn recorded(&self, range: Range<u64>) -> Result<ExtentMap, Problem> {
        let pages = PageNumber::of(range.start).0..PageNumber::of(range.end.saturating_sub(1)).0.saturating_add(1);
        let pages: Vec<RecordPage> = self.pages(pages).try_collect().await?;
        ExtentMap::from_pages(self.source.size, pages).map_err(|error| confused(&error))
    }

    /// A writer of the source's bytes that knows what of `range` is recorded, and what the catalog answered to it last.
    pub async fn writer(
        &self,
        range: Range<u64>,
        memory: &UploadMemory,
    ) -> Result<(SourceWriter, Arc<Recording>), Problem> {
        let recorded = self.recorded(range).await?;
        let recording = Arc::new(Recording {
            deps: self.deps.clone(),
            source: self.source.clone(),
            wants: watch::channel(None).0,
            active: trace::active(),
        });
        let objects = Arc::clone(&self.deps.objects);
        let blocks = Arc::clone(memory.blocks());
        Ok((SourceWriter::new(self.source.id, objects, recording.clone(), recorded, blocks), recording))
    }

    /// Arrivals and wants from now on, beginning with the present wants.
    pub async fn watch(&self) -> Result<Streaming<pb::WatchSourceResponse>, Problem> {
        let call = pb::WatchSourceRequest { source_id: self.source.id.to_string() };
        self.deps.ask(self.deps.catalog.clone().watch_source(call)).await
    }

    /// Ranges somebody is waiting for now; nobody waits once all is there.
    pub async fn wants(&self) -> Result<Vec<pb::ByteRange>, Problem> {
        if self.source.upload_state == UploadState::Complete {
            return Ok(Vec::new());
        }
        let mut watch = self.watch().await?;
        let first = self.deps.ask(async { Ok(tonic::Response::new(watch.message().await?)) }).await?;
        Ok(first.map(|now| now.wants).unwrap_or_default())
    }

    /// The pages of these numbers that have records.
    fn pages(&self, numbers: Range<u32>) -> impl Stream<Item = Result<RecordPage, Problem>> {
        let end = numbers.end;
        let batches = stream::try_unfold(numbers, |left| self.batch(left));
        let pages = batches.map_ok(|batch| stream::iter(batch.into_iter().map(Ok))).try_flatten();
        // So many pages with records may reach further than so many pages.
        pages.try_filter(move |page: &RecordPage| ready(page.number().0 < end))
    }

    /// As many pages as the catalog gives at once, and the numbers that are left.
    async fn batch(&self, numbers: Range<u32>) -> Result<Option<(Vec<RecordPage>, Range<u32>)>, Problem> {
        if numbers.is_empty() {
            return Ok(None);
        }
        let (source_id, first_page) = (self.source.id.to_string(), numbers.start);
        let call = pb::ListExtentsRequest { source_id, first_page, pages: numbers.end - first_page };
        let answer = self.deps.ask(self.deps.catalog.clone().list_extents(call)).await?;
        let pages = answer.pages.iter().map(RecordPage::try_from).collect::<Result<_, _>>();
        // Onwards in any case, or a catalog that repeats itself would hold us for ever.
        let next = answer.next_page.map_or(numbers.end, |next| next.max(first_page.saturating_add(1)));
        Ok(Some((pages.map_err(|problem| confused(&problem))?, next..numbers.end)))
    }
}

/// What is wrong with an answer of the catalog is not the client's mistake.
pub fn confused(error: &dyn std::fmt::Display) -> Problem {
    Problem::new(Reason::Internal, format!("the catalog's answer makes no sense: {error}"))
}

/// Has extents of one source recorded by the catalog.
#[derive(Debug)]
pub struct Recording {
    deps: Deps,
    source: Source,
    wants: watch::Sender<Option<Vec<pb::ByteRange>>>,
    /// What the writer, which works in tasks of its own, works for.
    active: Option<Active>,
}

impl Recording {
    /// The wants that the catalog answered last, if it was asked.
    pub fn wants(&self) -> Option<Vec<pb::ByteRange>> {
        self.wants.borrow().clone()
    }
}

#[async_trait]
impl Recorder for Recording {
    async fn record(&self, extents: &[Extent]) -> Result<Vec<Extent>, Problem> {
        let call = pb::RecordExtentsRequest {
            source_id: self.source.id.to_string(),
            extents: extents.iter().map(pb::Extent::from).collect(),
        };
        let answer = async { self.deps.ask(self.deps.catalog.clone().record_extents(call)).await };
        let answer = trace::carried(self.active.clone(), answer).await?;
        self.wants.send_replace(Some(answer.wants));
        answer.overlapping.iter().map(Extent::try_from).collect::<Result<_, _>>().map_err(|problem| confused(&problem))
    }
}
