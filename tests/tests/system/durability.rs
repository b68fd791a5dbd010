//! What is acknowledged was synced before: the object, its directories, and the catalog's log, by what strace saw.

use crate::upload::{GRANULE, MIB, bytes, chunk, client, create, open, piece, put_whole};
use prost::Message as _;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use vidstream_proto::pb;
use vidstream_tests::judges::strace::{self, Call};
use vidstream_tests::server::Server;

/// How far a stored extent is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Named,
    DirectorySynced,
    LogWritten,
    LogSynced,
}

/// An extent, by the name of its object (`…/bytes/PAGE/OFFSET-LENGTH-DIGEST`, hexadecimal).
struct Stored {
    range: Range<u64>,
    directory: String,
    file_synced: bool,
    step: Step,
}

/// What the server sent on one connection, taken apart as far as it is whole.
#[derive(Default)]
struct Connection {
    bytes: Vec<u8>,
    streams: HashMap<u32, Vec<u8>>,
}

#[derive(Default)]
struct Durable {
    synced: HashSet<String>,
    unsynced_directories: HashSet<String>,
    stored: Vec<Stored>,
    connections: HashMap<String, Connection>,
    acknowledged: Vec<Range<u64>>,
}

impl Durable {
    /// Goes through the calls; the ranges that were acknowledged, or what was acknowledged too early.
    fn check(calls: &[Call]) -> Result<Vec<Range<u64>>, String> {
        let mut durable = Self::default();
        for call in calls {
            match call {
                Call::Synced(path) => durable.sync(path),
                Call::Renamed(from, to) => durable.rename(from, to),
                Call::Made(path) => drop(durable.unsynced_directories.insert(path.clone())),
                Call::Written(path) if path.ends_with("-wal") => {
                    durable.advance(Step::DirectorySynced, Step::LogWritten);
                }
                Call::Written(_) | Call::Linked(..) => {}
                Call::Sent(connection, bytes) => {
                    for range in durable.connections.entry(connection.clone()).or_default().hear(bytes) {
                        durable.acknowledge(range)?;
                    }
                }
            }
        }
        Ok(durable.acknowledged)
    }

    fn sync(&mut self, path: &str) {
        self.synced.insert(path.to_owned());
        self.unsynced_directories.retain(|made| parent(made) != path);
        if path.ends_with("-wal") {
            self.advance(Step::LogWritten, Step::LogSynced);
        }
        for stored in self.stored.iter_mut().filter(|stored| stored.directory == path && stored.step == Step::Named) {
            stored.step = Step::DirectorySynced;
        }
    }

    fn advance(&mut self, from: Step, to: Step) {
        self.stored.iter_mut().filter(|stored| stored.step == from).for_each(|stored| stored.step = to);
    }

    fn rename(&mut self, from: &str, to: &str) {
        let Some((directory, name)) = to.rsplit_once('/') else { return };
        if !directory.contains("/bytes/") {
            return;
        }
        let mut numbers = name.split('-').map(|number| u64::from_str_radix(number, 16).expect("a number"));
        let (start, length) = (numbers.next().expect("an offset"), numbers.next().expect("a length"));
        let file_synced = self.synced.contains(from);
        let directory = directory.to_owned();
        self.stored.push(Stored { range: start..start + length, directory, file_synced, step: Step::Named });
    }

