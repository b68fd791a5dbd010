//! The stream of pieces.

use crate::world::{MIB, Stream, World, cut, granules, open, pattern, piece};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use std::iter::once;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::Code;
use vidstream_backends::objects::{ByteStream, ObjectError, ObjectInfo, ObjectName, ObjectPrefix, ObjectStore};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::UploadId;
use vidstream_proto::pb;
use vidstream_proto::pb::stream_pieces_request::Message;
use vidstream_proto::upload::GRANULE;
use vidstream_source::extents::CELL;
use vidstream_source::names;
use vidstream_source::ranges::ByteRanges;

fn all(content: &Bytes) -> ByteRanges {
    (0..content.len() as u64).into()
}

#[tokio::test]
async fn a_file_sent_in_order_is_durable_when_the_stream_ends() {
    let world = World::new().await;
    let content = pattern(3 * CELL + 100_000);
    let upload = world.create(&content).await;
    assert_eq!((upload.state(), upload.durable.len()), (pb::UploadState::Open, 0));
    let stream = Stream::open(world.uploads(), &upload).await;
    let durable = stream.send_all(&content, cut(content.len() as u64, MIB)).await.expect("no problem");
    assert_eq!(durable, all(&content));
    assert_eq!(world.catalog.extents(&upload.id).len(), 4, "whole cells and the tail");
    world.assert_whole(&upload, &content).await;
}

#[tokio::test]
async fn it_works_over_a_socket() {
    let world = World::new().await;
    let content = pattern(2 * CELL + 5);
    let upload = world.create(&content).await;
    let mut client = world.remote().await;
    let mut messages = vec![open(&upload)];
    messages.extend(cut(content.len() as u64, MIB).into_iter().map(|range| Message::Piece(piece(&content, range))));
    let requests = messages.into_iter().map(|message| pb::StreamPiecesRequest { message: Some(message) });
    let mut answers = client.stream_pieces(tokio_stream::iter(requests)).await.expect("a stream").into_inner();
    let mut durable = ByteRanges::new();
    while let Some(answer) = answers.message().await.expect("no problem") {
        durable.extend(answer.durable.iter().map(|range| range.start..range.end));
    }
    assert_eq!(durable, all(&content));
    world.assert_whole(&upload, &content).await;
}

/// Whoever is refused while they still send must hear why, not that the stream was reset.
#[tokio::test]
async fn a_mistake_is_heard_over_a_socket_while_the_client_still_sends() {
    let world = World::new().await;
    let content = pattern(CELL);
    let upload = world.create(&content).await;
    let mut client = world.remote().await;
    let good = Message::Piece(piece(&content, 0..MIB));
    let bad = Message::Piece(pb::Piece { crc32c: 1, ..piece(&content, MIB..2 * MIB) });
    let messages = [open(&upload), good.clone(), bad].into_iter().chain(std::iter::repeat(good));
    let requests = messages.map(|message| pb::StreamPiecesRequest { message: Some(message) });
    let mut answers = client.stream_pieces(tokio_stream::iter(requests)).await.expect("a stream").into_inner();
    let mut durable = ByteRanges::new();
    let status = loop {
        match answers.message().await {
            Ok(Some(answer)) => durable.extend(answer.durable.iter().map(|range| range.start..range.end)),
            Ok(None) => panic!("the stream ended as if all were well"),
            Err(status) => break status,
        }
    };
    assert_eq!(Problem::from(status).reason, Reason::ChecksumMismatch);
    assert_eq!(durable, (0..MIB).into());
}

#[tokio::test]
async fn a_stream_begins_with_what_is_durable_and_another_gateway_goes_on() {
    let world = World::new().await;
    let content = pattern(2 * CELL);
    let upload = world.create(&content).await;
    let first = Stream::open(world.uploads(), &upload).await;
    let sent = first.send_all(&content, cut(CELL + 2 * MIB, MIB)).await.expect("no problem");
    assert_eq!(sent, (0..CELL + 2 * MIB).into(), "a part of a cell is stored when the client ends");
    let mut second = Stream::open(world.uploads(), &upload).await;
    second.hear().await.expect("a first answer").expect("no problem");
    assert_eq!(second.durable, sent);
    let rest = missing(&sent, 2 * CELL);
    assert_eq!(second.send_all(&content, rest).await.expect("no problem"), all(&content));
    world.assert_whole(&upload, &content).await;
}

