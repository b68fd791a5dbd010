//! A catalog in memory: sources, extents, wants and a feed that tests write.

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use tokio::sync::{broadcast, watch};
use tokio_stream::wrappers::BroadcastStream;
use tonic::{Request, Response, Status};
use vidstream_proto::captions::{NoteCaptions, RemoveCaptions};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::{SourceId, UploadId, VideoId};
use vidstream_proto::pb;
use vidstream_proto::pb::catalog_service_server::CatalogService;
use vidstream_proto::upload::CreateUpload;
use vidstream_proto::video::{ListVideos, RemoveVideo, RestoreVideo, RetryVideo, UpdateVideo};
use vidstream_proto::watched::ReportWatched;
use vidstream_source::extents::{Extent, ExtentMap, Insertion, PageNumber, RecordPage};

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = BoxStream<'static, Result<T, Status>>;

#[derive(Debug)]
pub struct Catalog {
    held: Mutex<HashMap<String, Held>>,
    requests: Mutex<HashMap<String, String>>,
    notices: broadcast::Sender<(String, pb::WatchSourceResponse)>,
    /// What watchers of the feed hear.
    pub feed: broadcast::Sender<Result<pb::WatchEntriesResponse, Status>>,
    /// Fails every call while it is set.
    pub failure: Mutex<Option<Problem>>,
    /// Records are made only while this is true.
    pub recording: watch::Sender<bool>,
    /// Tells nobody of records while it is set.
    pub quiet: AtomicBool,
}

#[derive(Debug)]
struct Held {
    source: pb::Source,
    video: pb::Video,
    extents: ExtentMap,
    wants: Vec<pb::ByteRange>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            held: Mutex::default(),
            requests: Mutex::default(),
            notices: broadcast::Sender::new(1024),
            feed: broadcast::Sender::new(64),
            failure: Mutex::default(),
            recording: watch::Sender::new(true),
            quiet: AtomicBool::new(false),
        }
    }
}

impl Catalog {
    fn enter(&self) -> Result<MutexGuard<'_, HashMap<String, Held>>, Status> {
        match self.failure.lock().expect("not poisoned").clone() {
            Some(problem) => Err(problem.into()),
            None => Ok(self.held.lock().expect("not poisoned")),
        }
    }

    fn of_video<T>(&self, id: &str, act: impl FnOnce(&mut Held) -> T) -> Result<T, Status> {
        let mut held = self.enter()?;
        let found = held.values_mut().find(|held| held.video.id == id);
        found.map(act).ok_or_else(|| Problem::not_found("video", id).into())
    }

    fn tell(&self, source_id: &str, notice: pb::WatchSourceResponse) {
        let _ = self.notices.send((source_id.to_owned(), notice));
    }

    /// Somebody waits for these bytes.
    pub fn want(&self, upload_id: &str, wants: Vec<pb::ByteRange>) {
        let mut all = self.held.lock().expect("not poisoned");
        let held = all.values_mut().find(|held| held.source.upload_id == upload_id).expect("an upload");
        held.wants.clone_from(&wants);
        self.tell(&held.source.id, pb::WatchSourceResponse { wants, ..Default::default() });
    }

    /// The source is being removed.
    pub fn kill(&self, upload_id: &str) {
        let mut all = self.held.lock().expect("not poisoned");
        let held = all.values_mut().find(|held| held.source.upload_id == upload_id).expect("an upload");
        held.source.life = pb::SourceLife::Dying.into();
        self.tell(&held.source.id, pb::WatchSourceResponse { dying: true, ..Default::default() });
    }

    /// Notices were lost.
    pub fn lag(&self, upload_id: &str) {
        let source_id = self.source_id(upload_id).to_string();
        self.tell(&source_id, pb::WatchSourceResponse { lagged: true, ..Default::default() });
    }

    /// Changes a video as the catalog itself does.
    pub fn change(&self, video_id: &str, change: impl FnOnce(&mut pb::Video)) {
        self.of_video(video_id, |held| change(&mut held.video)).expect("a video");
    }

    pub fn source_id(&self, upload_id: &str) -> SourceId {
        let all = self.held.lock().expect("not poisoned");
        let held = all.values().find(|held| held.source.upload_id == upload_id).expect("an upload");
        held.source.id.parse().expect("an id")
    }

    /// What is recorded of the upload.
    pub fn extents(&self, upload_id: &str) -> Vec<Extent> {
        let all = self.held.lock().expect("not poisoned");
        let held = all.values().find(|held| held.source.upload_id == upload_id).expect("an upload");
        held.extents.extents().cloned().collect()
    }

    fn create(&self, request: pb::CreateSourceRequest) -> Result<pb::Source, Status> {
        let create = CreateUpload::try_from(request)?;
        let mut held = self.enter()?;
        let mut requests = self.requests.lock().expect("not poisoned");
        let fresh = SourceId::generate().to_string();
        let id = requests.entry(create.request_id.to_string()).or_insert(fresh).clone();
        let made = held.entry(id.clone()).or_insert_with(|| Held::new(id, create));
        Ok(made.source.clone())
    }
}

