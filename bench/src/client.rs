//! A client that knows when its last byte was acknowledged.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::sync::mpsc::Sender;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use vidstream_proto::ids::RequestId;
use vidstream_proto::pb;
use vidstream_proto::pb::gateway_service_client::GatewayServiceClient;
use vidstream_proto::pb::upload_service_client::UploadServiceClient;
use vidstream_proto::time::proto_duration;

/// Bytes of a piece.
const PIECE: usize = 256 << 10;

/// A public client.
pub struct Client {
    uploads: UploadServiceClient<Channel>,
    gateway: GatewayServiceClient<Channel>,
    address: String,
}

impl Client {
    /// A client of the server at `address`.
    pub async fn of(address: &str) -> Self {
        let uploads = UploadServiceClient::connect(address.to_owned()).await.expect("it answers");
        let gateway = GatewayServiceClient::connect(address.to_owned()).await.expect("it answers");
        Self { uploads, gateway, address: address.to_owned() }
    }

    /// A page of a list.
    pub async fn list(&mut self, request: pb::ListVideosRequest) -> pb::ListVideosResponse {
        self.gateway.list_videos(request).await.expect("a page").into_inner()
    }

    /// One video.
    pub async fn video(&mut self, id: &str) -> pb::Video {
        let request = pb::GetVideoRequest { video_id: id.to_owned() };
        self.gateway.get_video(request).await.expect("it is there").into_inner().video.expect("a video")
    }

    /// Sends a file; gives the upload at the moment when its last byte was acknowledged.
    pub async fn send(&mut self, file: &Path) -> (pb::Upload, Instant) {
        let size = std::fs::metadata(file).expect("a file").len();
        let request = pb::CreateUploadRequest {
            request_id: RequestId::generate().to_string(),
            file_name: file.file_name().expect("a name").to_string_lossy().into_owned(),
            size,
            ..Default::default()
        };
        let upload = self.uploads.create_upload(request).await.expect("created").into_inner().upload.expect("one");
        let (sender, messages) = tokio::sync::mpsc::channel(8);
        let open = pb::stream_pieces_request::Message::Open(pb::OpenStream { upload_id: upload.id.clone() });
        sender.send(pb::StreamPiecesRequest { message: Some(open) }).await.expect("room");
        let wants = Arc::new(Mutex::new(Vec::new()));
        let reader = tokio::task::spawn_blocking({
            let (path, wants) = (file.to_owned(), Arc::clone(&wants));
            move || read(&path, size, &wants, &sender)
        });
        let mut answers = self.uploads.stream_pieces(ReceiverStream::new(messages)).await.expect("opened").into_inner();
        // The server ends the stream with its last acknowledgement.
        let mut acknowledged = Instant::now();
        while let Some(answer) = answers.next().await {
            let wanted = answer.expect("acknowledged").wants;
            *wants.lock().expect("no thread panics with it") = wanted;
            acknowledged = Instant::now();
        }
        reader.await.expect("read");
        (upload, acknowledged)
    }

    /// Completes an upload.
    pub async fn complete(&mut self, upload: &pb::Upload) -> pb::Video {
        let request = pb::CompleteUploadRequest {
            request_id: RequestId::generate().to_string(),
            upload_id: upload.id.clone(),
            blake3: vec![],
        };
        self.uploads.complete_upload(request).await.expect("complete").into_inner().video.expect("a video")
    }

    /// Waits until `holds` of the video.
    pub async fn wait(&mut self, video: &str, holds: impl Fn(&pb::Video) -> bool) {
        let list = pb::WatchVideosRequest { video_id: video.to_owned(), ..Default::default() };
        let mut events = self.gateway.watch_videos(list).await.expect("opened").into_inner();
        loop {
            let get = pb::GetVideoRequest { video_id: video.to_owned() };
            let now = self.gateway.get_video(get).await.expect("known").into_inner().video.expect("a video");
            assert_ne!(now.state(), pb::VideoState::Failed, "{}", now.failure);
            if holds(&now) {
                return;
            }
            events.next().await.expect("open").expect("no error");
        }
    }

    /// What a player does first: the multivariant playlist, a media playlist, the init segment, the first segment.
    pub fn first_segment(&self, video: &str) -> usize {
        let base = format!("/videos/{video}");
        let text = |path: &str| String::from_utf8(self.get(path)).expect("text");
        let first = |playlist: &str| {
            let mut addresses = playlist.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
            addresses.next().expect("an address").to_owned()
        };
        let media = format!("{base}/{}", first(&text(&format!("{base}/master.m3u8"))));
        let playlist = text(&media);
        let folder = media.rsplit_once('/').expect("a folder").0;
        let init = playlist.split("URI=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an init segment");
        self.get(&format!("{folder}/{init}"));
        self.get(&format!("{folder}/{}", first(&playlist))).len()
    }

    /// The addresses of a track's segments, from its playlist.
    pub fn segments(&self, video: &str, track: &str) -> Vec<String> {
        let text = |path: &str| String::from_utf8(self.get(path)).expect("text");
        let base = format!("/videos/{video}");
        let master = text(&format!("{base}/master.m3u8"));
        let any = master.split(['\n', '"']).find(|part| part.ends_with("playlist.m3u8")).expect("a playlist");
        let generation = any.rsplit('/').nth(2).expect("a generation");
        let folder = format!("{base}/g/{generation}/{track}");
        let playlist = text(&format!("{folder}/playlist.m3u8"));
        let names = playlist.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        names.map(|name| format!("{folder}/{name}")).collect()
    }

    /// The body at `path`, over a connection of its own: a process a request would cost more than the answer.
    pub fn get(&self, path: &str) -> Vec<u8> {
        let host = self.address.trim_start_matches("http://");
        let mut connection = TcpStream::connect(host).expect("it answers");
        write!(connection, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").expect("sent");
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).expect("answered");
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..end]));
        answer.split_off(end + 4)
    }

    /// Removes a video for good.
    pub async fn purge(&mut self, video: &str) {
        let request = pb::RemoveVideoRequest {
            request_id: RequestId::generate().to_string(),
            video_id: video.to_owned(),
            purge_after: Some(proto_duration(std::time::Duration::ZERO)),
            expected_revision: None,
        };
        self.gateway.remove_video(request).await.expect("removed");
    }
}

/// Reads a file piece by piece in order, but what is wanted first, and sends it.
fn read(path: &Path, size: u64, wants: &Mutex<Vec<pb::ByteRange>>, sender: &Sender<pb::StreamPiecesRequest>) {
    let file = File::open(path).expect("readable");
    let mut left: BTreeSet<u64> = (0..size).step_by(PIECE).collect();
    while let Some(first) = left.first().copied() {
        let wanted = wants.lock().expect("no thread panics with it").iter().find_map(|want| {
            let from = want.start / PIECE as u64 * PIECE as u64;
            left.range(from..want.end).next().copied()
        });
        let offset = wanted.unwrap_or(first);
        left.remove(&offset);
        let mut data = vec![0; usize::try_from((size - offset).min(PIECE as u64)).expect("fits")];
        file.read_exact_at(&mut data, offset).expect("readable");
        let crc32c = crc32c::crc32c(&data);
        let message = Some(pb::stream_pieces_request::Message::Piece(pb::Piece { offset, data: data.into(), crc32c }));
        sender.blocking_send(pb::StreamPiecesRequest { message }).expect("the server reads");
    }
}