    /// Every byte of `range` must lie in extents that are durable.
    fn acknowledge(&mut self, range: Range<u64>) -> Result<(), String> {
        let mut at = range.start;
        while at < range.end {
            let is_durable = |stored: &&Stored| stored.file_synced && stored.step == Step::LogSynced;
            let holds = |stored: &&Stored| stored.range.contains(&at);
            let Some(stored) = self.stored.iter().filter(holds).find(is_durable) else {
                let found: Vec<_> = self.stored.iter().filter(holds).map(|s| (s.file_synced, s.step)).collect();
                return Err(format!("byte {at} was acknowledged; object synced, and how far it was: {found:?}"));
            };
            let mut above = Some(stored.directory.as_str());
            while let Some(directory) = above {
                if self.unsynced_directories.contains(directory) {
                    return Err(format!("byte {at} was acknowledged before the entry of {directory} was synced"));
                }
                above = Some(parent(directory)).filter(|parent| !parent.is_empty());
            }
            at = stored.range.end;
        }
        self.acknowledged.push(range);
        Ok(())
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

impl Connection {
    /// Takes in what was sent; the ranges it acknowledges.
    fn hear(&mut self, sent: &[u8]) -> Vec<Range<u64>> {
        self.bytes.extend_from_slice(sent);
        if self.bytes.starts_with(b"HTTP/1.1 ") { self.http_1() } else { self.http_2() }
    }

    /// The answer to a `PUT`: durable ranges in JSON.
    fn http_1(&mut self) -> Vec<Range<u64>> {
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        let Some((_, body)) = text.rsplit_once("\r\n\r\n") else { return Vec::new() };
        let Ok(answer) = serde_json::from_str::<serde_json::Value>(body) else { return Vec::new() };
        self.bytes.clear();
        let number = |value: &serde_json::Value| value.as_str().expect("text").parse().expect("a number");
        let ranges = answer["durable"].as_array().expect("an answer to a chunk");
        ranges.iter().map(|range| number(&range["start"])..number(&range["end"])).collect()
    }

    /// DATA frames (RFC 9113 §6.1) with gRPC's messages. The first call of a connection makes the upload; all others
    /// acknowledge, in messages of one form.
    fn http_2(&mut self) -> Vec<Range<u64>> {
        const FIRST: u32 = 1;
        let mut ranges = Vec::new();
        while let Some(head) = self.bytes.get(..9) {
            let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
            let (kind, stream) = (head[3], u32::from_be_bytes([head[5] & 0x7F, head[6], head[7], head[8]]));
            if self.bytes.len() < 9 + length {
                break;
            }
            let payload: Vec<u8> = self.bytes.drain(..9 + length).skip(9).collect();
            if kind == 0 && stream != FIRST {
                self.streams.entry(stream).or_default().extend(payload);
                ranges.extend(self.messages(stream));
            }
        }
        ranges
    }

    fn messages(&mut self, stream: u32) -> Vec<Range<u64>> {
        let bytes = self.streams.entry(stream).or_default();
        let mut ranges = Vec::new();
        while let Some(head) = bytes.get(..5) {
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            if bytes.len() < 5 + length {
                break;
            }
            let message: Vec<u8> = bytes.drain(..5 + length).skip(5).collect();
            let answer = pb::StreamPiecesResponse::decode(message.as_slice()).expect("an acknowledgement");
            ranges.extend(answer.durable.iter().map(|range| range.start..range.end));
        }
        ranges
    }
}

/// Uploads by unary chunks, by `PUT` and by a stream; the number of chunks that came one after the other.
async fn upload_every_way(server: &Server) -> usize {
    let mut client = client(server).await;
    let data = bytes(20 * MIB + 77);
    let upload = create(&mut client, data.len()).await;
    let mut chunks = 0;
    for at in (0..2 * MIB).step_by(8 * GRANULE) {
        client.put_chunk(chunk(&upload, at, &data[at..at + 8 * GRANULE])).await.expect("durable");
        chunks += 1;
    }
    for at in (2 * MIB..3 * MIB).step_by(4 * GRANULE) {
        assert_eq!(put_whole(server, &upload, at, &data[at..at + 4 * GRANULE]).status, 200);
        chunks += 1;
    }
    let (sender, messages) = mpsc::channel(1);
    let sent = data.clone();
    tokio::spawn(async move {
        sender.send(open(&upload)).await.expect("the server takes it");
        for at in (3 * MIB..sent.len()).step_by(MIB) {
            sender.send(piece(at, &sent[at..sent.len().min(at + MIB)])).await.expect("the server takes it");
        }
    });
    let mut answers = client.stream_pieces(ReceiverStream::new(messages)).await.expect("opened").into_inner();
    while answers.message().await.expect("acknowledged").is_some() {}
    chunks
}

/// The calls up to where so many acknowledgements were sent.
fn until(calls: &[Call], acknowledgements: usize) -> &[Call] {
    let (mut connections, mut heard) = (HashMap::<String, Connection>::new(), 0);
    for (number, call) in calls.iter().enumerate() {
        if let Call::Sent(connection, bytes) = call
            && !connections.entry(connection.clone()).or_default().hear(bytes).is_empty()
        {
            heard += 1;
            if heard == acknowledgements {
                return &calls[..=number];
            }
        }
    }
    panic!("only {heard} acknowledgements")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_was_synced_before() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("trace");
    let server = Server::within(&strace::wrapper(file.to_str().expect("text")), &[]);
    let chunks = upload_every_way(&server).await;
    let id = server.id();
    assert!(server.stop().success());
    let calls = strace::calls(Path::new(&file), id);
    let acknowledged = Durable::check(&calls).unwrap_or_else(|early| panic!("{early}"));
    let end = acknowledged.iter().map(|range| range.end).max();
    assert_eq!(end, Some(20 * MIB as u64 + 77), "the whole file was acknowledged");

    // One after the other, so that no sync can stand in for another. Without any single one of an object or its directory, or
    // without those of the log between two acknowledgements, it must be seen.
    let calls = until(&calls, chunks);
    Durable::check(calls).expect("a part of what is right");
    // Whose the objects are is written down once, for nobody's acknowledgement.
    let is_owner = |path: &str| {
        calls
            .iter()
            .any(|call| matches!(call, Call::Linked(from, to) if from == path && to.ends_with("/catalog/owner")))
    };
    let is_object = |path: &str| path.contains("/objects/.scratch/") && !is_owner(path);
    let is_directory = |path: &str| path.contains("/bytes/");
    let is_log = |path: &str| path.ends_with("-wal");
    let (mut left_out, mut logs) = ([0; 2], 0);
    for (number, call) in calls.iter().enumerate() {
        let Call::Synced(path) = call else { continue };
        let kind = if is_object(path) {
            0
        } else if is_directory(path) {
            1
        } else {
            continue;
        };
        let without = [&calls[..number], &calls[number + 1..]].concat();
        Durable::check(&without).expect_err(path);
        left_out[kind] += 1;
    }
    assert_eq!(left_out[1], chunks, "a directory's sync for each chunk");
    assert!(left_out[0] >= chunks, "an object's sync for each chunk");
    for number in 1..=chunks {
        let (before, upto) = (if number == 1 { 0 } else { until(calls, number - 1).len() }, until(calls, number));
        let without = upto
            .iter()
            .enumerate()
            .filter(|(at, call)| !(*at >= before && matches!(call, Call::Synced(path) if is_log(path))));
        let without: Vec<Call> = without.map(|(_, call)| call.clone()).collect();
        Durable::check(&without).expect_err("the log's sync is missing");
        logs += upto.len() - without.len();
    }
    assert!(logs >= chunks, "a sync of the log for each chunk");
    eprintln!(
        "{} acknowledgements; left out one by one: {} syncs of objects, {} of directories, {logs} of the log",
        acknowledged.len(),
        left_out[0],
        left_out[1],
    );
}
