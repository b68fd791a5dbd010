//! Segments from S3 through a gateway, its cache cold and warm, against the same bytes cut before and read from the store itself.

use std::sync::Arc;
use std::time::Duration;
use vidstream_bench::client::Client;
use vidstream_bench::load::{self, Came, Until};
use vidstream_bench::s3::{Minio, Plain, objects};
use vidstream_bench::{cost, media, table};
use vidstream_proto::pb;
use vidstream_tests::server::Server;

const CONNECTIONS: usize = 8;
const TIME: Duration = Duration::from_secs(3);

/// What a server does under load.
#[derive(Clone, Copy)]
struct Served {
    bytes_a_second: f64,
    /// Seconds, of the server asked and of the store.
    cpu_per_gb: f64,
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
async fn served(address: &str, processes: &[u32], paths: &Arc<[String]>, until: Until) -> Served {
    let cpu = || processes.iter().map(|process| cost::cpu(*process)).sum::<Duration>();
    let before = cpu();
    let Came { bytes, wall, .. } = load::of(address, paths, CONNECTIONS, until).await;
    let (cpu, gigabytes) = (cpu().saturating_sub(before), bytes as f64 / 1e9);
    Served { bytes_a_second: bytes as f64 / wall.as_secs_f64(), cpu_per_gb: cpu.as_secs_f64() / gigabytes }
}

/// A video of `minutes` of which all is made.
async fn uploaded(client: &mut Client, minutes: u32) -> String {
    let (upload, _) = client.send(&media::film(minutes)).await;
    client.complete(&upload).await;
    let made = |part: &Option<pb::Part>| part.as_ref().is_some_and(|part| part.state() == pb::PartState::Ready);
    let all = |video: &pb::Video| made(&video.source_rendition) && made(&video.storyboard) && made(&video.poster);
    client.wait(&upload.video_id, all).await;
    upload.video_id
}

fn row(what: &str, bytes: u64, ours: &[Served], direct: &[Served]) {
    let middle =
        |all: &[Served], figure: fn(&Served) -> f64| table::median(&all.iter().map(figure).collect::<Vec<_>>());
    let rate = [ours, direct].map(|all| middle(all, |served| served.bytes_a_second));
    let cpu = [ours, direct].map(|all| middle(all, |served| served.cpu_per_gb));
    table::row(&[
        what.to_owned(),
        table::megabytes(bytes),
        format!("{:.0} MB/s", rate[0] / 1e6),
        format!("{:.0} MB/s", rate[1] / 1e6),
        format!("{:.2}×", rate[0] / rate[1]),
        format!("{:.2} s", cpu[0]),
        format!("{:.2} s", cpu[1]),
    ]);
}

/// Measures the segments of `track` of a film of `minutes`.
async fn measure(minio: &Minio, minutes: u32, track: &str) {
    let flags = objects(&minio.address(), &format!("film-{minutes}-{track}"));
    let mut server = Server::on_disk(&media::folder(), &["--objects", &flags]);
    let mut client = Client::of(&server.address).await;
    let video = uploaded(&mut client, minutes).await;
    let ours: Arc<[String]> = client.segments(&video, track).into();
    let plain = Plain::at(&minio.address());
    let (mut bytes, mut cut) = (0, Vec::new());
    for (number, path) in ours.iter().enumerate() {
        let segment = client.get(path);
        bytes += segment.len() as u64;
        let key = format!("cut/{minutes}/{track}/{number}.m4s");
        plain.put(&key, segment).await;
        cut.push(plain.path_of(&key).await);
    }
    let cut: Arc<[String]> = cut.into();
    let a_segment = bytes / ours.len() as u64;
    let (mut cold, mut warm, mut once, mut again) = (vec![], vec![], vec![], vec![]);
    for _ in 0..table::ROUNDS {
        server = Server::on(server.ended(), &["--objects", &flags]);
        // The index is opened, and where the bytes lie is known, before anything is timed.
        let client = Client::of(&server.address).await;
        client.segments(&video, track);
        client.get(ours.last().expect("some"));
        cold.push(served(&server.address, &[server.id(), minio.id()], &ours, Until::Once).await);
        once.push(served(&minio.address(), &[minio.id()], &cut, Until::Once).await);
        warm.push(served(&server.address, &[server.id(), minio.id()], &ours, Until::Time(TIME)).await);
        again.push(served(&minio.address(), &[minio.id()], &cut, Until::Time(TIME)).await);
    }
    let what = if track == "v1" { "pictures" } else { "sound" };
    row(&format!("{what} of {minutes} min, cold, each once"), a_segment, &cold, &once);
    row(&format!("{what} of {minutes} min, over and over"), a_segment, &warm, &again);
}

#[tokio::main]
async fn main() {
    let minio = Minio::start().await;
    table::head(
        "Segments from S3 (MinIO on the same machine)",
        &["what", "a segment", "ours", "MinIO itself", "ratio", "ours and MinIO: CPU a GB", "MinIO: CPU a GB"],
    );
    // A minute fits into the cache of 64 MiB; ten do not, which is told by the second row of theirs.
    measure(&minio, 1, "v1").await;
    measure(&minio, 10, "v1").await;
    measure(&minio, 1, "a1").await;
}
