//! The bidirectional stream of pieces: durable ranges and wants go back while pieces still come.
//!
//! Each stream has a task of its own, which outlives a client that has gone for as long as it takes to store what was
//! gathered: what is here need not be sent again. It takes the next piece only while the writer has room and its share of
//! the memory covers it, so a slow disk or many others slow the client down, and merges answers that the client does not
//! read.

use super::memory::{Share, UploadMemory};
use super::session::{Session, confused};
use crate::{Deps, live};
use futures::StreamExt;
use futures::stream::BoxStream;
use std::ops::Range;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use vidstream_mesh::serve::STREAM_WINDOW;
use vidstream_mesh::trace;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::pb::stream_pieces_request::Message;
use vidstream_proto::upload::{MAX_PIECE, Piece};
use vidstream_proto::{field, pb, ranges};
use vidstream_source::ranges::ByteRanges;
use vidstream_source::writer::SourceWriter;

/// What a stream answers.
pub type Answers = BoxStream<'static, Result<pb::StreamPiecesResponse, Status>>;
type Pieces = Streaming<pb::StreamPiecesRequest>;

/// After so long without a piece, what was gathered is stored as it is. Long enough that a slow line still fills cells.
const PAUSE: Duration = Duration::from_secs(3);
/// The largest message of a stream: a piece with room for what is around it.
pub const MAX_MESSAGE: usize = MAX_PIECE + (128 << 10);
/// What a stream holds besides what is gathered, bytes: what nobody has read yet, and the message that is being read.
const UNGATHERED: u64 = STREAM_WINDOW as u64 + MAX_MESSAGE as u64;
/// What a stream gets at its opening, bytes. A little more than it needs to go on, or it would store each piece for itself.
const OPENING_SHARE: u64 = 4 << 20;
/// What a stream keeps that brought no piece for [`PAUSE`], bytes. It is read all the time, so nothing waits unread.
const RESTING_SHARE: u64 = 64 << 10;
/// How long a client has to say which upload it means.
const OPENING: Duration = Duration::from_secs(30);

/// Takes the pieces of one stream, of which `memory` has an opening share. Problems are the stream's last word.
pub fn serve(deps: Deps, memory: &UploadMemory, pieces: Pieces) -> Result<Answers, Problem> {
    let held = Held { share: memory.begin(OPENING_SHARE)?, memory: memory.clone() };
    let (answers, stream) = mpsc::channel(1);
    let last = answers.clone();
    let task = tokio::spawn(trace::carried(trace::active(), Box::pin(run(deps, held, pieces, answers))));
    tokio::spawn(async move {
        let outcome = task.await.unwrap_or_else(|panic| {
            tracing::error!(%panic, "an upload's task ended that must not");
            Err(Problem::new(Reason::Internal, "the upload broke off; open the stream again"))
        });
        if let Err(problem) = outcome {
            // A client that has gone does not hear it.
            let _ = last.send(Err(problem.into())).await;
        }
    });
    Ok(ReceiverStream::new(stream).boxed())
}

/// A stream's part of the memory of all.
struct Held {
    share: Share,
    memory: UploadMemory,
}

async fn run(
    deps: Deps,
    held: Held,
    mut pieces: Pieces,
    answers: mpsc::Sender<Result<pb::StreamPiecesResponse, Status>>,
) -> Result<(), Problem> {
    let Some(session) = open(&deps, &mut pieces).await? else { return Ok(()) };
    let span = session.span("take pieces");
    let taking = Box::pin(take(deps, held, session, pieces, answers));
    trace::within(span.active().clone(), taking).await
}

async fn take(
    deps: Deps,
    held: Held,
    session: Session,
    pieces: Pieces,
    answers: mpsc::Sender<Result<pb::StreamPiecesResponse, Status>>,
) -> Result<(), Problem> {
    // First the watch, then the records: what arrives between them is heard twice rather than never.
    let notices = session.watch().await?;
    let (writer, _) = session.writer(0..session.source().size, &held.memory).await?;
    let present = writer.recorded().recorded();
    let mut upload = Upload {
        deps,
        session,
        share: held.share,
        writer,
        pieces,
        notices,
        answers,
        known: present.clone(),
        durable: present,
        wants: Vec::new(),
        changed: true,
        taking: true,
        writing: true,
        gathered: Some(Instant::now()),
    };
    match upload.run().await {
        Ok(()) => Ok(()),
        Err(problem) => {
            upload.rescue().await;
            Err(problem)
        }
    }
}

/// The upload that the first message names; nothing if there is none.
async fn open(deps: &Deps, pieces: &mut Pieces) -> Result<Option<Session>, Problem> {
    let late = |_| Problem::new(Reason::DeadlineExceeded, "the first message, which opens the stream, did not come");
    let Some(first) = tokio::time::timeout(OPENING, pieces.message()).await.map_err(late)?? else { return Ok(None) };
    let Some(Message::Open(open)) = first.message else {
        return Err(Problem::field("open", "must be the first message of the stream"));
    };
    let session = Session::find(deps, field::id("upload_id", &open.upload_id)?).await?;
    session.takes_bytes()?;
    Ok(Some(session))
}

