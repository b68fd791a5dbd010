//! Matroska and MPEG-TS, last byte acknowledged → ready and a player's first segment fetched, against `ffmpeg -c copy -f hls`.
//! `kinds 1` does it with the films of a minute only.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use vidstream_bench::client::Client;
use vidstream_bench::{cost, media, table};
use vidstream_proto::pb::PartState::{Running, Waiting};
use vidstream_proto::pb::{Video, VideoState};
use vidstream_tests::server::Server;

/// What one upload took.
#[derive(Clone, Copy)]
struct Taken {
    /// From its first byte to the acknowledgement of its last: the file is read, or normalised, meanwhile.
    upload: Duration,
    /// From there on.
    ready: Duration,
    segment: Duration,
    /// Of the server and its ffmpeg, from the first byte on until it is ready.
    cpu: Duration,
}

#[tokio::main]
async fn main() {
    let only: Option<u32> = std::env::args().nth(1).map(|minutes| minutes.parse().expect("minutes"));
    let server = Server::with(&["--write-deadline", "0s"]);
    let mut client = Client::of(&server.address).await;
    table::head(
        "Matroska and MPEG-TS: last byte → first segment in a player's hands",
        &[
            "film",
            "size",
            "ours: upload",
            "ours: ready",
            "ours: first segment",
            "CPU until ready",
            "`ffmpeg -c copy -f hls`",
            "its CPU",
            "ratio",
        ],
    );
    for (minutes, ending) in [(1, "mkv"), (1, "ts"), (10, "mkv"), (10, "ts"), (60, "mkv"), (60, "ts")] {
        if only.is_some_and(|only| only != minutes) {
            continue;
        }
        let film = media::film_in(minutes, ending);
        let (mut ours, mut peer) = (Vec::new(), Vec::new());
        for _ in 0..table::ROUNDS {
            ours.push(round(&server, &mut client, &film).await);
            peer.push(hls(&film));
        }
        let of = |figure: fn(&Taken) -> Duration| table::median(&ours.iter().map(figure).collect::<Vec<_>>());
        let peer = table::middle(&peer);
        table::row(&[
            format!("{minutes} min, {ending}"),
            table::megabytes(media::size(&film)),
            table::time(of(|taken| taken.upload)),
            table::time(of(|taken| taken.ready)),
            table::time(of(|taken| taken.segment)),
            table::time(of(|taken| taken.cpu)),
            table::time(peer.wall),
            table::time(peer.cpu),
            table::ratio(peer.wall, of(|taken| taken.segment)),
        ]);
    }
}

async fn round(server: &Server, client: &mut Client, film: &Path) -> Taken {
    let (began, before) = (Instant::now(), cost::cpu(server.id()));
    let (upload, acknowledged) = client.send(film).await;
    client.complete(&upload).await;
    client.wait(&upload.video_id, |video| video.state() == VideoState::Ready).await;
    let ready = acknowledged.elapsed();
    let cpu = cost::cpu(server.id()).saturating_sub(before);
    assert!(client.first_segment(&upload.video_id) > 0);
    let segment = acknowledged.elapsed();
    // Its pictures must not be made beside the peer.
    client.wait(&upload.video_id, |video| !pending(video)).await;
    client.purge(&upload.video_id).await;
    Taken { upload: acknowledged.duration_since(began), ready, segment, cpu }
}

fn pending(video: &Video) -> bool {
    let parts = [&video.storyboard, &video.poster, &video.encoded];
    parts.into_iter().flatten().any(|part| matches!(part.state(), Waiting | Running))
}

/// The expert's way: repackage the finished file.
fn hls(film: &Path) -> cost::Cost {
    let folder = tempfile::tempdir_in(media::folder()).expect("a folder");
    let output =
        ["-c", "copy", "-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4"];
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-i"]).arg(film).args(output);
    cost::of_command(command.arg(folder.path().join("master.m3u8")))
}
