//! Last byte acknowledged → ready and a player's first segment fetched, against `ffmpeg -c copy -f hls`.

use std::process::Command;
use std::time::{Duration, Instant};
use vidstream_bench::client::Client;
use vidstream_bench::{cost, media, table};
use vidstream_proto::pb::VideoState;
use vidstream_tests::server::Server;

#[tokio::main]
async fn main() {
    let server = Server::with(&["--write-deadline", "0s"]);
    let mut client = Client::of(&server.address).await;
    table::head(
        "Last byte → first segment in a player's hands",
        &["film", "size", "ours: ready", "ours: first segment", "`ffmpeg -c copy -f hls`", "its CPU", "ratio"],
    );
    for minutes in [1, 10, 60] {
        let film = media::film(minutes);
        let mut ready = Vec::new();
        let mut segment = Vec::new();
        let mut peer = Vec::new();
        for _ in 0..table::ROUNDS {
            let (upload, acknowledged) = client.send(&film).await;
            client.complete(&upload).await;
            client.wait(&upload.video_id, |video| video.state() == VideoState::Ready).await;
            ready.push(acknowledged.elapsed());
            assert!(client.first_segment(&upload.video_id) > 0);
            segment.push(acknowledged.elapsed());
            // Its storyboard must not run beside the peer.
            client.wait(&upload.video_id, |video| !pending(video)).await;
            client.purge(&upload.video_id).await;
            peer.push(hls(&film));
        }
        let peer = table::middle(&peer);
        let (ready, segment): (Duration, Duration) = (table::median(&ready), table::median(&segment));
        table::row(&[
            format!("{minutes} min"),
            table::megabytes(media::size(&film)),
            table::time(ready),
            table::time(segment),
            table::time(peer.wall),
            table::time(peer.cpu),
            table::ratio(peer.wall, segment),
        ]);
    }
}

fn pending(video: &vidstream_proto::pb::Video) -> bool {
    use vidstream_proto::pb::PartState::{Running, Waiting};
    [&video.storyboard, &video.poster].into_iter().flatten().any(|part| matches!(part.state(), Waiting | Running))
}

/// The expert's way: repackage the finished file.
fn hls(film: &std::path::Path) -> cost::Cost {
    let folder = tempfile::tempdir_in(media::folder()).expect("a folder");
    let began = Instant::now();
    let mut cost = cost::of_command(
        Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-i"])
            .arg(film)
            .args([
                "-c",
                "copy",
                "-f",
                "hls",
                "-hls_time",
                "4",
                "-hls_playlist_type",
                "vod",
                "-hls_segment_type",
                "fmp4",
            ])
            .arg(folder.path().join("master.m3u8")),
    );
    cost.wall = began.elapsed();
    cost
}
