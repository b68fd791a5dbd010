//! Storyboards of 10 and 60 minutes against ffmpeg's ways to the same tiles; `storyboard 10` makes one table only.

use std::path::Path;
use std::process::Command;
use vidstream_bench::client::Client;
use vidstream_bench::cost::{self, Cost, Meter};
use vidstream_bench::{media, table};
use vidstream_proto::pb::PartState;
use vidstream_tests::server::Server;

#[tokio::main]
async fn main() {
    let only: Option<u32> = std::env::args().nth(1).map(|minutes| minutes.parse().expect("minutes"));
    for (minutes, interval) in [(10, 5), (60, 15)] {
        if only.is_some_and(|only| only != minutes) {
            continue;
        }
        let film = media::film(minutes);
        let size = media::size(&film);
        let (mut ours, mut plain, mut tuned) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..table::ROUNDS {
            ours.push(storyboard(&film).await);
            plain.push(keyframes(&film, interval, &[]));
            tuned.push(keyframes(&film, interval, &["-threads", "1", "-skip_loop_filter", "all"]));
        }
        let (ours, plain, tuned) = (table::middle(&ours), table::middle(&plain), table::middle(&tuned));
        let full = everything(&film);
        table::head(
            &format!("Storyboard of {minutes} minutes ({}, a tile every {interval} s)", table::megabytes(size)),
            &["way", "wall", "CPU", "CPU against ours", "read", "of the file", "peak memory"],
        );
        let line = |name: &str, cost: &Cost| {
            table::row(&[
                name.to_owned(),
                table::time(cost.wall),
                table::time(cost.cpu),
                table::ratio(cost.cpu, ours.cpu),
                table::megabytes(cost.read),
                format!("{} %", cost.read * 1000 / size / 10),
                table::megabytes(cost.memory),
            ]);
        };
        line("ours: storyboard and poster, server and its ffmpeg", &ours);
        line("`-skip_frame nokey`, as commonly written", &plain);
        line("`-skip_frame nokey`, with our decoder flags", &tuned);
        line("full decode, `fps=1/5` (once)", &full);
    }
}

/// From the completed upload to a storyboard that can be fetched; all of the server's processes.
async fn storyboard(film: &Path) -> Cost {
    let server = Server::start();
    let mut client = Client::of(&server.address).await;
    let (upload, _) = client.send(film).await;
    let meter = Meter::of(server.id());
    client.complete(&upload).await;
    let done = |part: &Option<vidstream_proto::pb::Part>| part.as_ref().is_some_and(|p| p.state() == PartState::Ready);
    client.wait(&upload.video_id, |video| done(&video.storyboard) && done(&video.poster)).await;
    let cost = meter.stop();
    Cost { read: cost.read - raw_tiles(&client, &upload.video_id), ..cost }
}

/// Bytes that came out of ffmpeg's pipe as raw tiles: read by a system call, but not of the file. The poster's
/// candidates come the same way; they stay counted.
fn raw_tiles(client: &Client, video: &str) -> u64 {
    let board = client.get(&format!("/videos/{video}/storyboard.json"));
    let board: serde_json::Value = serde_json::from_slice(&board).expect("JSON");
    let of = |name: &str| board[name].as_u64().expect("a size");
    of("tileWidth") * of("tileHeight") * 3 / 2 * board["tiles"].as_array().expect("tiles").len() as u64
}

fn tiles(film: &Path, before: &[&str], filter: &str) -> Cost {
    let folder = tempfile::tempdir_in(media::folder()).expect("a folder");
    cost::of_command(
        Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin"])
            .args(before)
            .arg("-i")
            .arg(film)
            .args(["-an", "-vf", &format!("{filter},scale=320:-2,tile=10x10"), "-fps_mode", "passthrough", "-q:v", "4"])
            .arg(folder.path().join("%d.jpg")),
    )
}

/// Decodes every keyframe and keeps those nearest the wanted times: with a keyframe every 2 s, the first at or after each
/// time less one second.
fn keyframes(film: &Path, interval: u32, flags: &[&str]) -> Cost {
    let select =
        format!("select='isnan(prev_selected_t)+gte(floor((t+1)/{interval}),floor((prev_selected_t+1)/{interval})+1)'");
    tiles(film, &[&["-skip_frame", "nokey"], flags].concat(), &select)
}

fn everything(film: &Path) -> Cost {
    tiles(film, &[], "fps=1/5")
}
