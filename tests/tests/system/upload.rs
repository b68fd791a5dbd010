//! The upload's contract, spoken without `vidctl`: gRPC by its generated client and `PUT` by curl.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use std::path::{Path, PathBuf};
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::Channel;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::RequestId;
use vidstream_proto::pb;
use vidstream_proto::pb::upload_service_client::UploadServiceClient;
use vidstream_tests::clips;
use vidstream_tests::judges::curl::{self, Answer};
use vidstream_tests::server::Server;

pub(crate) const GRANULE: usize = 64 << 10;
pub(crate) const MIB: usize = 1 << 20;

pub(crate) type Client = UploadServiceClient<Channel>;

pub(crate) async fn client(server: &Server) -> Client {
    Client::connect(server.address.clone()).await.expect("it answers").max_encoding_message_size(16 * MIB)
}

pub(crate) async fn create(client: &mut Client, size: usize) -> pb::Upload {
    let request = pb::CreateUploadRequest {
        request_id: RequestId::generate().to_string(),
        file_name: "bytes.bin".into(),
        size: size as u64,
        ..Default::default()
    };
    client.create_upload(request).await.expect("created").into_inner().upload.expect("an upload")
}

pub(crate) fn chunk(upload: &pb::Upload, offset: usize, data: &[u8]) -> pb::PutChunkRequest {
    pb::PutChunkRequest {
        upload_id: upload.id.clone(),
        offset: offset as u64,
        data: Bytes::copy_from_slice(data),
        crc32c: crc32c::crc32c(data),
    }
}

pub(crate) fn piece(offset: usize, data: &[u8]) -> pb::StreamPiecesRequest {
    let piece = pb::Piece { offset: offset as u64, data: Bytes::copy_from_slice(data), crc32c: crc32c::crc32c(data) };
    pb::StreamPiecesRequest { message: Some(pb::stream_pieces_request::Message::Piece(piece)) }
}

pub(crate) fn open(upload: &pb::Upload) -> pb::StreamPiecesRequest {
    let open = pb::OpenStream { upload_id: upload.id.clone() };
    pb::StreamPiecesRequest { message: Some(pb::stream_pieces_request::Message::Open(open)) }
}

pub(crate) async fn complete(client: &mut Client, upload: &pb::Upload, blake3: Vec<u8>) -> Result<pb::Video, Problem> {
    let request = pb::CompleteUploadRequest {
        request_id: RequestId::generate().to_string(),
        upload_id: upload.id.clone(),
        blake3,
    };
    Ok(client.complete_upload(request).await?.into_inner().video.expect("a video"))
}

pub(crate) fn bytes(size: usize) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::read(clips::noise(folder.path(), "bytes", size as u64)).expect("readable")
}

#[tokio::test]
async fn any_order_in_parallel_and_from_another_client() {
    let server = Server::start();
    let size = 19 * MIB + 4321;
    let data = bytes(size);
    let mut first = client(&server).await;
    let upload = create(&mut first, size).await;
    // The end first, by a unary chunk; then two clients' streams at once, one backwards.
    let tail = 19 * MIB;
    first.put_chunk(chunk(&upload, tail, &data[tail..])).await.expect("durable");
    let pieces = |range: std::ops::Range<usize>| -> Vec<_> {
        range.map(|i| piece(i * MIB, &data[i * MIB..(i + 1) * MIB])).collect()
    };
    let forwards = pieces(0..12);
    let backwards: Vec<_> = pieces(8..19).into_iter().rev().collect();
    let mut second = client(&server).await;
    let send = |mut client: Client, pieces: Vec<pb::StreamPiecesRequest>, opening: pb::StreamPiecesRequest| async move {
        let messages = tokio_stream::iter(std::iter::once(opening).chain(pieces));
        let mut answers = client.stream_pieces(messages).await.expect("opened").into_inner();
        while let Some(answer) = answers.next().await {
            answer.expect("acknowledged");
        }
    };
    tokio::join!(send(first.clone(), forwards, open(&upload)), send(second.clone(), backwards, open(&upload)));
    let state = second.get_upload(pb::GetUploadRequest { upload_id: upload.id.clone() }).await.expect("known");
    let durable = state.into_inner().upload.expect("an upload").durable;
    assert_eq!(durable, [pb::ByteRange { start: 0, end: size as u64 }]);
    let wrong = complete(&mut second, &upload, vec![7; 32]).await.expect_err("another file");
    assert_eq!(wrong.reason, Reason::ChecksumMismatch);
    let video = complete(&mut second, &upload, blake3::hash(&data).as_bytes().to_vec()).await.expect("complete");
    assert_eq!(video.upload.as_ref().expect("a part").blake3, blake3::hash(&data).as_bytes());
    // Again, and with other words: harmless.
    let again = complete(&mut second, &upload, vec![]).await.expect("complete");
    assert_eq!(again.id, video.id);
    let late = second.put_chunk(chunk(&upload, 0, &data[..GRANULE])).await.expect_err("complete");
    assert_eq!(Problem::from(late).reason, Reason::UploadComplete);
}

