//! People who use a mesh while it is broken: what one gateway does not answer they ask the next one, and write down what
//! they were promised.

use crate::history::{Book, Sent, Titled, Watched, missing};
use crate::mesh::{Gateways, PATIENCE};
use bytes::Bytes;
use std::ops::Range;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::{RequestId, ViewerId};
use vidstream_proto::pb;
use vidstream_proto::pb::gateway_service_client::GatewayServiceClient;
use vidstream_proto::pb::upload_service_client::UploadServiceClient;
use vidstream_tests::dice::Dice;

/// A chunk, and a piece: small, so that there are many.
const CHUNK: u64 = 256 << 10;
/// Who does not answer for so long is given up.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// Between two chunks: an upload has a midst.
const PACE: Duration = Duration::from_millis(30);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(150);

/// What is sent.
#[derive(Clone)]
pub struct File {
    pub name: String,
    pub data: Bytes,
    /// Whether it is a video.
    pub plays: bool,
}

/// Somebody with a book.
#[derive(Clone)]
pub struct Client {
    pub gateways: Gateways,
    pub book: Book,
}

/// Whether another gateway, or the same one later, may answer otherwise.
fn passes(problem: &Problem) -> bool {
    use Reason::{DeadlineExceeded, NoSpace, NotReady, ResourceExhausted, Stalled, Unavailable};
    matches!(problem.reason, Unavailable | DeadlineExceeded | ResourceExhausted | NoSpace | NotReady | Stalled)
}

async fn connected(address: String) -> Result<Channel, Status> {
    let endpoint = Endpoint::from_shared(address).expect("an address").connect_timeout(Duration::from_secs(2));
    endpoint.connect().await.map_err(|error| Status::unavailable(error.to_string()))
}

