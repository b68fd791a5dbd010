//! One gateway over the catalog, and watchers of it.

use crate::catalog::Catalog;
use futures::stream::{self, BoxStream, StreamExt};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tempfile::TempDir;
use tokio::sync::watch;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};
use vidstream_backends::objects::FileStore;
use vidstream_gateway::{Config, Deps, Gateway};
use vidstream_mesh::channel::Channel;
use vidstream_mesh::in_process;
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb;
use vidstream_proto::pb::catalog_service_client::CatalogServiceClient;
use vidstream_proto::pb::catalog_service_server::CatalogServiceServer;
use vidstream_proto::pb::gateway_service_client::GatewayServiceClient;
use vidstream_proto::pb::transcoder_service_client::TranscoderServiceClient;
use vidstream_proto::pb::transcoder_service_server::{TranscoderService, TranscoderServiceServer};
use vidstream_proto::pb::watch_videos_response::Event;

/// Streams of the catalog's that are open when nobody watches: the one that playback follows.
pub const AT_REST: usize = 1;

pub struct World {
    pub catalog: Arc<Catalog>,
    pub transcoder: Arc<Transcoder>,
    client: GatewayServiceClient<Channel>,
    _directory: TempDir,
}

impl World {
    pub async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (catalog, transcoder) = (Arc::<Catalog>::default(), Arc::<Transcoder>::default());
        let to_catalog = in_process::channel(CatalogServiceServer::from_arc(Arc::clone(&catalog)));
        let to_transcoder = in_process::channel(TranscoderServiceServer::from_arc(Arc::clone(&transcoder)));
        let gateway = Gateway::new(Deps {
            catalog: CatalogServiceClient::new(to_catalog),
            transcoder: TranscoderServiceClient::new(to_transcoder),
            objects: Arc::new(FileStore::open(directory.path()).await.unwrap()),
            lifecycle: Lifecycle::new(),
            config: Arc::new(Config::default()),
        });
        let client = GatewayServiceClient::new(in_process::channel(Routes::from(gateway.router())));
        catalog.until_open(AT_REST).await;
        Self { catalog, transcoder, client, _directory: directory }
    }

    pub async fn watch(&self, request: pb::WatchVideosRequest) -> Watcher {
        let events = self.client.clone().watch_videos(request).await.unwrap().into_inner();
        Watcher { events, position: String::new() }
    }

    /// Watches all videos from there on; empty: from now on.
    pub async fn watch_all(&self, position: &str) -> Watcher {
        self.watch(pb::WatchVideosRequest { position: position.into(), ..Default::default() }).await
    }

    /// Watches one video from now on.
    pub async fn watch_one(&self, video: VideoId) -> Watcher {
        self.watch(pb::WatchVideosRequest { video_id: video.to_string(), ..Default::default() }).await
    }

    /// Waits until the watchers, which are current, have gone over to one stream, without missing what they are told. One
    /// watcher alone has one stream before, too.
    pub async fn until_shared(&self, watchers: &mut [Watcher]) {
        assert!(watchers.len() > 1);
        let all = futures::future::join_all(watchers.iter_mut().map(|watcher| async {
            panic!("nothing happened, but {:?} came", watcher.events.message().await);
        }));
        tokio::select! {
            biased;
            _ = all => {}
            () = self.catalog.until_open(AT_REST + 1) => {}
        }
    }
}

/// A watcher and where it is.
pub struct Watcher {
    pub events: Streaming<pb::WatchVideosResponse>,
    pub position: String,
}

impl Watcher {
    pub async fn try_next(&mut self) -> Result<Event, Status> {
        let message = self.events.message().await?.expect("a feed ends only with a reset");
        if !message.position.is_empty() {
            self.position = message.position;
        }
        Ok(message.event.unwrap())
    }

    pub async fn until_current(&mut self) {
        while !matches!(self.try_next().await.unwrap(), Event::Current(_)) {}
    }

    /// The number of the next change.
    pub async fn change(&mut self) -> usize {
        loop {
            match self.try_next().await.unwrap() {
                Event::Changed(video) => {
                    assert_eq!(self.position, format!("at {}", video.revision));
                    return usize::try_from(video.revision).unwrap();
                }
                Event::Current(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Hears the changes of these numbers, in their order, each once.
    pub async fn hears(&mut self, numbers: Range<usize>) {
        for number in numbers {
            assert_eq!(self.change().await, number);
        }
    }
}

/// A transcoder that counts who hears it, and says what the test tells it.
#[derive(Debug, Default)]
pub struct Transcoder {
    pub opened: AtomicUsize,
    /// The latest step, if there is one.
    pub step: watch::Sender<Option<pb::WatchAllProgressResponse>>,
}

#[tonic::async_trait]
impl TranscoderService for Transcoder {
    type WatchSourceProgressStream = BoxStream<'static, Result<pb::WatchSourceProgressResponse, Status>>;
    type WatchAllProgressStream = BoxStream<'static, Result<pb::WatchAllProgressResponse, Status>>;

    async fn watch_source_progress(
        &self,
        _: Request<pb::WatchSourceProgressRequest>,
    ) -> Result<Response<Self::WatchSourceProgressStream>, Status> {
        Err(Status::unimplemented("all progress only"))
    }

    async fn watch_all_progress(
        &self,
        _: Request<pb::WatchAllProgressRequest>,
    ) -> Result<Response<Self::WatchAllProgressStream>, Status> {
        self.opened.fetch_add(1, Relaxed);
        let steps = stream::unfold(self.step.subscribe(), |mut step| async {
            step.changed().await.ok()?;
            let now = step.borrow_and_update().clone();
            now.map(|now| (Ok(now), step))
        });
        Ok(Response::new(steps.boxed()))
    }

    async fn examine_transcoder(
        &self,
        _: Request<pb::ExamineTranscoderRequest>,
    ) -> Result<Response<pb::ExamineTranscoderResponse>, Status> {
        Err(Status::unimplemented("all progress only"))
    }
}