/// One open stream.
struct Upload {
    deps: Deps,
    session: Session,
    /// Covers what is unread, what is being read and what is gathered.
    share: Share,
    writer: SourceWriter,
    pieces: Pieces,
    notices: Streaming<pb::WatchSourceResponse>,
    answers: mpsc::Sender<Result<pb::StreamPiecesResponse, Status>>,
    /// What the client was told or is about to be told.
    known: ByteRanges,
    /// Durable ranges that are yet to be told.
    durable: ByteRanges,
    wants: Vec<pb::ByteRange>,
    /// Something is to be told.
    changed: bool,
    /// The client has not ended its side.
    taking: bool,
    /// The writer has not failed.
    writing: bool,
    /// When the last piece came, unless that is long ago: what is gathered was stored then, and the stream rests.
    gathered: Option<Instant>,
}

impl Upload {
    /// Until the client has ended its side and knows that everything is durable.
    async fn run(&mut self) -> Result<(), Problem> {
        let answers = self.answers.clone();
        let stopping = self.deps.lifecycle.stopping().clone();
        let mut stopped = pin!(stopping.cancelled());
        while self.taking || self.changed || self.writer.held() > 0 {
            let pause = self.gathered.map_or_else(Instant::now, |at| at + PAUSE);
            let takes = self.taking && self.makes_room();
            tokio::select! {
                piece = self.pieces.next(), if takes => match piece {
                    Some(piece) => self.take(piece)?,
                    None => self.end(),
                },
                Some(durable) = self.writer.durable() => {
                    self.writing = durable.is_ok();
                    self.tell(&durable?);
                }
                Ok(permit) = answers.reserve(), if self.changed => {
                    self.changed = false;
                    let durable = ranges::to_wire(std::mem::take(&mut self.durable).iter());
                    permit.send(Ok(pb::StreamPiecesResponse { durable, wants: self.wants.clone() }));
                }
                notice = self.notices.next() => self.hear(notice).await?,
                () = sleep_until(pause), if self.gathered.is_some() => {
                    self.gathered = None;
                    self.writer.flush();
                }
                () = answers.closed() => return Err(Problem::new(Reason::Unavailable, "the client has gone")),
                () = &mut stopped => return Err(live::leaving()),
            }
        }
        Ok(())
    }

    /// Whether the next piece can be taken. If not, something is on its way to the disk and makes room.
    fn makes_room(&mut self) -> bool {
        if !self.writer.has_room() {
            return false;
        }
        let footprint = self.writer.footprint();
        let rests = self.gathered.is_none() && footprint == 0;
        if self.share.cover(if rests { RESTING_SHARE } else { OPENING_SHARE.max(UNGATHERED + footprint) }) {
            return true;
        }
        self.writer.flush();
        false
    }

    fn take(&mut self, message: Result<pb::StreamPiecesRequest, Status>) -> Result<(), Problem> {
        let Some(Message::Piece(piece)) = message?.message else {
            return Err(Problem::field("piece", "every message after the first is a piece"));
        };
        self.share.begin_again(OPENING_SHARE)?;
        self.writer.push(Piece::try_from(piece)?)?;
        self.gathered = Some(Instant::now());
        Ok(())
    }

    fn end(&mut self) {
        self.taking = false;
        self.gathered = None;
        self.writer.flush();
    }

    fn tell(&mut self, durable: &ByteRanges) {
        self.known.extend(durable.iter());
        self.durable.extend(durable.iter());
        self.changed = true;
    }

    async fn hear(&mut self, notice: Option<Result<pb::WatchSourceResponse, Status>>) -> Result<(), Problem> {
        let lost = || Problem::new(Reason::Unavailable, "the catalog can't be heard any more; open the stream again");
        let notice = notice.ok_or_else(lost)??;
        if notice.dying {
            return Err(Problem::new(Reason::SourceDying, "the upload's video was removed for good"));
        }
        let arrived: ByteRanges = if notice.lagged {
            self.session.durable().await?
        } else {
            from_catalog(notice.recorded)?.into_iter().collect()
        };
        // What this stream recorded itself comes back here, and was told already.
        let fresh: ByteRanges = arrived.iter().flat_map(|range| unknown(&self.known, range)).collect();
        if !fresh.is_empty() {
            self.tell(&fresh);
        }
        self.want(from_catalog(notice.wants)?);
        Ok(())
    }

    fn want(&mut self, ranges: Vec<Range<u64>>) {
        let wants: ByteRanges = ranges.into_iter().flat_map(|range| unknown(&self.known, range)).collect();
        let wire = ranges::to_wire(wants.iter());
        if wire != self.wants {
            self.wants = wire;
            self.changed = true;
        }
        self.writer.want(wants);
    }

    /// Stores what was gathered before the stream fails, and says so if the client still listens.
    async fn rescue(&mut self) {
        if !self.writing {
            return;
        }
        match self.writer.finish().await {
            Ok(durable) => self.tell(&durable),
            Err(error) => tracing::debug!(%error, "what an upload had gathered is lost; the client sends it again"),
        }
        if !self.durable.is_empty() {
            let durable = ranges::to_wire(self.durable.iter());
            let _ = self.answers.send(Ok(pb::StreamPiecesResponse { durable, wants: self.wants.clone() })).await;
        }
    }
}

fn from_catalog(wire: Vec<pb::ByteRange>) -> Result<Vec<Range<u64>>, Problem> {
    ranges::from_wire(wire).map_err(|problem| confused(&problem))
}

/// The parts of `range` that are not in `known`.
fn unknown(known: &ByteRanges, range: Range<u64>) -> Vec<Range<u64>> {
    known.missing_from(range).iter().collect()
}
