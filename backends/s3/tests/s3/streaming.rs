//! Large objects: in parts, in pieces, within little memory.

use crate::setup::{BUCKET, chunks, content, name, server, store, url};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use vidstream_backends::objects::{ByteStream, ObjectError, ObjectStore as _};
use vidstream_s3::S3Store;
use vidstream_test_servers::Kind;

const MIB: usize = 1 << 20;

async fn gathered(stream: ByteStream) -> Bytes {
    stream.try_collect::<Vec<_>>().await.unwrap().concat().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_parts_is_an_object_all_at_once() {
    for kind in [Kind::Minio, Kind::VersityGw] {
        let server = server(kind).await;
        let store = S3Store::open(&url(&server, &format!("{BUCKET}/below"))).await.unwrap();
        let (object, size) = (name("large/object"), 70 * MIB + 5);
        store.put_new(&object, chunks(size)).await.unwrap();
        assert_eq!(store.head(&object).await.unwrap().size, size as u64);
        let read = gathered(store.get(&object).await.unwrap().bytes).await;
        assert!(read == content(size), "{kind:?}");
        let again = store.put_new(&object, vec![content(65 * MIB)]).await.unwrap_err();
        assert!(matches!(again, ObjectError::AlreadyExists { .. }), "{kind:?}: {again:?}");
        let read = gathered(store.get_range(&object, 16 * MIB as u64 - 1..16 * MIB as u64 + 1).await.unwrap()).await;
        assert!(read == content(size)[16 * MIB - 1..=16 * MIB], "{kind:?}: it is what it was");
        store.put(&object, vec![content(65 * MIB)]).await.unwrap();
        assert_eq!(store.head(&object).await.unwrap().size, 65 * MIB as u64);
        assert_eq!(store.delete_prefix(&"large".parse().unwrap()).await.unwrap(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_nobody_reads_holds_little() {
    let server = server(Kind::Minio).await;
    let store = store(&server).await;
    let (object, size) = (name("large/object"), 64 * MIB);
    store.put(&object, chunks(size)).await.unwrap();
    let mut streams = Vec::new();
    let mut begun = 0;
    for _ in 0..8 {
        let mut stream = store.get_range(&object, 0..size as u64).await.unwrap();
        begun += stream.next().await.unwrap().unwrap().len();
        streams.push(stream);
    }
    assert!(begun < 8 * MIB, "{begun} bytes came in the first pieces");
    let before = resident();
    // Whatever reads ahead without bounds has all the time it wants: other streams are read whole meanwhile.
    let mut read = 0;
    let mut stream = store.get_range(&object, 0..size as u64).await.unwrap();
    while let Some(piece) = stream.try_next().await.unwrap() {
        read += piece.len();
    }
    assert_eq!(read, size);
    let grown = resident().saturating_sub(before);
    assert!(grown < 32 * MIB, "8 streams of 64 MiB each that nobody reads, and one that was, took {grown} bytes");
    for stream in streams {
        let rest: usize =
            stream.map_ok(|piece| piece.len()).try_fold(0, |sum, len| async move { Ok(sum + len) }).await.unwrap();
        begun += rest;
    }
    assert_eq!(begun, 8 * size, "they go on where they were");
}

/// Memory of this process, bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_ranges_are_not_many_connections() {
    let server = server(Kind::Minio).await;
    let store = store(&server).await;
    let (object, size) = (name("large/object"), 8 * MIB);
    store.put(&object, chunks(size)).await.unwrap();
    let ranges: Vec<_> = (0..600_u64).map(|at| at * 13_000..at * 13_000 + 100).collect();
    let mut stream = store.get_ranges(&object, ranges).await.unwrap();
    let mut read = 0;
    while let Some(piece) = stream.try_next().await.unwrap() {
        read += piece.len();
        let open = connections(server.port());
        assert!(open <= 16, "{open} connections are open");
    }
    assert_eq!(read, 60_000);
}

/// Established connections of this machine to a port on loopback.
fn connections(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let peer = format!("0100007F:{port:04X}");
    table.lines().filter(|line| line.split_whitespace().nth(2) == Some(&peer) && line.contains(" 01 ")).count()
}
