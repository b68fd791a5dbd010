//! The gRPC service: requests become typed, answers become messages.

use crate::Catalog;
use crate::feed::Position;
use crate::sources::SourceKey;
use crate::store::{JobsQuery, Maker};
use crate::upload::{CompleteSource, RecordExtents, WantRanges};
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use tonic::{Request, Response, Status};
use vidstream_mesh::caller;
use vidstream_proto::captions::{NoteCaptions, RemoveCaptions};
use vidstream_proto::error::Problem;
use vidstream_proto::job::{Fence, JobClass, JobId, JobKind};
use vidstream_proto::pb::catalog_service_server::CatalogService;
use vidstream_proto::upload::CreateUpload;
use vidstream_proto::video::{ListVideos, RemoveVideo, RestoreVideo, RetryVideo, UpdateVideo};
use vidstream_proto::watched::ReportWatched;
use vidstream_proto::{field, pb};
use vidstream_source::extents::PageNumber;

/// Serves `vidstream.v1.CatalogService`.
#[derive(Clone, Debug)]
pub struct Service {
    catalog: Catalog,
}

impl Service {
    pub(crate) fn new(catalog: Catalog) -> Self {
        Self { catalog }
    }
}

type Answer<T> = Result<Response<T>, Status>;
type Streaming<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl CatalogService for Service {
    type WatchSourceStream = Streaming<pb::WatchSourceResponse>;
    type WatchEntriesStream = Streaming<pb::WatchEntriesResponse>;
    type CollectObjectsStream = Streaming<pb::CollectObjectsResponse>;

    async fn create_source(&self, request: Request<pb::CreateSourceRequest>) -> Answer<pb::CreateSourceResponse> {
        let caller = caller::of(&request)?;
        let request = request.into_inner();
        let room = request.room;
        let create = CreateUpload::try_from(request)?;
        let source = self.catalog.create_source(create, room, caller.owner()).await?;
        Ok(Response::new(pb::CreateSourceResponse { source: Some(source.into()) }))
    }

    async fn get_source(&self, request: Request<pb::GetSourceRequest>) -> Answer<pb::GetSourceResponse> {
        let source = self.catalog.get_source(SourceKey::try_from(request.into_inner())?).await?;
        Ok(Response::new(pb::GetSourceResponse { source: Some(source.into()) }))
    }

    async fn record_extents(&self, request: Request<pb::RecordExtentsRequest>) -> Answer<pb::RecordExtentsResponse> {
        let record = RecordExtents::try_from(request.into_inner())?;
        Ok(Response::new(self.catalog.record_extents(record).await?))
    }

    async fn list_extents(&self, request: Request<pb::ListExtentsRequest>) -> Answer<pb::ListExtentsResponse> {
        let request = request.into_inner();
        let id = field::id("source_id", &request.source_id)?;
        let pages = if request.pages == 0 { usize::MAX } else { request.pages as usize };
        Ok(Response::new(self.catalog.list_extents(id, PageNumber(request.first_page), pages).await?))
    }

    async fn complete_source(&self, request: Request<pb::CompleteSourceRequest>) -> Answer<pb::CompleteSourceResponse> {
        let complete = CompleteSource::try_from(request.into_inner())?;
        Ok(Response::new(self.catalog.complete_source(complete).await?))
    }

    async fn want_ranges(&self, request: Request<pb::WantRangesRequest>) -> Answer<pb::WantRangesResponse> {
        self.catalog.want_ranges(WantRanges::try_from(request.into_inner())?).await?;
        Ok(Response::new(pb::WantRangesResponse {}))
    }

    async fn watch_source(&self, request: Request<pb::WatchSourceRequest>) -> Answer<Self::WatchSourceStream> {
        let id = field::id("source_id", &request.into_inner().source_id)?;
        let stream = self.catalog.watch_source(id).await?;
        Ok(Response::new(stream.map_err(Status::from).boxed()))
    }

    async fn list_entries(&self, request: Request<pb::ListEntriesRequest>) -> Answer<pb::ListEntriesResponse> {
        let list = ListVideos::try_from(request.into_inner())?;
        Ok(Response::new(self.catalog.list_videos(list).await?))
    }

    async fn get_entry(&self, request: Request<pb::GetEntryRequest>) -> Answer<pb::GetEntryResponse> {
        let id = field::id("video_id", &request.into_inner().video_id)?;
        let entry = self.catalog.video(id).await?.entry;
        Ok(Response::new(pb::GetEntryResponse { entry: Some(entry.into()) }))
    }

    async fn update_entry(&self, request: Request<pb::UpdateEntryRequest>) -> Answer<pb::UpdateEntryResponse> {
        let update = UpdateVideo::try_from(request.into_inner())?;
        Ok(Response::new(self.catalog.update_video(update).await?))
    }

    async fn remove_entry(&self, request: Request<pb::RemoveEntryRequest>) -> Answer<pb::RemoveEntryResponse> {
        let remove = RemoveVideo::try_from(request.into_inner())?;
        Ok(Response::new(self.catalog.remove_video(remove).await?))
    }

    async fn restore_entry(&self, request: Request<pb::RestoreEntryRequest>) -> Answer<pb::RestoreEntryResponse> {
        let restore = RestoreVideo::try_from(request.into_inner())?;
        Ok(Response::new(self.catalog.restore_video(restore).await?))
    }

    async fn retry_entry(&self, request: Request<pb::RetryEntryRequest>) -> Answer<pb::RetryEntryResponse> {
        let retry = RetryVideo::try_from(request.into_inner())?;
        Ok(Response::new(self.catalog.retry_video(retry).await?))
    }

    async fn add_entry_captions(
        &self,
        request: Request<pb::AddEntryCaptionsRequest>,
    ) -> Answer<pb::AddEntryCaptionsResponse> {
        let note = NoteCaptions::try_from(request.into_inner())?;
        Ok(Response::new(self.catalog.add_captions(note).await?))
    }

    async fn remove_entry_captions(
        &self,
        request: Request<pb::RemoveEntryCaptionsRequest>,
    ) -> Answer<pb::RemoveEntryCaptionsResponse> {
        let remove = RemoveCaptions::try_from(request.into_inner())?;
        Ok(Response::new(self.catalog.remove_captions(remove).await?))
    }

    async fn watch_entries(&self, request: Request<pb::WatchEntriesRequest>) -> Answer<Self::WatchEntriesStream> {
        let request = request.into_inner();
        let position: Option<Position> =
            Some(request.position).filter(|text| !text.is_empty()).map(|text| text.parse()).transpose()?;
        let video = field::optional_id("video_id", &request.video_id)?;
        let stream = self.catalog.watch_entries(position, video).await?;
        Ok(Response::new(stream.map_err(Status::from).boxed()))
    }

    async fn take_job(&self, request: Request<pb::TakeJobRequest>) -> Answer<pb::TakeJobResponse> {
        let request = request.into_inner();
        let worker = field::text("worker", &request.worker, 1, 200)?;
        let known = |class: i32| JobClass::try_from(class).ok().filter(|class| *class != JobClass::Unspecified);
        let classes: Option<Vec<JobClass>> = request.classes.into_iter().map(known).collect();
        let classes = classes
            .filter(|classes| !classes.is_empty())
            .ok_or_else(|| Problem::field("classes", "must name known classes, at least one"))?;
        let maker = Maker { version: request.maker, index_format: request.index_format };
        let taken = self.catalog.take_job(&classes, &worker, maker).await?;
        let (job, source) = taken.map(|(job, source)| (job.into(), source.into())).unzip();
        Ok(Response::new(pb::TakeJobResponse { job, source }))
    }

    async fn beat_job(&self, request: Request<pb::BeatJobRequest>) -> Answer<pb::BeatJobResponse> {
        let request = request.into_inner();
        let id = JobId::parse(&request.job_id)?;
        let progress = request.progress.map(TryInto::try_into).transpose()?;
        let cancelled = self.catalog.beat_job(&id, Fence(request.fence), request.beat, progress).await?;
        Ok(Response::new(pb::BeatJobResponse { cancelled }))
    }

    async fn record_segment(&self, request: Request<pb::RecordSegmentRequest>) -> Answer<pb::RecordSegmentResponse> {
        let request = request.into_inner();
        let id = JobId::parse(&request.job_id)?;
        self.catalog.record_segment(&id, &request.try_into()?).await?;
        Ok(Response::new(pb::RecordSegmentResponse {}))
    }

    async fn want_segment(&self, request: Request<pb::WantSegmentRequest>) -> Answer<pb::WantSegmentResponse> {
        let pb::WantSegmentRequest { source_id, track, number } = request.into_inner();
        self.catalog.want_segment(field::id("source_id", &source_id)?, &track, number).await?;
        Ok(Response::new(pb::WantSegmentResponse {}))
    }

    async fn finish_job(&self, request: Request<pb::FinishJobRequest>) -> Answer<pb::FinishJobResponse> {
        let request = request.into_inner();
        let id = JobId::parse(&request.job_id)?;
        let result = field::present("result", request.result)?;
        check_result(&id, &result)?;
        self.catalog.finish_job(&id, Fence(request.fence), result).await?;
        Ok(Response::new(pb::FinishJobResponse {}))
    }

    async fn fail_job(&self, request: Request<pb::FailJobRequest>) -> Answer<pb::FailJobResponse> {
        let request = request.into_inner();
        let kind = request.kind();
        if kind == pb::FailureKind::Unspecified {
            return Err(Problem::field("kind", "is missing").into());
        }
        let id = JobId::parse(&request.job_id)?;
        let reason: String = request.reason.chars().filter(|c| !c.is_control()).take(1000).collect();
        self.catalog.fail_job(&id, Fence(request.fence), kind, &reason).await?;
        Ok(Response::new(pb::FailJobResponse {}))
    }

    async fn list_jobs(&self, request: Request<pb::ListJobsRequest>) -> Answer<pb::ListJobsResponse> {
        let request = request.into_inner();
        let limit = match request.limit {
            0 => 100,
            limit @ 1..=500 => limit as usize,
            limit => return Err(Problem::field("limit", format!("must be 1 to 500, is {limit}")).into()),
        };
        let source = field::optional_id("source_id", &request.source_id)?;
        let query = JobsQuery { source, unfinished_only: request.unfinished_only, limit };
        let jobs = self.catalog.list_jobs(query).await?;
        Ok(Response::new(pb::ListJobsResponse { jobs: jobs.into_iter().map(Into::into).collect() }))
    }

    async fn add_watched(&self, request: Request<pb::AddWatchedRequest>) -> Answer<pb::AddWatchedResponse> {
        self.catalog.add_watched(ReportWatched::try_from(request.into_inner())?).await?;
        Ok(Response::new(pb::AddWatchedResponse {}))
    }

    async fn collect_objects(&self, request: Request<pb::CollectObjectsRequest>) -> Answer<Self::CollectObjectsStream> {
        let pb::CollectObjectsRequest { dry_run, adopt } = request.into_inner();
        let collection = self.catalog.collect_objects(dry_run, adopt).await?;
        Ok(Response::new(collection.map_err(Status::from).boxed()))
    }

    async fn examine_catalog(&self, _: Request<pb::ExamineCatalogRequest>) -> Answer<pb::ExamineCatalogResponse> {
        Ok(Response::new(pb::ExamineCatalogResponse { examination: Some(self.catalog.examine().await) }))
    }
}

/// A result must be of the kind that its job makes.
fn check_result(id: &JobId, result: &pb::finish_job_request::Result) -> Result<(), Problem> {
    use pb::finish_job_request::Result::{Delete, Encode, Index, Normalisation, Poster, Storyboard};
    let makes = |kind: JobKind| id.as_str().split(':').nth(1) == Some(kind.name());
    let kind = match result {
        Index(index) if index.media.is_none() => return Err(Problem::field("index.media", "is missing")),
        Index(_) if makes(JobKind::Normalise) => JobKind::Normalise,
        Index(_) | Normalisation(_) => JobKind::Ingest,
        Encode(_) => JobKind::Encode,
        Storyboard(_) => JobKind::Storyboard,
        Poster(_) => JobKind::Poster,
        Delete(_) => JobKind::Delete,
    };
    if makes(kind) {
        return Ok(());
    }
    Err(Problem::field("result", format!("a result of {} can't end job {id}", kind.name())))
}