impl Held {
    fn new(id: String, create: CreateUpload) -> Self {
        let now = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 });
        let waiting = Some(pb::Part { state: pb::PartState::Waiting.into(), ..Default::default() });
        let video_id = VideoId::generate().to_string();
        let upload_state = pb::UploadState::Open.into();
        let video = pb::Video {
            id: video_id.clone(),
            title: create.title,
            file_name: create.file_name.clone(),
            state: pb::VideoState::Uploading.into(),
            revision: 1,
            upload: Some(pb::UploadPart { state: upload_state, size: create.size, ..Default::default() }),
            ..Default::default()
        };
        let source = pb::Source {
            id,
            video_ids: vec![video_id],
            life: pb::SourceLife::Live.into(),
            file_name: create.file_name,
            size: create.size,
            upload_id: UploadId::generate().to_string(),
            upload_state,
            expected_blake3: create.blake3.map_or_else(Vec::new, Vec::from),
            create_time: now,
            receive_time: now,
            index: waiting.clone(),
            storyboard: waiting.clone(),
            poster: waiting,
            ..Default::default()
        };
        Self { source, video, extents: ExtentMap::new(create.size), wants: Vec::new() }
    }

    fn entry(&self) -> pb::Entry {
        pb::Entry { video: Some(self.video.clone()), source_id: self.source.id.clone() }
    }

    fn record(&mut self, extents: &[pb::Extent]) -> Result<Vec<pb::Extent>, Problem> {
        if self.source.life() != pb::SourceLife::Live {
            return Err(Problem::new(Reason::SourceDying, "the source is being removed"));
        }
        let mut overlapping = Vec::new();
        for extent in extents {
            let extent = Extent::try_from(extent)?;
            let range = extent.range();
            let inserted = self.extents.insert(extent).map_err(|e| Problem::field("extents", e.to_string()))?;
            if inserted == Insertion::Overlaps {
                overlapping.extend(self.extents.overlapping(range).map(pb::Extent::from));
            }
        }
        Ok(overlapping)
    }

    fn complete(&mut self, sum: Vec<u8>) -> Result<(), Problem> {
        if !self.extents.is_complete() {
            return Err(Problem::new(Reason::BytesMissing, "bytes are missing"));
        }
        self.source.upload_state = pb::UploadState::Complete.into();
        self.source.blake3.clone_from(&sum);
        self.video.state = pb::VideoState::Processing.into();
        let upload = self.video.upload.as_mut().expect("made with it");
        upload.state = pb::UploadState::Complete.into();
        upload.blake3 = sum;
        Ok(())
    }
}

#[tonic::async_trait]
impl CatalogService for Catalog {
    type WatchSourceStream = Answers<pb::WatchSourceResponse>;
    type WatchEntriesStream = Answers<pb::WatchEntriesResponse>;
    type CollectObjectsStream = Answers<pb::CollectObjectsResponse>;

