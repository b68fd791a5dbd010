//! More uploads at once than there is memory for.

use crate::world::{MIB, Stream, Uploads, World, at, chunk, cut, open, pattern, piece, ranges};
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt, stream};
use http::header::RETRY_AFTER;
use http::{Request, StatusCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::sleep;
use tonic::service::Routes;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::ServiceExt;
use vidstream_gateway::{Config, Gateway};
use vidstream_mesh::in_process;
use vidstream_proto::pb;
use vidstream_proto::pb::stream_pieces_request::Message;
use vidstream_proto::upload::GRANULE;
use vidstream_source::extents::CELL;

/// One gateway with little memory, which all clients use.
struct Pressed {
    world: World,
    gateway: Gateway,
    refused: AtomicUsize,
}

impl Pressed {
    async fn new(upload_memory: u64) -> Self {
        let mut world = World::new().await;
        world.deps.config = Arc::new(Config { upload_memory, ..Config::default() });
        let gateway = Gateway::new(world.deps.clone());
        Self { world, gateway, refused: AtomicUsize::new(0) }
    }

    fn uploads(&self) -> Uploads {
        Uploads::new(in_process::channel(Routes::from(self.gateway.router())))
    }

    /// A stream, as soon as those before have given back what they held.
    async fn open_in_turn(&self, upload: &pb::Upload) -> Stream {
        loop {
            match Stream::try_open(self.uploads(), upload).await {
                Ok(stream) => return stream,
                Err(status) => assert_eq!(status.code(), Code::ResourceExhausted, "{status}"),
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    fn memory(&self) -> u64 {
        self.world.deps.config.upload_memory
    }

    /// Waits as long as a refusal says; panics if it is another.
    async fn wait(&self, status: &Status) {
        let details = status.get_error_details();
        let (info, retry) = (details.error_info().expect("a reason"), details.retry_info().expect("a time"));
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("RESOURCE_EXHAUSTED", "vidstream"));
        let delay = retry.retry_delay.expect("a time");
        assert!((Duration::from_secs(1)..Duration::from_secs(10)).contains(&delay), "{delay:?}");
        self.refused.fetch_add(1, Ordering::Relaxed);
        sleep(delay).await;
    }

    /// Sends the file piece by piece, with a pause before each.
    async fn stream(&self, upload: &pb::Upload, content: &Bytes) {
        loop {
            let (sent, first, ranges) = (content.clone(), open(upload), cut(content.len() as u64, 4 * GRANULE));
            let pieces = stream::iter(ranges).then(move |range| {
                let piece = Message::Piece(piece(&sent, range));
                async {
                    sleep(Duration::from_secs(1)).await;
                    piece
                }
            });
            let messages = stream::once(async { first }).chain(pieces);
            let messages = messages.map(|message| pb::StreamPiecesRequest { message: Some(message) });
            let mut answers = match self.uploads().stream_pieces(messages).await {
                Ok(answers) => answers.into_inner(),
                Err(status) => {
                    self.wait(&status).await;
                    continue;
                }
            };
            let mut durable = vidstream_source::ranges::ByteRanges::new();
            while let Some(answer) = answers.next().await {
                durable.extend(ranges_of(answer.expect("what was admitted is not cut off")).iter());
            }
            assert_eq!(durable, (0..content.len() as u64).into());
            return;
        }
    }

    /// Sends the file as one chunk.
    async fn chunk(&self, upload: &pb::Upload, content: &Bytes) {
        let request = chunk(upload, content, 0..content.len() as u64);
        while let Err(status) = self.uploads().put_chunk(request.clone()).await {
            self.wait(&status).await;
        }
    }

    /// Puts the file as a body that comes granule by granule, with a pause before each.
    async fn put(&self, upload: &pb::Upload, content: &Bytes) {
        let digest = format!("crc32c=:{}:", STANDARD.encode(crc32c::crc32c(content).to_be_bytes()));
        loop {
            let sent = content.clone();
            let parts = stream::iter(cut(content.len() as u64, GRANULE)).then(move |range| {
                let part = sent.slice(at(range.start)..at(range.end));
                async {
                    sleep(Duration::from_millis(300)).await;
                    Ok::<_, std::io::Error>(part)
                }
            });
            let request = Request::put(format!("/uploads/{}/bytes?offset=0", upload.id))
                .header("Content-Digest", &digest)
                .body(Body::from_stream(parts))
                .expect("a request");
            let response = self.gateway.router().oneshot(request).await.expect("infallible");
            if response.status() == StatusCode::OK {
                return;
            }
            assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
            let seconds = response.headers()[RETRY_AFTER].to_str().expect("text").parse().expect("seconds");
            assert!((1..10).contains(&seconds), "{seconds}");
            let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.expect("a body");
            let problem: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(problem["reason"], "RESOURCE_EXHAUSTED");
            self.refused.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_secs(seconds)).await;
        }
    }
}

fn ranges_of(answer: pb::StreamPiecesResponse) -> vidstream_source::ranges::ByteRanges {
    ranges(&answer.durable)
}

#[tokio::test(start_paused = true)]
async fn two_hundred_slow_uploads_share_the_memory_and_all_end() {
    let pressed = Pressed::new(64 * MIB).await;
    let content = pattern(MIB + 3);
    let uploads = join_all((0..200).map(|_| pressed.world.create(&content))).await;
    join_all(uploads.iter().enumerate().map(|(number, upload)| {
        let (pressed, content) = (&pressed, &content);
        async move {
            match number % 4 {
                0 | 1 => pressed.stream(upload, content).await,
                2 => pressed.chunk(upload, content).await,
                _ => pressed.put(upload, content).await,
            }
        }
    }))
    .await;
    let (memory, refused) = (pressed.gateway.upload_memory(), pressed.refused.load(Ordering::Relaxed));
    assert!(memory.most_held() <= pressed.memory(), "{} bytes", memory.most_held());
    assert!(memory.most_held() > pressed.memory() / 2, "it was used: {} bytes", memory.most_held());
    assert!(refused >= 100, "only {refused} were told to come back: there was no pressure");
    assert_eq!(memory.refused(), refused as u64, "each of them was told so");
    for upload in &uploads {
        pressed.world.assert_whole(upload, &content).await;
    }
}

/// With so little memory that no cell can fill, parts of cells are stored, and fast clients are slowed down, not cut off.
#[tokio::test]
async fn streams_that_get_no_more_store_what_they_have() {
    let pressed = Pressed::new(16 * MIB).await;
    let content = pattern(2 * CELL + 5);
    let uploads = join_all((0..3).map(|_| pressed.world.create(&content))).await;
    join_all(uploads.iter().map(|upload| async {
        let stream = Stream::open(pressed.uploads(), upload).await;
        let pieces = cut(content.len() as u64, MIB);
        assert_eq!(stream.send_all(&content, pieces).await.expect("no problem"), (0..content.len() as u64).into());
    }))
    .await;
    assert!(pressed.gateway.upload_memory().most_held() <= pressed.memory());
    for upload in &uploads {
        assert!(pressed.world.catalog.extents(&upload.id).len() > 3, "parts of cells");
        pressed.world.assert_whole(upload, &content).await;
    }
}

/// Those that only stay open don't keep others out; when they go on, they take their turn again.
#[tokio::test(start_paused = true)]
async fn streams_that_rest_give_their_memory_to_others() {
    let pressed = Pressed::new(16 * MIB).await;
    let content = pattern(MIB);
    let uploads = join_all((0..4).map(|_| pressed.world.create(&content))).await;
    let mut resting = Vec::new();
    for upload in &uploads[..3] {
        resting.push(Stream::open(pressed.uploads(), upload).await);
    }
    let refused = Stream::try_open(pressed.uploads(), &uploads[3]).await.err().expect("all of it is held");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    sleep(Duration::from_secs(4)).await;
    let active = Stream::try_open(pressed.uploads(), &uploads[3]).await.expect("they rest");
    active.send_piece(&content, 0..MIB).await;
    let mut last = resting.pop().expect("three");
    for stream in &mut resting {
        stream.send_piece(&content, 0..MIB / 2).await;
        stream.until_durable(0..MIB / 2).await;
    }
    // Nobody rests now but the last, and it goes on.
    active.send_piece(&content, 0..MIB).await;
    for stream in &resting {
        stream.send_piece(&content, MIB / 2..MIB).await;
    }
    // All three have taken their turn: what is left is less than another needs.
    while pressed.gateway.upload_memory().begin(3 * MIB).is_ok() {
        tokio::task::yield_now().await;
    }
    last.send(Message::Piece(piece(&content, 0..MIB))).await;
    let problem = last.problem().await;
    assert_eq!(problem.reason, vidstream_proto::error::Reason::ResourceExhausted);
    assert!(problem.retry_after.is_some());
    active.end().await.expect("no problem");
    let again = pressed.open_in_turn(&uploads[2]).await;
    again.send_all(&content, cut(MIB, MIB)).await.expect("no problem");
    for stream in resting {
        stream.end().await.expect("no problem");
    }
    for upload in &uploads {
        pressed.world.assert_whole(upload, &content).await;
    }
}

#[tokio::test]
async fn memory_comes_back_however_an_upload_ends() {
    let pressed = Pressed::new(16 * MIB).await;
    let content = pattern(MIB);
    let upload = pressed.world.create(&content).await;
    for _ in 0..20 {
        // A client that goes, one that errs, chunks that are refused.
        let gone = pressed.open_in_turn(&upload).await;
        gone.send_piece(&content, 0..MIB).await;
        drop(gone);
        let mut wrong = pressed.open_in_turn(&upload).await;
        wrong.send(Message::Piece(pb::Piece { crc32c: 1, ..piece(&content, 0..MIB) })).await;
        wrong.problem().await;
        let bad = pb::PutChunkRequest { crc32c: 1, ..chunk(&upload, &content, 0..MIB) };
        pressed.uploads().put_chunk(bad).await.expect_err("refused");
    }
    // All of it can be had again, once those that have gone are stored.
    while pressed.gateway.upload_memory().begin(14 * MIB).is_err() {
        sleep(Duration::from_millis(1)).await;
    }
    assert!(pressed.gateway.upload_memory().most_held() <= pressed.memory());
}
