//! A thousand watchers of one change: CPU and bytes, against a naive broadcast of the same events, which has neither a store
//! nor a memory of what was told.

use prost::Message;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::transport::Channel;
use vidstream_bench::{cost, library, media, table};
use vidstream_proto::ids::RequestId;
use vidstream_proto::pb;
use vidstream_proto::pb::gateway_service_client::GatewayServiceClient;
use vidstream_proto::pb::watch_videos_response::Event;
use vidstream_tests::server::{Server, binary};

const WATCHERS: u64 = 1000;
/// Streams of one connection.
const STREAMS: u64 = 125;
/// Changes of one round, one after the other.
const CHANGES: u32 = 20;
/// Before every gRPC message.
const PREFIX: u64 = 5;

struct Peer {
    child: Child,
    address: String,
}

impl Peer {
    fn start() -> Self {
        let mut child = Command::new(binary("broadcast")).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut address = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut address).expect("a line");
        Self { child, address: address.trim().to_owned() }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What watchers have heard so far.
#[derive(Default)]
struct Heard {
    changes: AtomicU64,
    bytes: AtomicU64,
}

/// A crowd that watches one server.
struct Crowd {
    heard: Arc<Heard>,
    changed: watch::Receiver<()>,
    _streams: JoinSet<()>,
}

impl Crowd {
    /// All watchers of `address`, once each has heard that it is current.
    async fn at(address: &str) -> Self {
        let (heard, mut streams) = (Arc::new(Heard::default()), JoinSet::new());
        let (tell, changed) = watch::channel(());
        let (tell, mut current) = (Arc::new(tell), JoinSet::new());
        for _ in 0..WATCHERS.div_ceil(STREAMS) {
            let client = GatewayServiceClient::connect(address.to_owned()).await.expect("it answers");
            for _ in 0..STREAMS.min(WATCHERS) {
                let (heard, tell, client) = (Arc::clone(&heard), Arc::clone(&tell), client.clone());
                let (ready, begun) = tokio::sync::oneshot::channel();
                streams.spawn(follow(client, heard, tell, ready));
                current.spawn(async move { begun.await.expect("it watches") });
            }
        }
        while let Some(begun) = current.join_next().await {
            begun.expect("no panic");
        }
        Self { heard, changed, _streams: streams }
    }

    /// Waits until so many changes were heard, all watchers together.
    async fn until(&mut self, changes: u64) {
        while self.heard.changes.load(Ordering::Relaxed) < changes {
            self.changed.changed().await.expect("they watch");
        }
    }
}

async fn follow(
    mut client: GatewayServiceClient<Channel>,
    heard: Arc<Heard>,
    tell: Arc<watch::Sender<()>>,
    ready: tokio::sync::oneshot::Sender<()>,
) {
    let request = pb::WatchVideosRequest { include_progress: true, ..Default::default() };
    let mut events = client.watch_videos(request).await.expect("a stream").into_inner();
    let mut ready = Some(ready);
    while let Ok(Some(message)) = events.message().await {
        heard.bytes.fetch_add(PREFIX + message.encoded_len() as u64, Ordering::Relaxed);
        match message.event {
            Some(Event::Current(_)) => drop(ready.take().map(|ready| ready.send(()))),
            Some(Event::Changed(_)) => {
                heard.changes.fetch_add(1, Ordering::Relaxed);
                tell.send_replace(());
            }
            _ => {}
        }
    }
}

/// What one change costs.
#[derive(Clone, Copy)]
struct Told {
    cpu: Duration,
    all: Duration,
    bytes: u64,
}

/// Changes a video again and again; each time until all have heard it.
async fn changes(address: &str, process: u32, video: &str, crowd: &mut Crowd, round: usize) -> Told {
    let mut client = GatewayServiceClient::connect(address.to_owned()).await.expect("it answers");
    let already = crowd.heard.changes.load(Ordering::Relaxed);
    let (cpu, bytes) = (cost::cpu(process), crowd.heard.bytes.load(Ordering::Relaxed));
    let mut times = Vec::new();
    for change in 0..CHANGES {
        let began = Instant::now();
        let request = pb::UpdateVideoRequest {
            request_id: RequestId::generate().to_string(),
            video_id: video.to_owned(),
            update_mask: Some(prost_types::FieldMask { paths: vec!["title".into()] }),
            title: format!("change {round}.{change}"),
            ..Default::default()
        };
        client.update_video(request).await.expect("changed");
        crowd.until(already + u64::from(change + 1) * WATCHERS).await;
        times.push(began.elapsed());
    }
    Told {
        cpu: cost::cpu(process).saturating_sub(cpu) / CHANGES,
        all: table::median(&times),
        bytes: (crowd.heard.bytes.load(Ordering::Relaxed) - bytes) / u64::from(CHANGES),
    }
}

#[tokio::main]
async fn main() {
    let server = Server::on_disk(&media::folder(), &[]);
    let video = library::fill(&server.data().join("catalog.sqlite3"), 0..1000).await;
    let peer = Peer::start();
    let mut here = Crowd::at(&server.address).await;
    let mut there = Crowd::at(&peer.address).await;
    let (mut ours, mut naive) = (Vec::new(), Vec::new());
    for round in 0..table::ROUNDS {
        ours.push(changes(&server.address, server.id(), &video, &mut here, round).await);
        naive.push(changes(&peer.address, peer.child.id(), &video, &mut there, round).await);
    }
    table::head(
        "A thousand watchers of one change",
        &["server", "its CPU a change", "until all have heard", "bytes a change"],
    );
    for (name, told) in [("ours", &ours), ("a naive broadcast, without a store", &naive)] {
        let of = |figure: fn(&Told) -> Duration| table::median(&told.iter().map(figure).collect::<Vec<_>>());
        let bytes = table::median(&told.iter().map(|told| told.bytes).collect::<Vec<_>>());
        table::row(&[name.to_owned(), table::time(of(|t| t.cpu)), table::time(of(|t| t.all)), table::megabytes(bytes)]);
    }
}