    async fn create_source(&self, request: Request<pb::CreateSourceRequest>) -> Answer<pb::CreateSourceResponse> {
        let source = Some(self.create(request.into_inner())?);
        Ok(Response::new(pb::CreateSourceResponse { source }))
    }

    async fn get_source(&self, request: Request<pb::GetSourceRequest>) -> Answer<pb::GetSourceResponse> {
        use pb::get_source_request::Key;
        let held = self.enter()?;
        let key = request.into_inner().key;
        let is = |source: &pb::Source| match &key {
            Some(Key::SourceId(id)) => source.id == *id,
            Some(Key::UploadId(id)) => source.upload_id == *id,
            Some(Key::VideoId(id)) => source.video_ids.contains(id),
            None => false,
        };
        let source = held.values().map(|held| &held.source).find(|source| is(source)).cloned();
        let source = source.ok_or_else(|| Status::from(Problem::not_found("source", "of this key")))?;
        Ok(Response::new(pb::GetSourceResponse { source: Some(source) }))
    }

    async fn record_extents(&self, request: Request<pb::RecordExtentsRequest>) -> Answer<pb::RecordExtentsResponse> {
        let request = request.into_inner();
        self.recording.subscribe().wait_for(|open| *open).await.expect("the catalog lives");
        let mut all = self.enter()?;
        let held = all.get_mut(&request.source_id).ok_or_else(|| Status::not_found("no source"))?;
        let overlapping = held.record(&request.extents)?;
        let recorded = request.extents.iter().map(|e| pb::ByteRange { start: e.offset, end: e.offset + e.length });
        let recorded = if overlapping.is_empty() { recorded.collect() } else { Vec::new() };
        let wants = held.wants.clone();
        let notice = pb::WatchSourceResponse { recorded, wants: wants.clone(), ..Default::default() };
        if !self.quiet.load(Ordering::Relaxed) {
            self.tell(&request.source_id, notice);
        }
        Ok(Response::new(pb::RecordExtentsResponse { received: held.extents.received(), wants, overlapping }))
    }

    async fn list_extents(&self, request: Request<pb::ListExtentsRequest>) -> Answer<pb::ListExtentsResponse> {
        let request = request.into_inner();
        let all = self.enter()?;
        let held = all.get(&request.source_id).ok_or_else(|| Status::not_found("no source"))?;
        let wanted = |page: &PageNumber| page.0 >= request.first_page;
        let pages = PageNumber::all(held.source.size).filter(wanted).filter_map(|number| {
            let mut page = RecordPage::new(number);
            held.extents.overlapping(number.bytes()).for_each(|extent| {
                page.insert(extent.clone());
            });
            (page.received() > 0).then(|| pb::ExtentPage::from(&page))
        });
        // One at a time, as if each were as large as an answer may be.
        let mut pages: Vec<_> = pages.take(2).collect();
        let next_page = pages.get(1).map(|page| page.number);
        pages.truncate(1);
        Ok(Response::new(pb::ListExtentsResponse { pages, next_page }))
    }

    async fn complete_source(&self, request: Request<pb::CompleteSourceRequest>) -> Answer<pb::CompleteSourceResponse> {
        let request = request.into_inner();
        let mut all = self.enter()?;
        let held = all.get_mut(&request.source_id).ok_or_else(|| Status::not_found("no source"))?;
        held.complete(request.blake3)?;
        Ok(Response::new(pb::CompleteSourceResponse { entry: Some(held.entry()) }))
    }

    async fn want_ranges(&self, _: Request<pb::WantRangesRequest>) -> Answer<pb::WantRangesResponse> {
        Err(Status::unimplemented("tests want through `Catalog::want`"))
    }

