//! Servers that are killed, frozen and started again in the midst of a call.

use crate::setup::{BUCKET, chunks, content, impatient, name, parsed, server, store, url, words};
use futures::{StreamExt as _, TryStreamExt as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use vidstream_backends::objects::{ObjectError, ObjectPrefix, ObjectStore as _};
use vidstream_s3::{Patience, S3Store};
use vidstream_test_servers::{Kind, Server};

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_while_it_is_written_to_has_all_of_an_object_or_none() {
    for kind in [Kind::Minio, Kind::VersityGw] {
        let server = server(kind).await;
        let store = S3Store::open_with(&url(&server, BUCKET), impatient()).await.unwrap();
        let size = 8 * MIB;
        for round in 0..4 {
            let objects: Vec<_> = (0..4).map(|at| name(&format!("killed/{round}/{at}"))).collect();
            let writes: Vec<_> = objects
                .iter()
                .map(|object| {
                    let (store, object) = (store.clone(), object.clone());
                    tokio::spawn(async move { store.put_new(&object, chunks(size)).await })
                })
                .collect();
            // Somewhere between the first byte and the last one.
            tokio::time::sleep(Duration::from_millis(5 + 25 * round)).await;
            server.kill();
            let mut acknowledged = Vec::new();
            for (write, object) in writes.into_iter().zip(&objects) {
                match write.await.unwrap() {
                    Ok(()) => acknowledged.push(object),
                    Err(error) => assert!(matches!(error, ObjectError::Unavailable { .. }), "{error:?}"),
                }
            }
            server.restart().await;
            for object in &objects {
                match store.read(object, size as u64).await {
                    Ok(read) => assert!(read == content(size), "{kind:?}: {object} is half-written"),
                    Err(ObjectError::NotFound { .. }) => {
                        assert!(!acknowledged.contains(&object), "{kind:?}: {object} was acknowledged and is gone");
                    }
                    Err(error) => panic!("{kind:?}: {}", words(&error)),
                }
            }
            let listed: Vec<_> = store.list(&ObjectPrefix::all()).try_collect().await.unwrap();
            assert!(listed.iter().all(|info| info.size == size as u64), "{kind:?}: {listed:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_and_reads_outlive_a_restart() {
    let server = server(Kind::Minio).await;
    // However long the server takes to come back on a busy machine.
    let patient = Patience { operation: Duration::from_mins(5), attempts: 1000, ..Patience::default() };
    let store = S3Store::open_with(&url(&server, BUCKET), patient).await.unwrap();
    let (object, size) = (name("outlives/object"), 8 * MIB);
    store.put(&object, chunks(size)).await.unwrap();
    let mut stream = store.get_range(&object, 0..size as u64).await.unwrap();
    let mut read = stream.next().await.unwrap().unwrap().to_vec();
    server.kill();
    let restarted = tokio::spawn({
        let server = server.clone();
        async move { server.restart().await }
    });
    let new = name("outlives/new");
    store.put_new(&new, chunks(size)).await.unwrap();
    while let Some(piece) = stream.try_next().await.unwrap() {
        read.extend_from_slice(&piece);
    }
    restarted.await.unwrap();
    assert!(read == content(size), "the stream went on where it was");
    assert!(store.read(&new, size as u64).await.unwrap() == content(size));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_server_is_gone_ends_with_an_error() {
    for kind in [Kind::Minio, Kind::VersityGw] {
        let server = server(kind).await;
        let store = S3Store::open_with(&url(&server, BUCKET), impatient()).await.unwrap();
        let (object, size) = (name("gone/object"), 64 * MIB);
        S3Store::open(&url(&server, BUCKET)).await.unwrap().put(&object, chunks(size)).await.unwrap();
        let stream = store.get_range(&object, 0..size as u64).await.unwrap();
        let error = ends_with_an_error(stream, size, || server.kill()).await;
        assert!(words(&error).contains("can't be reached"), "{kind:?}: {}", words(&error));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_never_mixes_two_contents() {
    let server = server(Kind::Minio).await;
    let store = store(&server).await;
    let (object, size) = (name("replaced/object"), 64 * MIB);
    store.put(&object, chunks(size)).await.unwrap();
    let stream = store.get_range(&object, 0..size as u64).await.unwrap();
    let replaced = || {
        server.kill();
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                server.restart().await;
                store.put(&object, vec![content(size).slice(1..), content(1)]).await.unwrap();
            });
        });
    };
    let error = ends_with_an_error(stream, size, replaced).await;
    assert!(words(&error).contains("deleted or replaced"), "{}", words(&error));
}

async fn ends_with_an_error(
    mut stream: vidstream_backends::objects::ByteStream,
    size: usize,
    fault: impl FnOnce(),
) -> ObjectError {
    let expected = content(size);
    let mut read = stream.next().await.unwrap().unwrap().len();
    fault();
    loop {
        match stream.next().await {
            Some(Ok(piece)) => {
                assert!(piece == expected[read..read + piece.len()], "the bytes at {read}");
                read += piece.len();
            }
            Some(Err(error)) => {
                assert!(read < size && stream.next().await.is_none(), "nothing follows the error");
                return error;
            }
            None => panic!("the stream ended without an error after {read} of {size} bytes"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_is_not_waited_for_beyond_the_deadlines() {
    let server = server(Kind::Minio).await;
    let store = S3Store::open_with(&url(&server, BUCKET), impatient()).await.unwrap();
    let (object, size) = (name("frozen/object"), 64 * MIB);
    S3Store::open(&url(&server, BUCKET)).await.unwrap().put(&object, chunks(size)).await.unwrap();
    let stream = store.get_range(&object, 0..size as u64).await.unwrap();
    let thawed = Thawed(&server);
    let error = ends_with_an_error(stream, size, || server.freeze()).await;
    assert!(words(&error).contains("in time") || words(&error).contains("stopped coming"), "{}", words(&error));
    for error in [
        store.put(&name("frozen/new"), vec![content(10)]).await.unwrap_err(),
        store.put(&name("frozen/large"), vec![content(65 * MIB)]).await.unwrap_err(),
        store.head(&object).await.map(drop).unwrap_err(),
        store.get_range(&object, 0..10).await.map(drop).unwrap_err(),
        store.delete(&object).await.unwrap_err(),
        store.delete_prefix(&ObjectPrefix::all()).await.map(drop).unwrap_err(),
    ] {
        assert!(matches!(error, ObjectError::Unavailable { .. }), "{error:?}");
        assert!(words(&error).contains("in time"), "{}", words(&error));
    }
    drop(thawed);
    assert!(store.read(&object, size as u64).await.unwrap() == content(size), "and it goes on when it is back");
}

/// Also when a test fails: a frozen process can't be ended by asking it.
struct Thawed<'server>(&'server Server);

impl Drop for Thawed<'_> {
    fn drop(&mut self) {
        self.0.thaw();
    }
}

/// A server that never decides whether an object exists, slowly; how many writes it was asked for.
async fn undecided(pause: Duration) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, writes) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&writes);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer_undecided(BufReader::new(stream), Arc::clone(&counted), pause));
        }
    });
    (format!("http://{address}"), writes)
}

async fn answer_undecided(mut stream: BufReader<TcpStream>, writes: Arc<AtomicUsize>, pause: Duration) {
    let (mut first, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if first.is_empty() {
            first = line;
        } else if line.is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length]).await.unwrap();
    let (status, body) = if first.starts_with("put") {
        writes.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(pause).await;
        ("409 Conflict", "<Error><Code>ConditionalRequestConflict</Code></Error>".to_owned())
    } else {
        ("200 OK", format!("<ListBucketResult><Name>{BUCKET}</Name></ListBucketResult>"))
    };
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_requests_of_a_write_share_its_deadline() {
    let patience = Patience { attempt: Duration::from_secs(2), ..impatient() };
    let (endpoint, writes) = undecided(patience.operation * 3 / 4).await;
    let url = parsed(&format!("s3://key:secret@{BUCKET}?endpoint={endpoint}"));
    let store = S3Store::open_with(&url, patience).await.unwrap();
    let error = store.put_new(&name("never"), chunks(10)).await.unwrap_err();
    assert!(words(&error).contains("did not take the object in time"), "{}", words(&error));
    assert_eq!(writes.load(Ordering::SeqCst), 2, "no third one was begun");
}
