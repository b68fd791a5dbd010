//! One upload from the first piece to its completion, over as many streams as it takes.

use super::file::SourceFile;
use super::plan::Plan;
use super::reader::{self, lock};
use super::tree::Tree;
use crate::connect::{Gateway, answer, request_id, unary, video};
use crate::errors::{CallError, Failure};
use crate::progress::Progress;
use crate::retry::Outage;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::pb;
use vidstream_proto::ranges::from_wire;

/// A stream on which nothing was taken or acknowledged for so long has stopped. A piece takes this long at 70 kbit/s.
const STALL: Duration = Duration::from_mins(2);

/// Sends what the server does not have of `file` and completes the upload. Outages are waited out for a minute.
pub async fn send(
    gateway: &Gateway,
    upload: &pb::Upload,
    file: &Arc<SourceFile>,
    progress: &mut Progress,
) -> Result<pb::Video, Failure> {
    let tree = Arc::new(Mutex::new(Tree::new(file.size())));
    let mut sending = Sending { gateway, upload, file, tree, progress, durable: 0, request_id: request_id() };
    let mut outage = Outage::default();
    loop {
        let durable_before = sending.durable;
        let error = match sending.attempt().await {
            Ok(video) => return Ok(video),
            Err(Stop::Final(failure)) => return Err(failure),
            Err(Stop::Passing(error)) => error,
        };
        if sending.durable > durable_before {
            outage.end();
        }
        if outage.is_new() {
            sending.progress.note(&format!("interrupted ({}); trying again", error.problem.message));
        }
        if !outage.wait(error.problem.retry_after).await {
            return Err(gateway.told(error));
        }
    }
}

/// Why an attempt ended before the upload was complete.
enum Stop {
    Final(Failure),
    Passing(CallError),
}

struct Sending<'a> {
    gateway: &'a Gateway,
    upload: &'a pb::Upload,
    file: &'a Arc<SourceFile>,
    tree: Arc<Mutex<Tree>>,
    progress: &'a mut Progress,
    /// Bytes known to be durable.
    durable: u64,
    /// Of the completion.
    request_id: String,
}