#[tokio::test]
async fn every_mistake_has_its_reason() {
    let server = Server::start();
    let mut client = client(&server).await;
    let size = 3 * GRANULE + 100;
    let data = bytes(size);
    let upload = create(&mut client, size).await;
    let mut wrong_sum = chunk(&upload, 0, &data[..GRANULE]);
    wrong_sum.crc32c ^= 1;
    let mut unknown = chunk(&upload, 0, &data[..GRANULE]);
    unknown.upload_id = RequestId::generate().to_string();
    let large = vec![0; 8 * MIB + GRANULE];
    let cases = [
        (chunk(&upload, 100, &data[..GRANULE]), Code::InvalidArgument, Reason::InvalidOffset),
        (chunk(&upload, 0, &data[..100]), Code::InvalidArgument, Reason::InvalidOffset),
        (chunk(&upload, 0, &[]), Code::InvalidArgument, Reason::InvalidOffset),
        (chunk(&upload, 3 * GRANULE, &data[..GRANULE]), Code::InvalidArgument, Reason::TooManyBytes),
        (chunk(&upload, 0, &large), Code::InvalidArgument, Reason::TooManyBytes),
        (wrong_sum, Code::DataLoss, Reason::ChecksumMismatch),
        (unknown, Code::NotFound, Reason::NotFound),
    ];
    for (request, code, reason) in cases {
        let what = format!("{} bytes at {}", request.data.len(), request.offset);
        let status = client.put_chunk(request).await.expect_err(&what);
        assert_eq!((status.code(), Problem::from(status).reason), (code, reason), "{what}");
    }
    // Overlapping pieces of the same bytes are harmless, other bytes are refused.
    client.put_chunk(chunk(&upload, 0, &data[..2 * GRANULE])).await.expect("durable");
    client.put_chunk(chunk(&upload, GRANULE, &data[GRANULE..3 * GRANULE])).await.expect("overlaps");
    let other = vec![1; GRANULE];
    let differ = client.put_chunk(chunk(&upload, GRANULE, &other)).await.expect_err("other bytes");
    assert_eq!(Problem::from(differ).reason, Reason::BytesDiffer);
    let missing = complete(&mut client, &upload, vec![]).await.expect_err("incomplete");
    assert_eq!(missing.reason, Reason::BytesMissing);
    assert!(missing.message.contains(&(3 * GRANULE).to_string()), "{}", missing.message);
    let empty = pb::CreateUploadRequest {
        request_id: RequestId::generate().to_string(),
        file_name: "../x".into(),
        ..Default::default()
    };
    let problem = Problem::from(client.create_upload(empty).await.expect_err("no name, no size"));
    assert_eq!(problem.reason, Reason::InvalidArgument);
    assert!(!problem.fields.is_empty());
    // The same request id makes one upload.
    let request = pb::CreateUploadRequest {
        request_id: RequestId::generate().to_string(),
        file_name: "once.bin".into(),
        size: 1,
        ..Default::default()
    };
    let one = client.create_upload(request.clone()).await.expect("created").into_inner().upload.expect("one").id;
    let same = client.create_upload(request).await.expect("repeated").into_inner().upload.expect("one").id;
    assert_eq!(one, same);
}

fn put(server: &Server, upload: &pb::Upload, offset: &str, body: &Path, headers: &[&str]) -> Answer {
    let url = format!("{}/uploads/{}/bytes?offset={offset}", server.address, upload.id);
    let data = format!("@{}", body.display());
    let mut arguments = vec!["-X", "PUT", "--data-binary", &data, "-H", "Content-Type: application/octet-stream"];
    arguments.extend(headers.iter().flat_map(|header| ["-H", header]));
    arguments.push(&url);
    curl::curl(&arguments)
}

/// A chunk by `PUT`.
pub(crate) fn put_whole(server: &Server, upload: &pb::Upload, offset: usize, data: &[u8]) -> Answer {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let body = folder.path().join("body");
    std::fs::write(&body, data).expect("written");
    put(server, upload, &offset.to_string(), &body, &[&digest(data)])
}

fn digest(data: &[u8]) -> String {
    format!("Content-Digest: crc32c=:{}:", BASE64_STANDARD.encode(crc32c::crc32c(data).to_be_bytes()))
}

