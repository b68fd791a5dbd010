//! More uploads at once than the server has memory for.

use crate::upload::{Client, GRANULE, MIB, bytes, client, complete, create, long_clip, open, piece};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::pb;
use vidstream_tests::clips;
use vidstream_tests::judges::browser;
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::Person;

const FILE: usize = 3 * MIB + 17;

/// The most memory that a process had, by the kernel's count, bytes.
fn peak_memory(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux says it");
    line.split_whitespace().nth(1).expect("a number").parse::<usize>().expect("a number") * 1024
}

/// Sends the file piece by piece, slowly; comes back as often as it is told to.
async fn send_slowly(mut client: Client, upload: &pb::Upload, data: &Arc<Vec<u8>>, refused: &AtomicUsize) {
    loop {
        let (sender, messages) = mpsc::channel(1);
        sender.send(open(upload)).await.expect("room");
        let sent = Arc::clone(data);
        tokio::spawn(async move {
            for at in (0..sent.len()).step_by(4 * GRANULE) {
                sleep(Duration::from_millis(20)).await;
                if sender.send(piece(at, &sent[at..sent.len().min(at + 4 * GRANULE)])).await.is_err() {
                    return;
                }
            }
        });
        let outcome = async {
            let mut answers = client.stream_pieces(ReceiverStream::new(messages)).await?.into_inner();
            while answers.message().await?.is_some() {}
            Ok::<_, tonic::Status>(())
        };
        let Err(status) = outcome.await else { return };
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        let problem = Problem::from(status);
        assert_eq!(problem.reason, Reason::ResourceExhausted);
        refused.fetch_add(1, Ordering::Relaxed);
        sleep(problem.retry_after.expect("a time")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_slow_uploads_end_and_memory_stays_in_its_bounds() {
    let server = Server::with(&["--upload-memory", "64MiB"]);
    let data = Arc::new(bytes(FILE));
    let refused = Arc::new(AtomicUsize::new(0));
    let before = peak_memory(server.id());
    let mut tasks = JoinSet::new();
    for _ in 0..200 {
        let (mut client, data, refused) = (client(&server).await, Arc::clone(&data), Arc::clone(&refused));
        tasks.spawn(async move {
            let upload = create(&mut client, FILE).await;
            send_slowly(client.clone(), &upload, &data, &refused).await;
            let sum = blake3::hash(&data).as_bytes().to_vec();
            complete(&mut client, &upload, sum).await.expect("every byte is there");
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("it finishes");
    }
    let taken = peak_memory(server.id()) - before;
    // 600 MiB were under way. What is beside the uploads' bytes: connections, stacks, the catalog's caches.
    assert!(taken < 160 * MIB, "{} MiB", taken / MIB);
    assert!(refused.load(Ordering::Relaxed) > 0, "there was no pressure");
    eprintln!("200 slow uploads took {} MiB, {} were told to come back", taken / MIB, refused.load(Ordering::Relaxed));
}

/// Streams that hold all the memory there is until this is dropped: a stream that rests would give it back.
async fn hold_all(server: &Server) -> JoinSet<()> {
    let mut client = client(server).await;
    let data = bytes(FILE);
    let upload = create(&mut client, FILE).await;
    let mut held = JoinSet::new();
    loop {
        let (sender, messages) = mpsc::channel(1);
        sender.send(open(&upload)).await.expect("room");
        let answers = match client.stream_pieces(ReceiverStream::new(messages)).await {
            Ok(answers) => answers.into_inner(),
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
                return held;
            }
        };
        let granule = piece(0, &data[..GRANULE]);
        held.spawn(async move {
            let _open = answers;
            while sender.send(granule.clone()).await.is_ok() {
                sleep(Duration::from_millis(200)).await;
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vidctl_waits_for_its_turn() {
    let server = Server::with(&["--upload-memory", "16MiB"]);
    let held = hold_all(&server).await;
    assert_eq!(held.len(), 3);
    let person = Person::of(&server);
    let file = clips::clip("first.mp4");
    let mut upload = person
        .command(&["upload", file.to_str().expect("text")])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("vidctl starts");
    let (told, heard) = tokio::sync::oneshot::channel();
    let mut told = Some(told);
    let errors = BufReader::new(upload.stderr.take().expect("piped"));
    let reading = tokio::task::spawn_blocking(move || {
        for line in errors.lines().map(|line| line.expect("text")) {
            if line.contains("too many uploads")
                && let Some(told) = told.take()
            {
                told.send(()).expect("the test waits");
            }
        }
    });
    heard.await.expect("it says why it waits");
    drop(held);
    let status = tokio::task::spawn_blocking(move || upload.wait().expect("it ends")).await.expect("waited");
    assert!(status.success(), "it went on by itself");
    reading.await.expect("read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_waits_for_its_turn() {
    let server = Server::within(&["env", "RUST_LOG=vidstream_gateway=debug"], &["--upload-memory", "16MiB"]);
    let held = hold_all(&server).await;
    let input = serde_json::json!({ "address": server.address, "file": long_clip() });
    let page = tokio::task::spawn_blocking(move || browser::run("pressed", &input));
    let said = || server.log().matches("an upload was refused").count();
    // The first refusal is that of `hold_all`.
    while said() < 2 {
        assert!(!page.is_finished(), "it ended before it was refused");
        sleep(Duration::from_millis(20)).await;
    }
    drop(held);
    let seen = page.await.expect("it ends");
    let answers = seen["answers"].as_array().expect("answers");
    let refused = &answers[0];
    assert_eq!(refused["status"], 429, "{seen:#}");
    let taken = answers.iter().find(|answer| answer["url"] == refused["url"] && answer["status"] == 200);
    let at = |answer: &serde_json::Value| answer["at"].as_u64().expect("a time");
    assert!(at(taken.expect("it came back")) >= at(refused) + 900, "not before the time: {seen:#}");
}
