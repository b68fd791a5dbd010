//! What a person is told whose settings are wrong, or whose server is.

use crate::setup::{BUCKET, chunks, content, impatient, name, parsed, server, store, url, words};
use std::{error::Error as _, net::TcpListener, time::Duration};
use vidstream_backends::objects::{ObjectError, ObjectStore as _, S3Keys, S3Url};
use vidstream_s3::{OpenError, S3Store};
use vidstream_test_servers::{Kind, PASSWORD, Relay, USER};

async fn refused(url: &S3Url) -> OpenError {
    match S3Store::open_with(url, impatient()).await {
        Ok(store) => panic!("{store:?} was opened"),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_told_when_the_store_is_opened() {
    for kind in [Kind::Minio, Kind::VersityGw] {
        let server = server(kind).await;
        let with = |access: &str, secret: &str| S3Url {
            keys: Some(S3Keys { access: access.into(), secret: secret.into() }),
            ..url(&server, BUCKET)
        };
        for (url, expected) in [
            (with("nobody", PASSWORD), "the access key is not known"),
            (with(USER, "not-the-secret"), "the secret key is not the access key's"),
            (url(&server, "no-such-bucket"), "bucket no-such-bucket does not exist"),
        ] {
            let error = refused(&url).await;
            let told = error.to_string();
            assert!(told.contains(expected) && !error.may_pass(), "{kind:?}: {told}");
            assert!(!told.contains("not-the-secret") && !format!("{error:?}").contains("not-the-secret"), "{told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_may_come() {
    // Bound and never listened on by anybody who answers: no other test gets the port.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = |scheme: &str, address: &str| parsed(&format!("s3://k:s@{BUCKET}?endpoint={scheme}://{address}"));
    let silent = silent.local_addr().unwrap().to_string();
    for (url, expected) in [
        (at("http", "127.0.0.1:1"), "http://127.0.0.1:1 can't be reached"),
        (at("http", "no-such-host.invalid"), "can't be reached"),
        (at("http", &silent), "did not answer in time"),
    ] {
        let error = refused(&url).await;
        assert!(error.to_string().contains(expected) && error.may_pass(), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_no_s3_is_told_apart() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>",
        "HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\nnot found",
        "SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                assert!(stream.read(&mut [0; 16 << 10]).await.unwrap() > 0, "it asks something");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let told = refused(&parsed(&format!("s3://k:s@{BUCKET}?endpoint=http://{address}"))).await.to_string();
        serving.abort();
        let known = ["does not speak S3", "does not look like S3", "can't be reached"];
        assert!(known.iter().any(|words| told.contains(words)), "{answer}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_that_are_none_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (endpoint, ca, expected) in [
        ("https://127.0.0.1:1", file("empty", ""), "have no certificate"),
        ("https://127.0.0.1:1", file("bad", bad), "have a bad certificate"),
        ("https://127.0.0.1:1", folder.path().join("missing"), "can't be read"),
        ("http://127.0.0.1:1", file("any", bad), "ca= is for an endpoint with https:"),
    ] {
        let error = refused(&S3Url { ca: Some(ca), ..parsed(&format!("s3://k:s@{BUCKET}?endpoint={endpoint}")) }).await;
        assert!(error.to_string().contains(expected) && !error.may_pass(), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_spoken_with_whom_is_trusted() {
    let server = server(Kind::Minio).await;
    let relay = Relay::start_with_tls(server.port()).await;
    let url = format!("s3://{USER}:{PASSWORD}@{BUCKET}?endpoint=https://127.0.0.1:{}", relay.port());
    let store = S3Store::open(&parsed(&format!("{url}&ca={}", relay.authority().display()))).await.unwrap();
    let object = name("some/object");
    store.put(&object, chunks(200_000)).await.unwrap();
    relay.cut();
    assert_eq!(store.read(&object, 1 << 20).await.unwrap(), content(200_000));
    // Time does not mend that.
    let error = refused(&parsed(&url)).await;
    assert!(error.to_string().contains("is not trusted") && !error.may_pass(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_a_file_open_it_too() {
    let server = server(Kind::VersityGw).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials");
    let text = format!("[films]\naws_access_key_id = {USER}\naws_secret_access_key = {PASSWORD}\n");
    std::fs::write(&path, text).unwrap();
    let endpoint = server.url();
    let url = format!("s3://{BUCKET}?endpoint={endpoint}&credentials={}&profile=films", path.display());
    S3Store::open(&parsed(&url)).await.unwrap();
}

/// What a call on the store comes to once the file was looked at again; waits until `it_is`.
async fn until(store: &S3Store, it_is: impl Fn(&Result<(), String>) -> bool) -> Result<(), String> {
    let begun = std::time::Instant::now();
    loop {
        let said = store.put(&name("some/object"), vec![]).await.map_err(|error| words(&error));
        if it_is(&said) || begun.elapsed() > Duration::from_secs(20) {
            return said;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_in_the_file_need_no_restart() {
    let server = server(Kind::Minio).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials");
    let write = |secret: &str| {
        let text = format!("[default]\naws_access_key_id = {USER}\naws_secret_access_key = {secret}\n");
        // At once, as whoever rotates keys does.
        std::fs::write(folder.path().join("new"), text).unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
    };
    write(PASSWORD);
    let url = format!("s3://{BUCKET}?endpoint={}&credentials={}", server.url(), path.display());
    let store = S3Store::open(&parsed(&url)).await.unwrap();
    assert_eq!(until(&store, Result::is_ok).await, Ok(()));
    write("another-secret");
    let told = until(&store, Result::is_err).await.expect_err("the server knows another one");
    assert!(told.contains("the secret key is not the access key's") && !told.contains("another-secret"), "{told}");
    write(PASSWORD);
    assert_eq!(until(&store, Result::is_ok).await, Ok(()));
    // Nonsense changes nothing.
    std::fs::write(&path, "[other]\n").unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(until(&store, Result::is_ok).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_goes_away_is_not_taken_for_missing_objects() {
    let server = server(Kind::VersityGw).await;
    let store = store(&server).await;
    std::fs::remove_dir_all(bucket_folder(&server)).unwrap();
    let object = name("some/object");
    for error in [
        store.head(&object).await.map(drop).unwrap_err(),
        store.read(&object, 10).await.map(drop).unwrap_err(),
        store.put(&object, vec![]).await.unwrap_err(),
        store.delete_prefix(&"some".parse().unwrap()).await.map(drop).unwrap_err(),
    ] {
        assert!(matches!(error, ObjectError::Unavailable { .. }), "{error:?}");
        assert!(words(&error).contains("bucket films does not exist"), "{}", words(&error));
        assert!(error.source().is_some());
    }
    let told = tokio::time::timeout(Duration::from_mins(1), refused(&url(&server, BUCKET))).await.unwrap();
    assert!(told.to_string().contains("does not exist"), "{told}");
}

/// Where versitygw keeps the bucket: a folder of its name.
fn bucket_folder(server: &vidstream_test_servers::Server) -> std::path::PathBuf {
    let mut folders = vec![server.folder()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_name() == BUCKET {
                return entry.path();
            }
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    panic!("the bucket has no folder");
}