#[tokio::test]
async fn chunks_can_be_put() {
    let server = Server::start();
    let mut client = client(&server).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let body = clips::noise(folder.path(), "body", 100_000);
    let data = std::fs::read(&body).expect("readable");
    let upload = create(&mut client, data.len()).await;
    let answer = put(&server, &upload, "0", &body, &[&digest(&data)]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["durable"], serde_json::json!([{ "start": "0", "end": "100000" }]));
    assert_eq!(answer.json()["wants"], serde_json::json!([]));
    let problems = [
        (put(&server, &upload, "0", &body, &[]), 400, "INVALID_ARGUMENT"),
        (put(&server, &upload, "0", &body, &["Content-Digest: crc32c=:AAAA:"]), 400, "INVALID_ARGUMENT"),
        (put(&server, &upload, "0", &body, &[&digest(b"other")]), 400, "CHECKSUM_MISMATCH"),
        (put(&server, &upload, "5", &body, &[&digest(&data)]), 400, "INVALID_OFFSET"),
        (put(&server, &upload, "x", &body, &[&digest(&data)]), 400, "INVALID_ARGUMENT"),
        (put(&server, &upload, "65536", &body, &[&digest(&data)]), 413, "TOO_MANY_BYTES"),
    ];
    for (answer, status, reason) in problems {
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, "application/problem+json"),
            "{}",
            answer.text()
        );
        assert_eq!(answer.json()["reason"], reason, "{}", answer.text());
    }
    complete(&mut client, &upload, vec![]).await.expect("complete");
}

#[tokio::test]
async fn media_of_an_incomplete_upload_is_not_served() {
    let server = Server::start();
    let mut client = client(&server).await;
    let clip = std::fs::read(clips::clip("first.mp4")).expect("readable");
    let upload = create(&mut client, clip.len()).await;
    client.put_chunk(chunk(&upload, 0, &clip[..GRANULE])).await.expect("durable");
    for name in ["source", "master.m3u8", "manifest.mpd", "storyboard.vtt", "storyboard.json", "poster.jpg"] {
        let answer = curl::get(&format!("{}/videos/{}/{name}", server.address, upload.video_id));
        assert_eq!((answer.status, answer.json()["reason"].as_str()), (503, Some("NOT_READY")), "{name}");
        assert!(!answer.header("retry-after").is_empty(), "{name}");
    }
}

/// A clip of more than one cell, its index at the end.
pub(crate) fn long_clip() -> PathBuf {
    clips::made(
        "long-last.mp4",
        "-f lavfi -i testsrc2=size=640x360:rate=25:duration=20 -c:v libx264 -preset ultrafast -b:v 12M -maxrate 12M -bufsize 12M -x264-params nal-hrd=cbr -g 50 -pix_fmt yuv420p",
    )
}

#[tokio::test]
async fn an_index_at_the_end_is_wanted_first() {
    index_is_wanted_first(&Server::start()).await;
}

/// Sends the beginning of a clip whose index is at its end, until that is wanted: then only the end, until the video says what it is.
pub(crate) async fn index_is_wanted_first(server: &Server) {
    let mut client = client(server).await;
    let clip = long_clip();
    let data = std::fs::read(&clip).expect("readable");
    assert!(data.len() > 12 * MIB, "{} bytes", data.len());
    let upload = create(&mut client, data.len()).await;
    let (sender, messages) = tokio::sync::mpsc::channel(4);
    sender.send(open(&upload)).await.expect("room");
    sender.send(piece(0, &data[..MIB])).await.expect("room");
    let stream = tokio_stream::wrappers::ReceiverStream::new(messages);
    let mut answers = client.stream_pieces(stream).await.expect("opened").into_inner();
    // Nothing but the first MiB is sent until something near the end is wanted.
    let want = loop {
        let answer = answers.next().await.expect("the stream is open").expect("no error");
        if let Some(want) = answer.wants.iter().find(|want| want.start > MIB as u64) {
            break *want;
        }
    };
    assert!(want.end > (data.len() - GRANULE) as u64 || want.start > (data.len() / 2) as u64, "{want:?}");
    let start = usize::try_from(want.start).expect("fits") / GRANULE * GRANULE;
    for at in (start..data.len()).step_by(MIB) {
        sender.send(piece(at, &data[at..data.len().min(at + MIB)])).await.expect("room");
    }
    // The index is read before the rest is there: the video says what it is while it uploads.
    let mut gateway =
        pb::gateway_service_client::GatewayServiceClient::connect(server.address.clone()).await.expect("it answers");
    let watch = pb::WatchVideosRequest { video_id: upload.video_id.clone(), ..Default::default() };
    let mut events = gateway.watch_videos(watch).await.expect("opened").into_inner();
    let media = |video: Option<pb::Video>| video.and_then(|video| video.media);
    let get = pb::GetVideoRequest { video_id: upload.video_id.clone() };
    let mut known = media(gateway.get_video(get.clone()).await.expect("known").into_inner().video);
    while known.is_none() {
        events.next().await.expect("open").expect("no error");
        known = media(gateway.get_video(get.clone()).await.expect("known").into_inner().video);
    }
    let video = gateway.get_video(get).await.expect("known").into_inner().video.expect("a video");
    assert_eq!(video.state(), pb::VideoState::Uploading);
}
