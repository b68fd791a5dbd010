//! A catalog of its own for each test.

use crate::bus::Bus;
use crate::place::Place;
use bytes::Bytes;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use tokio::time::Instant;
use vidstream_backends::bus::EventBus;
use vidstream_backends::objects::{FileStore, ObjectStore};
use vidstream_backends::queue::{JobQueue, LocalQueue};
use vidstream_catalog::store::Store;
use vidstream_catalog::{Catalog, Config};
use vidstream_mesh::channel::Channel;
use vidstream_mesh::clock::Clock;
use vidstream_mesh::in_process;
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::RequestId;
use vidstream_proto::pb;
use vidstream_proto::pb::catalog_service_client::CatalogServiceClient;
use vidstream_proto::pb::finish_job_request::Result as Outcome;
use vidstream_source::checksum::{Tree, crc32c};
use vidstream_source::extents::{CELL, Extent};

pub type Client = CatalogServiceClient<Channel>;

/// Wall-clock time that follows tokio's, which tests can hold.
#[derive(Debug)]
struct TokioClock {
    start: Instant,
    began: SystemTime,
}

impl Clock for TokioClock {
    fn now(&self) -> SystemTime {
        self.began + self.start.elapsed()
    }
}

/// One catalog over one store.
pub struct World {
    pub client: Client,
    pub catalog: Catalog,
    pub life: Lifecycle,
    pub queue: Arc<LocalQueue>,
    pub bus: Arc<Bus>,
    pub store: Arc<dyn Store>,
    pub objects: Arc<dyn ObjectStore>,
    pub config: Config,
    clock: Arc<TokioClock>,
    place: Arc<Place>,
    folder: Arc<TempDir>,
}

impl World {
    /// With its loops.
    pub async fn start() -> Self {
        Self::with(Config::default()).await
    }

    /// With its loops and other settings.
    pub async fn with(config: Config) -> Self {
        Self::still(config).await.run()
    }

    /// Without its loops: nothing happens but what is called.
    pub async fn still(config: Config) -> Self {
        let clock = Arc::new(TokioClock { start: Instant::now(), began: SystemTime::now() });
        let (place, folder) = (Arc::new(Place::new().await), Arc::new(tempfile::tempdir().unwrap()));
        Self::open((place, folder), clock, config, Arc::default(), |store| store).await
    }

