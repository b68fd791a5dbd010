//! A gateway's playback over a catalog in memory and files in a temporary directory.

use crate::catalog::Catalog;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use std::net::SocketAddr;
use std::sync::Arc;
use tempfile::TempDir;
use tower::ServiceExt;
use vidstream_backends::objects::{FileStore, ObjectName, ObjectStore};
use vidstream_gateway::playback::Playback;
use vidstream_gateway::{Config, Deps};
use vidstream_mesh::in_process;
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_proto::ids::{SourceId, UploadId, VideoId};
use vidstream_proto::job::Fence;
use vidstream_proto::pb;
use vidstream_proto::pb::catalog_service_client::CatalogServiceClient;
use vidstream_proto::pb::catalog_service_server::CatalogServiceServer;
use vidstream_proto::pb::transcoder_service_client::TranscoderServiceClient;
use vidstream_proto::time::proto_duration;
use vidstream_source::checksum::{Tree, crc32c};
use vidstream_source::extents::{CELL, Extent, GRANULE, PageNumber, RecordPage};
use vidstream_source::names;

/// Generation of the source rendition, the storyboard and the poster of every world.
pub const GENERATION: &str = "f00d";

pub struct World {
    pub catalog: Arc<Catalog>,
    pub objects: Arc<dyn ObjectStore>,
    pub video: VideoId,
    pub source: SourceId,
    pub playback: Playback,
    pub router: Router,
    _directory: TempDir,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl World {
    /// A world with one complete upload, of which nothing is known but its bytes.
    pub async fn new(file_name: &str, content: &Bytes) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let objects: Arc<dyn ObjectStore> = Arc::new(FileStore::open(directory.path()).await.unwrap());
        let catalog = Arc::new(Catalog::default());
        let (video, source) = (VideoId::generate(), SourceId::generate());
        let pages = store(&*objects, source, content).await;
        catalog.set(entry(video, source), row(source, video, file_name, content), pages);
        let channel = in_process::channel(CatalogServiceServer::from_arc(Arc::clone(&catalog)));
        let deps = Deps {
            catalog: CatalogServiceClient::new(channel.clone()),
            transcoder: TranscoderServiceClient::new(channel),
            objects: Arc::clone(&objects),
            lifecycle: Lifecycle::new(),
            config: Arc::new(Config::default()),
        };
        let playback = Playback::new(deps);
        let router = playback.router();
        Self { catalog, objects, video, source, playback, router, _directory: directory }
    }

    /// The same, indexed.
    pub async fn indexed(file_name: &str, content: &Bytes) -> Self {
        let world = Self::new(file_name, content).await;
        let index = vidstream_media::indexer::index_bytes(content).expect("a file that can be indexed");
        let name = names::media_index(world.source, Fence(1));
        world.put(&name, index.encode().into()).await;
        let kind = |track: &vidstream_media::track::Track| match track.kind {
            vidstream_media::track::TrackKind::Video(_) => pb::TrackKind::Video,
            vidstream_media::track::TrackKind::Audio(_) => pb::TrackKind::Audio,
        };
        let tracks = index.tracks.iter().map(|t| pb::MediaTrack { kind: kind(t).into(), ..Default::default() });
        let media = pb::Media {
            container: "mp4".into(),
            duration: Some(proto_duration(index.duration)),
            tracks: tracks.collect(),
            ..Default::default()
        };
        let result = pb::IndexResult {
            object: name.to_string(),
            media: Some(media),
            segmented: true,
            generation: GENERATION.into(),
            ..Default::default()
        };
        world.catalog.change(|_, source| {
            source.index = Some(part(pb::PartState::Ready, ""));
            source.index_result = Some(result);
        });
        world
    }

    pub async fn put(&self, name: &ObjectName, bytes: Bytes) {
        self.objects.put(name, vec![bytes]).await.unwrap();
    }

    /// Says that the video was changed through this gateway.
    pub fn changed(&self) {
        self.playback.changed(&self.catalog.entry().try_into().expect("a valid row"));
    }

    /// The address of `rest` of the video.
    pub fn address(&self, rest: &str) -> String {
        format!("/videos/{}/{rest}", self.video)
    }

    pub async fn get(&self, rest: &str) -> Answer {
        self.ask("GET", &self.address(rest), &[]).await
    }

    pub async fn head(&self, rest: &str) -> Answer {
        self.ask("HEAD", &self.address(rest), &[]).await
    }

    pub async fn ask(&self, method: &str, address: &str, fields: &[(&str, &str)]) -> Answer {
        let request = Request::builder().method(method).uri(address);
        let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Serves on a port of this machine until the runtime ends.
    pub async fn serve(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, self.router.clone()).into_future());
        address
    }
}

impl Answer {
    /// A field as text; empty where there is none.
    pub fn field(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The reason of a problem.
    pub fn reason(&self) -> String {
        assert_eq!(self.field("content-type"), "application/problem+json");
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        problem["reason"].as_str().unwrap().to_owned()
    }
}

pub fn part(state: pb::PartState, reason: &str) -> pb::Part {
    pb::Part { state: state.into(), reason: reason.into(), ..Default::default() }
}

/// Stores the content in extents of one to three granules, as an upload of many hands may leave it.
async fn store(objects: &dyn ObjectStore, source: SourceId, content: &Bytes) -> Vec<pb::ExtentPage> {
    let size = content.len() as u64;
    let mut page = RecordPage::new(PageNumber(0));
    let (mut start, mut granules) = (0, 1);
    while start < size {
        let cell = (start / CELL + 1) * CELL;
        let end = (start + granules * GRANULE).min(size).min(cell);
        let bytes = content.slice(usize::try_from(start).unwrap()..usize::try_from(end).unwrap());
        let tree = Tree::of(start, std::slice::from_ref(&bytes), size);
        let extent = Extent::new(start..end, crc32c(&bytes), tree).expect("inside of one cell");
        objects.put(&names::extent(source, &extent), vec![bytes]).await.unwrap();
        page.insert(extent);
        (start, granules) = (end, granules % 3 + 1);
    }
    vec![pb::ExtentPage::from(&page)]
}

fn entry(video: VideoId, source: SourceId) -> pb::Entry {
    let video = pb::Video {
        id: video.to_string(),
        title: "a clip".into(),
        state: pb::VideoState::Processing.into(),
        revision: 1,
        ..Default::default()
    };
    pb::Entry { video: Some(video), source_id: source.to_string() }
}

fn row(source: SourceId, video: VideoId, file_name: &str, content: &Bytes) -> pb::Source {
    let now = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 });
    pb::Source {
        id: source.to_string(),
        revision: 1,
        video_ids: vec![video.to_string()],
        life: pb::SourceLife::Live.into(),
        file_name: file_name.into(),
        size: content.len() as u64,
        upload_id: UploadId::generate().to_string(),
        upload_state: pb::UploadState::Complete.into(),
        received: content.len() as u64,
        blake3: blake3::hash(content).as_bytes().to_vec(),
        create_time: now,
        receive_time: now,
        index: Some(part(pb::PartState::Waiting, "")),
        storyboard: Some(part(pb::PartState::Waiting, "")),
        poster: Some(part(pb::PartState::Waiting, "")),
        ..Default::default()
    }
}
