//! A server, a bucket, a store.

use bytes::Bytes;
use std::time::Duration;
use vidstream_backends::objects::{ObjectError, ObjectName, ObjectsUrl, S3Url};
use vidstream_s3::{Patience, S3Store};
use vidstream_test_servers::{Kind, PASSWORD, Server, USER};

pub const BUCKET: &str = "films";

/// A server that has the bucket.
pub async fn server(kind: Kind) -> Server {
    let server = Server::start(kind).await;
    server.make_bucket(BUCKET).await;
    server
}

/// `s3://…` for `rest` of the URL, with the server's keys.
pub fn url(server: &Server, place: &str) -> S3Url {
    parsed(&format!("s3://{USER}:{PASSWORD}@{place}?endpoint={}", server.url()))
}

pub fn parsed(url: &str) -> S3Url {
    match url.parse() {
        Ok(ObjectsUrl::S3(url)) => *url,
        other => panic!("{url}: {other:?}"),
    }
}

pub async fn store(server: &Server) -> S3Store {
    S3Store::open(&url(server, BUCKET)).await.unwrap()
}

/// Gives up soon, for tests in which nobody will answer.
pub fn impatient() -> Patience {
    Patience {
        connect: Duration::from_millis(500),
        attempt: Duration::from_millis(500),
        operation: Duration::from_secs(2),
        piece: Duration::from_millis(500),
        attempts: 2,
        resumptions: 1,
    }
}

pub fn name(name: &str) -> ObjectName {
    name.parse().unwrap()
}

/// `len` bytes in chunks of 64 KiB, different at every place that could be mistaken for another.
pub fn chunks(len: usize) -> Vec<Bytes> {
    let whole = content(len);
    (0..len).step_by(64 << 10).map(|at| whole.slice(at..len.min(at + (64 << 10)))).collect()
}

pub fn content(len: usize) -> Bytes {
    (0..len.div_ceil(8))
        .flat_map(|at| (at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes())
        .take(len)
        .collect()
}

/// The error and its causes in one line, as a log has it.
pub fn words(error: &ObjectError) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause {
        words = format!("{words}: {deeper}");
        cause = deeper.source();
    }
    words
}
