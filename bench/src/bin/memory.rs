//! What the server's own process takes of memory for files of every kind, until all of each is made, and its ffmpegs beside
//! it. `memory 1` does it with films of a minute.

use std::path::Path;
use vidstream_bench::client::Client;
use vidstream_bench::cost::{self, Meter};
use vidstream_bench::{media, table};
use vidstream_proto::pb::PartState::{Running, Waiting};
use vidstream_tests::server::Server;

#[tokio::main]
async fn main() {
    let only: Option<u32> = std::env::args().nth(1).map(|minutes| minutes.parse().expect("minutes"));
    let (long, hours) = (only.unwrap_or(60), only.map_or(10, |_| 1));
    table::head(
        "Memory, whatever the input",
        &["file", "size", "largest of our own process", "largest of it and its ffmpegs", "to reach, of our own"],
    );
    for file in [
        media::film(long),
        media::film_in(long, "mkv"),
        media::film_in(long, "ts"),
        media::hevc(only.map_or(6, |_| 1)),
        media::sound(hours),
    ] {
        let (own, all) = largest(&file).await;
        table::row(&[
            name(&file),
            table::megabytes(media::size(&file)),
            table::megabytes(own),
            table::megabytes(all),
            "80 MB".to_owned(),
        ]);
    }
}

fn name(file: &Path) -> String {
    file.file_name().expect("a name").to_string_lossy().into_owned()
}

/// The most memory that a server and its ffmpegs had from the first byte of `file` on.
async fn largest(file: &Path) -> (u64, u64) {
    let server = Server::with(&["--write-deadline", "0s"]);
    let mut client = Client::of(&server.address).await;
    let meter = Meter::of(server.id());
    let (upload, _) = client.send(file).await;
    client.complete(&upload).await;
    let pending =
        |part: Option<&vidstream_proto::pb::Part>| part.is_some_and(|part| matches!(part.state(), Waiting | Running));
    client
        .wait(&upload.video_id, |video| {
            let parts = [&video.source_rendition, &video.encoded, &video.storyboard, &video.poster];
            !parts.into_iter().any(|part| pending(part.as_ref()))
        })
        .await;
    (cost::peak(server.id()), meter.stop().memory)
}