/// What is left to send of a file of `size` bytes, in pieces.
fn missing(durable: &ByteRanges, size: u64) -> Vec<Range<u64>> {
    let pieces = |range: Range<u64>| {
        let piece = move |piece: Range<u64>| range.start + piece.start..range.start + piece.end;
        cut(range.end - range.start, MIB).into_iter().map(piece)
    };
    durable.missing_from(0..size).iter().flat_map(pieces).collect()
}

#[tokio::test]
async fn streams_in_parallel_any_order_and_again_make_one_file() {
    let world = World::new().await;
    let content = pattern(4 * CELL + 7);
    let upload = world.create(&content).await;
    let mut pieces = cut(content.len() as u64, 3 * GRANULE);
    // An order that jumps between cells.
    pieces.sort_by_key(|range| (range.start / GRANULE).wrapping_mul(0x9E37_79B9) % 1009);
    let (even, odd): (Vec<_>, Vec<_>) = pieces.iter().cloned().enumerate().partition(|(n, _)| n % 2 == 0);
    let ranges = |half: Vec<(usize, Range<u64>)>| half.into_iter().map(|(_, range)| range).collect::<Vec<_>>();
    let streams = tokio::join!(
        Stream::open(world.uploads(), &upload),
        Stream::open(world.uploads(), &upload),
        Stream::open(world.uploads(), &upload),
    );
    let (one, two, again) = tokio::join!(
        streams.0.send_all(&content, ranges(even)),
        streams.1.send_all(&content, ranges(odd)),
        // Everything a third time, cut elsewhere.
        streams.2.send_all(&content, cut(content.len() as u64, MIB)),
    );
    one.expect("no problem");
    two.expect("no problem");
    assert_eq!(again.expect("no problem"), all(&content));
    world.assert_whole(&upload, &content).await;
}

#[tokio::test]
async fn what_a_killed_client_had_sent_stays() {
    let world = World::new().await;
    let content = pattern(3 * CELL);
    let upload = world.create(&content).await;
    let mut stream = Stream::open(world.uploads(), &upload).await;
    for range in cut(CELL + 3 * MIB, MIB) {
        stream.send_piece(&content, range).await;
    }
    stream.until_durable(0..CELL).await;
    let mut witness = Stream::open(world.uploads(), &upload).await;
    drop(stream);
    // What was gathered of the second cell is stored, and whoever watches hears of it.
    witness.until_durable(0..CELL + 2 * MIB).await;
    let durable = world.durable(&upload).await;
    assert!(durable.contains(0..CELL + 2 * MIB), "{durable:?}");
    let rest = missing(&durable, 3 * CELL);
    witness.send_all(&content, rest).await.expect("no problem");
    world.assert_whole(&upload, &content).await;
}

