//! HEVC of 1080p to H.264: the first segment that plays everywhere, and the whole rendition, against one plain ffmpeg of the
//! same settings that writes HLS. `encode 1` does it with ten seconds.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use vidstream_bench::client::Client;
use vidstream_bench::cost::{self, Cost, Meter};
use vidstream_bench::{media, table};
use vidstream_proto::pb::PartState;
use vidstream_tests::judges::curl;
use vidstream_tests::server::Server;

/// Encodes take a while.
const ROUNDS: usize = 3;

/// What an upload took from the acknowledgement of its last byte on.
struct Taken {
    /// Until a player had the first segment of the rendition.
    first: Duration,
    /// Until all of it was there; all of the server's processes.
    whole: Cost,
    /// Of the server's own process.
    own: u64,
}

#[tokio::main]
async fn main() {
    let tens: u32 = std::env::args().nth(1).map_or(6, |tens| tens.parse().expect("tens of seconds"));
    let film = media::hevc(tens);
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(round(&film).await);
        peer.push(plain(&film));
    }
    let first = table::median(&ours.iter().map(|taken| taken.first).collect::<Vec<_>>());
    let own = table::median(&ours.iter().map(|taken| taken.own).collect::<Vec<_>>());
    let whole = table::middle(&ours.iter().map(|taken| taken.whole).collect::<Vec<_>>());
    let peer = table::middle(&peer);
    table::head(
        &format!("{} s of HEVC 1080p30 ({}) to H.264", tens * 10, table::megabytes(media::size(&film))),
        &[
            "way",
            "first segment",
            "whole",
            "whole against plain",
            "CPU",
            "CPU against plain",
            "memory",
            "of our own process",
        ],
    );
    let ratio = |one: Duration, other: Duration| format!("{:.2}×", one.as_secs_f64() / other.as_secs_f64().max(1e-9));
    table::row(&[
        "ours: server and its ffmpeg, storyboard and poster too".to_owned(),
        table::time(first),
        table::time(whole.wall),
        ratio(whole.wall, peer.wall),
        table::time(whole.cpu),
        ratio(whole.cpu, peer.cpu),
        table::megabytes(whole.memory),
        table::megabytes(own),
    ]);
    table::row(&[
        "one plain ffmpeg, HLS".to_owned(),
        "–".to_owned(),
        table::time(peer.wall),
        ratio(peer.wall, peer.wall),
        table::time(peer.cpu),
        ratio(peer.cpu, peer.cpu),
        table::megabytes(peer.memory),
        "–".to_owned(),
    ]);
}

async fn round(film: &Path) -> Taken {
    let server = Server::with(&["--write-deadline", "0s"]);
    let mut client = Client::of(&server.address).await;
    let (upload, acknowledged) = client.send(film).await;
    let meter = Meter::of(server.id());
    client.complete(&upload).await;
    let master = format!("{}/videos/{}/master.m3u8", server.address, upload.video_id);
    // Which codings the variant has that is listed first.
    while !curl::get(&master).text().split("CODECS=\"").nth(1).is_some_and(|codecs| codecs.starts_with("avc1")) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(client.first_segment(&upload.video_id) > 0);
    let first = acknowledged.elapsed();
    let is_made = |part: Option<&vidstream_proto::pb::Part>| part.is_some_and(|part| part.state() == PartState::Ready);
    client.wait(&upload.video_id, |video| is_made(video.encoded.as_ref())).await;
    let wall = acknowledged.elapsed();
    Taken { first, whole: Cost { wall, ..meter.stop() }, own: cost::peak(server.id()) }
}

/// The same encoder with the same settings.
fn plain(film: &Path) -> Cost {
    let folder = tempfile::tempdir_in(media::folder()).expect("a folder");
    let began = Instant::now();
    let coding = "-c:v libx264 -preset veryfast -crf 22 -profile:v high -maxrate 8M -bufsize 16M -bf 2 -g 120 \
                  -sc_threshold 0 -pix_fmt yuv420p -c:a copy -f hls -hls_time 4 -hls_playlist_type vod \
                  -hls_segment_type fmp4";
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-i"]).arg(film).args(coding.split_whitespace());
    let cost = cost::of_command(command.arg(folder.path().join("master.m3u8")));
    Cost { wall: began.elapsed(), ..cost }
}
