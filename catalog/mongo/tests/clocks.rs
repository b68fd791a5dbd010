//! Two catalogs on one database whose machines' clocks are 30 s apart: a viewer is answered by either, and counts as by one.

use std::sync::Arc;
use std::time::{Duration, SystemTime};
use vidstream_backends::bus::{EventBus, LocalBus};
use vidstream_backends::objects::FileStore;
use vidstream_backends::queue::LocalQueue;
use vidstream_catalog::store::{Store, VideoRow};
use vidstream_catalog::{Catalog, Config};
use vidstream_mesh::channel::Channel;
use vidstream_mesh::clock::Clock;
use vidstream_mesh::in_process;
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_proto::ids::{SourceId, VideoId, ViewerId};
use vidstream_proto::pb::catalog_service_client::CatalogServiceClient;
use vidstream_proto::pb::{self, VideoState};
use vidstream_proto::time::{proto_duration, timestamp};
use vidstream_proto::video::Entry;
use vidstream_test_servers::{Kind, Server};

const APART: Duration = Duration::from_secs(30);
/// How long a film is. A view is 3 s of it.
const FILM: Duration = Duration::from_secs(20);

/// A clock that is wrong.
#[derive(Debug)]
struct Off {
    ahead: bool,
}

impl Clock for Off {
    fn now(&self) -> SystemTime {
        let now = SystemTime::now();
        if self.ahead { now + APART / 2 } else { now - APART / 2 }
    }
}

/// A catalog of the database `clocks` that counts by the second, and its client.
struct Replica {
    client: CatalogServiceClient<Channel>,
    store: Arc<dyn Store>,
    life: Lifecycle,
    _objects: tempfile::TempDir,
}

impl Replica {
    async fn start(server: &Server, bus: &Arc<dyn EventBus>, ahead: bool) -> Self {
        let store = vidstream_mongo::open(&format!("{}/clocks", server.url())).await.expect("the database answers");
        let folder = tempfile::tempdir().expect("a folder");
        let objects = Arc::new(FileStore::open(folder.path()).await.expect("a folder"));
        let (queue, life) = (Arc::new(LocalQueue::default()), Lifecycle::new());
        let config = Config { views_interval: Duration::from_millis(200), ..Config::default() };
        let catalog = Catalog::builder(Arc::clone(&store), queue, Arc::clone(bus), objects)
            .config(config)
            .clock(Arc::new(Off { ahead }))
            .lifecycle(life.clone())
            .build();
        let client = CatalogServiceClient::new(in_process::channel(catalog.service()));
        life.spawn("catalog", catalog.run());
        Self { client, store, life, _objects: folder }
    }

    async fn film(&self) -> VideoId {
        let id = VideoId::generate();
        let video = pb::Video {
            id: id.to_string(),
            owner: "local".into(),
            title: "film".into(),
            state: VideoState::Ready.into(),
            revision: 1,
            create_time: Some(timestamp(SystemTime::now())),
            media: Some(pb::Media { duration: Some(proto_duration(FILM)), ..pb::Media::default() }),
            ..pb::Video::default()
        };
        let entry = Entry { id, source_id: SourceId::generate(), video };
        let row = VideoRow { entry, shown_source: 1, last_request: None, purging: false };
        assert!(self.store.insert_video(row).await.expect("the database answers"));
        id
    }

    async fn report(&mut self, video: VideoId, viewer: ViewerId, seconds: u64) {
        let interval = pb::WatchedInterval {
            start: Some(proto_duration(Duration::ZERO)),
            end: Some(proto_duration(Duration::from_secs(seconds))),
        };
        let intervals = if seconds == 0 { Vec::new() } else { vec![interval] };
        let request = pb::AddWatchedRequest { video_id: video.to_string(), viewer_id: viewer.to_string(), intervals };
        self.client.add_watched(request).await.expect("it is taken");
    }

    async fn views(&self, video: VideoId) -> u64 {
        self.store.video(video).await.expect("the database answers").expect("it is there").entry.video.views
    }

    /// Waits until what was reported is in the rows.
    async fn written(&self, video: VideoId, viewer: ViewerId) {
        while self.store.viewers(vec![(video, viewer)]).await.expect("the database answers").is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn who_is_answered_by_catalogs_whose_clocks_differ_counts_as_by_one() {
    let server = Server::start(Kind::MongoDb).await;
    let bus: Arc<dyn EventBus> = Arc::new(LocalBus::default());
    let mut ahead = Replica::start(&server, &bus, true).await;
    let mut behind = Replica::start(&server, &bus, false).await;
    // Both know what time it is.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (film, viewer, hasty) = (ahead.film().await, ViewerId::generate(), ViewerId::generate());
    // From the one to the other, no time seems to have passed …
    ahead.report(film, viewer, 0).await;
    ahead.written(film, viewer).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    behind.report(film, viewer, 3).await;
    for _ in 0..50 {
        if behind.views(film).await > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(behind.views(film).await, 1, "it was watched");
    // … and from the other to the one, half a minute.
    let long = film_of_minutes(&behind).await;
    behind.report(long, hasty, 0).await;
    behind.written(long, hasty).await;
    ahead.report(long, hasty, 25).await;
    assert!(ahead.life.stop(Duration::from_secs(10)).await && behind.life.stop(Duration::from_secs(10)).await);
    assert_eq!(ahead.views(long).await, 0, "nobody watches faster than time goes");
}

/// A film of which more has to be watched than this test takes.
async fn film_of_minutes(replica: &Replica) -> VideoId {
    let id = replica.film().await;
    let mut row = replica.store.video(id).await.expect("the database answers").expect("it is there");
    row.entry.video.revision = 2;
    row.entry.video.media.as_mut().expect("it has some").duration = Some(proto_duration(Duration::from_secs(150)));
    assert!(replica.store.replace_video(row, 1).await.expect("the database answers"));
    id
}
