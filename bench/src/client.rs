//! A client that knows when its last byte was acknowledged.

use bytes::Bytes;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Instant;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use vidstream_proto::ids::RequestId;
use vidstream_proto::pb;
use vidstream_proto::pb::gateway_service_client::GatewayServiceClient;
use vidstream_proto::pb::upload_service_client::UploadServiceClient;
use vidstream_proto::time::proto_duration;
use vidstream_tests::judges::curl;

/// Bytes of a piece.
const PIECE: usize = 1 << 20;

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
        let path = file.to_owned();
        let reader = tokio::task::spawn_blocking(move || {
            let mut file = File::open(path).expect("readable");
            let mut offset = 0;
            while offset < size {
                let take = usize::try_from((size - offset).min(PIECE as u64)).expect("fits");
                let mut data = vec![0; take];
                file.read_exact(&mut data).expect("readable");
                let crc32c = crc32c::crc32c(&data);
                let piece = pb::Piece { offset, data: Bytes::from(data), crc32c };
                let message = Some(pb::stream_pieces_request::Message::Piece(piece));
                sender.blocking_send(pb::StreamPiecesRequest { message }).expect("the server reads");
                offset += take as u64;
            }
        });
        let mut answers = self.uploads.stream_pieces(ReceiverStream::new(messages)).await.expect("opened").into_inner();
        let mut durable = 0;
        while let Some(answer) = answers.next().await {
            let answer = answer.expect("acknowledged");
            durable += answer.durable.iter().map(|range| range.end - range.start).sum::<u64>();
            if durable >= size {
                break;
            }
        }
        reader.await.expect("read");
        (upload, Instant::now())
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
        let base = format!("{}/videos/{video}", self.address);
        let text = |url: &str| curl::get(url).text().to_owned();
        let first = |playlist: &str| {
            playlist.lines().find(|line| !line.starts_with('#') && !line.is_empty()).expect("an address").to_owned()
        };
        let media = format!("{base}/{}", first(&text(&format!("{base}/master.m3u8"))));
        let playlist = text(&media);
        let folder = media.rsplit_once('/').expect("a folder").0;
        let init = playlist.split("URI=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an init segment");
        let init = curl::get(&format!("{folder}/{init}"));
        let segment = curl::get(&format!("{folder}/{}", first(&playlist)));
        assert_eq!((init.status, segment.status), (200, 200));
        segment.body.len()
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