impl Client {
    /// Asks until there is an answer that is none of a moment, first the gateway that `turn` comes to.
    async fn ask<R: Clone, T, F: Future<Output = Result<Response<T>, Status>>>(
        &self,
        turn: usize,
        what: &str,
        request: &R,
        call: impl Fn(Channel, R) -> F,
    ) -> Result<T, Problem> {
        let begun = Instant::now();
        let mut last = String::new();
        for turn in turn.. {
            assert!(begun.elapsed() < PATIENCE, "{what}: nobody answers; at last: {last}");
            let Some(address) = self.gateways.one(turn) else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let tried = async { call(connected(address).await?, request.clone()).await };
            match tokio::time::timeout(ANSWER_WITHIN, tried).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) => {
                    // What the server itself answers has details; all else is the transport's.
                    let own = !status.details().is_empty();
                    let problem = Problem::from(status);
                    if own && !passes(&problem) {
                        return Err(problem);
                    }
                    last = problem.to_string();
                }
                Err(_) => "no answer in time".clone_into(&mut last),
            }
            tokio::time::sleep(PAUSE).await;
        }
        unreachable!("turns do not end")
    }

    /// The same, where no other answer than a good one is allowed.
    async fn must<R: Clone, T, F: Future<Output = Result<Response<T>, Status>>>(
        &self,
        turn: usize,
        what: &str,
        request: &R,
        call: impl Fn(Channel, R) -> F,
    ) -> Option<T> {
        match self.ask(turn, what, request, call).await {
            Ok(answer) => Some(answer),
            Err(problem) => {
                self.book.lie(format!("{what} was answered with {problem}"));
                None
            }
        }
    }

    /// Opens an upload.
    pub async fn open(&self, file: &File, turn: usize) -> Option<pb::Upload> {
        let request = pb::CreateUploadRequest {
            request_id: RequestId::generate().to_string(),
            file_name: file.name.clone(),
            size: file.data.len() as u64,
            ..Default::default()
        };
        let create = |channel, request| async move { UploadServiceClient::new(channel).create_upload(request).await };
        let upload = self.must(turn, "a new upload", &request, create).await?.upload?;
        let sent = Sent {
            upload: upload.id.clone(),
            video: upload.video_id.clone(),
            blake3: blake3::hash(&file.data),
            acknowledged: Vec::new(),
            completed: false,
            plays: file.plays,
        };
        self.book.open().sent.insert(upload.id.clone(), sent);
        Some(upload)
    }

    fn acknowledge(&self, upload: &str, durable: &[pb::ByteRange]) {
        let mut book = self.book.open();
        let sent = book.sent.get_mut(upload).expect("it is being sent");
        sent.acknowledged.extend(durable.iter().map(|range| range.start..range.end));
        sent.acknowledged = crate::history::union(&sent.acknowledged);
    }

    /// What of an upload is durable; it must be all that was acknowledged.
    pub async fn durable(&self, upload: &str, turn: usize) -> Vec<Range<u64>> {
        let promised = self.book.open().sent[upload].acknowledged.clone();
        let request = pb::GetUploadRequest { upload_id: upload.to_owned() };
        let get = |channel, request| async move { UploadServiceClient::new(channel).get_upload(request).await };
        let answer = self.must(turn, "a look at an upload", &request, get).await.and_then(|answer| answer.upload);
        let durable: Vec<_> = answer.into_iter().flat_map(|upload| upload.durable).map(|r| r.start..r.end).collect();
        let lost = missing(&promised, &durable);
        if !lost.is_empty() {
            self.book.lie(format!("{lost:?} of upload {upload} was acknowledged, {durable:?} is there"));
        }
        durable
    }

    /// Sends an upload, or the first `most` chunks in an order by chance, with a pause between them.
    pub async fn send_chunks(&self, upload: &pb::Upload, file: &File, most: usize, turn: usize, seed: u64) {
        for (number, range) in shuffled(&file.data, seed).into_iter().take(most).enumerate() {
            let data = slice(&file.data, &range);
            let put = pb::PutChunkRequest {
                upload_id: upload.id.clone(),
                offset: range.start,
                crc32c: crc32c::crc32c(&data),
                data,
            };
            let call = |channel, put| async move { UploadServiceClient::new(channel).put_chunk(put).await };
            let Some(answer) = self.must(turn, "a chunk", &put, call).await else { return };
            self.acknowledge(&upload.id, &answer.durable);
            if number.is_multiple_of(8) {
                self.durable(&upload.id, turn + number).await;
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// Sends all of an upload that is not durable by streams, each at another gateway than the one that broke.
    pub async fn send_stream(&self, upload: &pb::Upload, file: &File, turn: usize, seed: u64) {
        let begun = Instant::now();
        for turn in turn.. {
            let durable = self.durable(&upload.id, turn).await;
            let left: Vec<_> = shuffled(&file.data, seed)
                .into_iter()
                .filter(|range| !missing(std::slice::from_ref(range), &durable).is_empty())
                .collect();
            if left.is_empty() {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "a stream never came to its end");
            let Some(address) = self.gateways.one(turn) else { continue };
            if let Err(status) = self.stream(address, upload, file, left).await {
                let own = !status.details().is_empty();
                let problem = Problem::from(status);
                if own && !passes(&problem) {
                    return self.book.lie(format!("a stream was answered with {problem}"));
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn stream(
        &self,
        address: String,
        upload: &pb::Upload,
        file: &File,
        left: Vec<Range<u64>>,
    ) -> Result<(), Status> {
        use pb::stream_pieces_request::Message;
        let (sender, messages) = mpsc::channel(1);
        let open = Message::Open(pb::OpenStream { upload_id: upload.id.clone() });
        let data = file.data.clone();
        tokio::spawn(async move {
            let pieces = left.into_iter().map(|range| {
                let data = slice(&data, &range);
                Message::Piece(pb::Piece { offset: range.start, crc32c: crc32c::crc32c(&data), data })
            });
            for message in std::iter::once(open).chain(pieces) {
                if sender.send(pb::StreamPiecesRequest { message: Some(message) }).await.is_err() {
                    return;
                }
                tokio::time::sleep(PACE).await;
            }
        });
        let late = || Status::deadline_exceeded("nothing is acknowledged any more");
        let mut client = UploadServiceClient::new(connected(address).await?);
        let opened = client.stream_pieces(ReceiverStream::new(messages));
        let mut answers = tokio::time::timeout(ANSWER_WITHIN, opened).await.map_err(|_| late())??.into_inner();
        while let Some(answer) = tokio::time::timeout(ANSWER_WITHIN, answers.message()).await.map_err(|_| late())?? {
            self.acknowledge(&upload.id, &answer.durable);
        }
        Ok(())
    }

    /// Says that every byte is there.
    pub async fn complete(&self, upload: &pb::Upload, file: &File, turn: usize) {
        let request = pb::CompleteUploadRequest {
            request_id: RequestId::generate().to_string(),
            upload_id: upload.id.clone(),
            blake3: blake3::hash(&file.data).as_bytes().to_vec(),
        };
        let call = |channel, request| async move { UploadServiceClient::new(channel).complete_upload(request).await };
        if self.must(turn, "a completion", &request, call).await.is_some() {
            self.book.open().sent.get_mut(&upload.id).expect("it was sent").completed = true;
        }
    }

    /// The video as it is, if it is there.
    pub async fn video(&self, video: &str, turn: usize) -> Option<pb::Video> {
        let request = pb::GetVideoRequest { video_id: video.to_owned() };
        let get = |channel, request| async move { GatewayServiceClient::new(channel).get_video(request).await };
        self.ask(turn, "a video", &request, get).await.ok()?.video
    }

    /// Waits until nothing of a video waits or runs any more, and gives it as it is then.
    pub async fn settled(&self, video: &str) -> pb::Video {
        let begun = Instant::now();
        loop {
            let now = self.video(video, 0).await.unwrap_or_else(|| panic!("video {video} is not there"));
            let parts = [&now.source_rendition, &now.storyboard, &now.poster];
            let ended = |part: &&Option<pb::Part>| {
                let state = part.as_ref().map_or(pb::PartState::Unspecified, pb::Part::state);
                !matches!(state, pb::PartState::Waiting | pb::PartState::Running)
            };
            if matches!(now.state(), pb::VideoState::Ready | pb::VideoState::Failed) && parts.iter().all(ended) {
                return now;
            }
            assert!(begun.elapsed() < PATIENCE, "video {video} never came to an end: {now:#?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Watches as much of a video as makes a view, as somebody who was never there before.
    pub async fn watch(&self, video: &str, turn: usize) {
        let seconds = |seconds| Some(vidstream_proto::time::proto_duration(Duration::from_secs(seconds)));
        let request = pb::ReportWatchedRequest {
            video_id: video.to_owned(),
            viewer_id: ViewerId::generate().to_string(),
            intervals: vec![pb::WatchedInterval { start: seconds(1), end: seconds(5) }],
        };
        let report = |channel, request| async move { GatewayServiceClient::new(channel).report_watched(request).await };
        if self.must(turn, "a report of a viewer", &request, report).await.is_some() {
            self.book.open().watched.push(Watched { video: video.to_owned(), answered: Instant::now() });
        }
    }

    /// Gives a video another title.
    pub async fn rename(&self, video: &str, title: String, turn: usize) {
        let request = pb::UpdateVideoRequest {
            request_id: RequestId::generate().to_string(),
            video_id: video.to_owned(),
            update_mask: Some(prost_types::FieldMask { paths: vec!["title".into()] }),
            title: title.clone(),
            ..Default::default()
        };
        let update = |channel, request| async move { GatewayServiceClient::new(channel).update_video(request).await };
        let Some(answer) = self.must(turn, "a new title", &request, update).await else { return };
        let revision = answer.video.map_or(0, |video| video.revision);
        let before = self.book.open().titled.insert(video.to_owned(), Titled { revision, title });
        if let Some(before) = before.filter(|before| before.revision >= revision) {
            self.book.lie(format!("after {before:?} of video {video} came revision {revision}"));
        }
    }

    /// Has what failed of a video tried once more.
    pub async fn retry(&self, video: &str, turn: usize) {
        let request = pb::RetryVideoRequest {
            request_id: RequestId::generate().to_string(),
            video_id: video.to_owned(),
            ..Default::default()
        };
        let retry = |channel, request| async move { GatewayServiceClient::new(channel).retry_video(request).await };
        self.must(turn, "a retry", &request, retry).await;
    }

    /// Removes a video, for good or to be restored.
    pub async fn remove(&self, video: &str, for_good: bool, turn: usize) {
        let request = pb::RemoveVideoRequest {
            request_id: RequestId::generate().to_string(),
            video_id: video.to_owned(),
            purge_after: for_good.then(|| vidstream_proto::time::proto_duration(Duration::ZERO)),
            ..Default::default()
        };
        let remove = |channel, request| async move { GatewayServiceClient::new(channel).remove_video(request).await };
        match self.ask(turn, "a removal", &request, remove).await {
            Ok(_) => {}
            // It was done, its answer lost, and all of it went meanwhile.
            Err(problem) if problem.reason == Reason::NotFound => {}
            Err(problem) => return self.book.lie(format!("a removal was answered with {problem}")),
        }
        self.book.open().removed.insert(video.to_owned(), for_good);
    }

    /// Plays a video that is there: whatever a gateway gives must be its bytes, and no gateway may say that there is none.
    pub async fn play(&self, video: &str, data: &Bytes, turn: usize) {
        let Some(address) = self.gateways.one(turn) else { return };
        let video = format!("{address}/videos/{video}");
        for name in ["master.m3u8", "source"] {
            match fetch(format!("{video}/{name}")).await {
                Some((200, body)) if name == "source" && body != *data => {
                    self.book.lie(format!("{video}/{name} gives other bytes"));
                }
                // Cut off, not reached, or not at the moment.
                Some((200 | 429 | 503 | 504, _)) | None => {}
                Some((status, body)) => {
                    let body = String::from_utf8_lossy(&body).into_owned();
                    self.book.lie(format!("{video}/{name} is answered with {status}: {body}"));
                }
            }
        }
    }
}

/// What is at an address, if all of it comes in time.
pub async fn fetch(url: String) -> Option<(u16, Vec<u8>)> {
    let mut curl = tokio::process::Command::new("curl");
    curl.args(["-s", "--max-time", "10", "-w", "%{stderr}%{http_code}", &url]).stdin(Stdio::null());
    let out = curl.output().await.expect("curl runs");
    let status = String::from_utf8_lossy(&out.stderr).trim().parse().ok()?;
    out.status.success().then_some((status, out.stdout))
}

/// The file's chunks in an order by chance.
fn shuffled(data: &Bytes, seed: u64) -> Vec<Range<u64>> {
    let size = data.len() as u64;
    let mut chunks: Vec<_> = (0..size.div_ceil(CHUNK)).map(|n| n * CHUNK..size.min((n + 1) * CHUNK)).collect();
    let mut dice = Dice(seed);
    for last in (1..chunks.len()).rev() {
        chunks.swap(last, usize::try_from(dice.roll(last as u64 + 1)).expect("small"));
    }
    chunks
}

fn slice(data: &Bytes, range: &Range<u64>) -> Bytes {
    let place = |at| usize::try_from(at).expect("small");
    data.slice(place(range.start)..place(range.end))
}
