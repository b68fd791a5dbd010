//! Segments cut on request, against tower-http's `ServeFile` on the same bytes cut before.

use rustix::fs::{Advice, fadvise};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use vidstream_bench::client::Client;
use vidstream_bench::load::{self, Came, Until};
use vidstream_bench::{cost, media, table};
use vidstream_proto::pb;
use vidstream_tests::server::{Server, binary};

const CONNECTIONS: usize = 8;
const TIME: Duration = Duration::from_secs(3);

/// The peer, ended when it is dropped.
struct Peer {
    child: Child,
    address: String,
}

impl Peer {
    fn on(folder: &TempDir) -> Self {
        let mut child =
            Command::new(binary("servefile")).arg(folder.path()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        Self { child, address: line.trim().to_owned() }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Already gone is fine.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a server does under load.
#[derive(Clone, Copy)]
struct Served {
    a_second: f64,
    cpu_per_gb: f64,
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
async fn served(address: &str, process: u32, paths: &Arc<[String]>, until: Until) -> Served {
    let before = cost::cpu(process);
    let Came { answers, bytes, wall } = load::of(address, paths, CONNECTIONS, until).await;
    let cpu = cost::cpu(process).saturating_sub(before);
    Served { a_second: answers as f64 / wall.as_secs_f64(), cpu_per_gb: cpu.as_secs_f64() / (bytes as f64 / 1e9) }
}

/// A video of `minutes` of which all is made, so that nothing else runs.
async fn uploaded(client: &mut Client, minutes: u32) -> String {
    let (upload, _) = client.send(&media::film(minutes)).await;
    client.complete(&upload).await;
    let made = |part: &Option<pb::Part>| part.as_ref().is_some_and(|part| part.state() == pb::PartState::Ready);
    let all = |video: &pb::Video| made(&video.source_rendition) && made(&video.storyboard) && made(&video.poster);
    client.wait(&upload.video_id, all).await;
    upload.video_id
}

/// What the system's cache holds of the files that are read, of ours and of the peer's alike. Uploads go past it.
#[derive(Clone, Copy)]
enum Cached {
    AsItIs,
    All,
    Nothing,
}

impl Cached {
    fn apply(self, folder: &Path) {
        if matches!(self, Self::AsItIs) {
            return;
        }
        for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
            let path = entry.path();
            if path.is_dir() {
                self.apply(&path);
                continue;
            }
            let mut file = File::open(&path).expect("readable");
            if matches!(self, Self::All) {
                std::io::copy(&mut file, &mut std::io::sink()).expect("read");
            } else {
                file.sync_all().expect("written");
                fadvise(&file, 0, None, Advice::DontNeed).expect("forgotten");
            }
        }
    }
}

/// One row: segments of which track, asked for how often.
struct Row {
    what: &'static str,
    track: &'static str,
    until: Until,
    rounds: usize,
    cached: Cached,
}

/// Measures the segments of a row's track, and prints it.
async fn measure(server: &Server, client: &Client, video: &str, row: &Row) {
    let Row { what, track, until, rounds, cached } = *row;
    let ours: Arc<[String]> = client.segments(video, track).into();
    let folder = TempDir::new_in(media::folder()).expect("a temporary folder");
    let (mut here, mut there) = (Vec::new(), Vec::new());
    if matches!(until, Until::Once) {
        // Before they are asked for to be cut.
        cached.apply(&server.data().join("objects"));
        here.push(served(&server.address, server.id(), &ours, until).await);
    }
    let mut bytes = 0;
    let names = ours.iter().enumerate().map(|(number, path)| {
        let segment = client.get(path);
        bytes += segment.len() as u64;
        std::fs::write(folder.path().join(format!("{number}.m4s")), segment).expect("room on the disk");
        format!("/{number}.m4s")
    });
    let cut: Arc<[String]> = names.collect::<Vec<_>>().into();
    let peer = Peer::on(&folder);
    for _ in 0..rounds {
        if matches!(until, Until::Time(_)) {
            here.push(served(&server.address, server.id(), &ours, until).await);
        }
        cached.apply(folder.path());
        there.push(served(&peer.address, peer.child.id(), &cut, until).await);
    }
    let middle =
        |all: &[Served], figure: fn(&Served) -> f64| table::median(&all.iter().map(figure).collect::<Vec<_>>());
    let rate = [&here, &there].map(|all| middle(all, |served| served.a_second));
    let cpu = [&here, &there].map(|all| middle(all, |served| served.cpu_per_gb));
    table::row(&[
        what.to_owned(),
        table::megabytes(bytes / ours.len() as u64),
        format!("{:.0}", rate[0]),
        format!("{:.0}", rate[1]),
        format!("{:.2}×", rate[0] / rate[1]),
        format!("{:.2} s", cpu[0]),
        format!("{:.2} s", cpu[1]),
        format!("{:.2}×", cpu[1] / cpu[0]),
    ]);
}

#[tokio::main]
async fn main() {
    let server = Server::on_disk(&media::folder(), &[]);
    let mut client = Client::of(&server.address).await;
    let video = uploaded(&mut client, 10).await;
    let rates = ["ours: a second", "`ServeFile`: a second", "ratio"];
    let costs = ["ours: CPU a GB", "`ServeFile`: CPU a GB", "ratio"];
    table::head("Segments under load", &[&["what", "a segment"][..], &rates, &costs].concat());
    let again =
        |what, track| Row { what, track, until: Until::Time(TIME), rounds: table::ROUNDS, cached: Cached::AsItIs };
    measure(&server, &client, &video, &again("pictures of 10 min", "v1")).await;
    measure(&server, &client, &video, &again("sound of 10 min", "a1")).await;
    for (what, cached) in [
        ("sound of 60 min, each once, from memory", Cached::All),
        ("sound of 60 min, each once, from the disk", Cached::Nothing),
    ] {
        // Of its own each time: the gateway keeps what it gathered.
        let server = Server::on_disk(&media::folder(), &[]);
        let mut client = Client::of(&server.address).await;
        let long = uploaded(&mut client, 60).await;
        measure(&server, &client, &long, &Row { what, track: "a1", until: Until::Once, rounds: 1, cached }).await;
    }
}
