//! Addresses that anybody may read at.

use crate::setup::{BUCKET, content, name, server, store, url};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use vidstream_backends::objects::{ObjectStore as _, S3Url};
use vidstream_s3::S3Store;
use vidstream_test_servers::Kind;

/// Status line, and what follows the head, of what a plain client gets.
async fn got(address: &str, range: &str) -> (String, Vec<u8>) {
    let (head, body) = answer(address, range).await;
    (head.lines().next().unwrap().to_owned(), body)
}

/// The head, and what follows it.
async fn answer(address: &str, range: &str) -> (String, Vec<u8>) {
    let (host, path) = address.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\n{range}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..head].to_vec()).unwrap(), answer[head + 4..].to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_read_by_anybody_until_it_expires() {
    for kind in [Kind::Minio, Kind::VersityGw] {
        let server = server(kind).await;
        let store = store(&server).await;
        let object = name("signed/sheet.jpg");
        store.put(&object, vec![content(100_000)]).await.unwrap();
        let address = store.presigned(&object, "image/jpeg", Duration::from_mins(5)).await.unwrap().unwrap();
        let (status, read) = got(&address, "").await;
        assert_eq!((&*status, &read[..]), ("HTTP/1.1 200 OK", &content(100_000)[..]), "{kind:?}");
        let (status, read) = got(&address, "range: bytes=10-19\r\n").await;
        assert_eq!((&*status, &read[..]), ("HTTP/1.1 206 Partial Content", &content(20)[10..]), "{kind:?}");
        let (head, _) = answer(&address, "").await;
        assert!(head.to_ascii_lowercase().contains("content-type: image/jpeg"), "{kind:?}: {head}");
        for forged in [address.replace("sheet", "other"), address.replace("Expires=300", "Expires=900")] {
            let (status, _) = got(&forged, "").await;
            assert_eq!(status, "HTTP/1.1 403 Forbidden", "{kind:?}: {forged}");
        }
        let short = store.presigned(&object, "image/jpeg", Duration::from_secs(1)).await.unwrap().unwrap();
        let mut status = got(&short, "").await.0;
        while status == "HTTP/1.1 200 OK" {
            tokio::time::sleep(Duration::from_millis(200)).await;
            status = got(&short, "").await.0;
        }
        assert_eq!(status, "HTTP/1.1 403 Forbidden", "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_of_the_endpoint_that_clients_reach() {
    let server = server(Kind::VersityGw).await;
    let url = S3Url { public: Some("https://media.example".into()), ..url(&server, BUCKET) };
    let store = S3Store::open(&url).await.unwrap();
    let object = name("signed/sheet.jpg");
    let address = store.presigned(&object, "image/jpeg", Duration::from_mins(5)).await.unwrap().unwrap();
    assert!(address.starts_with("https://media.example/films/signed/sheet.jpg?"), "{address}");
    assert!(
        store.presigned(&object, "image/jpeg", Duration::from_hours(24 * 8)).await.is_err(),
        "S3 signs for a week at the most"
    );
}
