//! A gateway of a few lines that keeps everything in memory and fails where it is told to.

mod http;
mod uploads;
mod videos;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{Notify, watch};
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb;
use vidstream_proto::pb::gateway_service_server::GatewayServiceServer;
use vidstream_proto::pb::upload_service_server::UploadServiceServer;
use vidstream_proto::pb::watch_videos_response::Event;

/// A running fake.
#[derive(Clone)]
pub struct Fake {
    pub address: String,
    world: Arc<Mutex<World>>,
    /// Number of events so far.
    happened: watch::Sender<usize>,
    /// A stream of pieces has come to where it was told to pause.
    pub paused: Arc<Notify>,
    /// Lets a paused stream go on.
    resumed: Arc<Notify>,
    watching: Arc<Notify>,
}

/// What there is.
#[derive(Default)]
pub struct World {
    pub videos: BTreeMap<String, pb::Video>,
    pub files: HashMap<String, Vec<u8>>,
    pub uploads: HashMap<String, Uploading>,
    /// Events; an event's position is its number.
    pub events: Vec<Event>,
    pub faults: Faults,
    /// Ranges told as wanted.
    pub wants: Vec<pb::ByteRange>,
    /// State of a video whose upload is complete.
    pub after_upload: pb::VideoState,
    pub heard: Heard,
    /// What a diagnosis finds.
    pub findings: Vec<pb::Finding>,
}

/// An upload and what came of it.
#[derive(Default)]
pub struct Uploading {
    pub request_id: String,
    pub video_id: String,
    pub bytes: Vec<u8>,
    pub durable: Vec<std::ops::Range<u64>>,
}

/// What goes wrong.
#[derive(Default)]
pub struct Faults {
    /// So many requests for an upload are answered with "unavailable".
    pub no_uploads: usize,
    /// The stream stops taking pieces after so many.
    pub pause_after: Option<usize>,
    /// The stream breaks after so many pieces, once.
    pub cut_after: Option<usize>,
    /// The stream ends with this after its first piece.
    pub refuse: Option<vidstream_proto::error::Problem>,
    /// A watch breaks after so many events, once.
    pub cut_watch_after: Option<usize>,
    /// A download breaks after so many bytes, once.
    pub cut_download_after: Option<usize>,
}

/// What was asked.
#[derive(Default)]
pub struct Heard {
    /// Pieces in the order in which they came.
    pub pieces: Vec<std::ops::Range<u64>>,
    /// Sums sent with completions.
    pub sums: Vec<Vec<u8>>,
    pub updates: Vec<pb::UpdateVideoRequest>,
    pub removals: Vec<pb::RemoveVideoRequest>,
    pub lists: Vec<pb::ListVideosRequest>,
    pub watches: Vec<String>,
    pub ranges: Vec<Option<String>>,
}

impl Fake {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let world = World { after_upload: pb::VideoState::Ready, ..Default::default() };
        let fake = Self {
            address,
            world: Arc::new(Mutex::new(world)),
            happened: watch::Sender::new(0),
            paused: Arc::default(),
            resumed: Arc::default(),
            watching: Arc::default(),
        };
        let uploads = UploadServiceServer::new(fake.clone()).max_decoding_message_size(2 << 20);
        let routes = tonic::service::Routes::new(GatewayServiceServer::new(fake.clone())).add_service(uploads);
        let app = routes.into_axum_router().merge(http::routes(fake.clone()));
        tokio::spawn(async { axum::serve(listener, app).await.expect("serves") });
        fake
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no test panicked")
    }

    /// Adds a video that is complete and shows `bytes`.
    pub fn add(&self, title: &str, bytes: &[u8]) -> String {
        let id = VideoId::generate().to_string();
        let part = |state: pb::PartState| Some(pb::Part { state: state.into(), ..Default::default() });
        let video = pb::Video {
            id: id.clone(),
            title: title.to_owned(),
            file_name: format!("{title}.mp4"),
            state: pb::VideoState::Ready.into(),
            revision: 1,
            create_time: Some(prost_types::Timestamp { seconds: 1_763_805_600, nanos: 0 }),
            upload: Some(pb::UploadPart {
                state: pb::UploadState::Complete.into(),
                size: bytes.len() as u64,
                received: bytes.len() as u64,
                blake3: blake3::hash(bytes).as_bytes().to_vec(),
                reason: String::new(),
            }),
            source_rendition: part(pb::PartState::Ready),
            storyboard: part(pb::PartState::Ready),
            poster: part(pb::PartState::Ready),
            ..Default::default()
        };
        let mut world = self.world();
        world.videos.insert(id.clone(), video);
        world.files.insert(id.clone(), bytes.to_vec());
        id
    }

    /// Changes a video and tells those who watch.
    pub fn change(&self, id: &str, change: impl FnOnce(&mut pb::Video)) -> Option<pb::Video> {
        let mut world = self.world();
        let video = world.videos.get_mut(id)?;
        change(video);
        video.revision += 1;
        let video = video.clone();
        drop(world);
        self.tell(Event::Changed(video.clone()));
        Some(video)
    }

    /// Lets a paused stream go on.
    pub fn resume(&self) {
        self.resumed.notify_one();
    }

    /// Somebody has begun to watch.
    pub async fn watched(&self) {
        self.watching.notified().await;
    }

    /// Tells those who watch.
    pub fn tell(&self, event: Event) {
        let mut world = self.world();
        world.events.push(event);
        self.happened.send_replace(world.events.len());
    }
}