impl Sending<'_> {
    async fn attempt(&mut self) -> Result<pb::Video, Stop> {
        let request = unary(pb::GetUploadRequest { upload_id: self.upload.id.clone() });
        let found = answer(self.gateway.uploads.clone().get_upload(request).await).map_err(|e| self.stop(e))?;
        let now = found.upload.unwrap_or_default();
        match now.state() {
            pb::UploadState::Complete => return self.complete().await,
            pb::UploadState::Expired => return Err(Stop::Final(self.expired())),
            pb::UploadState::Open | pb::UploadState::Unspecified => {}
        }
        let (durable, wants) = (self.ranges(now.durable)?, self.ranges(found.wants)?);
        let plan = Arc::new(Mutex::new(Plan::new(self.file.size(), &durable, &wants)));
        self.show(&plan);
        if !lock(&plan).is_done() {
            self.stream(&plan).await?;
        }
        if !self.file.is_unchanged().map_err(|error| Stop::Final(self.unreadable(&error)))? {
            return Err(Stop::Final(self.changed()));
        }
        self.complete().await
    }

    /// Sends pieces until all are durable.
    async fn stream(&mut self, plan: &Arc<Mutex<Plan>>) -> Result<(), Stop> {
        let (pieces, taken) = mpsc::channel(reader::AHEAD);
        let reading = tokio::task::spawn_blocking({
            let (file, plan, tree) = (Arc::clone(self.file), Arc::clone(plan), Arc::clone(&self.tree));
            move || reader::read(&file, &plan, &tree, &pieces)
        });
        let heard = self.hear(plan, messages(self.upload.id.clone(), taken)).await;
        // A reader that failed has ended the stream, so its error comes first. One that still runs stops by itself: nobody
        // takes its pieces, and the next attempt has a plan of its own.
        if (heard.is_ok() || reading.is_finished())
            && let Ok(Err(error)) = reading.await
        {
            return Err(Stop::Final(self.unreadable(&error)));
        }
        heard.map_err(|error| self.stop(error))?;
        if lock(plan).is_done() {
            return Ok(());
        }
        Err(Stop::Passing(Problem::new(Reason::Unavailable, "the server ended the stream").into()))
    }

    /// Takes in acknowledgements and wants until the server ends the stream.
    async fn hear(
        &mut self,
        plan: &Mutex<Plan>,
        messages: impl Stream<Item = pb::StreamPiecesRequest> + Send + 'static,
    ) -> Result<(), CallError> {
        let mut answers = answer(self.gateway.uploads.clone().stream_pieces(messages).await)?;
        let mut sent = 0;
        loop {
            match tokio::time::timeout(STALL, answers.message()).await {
                Ok(message) => {
                    let Some(message) = message? else { return Ok(()) };
                    let wants = from_wire(message.wants)?;
                    lock(plan).hear(&from_wire(message.durable)?, &wants);
                    self.show(plan);
                }
                Err(_) if lock(plan).sent_bytes() > sent => sent = lock(plan).sent_bytes(),
                Err(_) => return Err(CallError::silent()),
            }
        }
    }

    async fn complete(&mut self) -> Result<pb::Video, Stop> {
        let request = unary(pb::CompleteUploadRequest {
            request_id: self.request_id.clone(),
            upload_id: self.upload.id.clone(),
            blake3: lock(&self.tree).finish().map_or_else(Vec::new, |sum| sum.as_bytes().to_vec()),
        });
        let result = self.gateway.uploads.clone().complete_upload(request).await;
        let video = video(result.map(|r| r.into_inner().video)).map_err(|error| self.stop(error))?;
        self.progress.bytes(self.file.size(), self.file.size());
        Ok(video)
    }

    fn show(&mut self, plan: &Mutex<Plan>) {
        self.durable = self.durable.max(lock(plan).durable_bytes());
        self.progress.bytes(self.durable, self.file.size());
    }

    fn ranges(&self, ranges: Vec<pb::ByteRange>) -> Result<Vec<Range<u64>>, Stop> {
        from_wire(ranges).map_err(|problem| self.stop(problem.into()))
    }

    fn stop(&self, error: CallError) -> Stop {
        // The next attempt asks what is there and goes on from that.
        let asks_again = [Reason::UploadComplete, Reason::BytesMissing];
        if error.is_transient() || asks_again.contains(&error.problem.reason) {
            return Stop::Passing(error);
        }
        let hint = match error.problem.reason {
            Reason::NotFound | Reason::SourceDying => {
                "the video was removed meanwhile; the same command uploads it anew"
            }
            Reason::BytesDiffer | Reason::ChecksumMismatch => {
                return Stop::Final(self.gateway.told(error).hint(self.starting_anew()));
            }
            _ => return Stop::Final(self.gateway.told(error)),
        };
        Stop::Final(self.gateway.told(error).hint(hint))
    }

    fn expired(&self) -> Failure {
        Failure::failed(format!("the upload of `{}` has expired", self.file.path.display()))
            .hint("the same command uploads it anew")
    }

    fn unreadable(&self, error: &io::Error) -> Failure {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return self.changed();
        }
        Failure::file("read", &self.file.path, error)
    }

    fn changed(&self) -> Failure {
        Failure::failed(format!("`{}` changed while it was uploaded", self.file.path.display()))
            .hint(self.starting_anew())
    }

    fn starting_anew(&self) -> String {
        format!("`vidctl rm {}` clears it, then the same command uploads it anew", self.upload.video_id)
    }
}

/// What goes up the stream: which upload, then its pieces.
fn messages(upload_id: String, pieces: mpsc::Receiver<pb::Piece>) -> impl Stream<Item = pb::StreamPiecesRequest> {
    use pb::stream_pieces_request::Message;
    let open = Message::Open(pb::OpenStream { upload_id });
    let pieces = ReceiverStream::new(pieces).map(Message::Piece);
    tokio_stream::once(open).chain(pieces).map(|message| pb::StreamPiecesRequest { message: Some(message) })
}