    async fn watch_source(&self, request: Request<pb::WatchSourceRequest>) -> Answer<Self::WatchSourceStream> {
        let id = request.into_inner().source_id;
        let all = self.enter()?;
        let held = all.get(&id).ok_or_else(|| Status::not_found("no source"))?;
        let notices = BroadcastStream::new(self.notices.subscribe());
        let now = pb::WatchSourceResponse { wants: held.wants.clone(), ..Default::default() };
        let later = notices.filter_map(move |notice| {
            let (source, notice) = notice.expect("tests do not lag");
            std::future::ready((source == id).then_some(Ok(notice)))
        });
        Ok(Response::new(stream::iter([Ok(now)]).chain(later).boxed()))
    }

    async fn list_entries(&self, request: Request<pb::ListEntriesRequest>) -> Answer<pb::ListEntriesResponse> {
        let list = ListVideos::try_from(request.into_inner())?;
        let all = self.enter()?;
        let entries = all.values().map(Held::entry).take(list.page_size).collect();
        Ok(Response::new(pb::ListEntriesResponse { entries, next_page_token: "next".into(), position: "7".into() }))
    }

    async fn get_entry(&self, request: Request<pb::GetEntryRequest>) -> Answer<pb::GetEntryResponse> {
        let entry = self.of_video(&request.into_inner().video_id, |held| held.entry())?;
        Ok(Response::new(pb::GetEntryResponse { entry: Some(entry) }))
    }

    async fn update_entry(&self, request: Request<pb::UpdateEntryRequest>) -> Answer<pb::UpdateEntryResponse> {
        let update = UpdateVideo::try_from(request.into_inner())?;
        let entry = self.of_video(&update.video_id.to_string(), |held| {
            if update.expected_revision.is_some_and(|expected| expected != held.video.revision) {
                return Err(Problem::new(Reason::RevisionMismatch, "it has another revision"));
            }
            held.video.revision += 1;
            held.video.title = update.title.unwrap_or_else(|| held.video.title.clone());
            held.video.tags = update.tags.unwrap_or_else(|| held.video.tags.clone());
            Ok(held.entry())
        })??;
        Ok(Response::new(pb::UpdateEntryResponse { entry: Some(entry) }))
    }

    async fn add_entry_captions(
        &self,
        request: Request<pb::AddEntryCaptionsRequest>,
    ) -> Answer<pb::AddEntryCaptionsResponse> {
        let note = NoteCaptions::try_from(request.into_inner())?;
        let entry = self.of_video(&note.video_id.to_string(), |held| {
            held.video.captions.push(note.captions.clone());
            held.entry()
        })?;
        Ok(Response::new(pb::AddEntryCaptionsResponse { entry: Some(entry) }))
    }

    async fn remove_entry_captions(
        &self,
        request: Request<pb::RemoveEntryCaptionsRequest>,
    ) -> Answer<pb::RemoveEntryCaptionsResponse> {
        let remove = RemoveCaptions::try_from(request.into_inner())?;
        let entry = self.of_video(&remove.video_id.to_string(), |held| {
            held.video.captions.retain(|captions| captions.id != remove.captions_id.to_string());
            held.entry()
        })?;
        Ok(Response::new(pb::RemoveEntryCaptionsResponse { entry: Some(entry) }))
    }

    async fn remove_entry(&self, request: Request<pb::RemoveEntryRequest>) -> Answer<pb::RemoveEntryResponse> {
        let remove = RemoveVideo::try_from(request.into_inner())?;
        let entry = self.of_video(&remove.video_id.to_string(), |held| {
            held.video.state = pb::VideoState::Removed.into();
            held.entry()
        })?;
        Ok(Response::new(pb::RemoveEntryResponse { entry: Some(entry) }))
    }

    async fn restore_entry(&self, request: Request<pb::RestoreEntryRequest>) -> Answer<pb::RestoreEntryResponse> {
        let restore = RestoreVideo::try_from(request.into_inner())?;
        let entry = self.of_video(&restore.video_id.to_string(), |held| {
            held.video.state = pb::VideoState::Uploading.into();
            held.entry()
        })?;
        Ok(Response::new(pb::RestoreEntryResponse { entry: Some(entry) }))
    }

