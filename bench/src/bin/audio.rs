//! Playing the sound alone of a file of 50 Mbit/s: bytes read against bytes sent.

use vidstream_bench::client::Client;
use vidstream_bench::load::Connection;
use vidstream_bench::{cost, media, table};
use vidstream_proto::pb::PartState;
use vidstream_tests::server::Server;

#[tokio::main]
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
async fn main() {
    let film = media::heavy();
    let server = Server::on_disk(&media::folder(), &[]);
    let mut client = Client::of(&server.address).await;
    let (upload, _) = client.send(&film).await;
    client.complete(&upload).await;
    let made = |part: &Option<vidstream_proto::pb::Part>| part.as_ref().is_some_and(|p| p.state() == PartState::Ready);
    let all = |video: &vidstream_proto::pb::Video| {
        made(&video.source_rendition) && made(&video.storyboard) && made(&video.poster)
    };
    client.wait(&upload.video_id, all).await;
    table::head("The sound alone of a minute at 50 Mbit/s", &["way", "sent", "read", "read / sent"]);
    let segments = client.segments(&upload.video_id, "a1");
    for way in ["ours, the first time", "ours, again"] {
        let mut connection = Connection::to(&server.address).await;
        let (before, mut sent) = (cost::read(server.id()), 0);
        for segment in &segments {
            sent += connection.get(segment).await;
        }
        let read = cost::read(server.id()) - before;
        let ratio = format!("{:.2}", read as f64 / sent as f64);
        table::row(&[way, &table::megabytes(sent), &table::megabytes(read), &ratio]);
    }
    let whole = table::megabytes(media::size(&film));
    table::row(&["the file, which a reader of whole spans reads", "", &whole, ""]);
}
