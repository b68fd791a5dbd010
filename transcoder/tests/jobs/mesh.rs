//! A transcoder with all it needs, in one process.

use crate::catalog::Catalog;
use bytes::Bytes;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use vidstream_backends::bus::{EventBus, LocalBus};
use vidstream_backends::objects::{FileStore, ObjectName, ObjectStore};
use vidstream_backends::queue::{Class, JobQueue, LocalQueue};
use vidstream_mesh::in_process;
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_proto::job::{JobKind, class_name};
use vidstream_proto::pb::catalog_service_server::CatalogServiceServer;
use vidstream_proto::pb::finish_job_request::Result as Outcome;
use vidstream_proto::pb::transcoder_service_client::TranscoderServiceClient;
use vidstream_proto::pb::{FailureKind, IndexResult, PosterResult, StoryboardResult};
use vidstream_transcoder::{Config, Limits, Program, Transcoder};

pub struct Mesh {
    pub catalog: Catalog,
    pub objects: Arc<dyn ObjectStore>,
    pub queue: Arc<LocalQueue>,
    pub life: Lifecycle,
    pub content: Bytes,
    transcoder: Transcoder,
    program: Program,
    ffmpeg: String,
    folder: tempfile::TempDir,
}

/// Quick beats, and places enough.
pub fn quick() -> Config {
    Config {
        light_places: 2,
        picture_places: 1,
        poll: Duration::from_secs(30),
        beat: Duration::from_millis(50),
        lost_after: Duration::from_millis(400),
        write_deadline: Duration::from_millis(200),
        ..Config::default()
    }
}

/// A name of its own for ffmpeg, by which its processes are known.
fn own_ffmpeg(folder: &Path) -> (String, PathBuf) {
    let paths = std::env::var_os("PATH").expect("a PATH");
    let found = std::env::split_paths(&paths).map(|path| path.join("ffmpeg")).find(|path| path.exists());
    let name = format!("f{}", &uuid::Uuid::new_v4().simple().to_string()[..10]);
    let path = folder.join(&name);
    std::os::unix::fs::symlink(found.expect("ffmpeg is installed"), &path).expect("a link");
    (name, path)
}

impl Mesh {
    /// For one file, nothing of which is there yet.
    pub async fn of(content: Vec<u8>, config: Config) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (ffmpeg, path) = own_ffmpeg(folder.path());
        let program = Program::find(&path, Limits::default()).await.expect("ffmpeg is there");
        let objects: Arc<dyn ObjectStore> =
            Arc::new(FileStore::open(&folder.path().join("objects")).await.expect("a store"));
        let catalog = Catalog::new(content.len() as u64);
        let (queue, bus) = (Arc::new(LocalQueue::default()), Arc::new(LocalBus::default()) as Arc<dyn EventBus>);
        let life = Lifecycle::new();
        let channel = in_process::channel(CatalogServiceServer::new(catalog.clone()));
        let transcoder =
            Transcoder::builder(channel, Arc::clone(&objects), Arc::clone(&queue) as Arc<dyn JobQueue>, bus)
                .config(config)
                .lifecycle(life.clone())
                .build();
        Self { catalog, objects, queue, life, content: content.into(), transcoder, program, ffmpeg, folder }
    }

    /// For a file that is all there.
    pub async fn with(content: Vec<u8>) -> Self {
        let mesh = Self::of(content, quick()).await;
        mesh.upload(0..mesh.content.len() as u64).await;
        mesh
    }

    /// Starts the worker.
    pub fn start(&self) -> JoinHandle<()> {
        tokio::spawn(self.transcoder.clone().run(self.program.clone()))
    }

    /// Makes bytes of the file durable, then records them.
    pub async fn upload(&self, range: Range<u64>) {
        let scratch = Catalog::new(self.content.len() as u64);
        scratch.set(|state| state.source.id = self.catalog.state().source.id);
        for (name, bytes) in scratch.record(&self.content, range.clone()) {
            self.objects.put(&name, vec![bytes]).await.expect("stored");
        }
        self.catalog.record(&self.content, range);
    }

    /// Queues a job and rings.
    pub async fn queue(&self, kind: JobKind) {
        self.catalog.queue(kind);
        self.ring(kind).await;
    }

    pub async fn ring(&self, kind: JobKind) {
        self.queue.ring(Class::new(class_name(kind.class()))).await.expect("rung");
    }

    pub async fn outcome(&self, kind: JobKind) -> Result<Outcome, (FailureKind, String)> {
        self.queue(kind).await;
        self.catalog.outcome(kind).await
    }

    pub async fn index(&self) -> IndexResult {
        match self.outcome(JobKind::Ingest).await {
            Ok(Outcome::Index(result)) => result,
            other => panic!("no index: {other:?}"),
        }
    }

    pub async fn storyboard(&self) -> StoryboardResult {
        match self.outcome(JobKind::Storyboard).await {
            Ok(Outcome::Storyboard(result)) => result,
            other => panic!("no storyboard: {other:?}"),
        }
    }

    pub async fn poster(&self) -> PosterResult {
        match self.outcome(JobKind::Poster).await {
            Ok(Outcome::Poster(result)) => result,
            other => panic!("no poster: {other:?}"),
        }
    }

    /// An object's bytes.
    pub async fn read(&self, name: &str) -> Bytes {
        let name: ObjectName = name.parse().expect("a name");
        self.objects.read(&name, 1 << 30).await.expect("it is there")
    }

    /// Names of all objects below the source.
    pub async fn names(&self) -> Vec<String> {
        use futures::TryStreamExt as _;
        let prefix = vidstream_source::names::source(self.catalog.state().source.id);
        self.objects.list(&prefix).map_ok(|info| info.name.to_string()).try_collect().await.expect("listed")
    }

    pub fn client(&self) -> TranscoderServiceClient<vidstream_mesh::channel::Channel> {
        TranscoderServiceClient::new(in_process::channel(self.transcoder.service()))
    }

    /// How many ffmpegs of this mesh there are, zombies included.
    pub fn children(&self) -> usize {
        let (name, parent) = (format!("Name:\t{}\n", self.ffmpeg), format!("PPid:\t{}\n", std::process::id()));
        let processes = std::fs::read_dir("/proc").expect("a proc").flatten();
        let statuses = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("status")).ok());
        statuses.filter(|status| status.starts_with(&name) && status.contains(&parent)).count()
    }

    /// Waits until there are so many.
    pub async fn children_are(&self, count: usize) {
        let begun = std::time::Instant::now();
        while self.children() != count {
            assert!(begun.elapsed() < Duration::from_secs(30), "{} ffmpegs, not {count}", self.children());
            tokio::task::yield_now().await;
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