    async fn retry_entry(&self, request: Request<pb::RetryEntryRequest>) -> Answer<pb::RetryEntryResponse> {
        let retry = RetryVideo::try_from(request.into_inner())?;
        let entry = self.of_video(&retry.video_id.to_string(), |held| held.entry())?;
        Ok(Response::new(pb::RetryEntryResponse { entry: Some(entry) }))
    }

    async fn watch_entries(&self, request: Request<pb::WatchEntriesRequest>) -> Answer<Self::WatchEntriesStream> {
        drop(self.enter()?);
        // The position comes back, so that a test sees that it was passed on.
        let event = Some(pb::watch_entries_response::Event::Current(pb::FeedCurrent {}));
        let now = pb::WatchEntriesResponse { position: request.into_inner().position, event };
        let later = BroadcastStream::new(self.feed.subscribe()).map(|change| change.expect("tests do not lag"));
        Ok(Response::new(stream::iter([Ok(now)]).chain(later).boxed()))
    }

    async fn take_job(&self, _: Request<pb::TakeJobRequest>) -> Answer<pb::TakeJobResponse> {
        Err(no_jobs())
    }

    async fn beat_job(&self, _: Request<pb::BeatJobRequest>) -> Answer<pb::BeatJobResponse> {
        Err(no_jobs())
    }

    async fn record_segment(&self, _: Request<pb::RecordSegmentRequest>) -> Answer<pb::RecordSegmentResponse> {
        Err(no_jobs())
    }

    async fn want_segment(&self, _: Request<pb::WantSegmentRequest>) -> Answer<pb::WantSegmentResponse> {
        Err(no_jobs())
    }

    async fn finish_job(&self, _: Request<pb::FinishJobRequest>) -> Answer<pb::FinishJobResponse> {
        Err(no_jobs())
    }

    async fn fail_job(&self, _: Request<pb::FailJobRequest>) -> Answer<pb::FailJobResponse> {
        Err(no_jobs())
    }

    async fn list_jobs(&self, _: Request<pb::ListJobsRequest>) -> Answer<pb::ListJobsResponse> {
        Err(no_jobs())
    }

    async fn add_watched(&self, request: Request<pb::AddWatchedRequest>) -> Answer<pb::AddWatchedResponse> {
        let watched = ReportWatched::try_from(request.into_inner())?;
        self.of_video(&watched.video_id.to_string(), |held| held.video.views += 1)?;
        Ok(Response::new(pb::AddWatchedResponse {}))
    }

    async fn collect_objects(&self, request: Request<pb::CollectObjectsRequest>) -> Answer<Self::CollectObjectsStream> {
        use pb::collect_objects_response::Event;
        drop(self.enter()?);
        let found = pb::Garbage { name: "sources/x".into(), size: 7, ..Default::default() };
        let pb::CollectObjectsRequest { dry_run, adopt } = request.into_inner();
        let total = pb::GarbageTotal { seen: 9, garbage: 1, garbage_bytes: 7, removed: !dry_run, young: adopt.into() };
        let events = [Event::Found(found), Event::Total(total)];
        let told = events.map(|event| Ok(pb::CollectObjectsResponse { event: Some(event) }));
        Ok(Response::new(stream::iter(told).boxed()))
    }

    async fn examine_catalog(&self, _: Request<pb::ExamineCatalogRequest>) -> Answer<pb::ExamineCatalogResponse> {
        drop(self.enter()?);
        let findings = vec![pb::Finding::fine("catalog", "store", "takes a write")];
        let examination = Some(pb::Examination::new(std::time::SystemTime::now(), findings));
        Ok(Response::new(pb::ExamineCatalogResponse { examination }))
    }
}

fn no_jobs() -> Status {
    Status::unimplemented("a gateway has no jobs")
}