    async fn open(
        (place, folder): (Arc<Place>, Arc<TempDir>),
        clock: Arc<TokioClock>,
        config: Config,
        bus: Arc<Bus>,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> Self {
        let store = place.open().await;
        let (queue, life) = (Arc::new(LocalQueue::default()), Lifecycle::new());
        let (bells, notices): (Arc<dyn JobQueue>, Arc<dyn EventBus>) = (queue.clone(), bus.clone());
        let objects: Arc<dyn ObjectStore> = Arc::new(FileStore::open(folder.path().join("objects")).await.unwrap());
        let builder = Catalog::builder(wrap(store.clone()), bells, notices, objects.clone());
        let builder = builder.config(config.clone()).clock(clock.clone()).lifecycle(life.clone());
        let catalog = builder.build();
        let client = Client::new(in_process::channel(catalog.service()));
        Self { client, catalog, life, queue, bus, store, objects, config, clock, place, folder }
    }

    pub fn run(self) -> Self {
        let catalog = self.catalog.clone();
        self.life.spawn("catalog", catalog.run());
        self
    }

    /// Another life over the same file, without loops. The one before gets no chance to say goodbye.
    pub async fn reopen(&self) -> Self {
        self.reopen_over(|store| store).await
    }

    /// Another catalog over the same file, at the same time, that hears nothing of this one.
    pub async fn beside(&self) -> Self {
        Self::open(self.kept(), self.clock.clone(), self.config.clone(), Arc::default(), |store| store).await
    }

    /// Another catalog over the same file and on the same bus.
    pub async fn replica(&self) -> Self {
        let (clock, bus) = (self.clock.clone(), self.bus.clone());
        Self::open(self.kept(), clock, self.config.clone(), bus, |store| store).await
    }

    pub async fn reopen_over(&self, wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>) -> Self {
        self.life.stopped().cancel();
        Self::open(self.kept(), self.clock.clone(), self.config.clone(), Arc::default(), wrap).await
    }

    /// Where its rows and its objects are.
    fn kept(&self) -> (Arc<Place>, Arc<TempDir>) {
        (self.place.clone(), self.folder.clone())
    }

    /// The file of an object.
    pub fn file(&self, object: &str) -> PathBuf {
        self.folder.path().join("objects").join(object)
    }

    pub async fn create(&mut self, size: u64) -> pb::Source {
        self.create_named("holiday at sea.mp4", size).await
    }

    pub async fn create_named(&mut self, name: &str, size: u64) -> pb::Source {
        let request = pb::CreateSourceRequest {
            request_id: request_id(),
            file_name: name.into(),
            size,
            ..pb::CreateSourceRequest::default()
        };
        self.client.create_source(request).await.unwrap().into_inner().source.unwrap()
    }

    pub async fn source(&mut self, id: &str) -> pb::Source {
        let key = Some(pb::get_source_request::Key::SourceId(id.into()));
        self.client.get_source(pb::GetSourceRequest { key }).await.unwrap().into_inner().source.unwrap()
    }

    pub async fn video(&mut self, id: &str) -> pb::Video {
        self.try_video(id).await.unwrap()
    }

    pub async fn try_video(&mut self, id: &str) -> Result<pb::Video, Problem> {
        let answer = self.client.get_entry(pb::GetEntryRequest { video_id: id.into() }).await?;
        Ok(answer.into_inner().entry.unwrap().video.unwrap())
    }

    pub async fn record(
        &mut self,
        source: &str,
        extents: Vec<pb::Extent>,
    ) -> Result<pb::RecordExtentsResponse, Problem> {
        let request = pb::RecordExtentsRequest { source_id: source.into(), extents };
        Ok(self.client.record_extents(request).await?.into_inner())
    }

    pub async fn complete(&mut self, source: &str, blake3: [u8; 32]) -> Result<pb::Video, Problem> {
        let request =
            pb::CompleteSourceRequest { request_id: request_id(), source_id: source.into(), blake3: blake3.to_vec() };
        let answer = self.client.complete_source(request).await?.into_inner();
        Ok(answer.entry.unwrap().video.unwrap())
    }

    /// A source whose upload is complete.
    pub async fn uploaded(&mut self) -> pb::Source {
        let file = File::new(100_000);
        let source = self.create(file.size()).await;
        self.record(&source.id, file.cells()).await.unwrap();
        self.complete(&source.id, file.blake3()).await.unwrap();
        self.source(&source.id).await
    }

    pub async fn take(&mut self) -> Option<pb::Job> {
        self.take_as(1, 1).await
    }

    /// As a worker of this version, which stores indexes in this form.
    pub async fn take_as(&mut self, maker: u32, index_format: u32) -> Option<pb::Job> {
        let classes = vec![pb::JobClass::Light.into(), pb::JobClass::Pictures.into(), pb::JobClass::Encode.into()];
        let request = pb::TakeJobRequest { classes, worker: "w".into(), maker, index_format };
        self.client.take_job(request).await.unwrap().into_inner().job
    }

    pub async fn finish(&mut self, job: &pb::Job, result: Outcome) -> Result<(), Problem> {
        let request = pb::FinishJobRequest { job_id: job.id.clone(), fence: job.fence, result: Some(result) };
        self.client.finish_job(request).await?;
        Ok(())
    }

    pub async fn fail(&mut self, job: &pb::Job, kind: pb::FailureKind, reason: &str) -> Result<(), Problem> {
        let request =
            pb::FailJobRequest { job_id: job.id.clone(), fence: job.fence, reason: reason.into(), kind: kind.into() };
        self.client.fail_job(request).await?;
        Ok(())
    }

    pub async fn beat(&mut self, job: &pb::Job, beat: u64) -> Result<bool, Problem> {
        let request = pb::BeatJobRequest { job_id: job.id.clone(), fence: job.fence, beat, progress: None };
        Ok(self.client.beat_job(request).await?.into_inner().cancelled)
    }

    pub async fn remove(&mut self, video: &str, purge_after: Duration) -> Result<pb::Video, Problem> {
        let request = pb::RemoveEntryRequest {
            request_id: request_id(),
            video_id: video.into(),
            purge_after: Some(vidstream_proto::time::proto_duration(purge_after)),
            expected_revision: None,
        };
        Ok(self.client.remove_entry(request).await?.into_inner().entry.unwrap().video.unwrap())
    }

    pub async fn restore(&mut self, video: &str) -> Result<pb::Video, Problem> {
        let request =
            pb::RestoreEntryRequest { request_id: request_id(), video_id: video.into(), expected_revision: None };
        Ok(self.client.restore_entry(request).await?.into_inner().entry.unwrap().video.unwrap())
    }

    pub async fn retry(&mut self, video: &str) {
        let request =
            pb::RetryEntryRequest { video_id: video.into(), request_id: request_id(), expected_revision: None };
        self.client.retry_entry(request).await.unwrap();
    }

    pub async fn jobs(&mut self, source: &str) -> Vec<pb::Job> {
        let request = pb::ListJobsRequest { source_id: source.into(), limit: 0, unfinished_only: false };
        self.client.list_jobs(request).await.unwrap().into_inner().jobs
    }

    pub async fn list(&mut self, request: pb::ListEntriesRequest) -> pb::ListEntriesResponse {
        self.client.list_entries(request).await.unwrap().into_inner()
    }

    /// Takes and finishes jobs, as a worker would, until there is none.
    pub async fn work(&mut self) {
        while let Some(job) = self.take().await {
            self.finish(&job, outcome(job.kind())).await.unwrap();
        }
    }
}

/// What a job of this kind makes of a good file.
pub fn outcome(kind: pb::JobKind) -> Outcome {
    match kind {
        pb::JobKind::Storyboard => {
            Outcome::Storyboard(pb::StoryboardResult { generation: "s1".into(), ..Default::default() })
        }
        pb::JobKind::Poster => Outcome::Poster(pb::PosterResult { generation: "p1".into(), ..Default::default() }),
        pb::JobKind::Delete => Outcome::Delete(pb::DeleteResult { objects: 3 }),
        pb::JobKind::Encode => Outcome::Encode(pb::EncodeResult {
            object: "sources/x/encode/1/v1.index".into(),
            file: Some(pb::MadeFile { prefix: "sources/x/encode/1/v1".into(), size: 9 << 20 }),
            generation: "e1".into(),
            ..Default::default()
        }),
        pb::JobKind::Ingest | pb::JobKind::Normalise | pb::JobKind::Unspecified => Outcome::Index(pb::IndexResult {
            object: "sources/x/ingest/1/media.index".into(),
            media: Some(pb::Media {
                container: "mp4".into(),
                tracks: vec![pb::MediaTrack { kind: pb::TrackKind::Video.into(), ..Default::default() }],
                ..Default::default()
            }),
            segmented: true,
            generation: "g1".into(),
            ..Default::default()
        }),
    }
}

pub fn request_id() -> String {
    RequestId::generate().to_string()
}

pub fn reason<T: std::fmt::Debug>(outcome: Result<T, impl Into<Problem>>) -> Reason {
    match outcome {
        Ok(value) => panic!("it should have been refused, not answered with {value:?}"),
        Err(error) => error.into().reason,
    }
}

/// A file to upload.
pub struct File(Bytes);

impl File {
    pub fn new(size: usize) -> Self {
        let byte = |n: usize| u8::try_from((n ^ (n >> 8) ^ (n >> 16)) & 0xff).unwrap();
        Self((0..size).map(byte).collect())
    }

    pub fn size(&self) -> u64 {
        self.0.len() as u64
    }

    pub fn blake3(&self) -> [u8; 32] {
        *blake3::hash(&self.0).as_bytes()
    }

    pub fn extent(&self, range: Range<u64>) -> pb::Extent {
        let bytes = self.0.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap());
        let sum = crc32c(&bytes);
        let tree = Tree::of(range.start, &[bytes], self.size());
        pb::Extent::from(&Extent::new(range, sum, tree).unwrap())
    }

    pub fn cells(&self) -> Vec<pb::Extent> {
        let cell = |start: u64| self.extent(start..(start + CELL).min(self.size()));
        (0..self.size()).step_by(usize::try_from(CELL).unwrap()).map(cell).collect()
    }
}