#[tokio::test]
async fn wanted_bytes_are_asked_for_and_stored_at_once() {
    let world = World::new().await;
    let content = pattern(2 * CELL);
    let upload = world.create(&content).await;
    let mut stream = Stream::open(world.uploads(), &upload).await;
    let tail = 2 * CELL - 2 * GRANULE..2 * CELL;
    world.catalog.want(&upload.id, vec![tail.clone().into()]);
    while stream.wants.is_empty() {
        stream.hear().await.expect("the stream goes on").expect("no problem");
    }
    assert_eq!(stream.wants, tail.clone().into());
    stream.send_piece(&content, tail.clone()).await;
    stream.until_durable(tail.clone()).await;
    // Later answers do not ask for what is there, and those who open later hear of what is wanted.
    world.catalog.want(&upload.id, once(tail.start - GRANULE..tail.end).map(Into::into).collect());
    while stream.wants != (tail.start - GRANULE..tail.start).into() {
        stream.hear().await.expect("the stream goes on").expect("no problem");
    }
    let answer =
        world.uploads().get_upload(pb::GetUploadRequest { upload_id: upload.id.clone() }).await.expect("found");
    assert_eq!(answer.into_inner().wants.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_gathered_is_stored_when_the_client_pauses() {
    let world = World::new().await;
    let content = pattern(CELL);
    let upload = world.create(&content).await;
    let mut stream = Stream::open(world.uploads(), &upload).await;
    stream.send_piece(&content, 0..MIB).await;
    stream.until_durable(0..MIB).await;
}

#[tokio::test]
async fn arrivals_from_others_are_told_even_if_notices_were_lost() {
    let world = World::new().await;
    let content = pattern(CELL);
    let upload = world.create(&content).await;
    let mut stream = Stream::open(world.uploads(), &upload).await;
    Stream::open(world.uploads(), &upload).await.send_all(&content, once(0..MIB)).await.expect("no problem");
    stream.until_durable(0..MIB).await;
    world.catalog.quiet.store(true, Ordering::Relaxed);
    Stream::open(world.uploads(), &upload).await.send_all(&content, once(MIB..2 * MIB)).await.expect("no problem");
    world.catalog.lag(&upload.id);
    stream.until_durable(MIB..2 * MIB).await;
}

/// Sends `messages` one after the other and hears the stream's last word.
async fn refused(world: &World, first: Message, messages: Vec<Message>) -> (Reason, Code) {
    let mut stream = Stream::begin(world.uploads(), first).await;
    for message in messages {
        if !stream.send(message).await {
            break;
        }
    }
    let problem = stream.problem().await;
    (problem.reason, problem.reason.code())
}

#[tokio::test]
async fn each_mistake_has_its_error() {
    let world = World::new().await;
    let size = 2 * CELL + 5;
    let content = pattern(size);
    let upload = world.create(&content).await;
    let long = pattern(MIB + GRANULE);
    let of = |offset: u64, data: Bytes| Message::Piece(pb::Piece { offset, crc32c: crc32c::crc32c(&data), data });
    let in_stream = async |message: Message| refused(&world, open(&upload), vec![message]).await;
    let as_first = async |message: Message| refused(&world, message, vec![]).await;
    let stranger = pb::OpenStream { upload_id: UploadId::generate().to_string() };
    let nobody = pb::OpenStream { upload_id: "x".into() };

    assert_eq!(as_first(Message::Open(stranger)).await, (Reason::NotFound, Code::NotFound));
    assert_eq!(as_first(Message::Open(nobody)).await, (Reason::InvalidArgument, Code::InvalidArgument));
    assert_eq!(as_first(of(0, content.slice(..5))).await.0, Reason::InvalidArgument, "pieces come after the opening");
    assert_eq!(in_stream(open(&upload)).await.0, Reason::InvalidArgument, "a stream is opened once");
    let misplaced = (Reason::InvalidOffset, Code::InvalidArgument);
    assert_eq!(in_stream(of(5, content.slice(..5))).await, misplaced);
    assert_eq!(in_stream(of(0, content.slice(..5))).await, misplaced, "only the file's end may be odd");
    assert_eq!(in_stream(of(0, Bytes::new())).await, misplaced);
    let too_many = (Reason::TooManyBytes, Code::InvalidArgument);
    assert_eq!(in_stream(of(2 * CELL, content.slice(..6))).await, too_many);
    assert_eq!(in_stream(of(4 * CELL, content.slice(..5))).await, too_many);
    assert_eq!(in_stream(of(u64::MAX - u64::MAX % GRANULE, content.slice(..5))).await.0, Reason::TooManyBytes);
    assert_eq!(in_stream(of(0, long)).await, too_many, "a piece has at most 1 MiB");
    let wrong_sum = Message::Piece(pb::Piece { crc32c: 1, ..piece(&content, 0..GRANULE) });
    assert_eq!(in_stream(wrong_sum).await, (Reason::ChecksumMismatch, Code::DataLoss));
    assert!(world.catalog.extents(&upload.id).is_empty(), "nothing of all that was stored");
}

#[tokio::test]
async fn other_bytes_for_a_range_are_refused_and_the_same_are_not() {
    let world = World::new().await;
    let content = pattern(CELL);
    let upload = world.create(&content).await;
    let send = async |content: &Bytes, range| {
        Stream::open(world.uploads(), &upload).await.send_all(content, once(range)).await
    };
    send(&content, granules(0..8)).await.expect("no problem");
    send(&content, granules(0..8)).await.expect("the same again");
    send(&content, granules(2..10)).await.expect("the same bytes, cut elsewhere");
    let other = pattern(CELL + 8).slice(8..);
    for range in [granules(0..8), granules(4..12), granules(0..1)] {
        assert_eq!(send(&other, range).await.expect_err("other bytes").reason, Reason::BytesDiffer);
    }
    assert_eq!(Reason::BytesDiffer.code(), Code::Aborted);
    send(&content, 10 * GRANULE..10 * GRANULE + MIB).await.expect("the upload goes on");
}

#[tokio::test]
async fn what_came_before_a_mistake_is_durable() {
    let world = World::new().await;
    let content = pattern(CELL);
    let upload = world.create(&content).await;
    let mut stream = Stream::open(world.uploads(), &upload).await;
    stream.send_piece(&content, 0..MIB).await;
    stream.send(Message::Piece(pb::Piece { crc32c: 1, ..piece(&content, MIB..2 * MIB) })).await;
    assert_eq!(stream.problem().await.reason, Reason::ChecksumMismatch);
    assert_eq!(stream.durable, (0..MIB).into(), "and the client was told");
    assert_eq!(world.durable(&upload).await, (0..MIB).into());
}

#[tokio::test]
async fn a_complete_upload_takes_no_more_bytes() {
    let world = World::new().await;
    let content = pattern(GRANULE);
    let upload = world.create(&content).await;
    Stream::open(world.uploads(), &upload).await.send_all(&content, once(0..GRANULE)).await.expect("no problem");
    world.assert_whole(&upload, &content).await;
    let refused = refused(&world, open(&upload), vec![Message::Piece(piece(&content, 0..GRANULE))]).await;
    assert_eq!(refused, (Reason::UploadComplete, Code::FailedPrecondition));
}

#[tokio::test]
async fn a_dying_source_ends_the_stream() {
    let world = World::new().await;
    let content = pattern(CELL);
    let upload = world.create(&content).await;
    let mut stream = Stream::open(world.uploads(), &upload).await;
    stream.hear().await.expect("it is open").expect("no problem");
    world.catalog.kill(&upload.id);
    assert_eq!(stream.problem().await.reason, Reason::SourceDying);
    assert_eq!(refused(&world, open(&upload), vec![]).await.0, Reason::NotFound);
}

#[tokio::test]
async fn a_stopping_server_stores_what_it_has_and_says_so() {
    let world = World::new().await;
    let content = pattern(CELL);
    let upload = world.create(&content).await;
    let mut stream = Stream::open(world.uploads(), &upload).await;
    stream.send_piece(&content, 0..MIB).await;
    // The channel holds one message: when the second was taken, the first was.
    stream.send_piece(&content, MIB..2 * MIB).await;
    stream.send_piece(&content, 2 * MIB..3 * MIB).await;
    world.deps.lifecycle.stopping().cancel();
    assert_eq!(stream.problem().await.reason, Reason::Unavailable);
    assert!(stream.durable.contains(0..MIB), "{:?}", stream.durable);
    assert_eq!(world.durable(&upload).await, stream.durable);
}

#[tokio::test]
async fn a_client_that_opens_nothing_and_ends_hears_the_end() {
    let world = World::new().await;
    let empty = tokio_stream::empty::<pb::StreamPiecesRequest>();
    let mut answers = world.uploads().stream_pieces(empty).await.expect("a stream").into_inner();
    assert!(answers.message().await.expect("no problem").is_none());
}

/// A store that writes only while its gate is open.
#[derive(Debug)]
struct Gated {
    store: Arc<dyn ObjectStore>,
    open: watch::Sender<bool>,
    full: watch::Sender<bool>,
}

#[async_trait]
impl ObjectStore for Gated {
    async fn put(&self, name: &ObjectName, chunks: Vec<Bytes>) -> Result<(), ObjectError> {
        self.open.subscribe().wait_for(|open| *open).await.expect("the gate stays");
        if *self.full.borrow() {
            return Err(ObjectError::NoSpace { name: name.clone() });
        }
        self.store.put(name, chunks).await
    }

    async fn put_new(&self, name: &ObjectName, chunks: Vec<Bytes>) -> Result<(), ObjectError> {
        self.store.put_new(name, chunks).await
    }

    async fn head(&self, name: &ObjectName) -> Result<ObjectInfo, ObjectError> {
        self.store.head(name).await
    }

    async fn get_range(&self, name: &ObjectName, range: Range<u64>) -> Result<ByteStream, ObjectError> {
        self.store.get_range(name, range).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), ObjectError> {
        self.store.delete(name).await
    }

    async fn delete_prefix(&self, prefix: &ObjectPrefix) -> Result<u64, ObjectError> {
        self.store.delete_prefix(prefix).await
    }

    fn list(&self, prefix: &ObjectPrefix) -> BoxStream<'static, Result<ObjectInfo, ObjectError>> {
        self.store.list(prefix)
    }
}

async fn gated() -> (World, watch::Sender<bool>, watch::Sender<bool>) {
    let (open, full) = (watch::Sender::new(false), watch::Sender::new(false));
    let gates = (open.clone(), full.clone());
    let world = World::with_store(|store| Arc::new(Gated { store, open: gates.0, full: gates.1 })).await;
    (world, open, full)
}

/// How many pieces the server takes before it stops taking any.
async fn taken(stream: &Stream, content: &Bytes, pieces: &[Range<u64>]) -> usize {
    let mut taken = 0;
    for range in pieces {
        // Time stands still while anything happens, so this elapses only when nothing does.
        if timeout(Duration::from_secs(1), stream.send_piece(content, range.clone())).await.is_err() {
            break;
        }
        taken += 1;
    }
    taken
}

#[tokio::test(start_paused = true)]
async fn a_slow_disk_slows_the_client_and_memory_is_a_few_cells() {
    let (world, open_gate, _) = gated().await;
    let content = pattern(10 * CELL);
    let upload = world.create(&content).await;
    let mut stream = Stream::open(world.uploads(), &upload).await;
    let pieces = cut(content.len() as u64, MIB);
    let taken = taken(&stream, &content, &pieces).await;
    assert!((16..=45).contains(&taken), "{taken} MiB taken while nothing could be stored");
    open_gate.send_replace(true);
    // The piece that timed out was not taken.
    let rest = pieces[taken..].to_vec();
    stream.hear().await.expect("the stream goes on").expect("no problem");
    assert_eq!(stream.send_all(&content, rest).await.expect("no problem"), all(&content));
    world.assert_whole(&upload, &content).await;
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_not_read_take_no_memory_and_stop_nothing() {
    let world = World::new().await;
    let content = pattern(6 * CELL);
    let upload = world.create(&content).await;
    let stream = Stream::open(world.uploads(), &upload).await;
    let pieces = cut(content.len() as u64, MIB);
    assert_eq!(taken(&stream, &content, &pieces).await, pieces.len());
    assert_eq!(stream.end().await.expect("no problem"), all(&content));
}

#[tokio::test]
async fn a_full_disk_is_said_and_what_was_acknowledged_stays() {
    let (world, open_gate, full) = gated().await;
    open_gate.send_replace(true);
    let content = pattern(2 * CELL);
    let upload = world.create(&content).await;
    let mut stream = Stream::open(world.uploads(), &upload).await;
    for range in cut(CELL, MIB) {
        stream.send_piece(&content, range).await;
    }
    stream.until_durable(0..CELL).await;
    full.send_replace(true);
    let problem = stream.send_all(&content, cut(2 * CELL, MIB).split_off(8)).await.expect_err("full");
    assert_eq!((problem.reason, problem.reason.code()), (Reason::NoSpace, Code::ResourceExhausted));
    assert_eq!(world.durable(&upload).await, (0..CELL).into());
    full.send_replace(false);
    let again = Stream::open(world.uploads(), &upload).await;
    again.send_all(&content, cut(2 * CELL, MIB).split_off(8)).await.expect("no problem");
    world.assert_whole(&upload, &content).await;
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_recorded() {
    let world = World::new().await;
    world.catalog.recording.send_replace(false);
    let content = pattern(CELL);
    let upload = world.create(&content).await;
    let mut stream = Stream::open(world.uploads(), &upload).await;
    stream.hear().await.expect("a first answer").expect("no problem");
    let sent = content.clone();
    let sending = tokio::spawn(async move { stream.send_all(&sent, cut(CELL, MIB)).await });
    // Once the object is there, only the record is missing.
    let prefix = names::source(world.catalog.source_id(&upload.id));
    while world.deps.objects.list(&prefix).next().await.is_none() {
        tokio::task::yield_now().await;
    }
    assert!(world.durable(&upload).await.is_empty());
    assert!(!sending.is_finished());
    world.catalog.recording.send_replace(true);
    assert_eq!(sending.await.expect("it ends").expect("no problem"), all(&content));
}
