//! Originals written to S3 by `vidctl export`, read there by curl.

use crate::far::noise;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use vidstream_test_servers::{self as servers, Kind, Overheard, PASSWORD, USER};
use vidstream_tests::clips;
use vidstream_tests::judges::curl::{self, Answer};
use vidstream_tests::server::{Server, signal};
use vidstream_tests::vidctl::{Person, id};

const MIB: u64 = 1 << 20;
const BUCKET: &str = "exports";

/// S3 of somebody who has nothing to do with where the server keeps objects.
struct Elsewhere {
    store: servers::Server,
    relay: Overheard,
    _runtime: Runtime,
}

impl Elsewhere {
    fn start(kind: Kind) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let (store, relay) = runtime.block_on(async {
            let store = servers::Server::start(kind).await;
            store.make_bucket(BUCKET).await;
            let relay = Overheard::start(store.port()).await;
            (store, relay)
        });
        Self { store, relay, _runtime: runtime }
    }

    fn place(&self, key: &str) -> String {
        format!("s3://{BUCKET}/{key}?endpoint=http://127.0.0.1:{}&region=us-east-1", self.relay.port())
    }

    /// What curl, with the keys of S3, gets at `path` of the bucket.
    fn get(&self, path: &str) -> Answer {
        let (url, keys) = (format!("{}/{BUCKET}{path}", self.store.url()), format!("{USER}:{PASSWORD}"));
        // Some servers want to be told the sum of nothing.
        let sum = "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        curl::curl(&["--aws-sigv4", "aws:amz:us-east-1:s3", "--user", &keys, "-H", sum, &url])
    }

    /// `vidctl export`, with the keys where Amazon's own tools look for them.
    fn export(&self, server: &Server, video: &str, key: &str, more: &[&str]) -> Command {
        let place = self.place(key);
        let mut command = Person::of(server).command(&[&["export", video, &place], more].concat());
        command.env("AWS_ACCESS_KEY_ID", USER).env("AWS_SECRET_ACCESS_KEY", PASSWORD);
        command
    }

    /// Exports; the exit code and what was said.
    fn exported(&self, server: &Server, video: &str, key: &str, more: &[&str]) -> (i32, String) {
        let out = self.export(server, video, key, more).output().expect("vidctl runs");
        (out.status.code().unwrap_or(-1), String::from_utf8(out.stderr).expect("text"))
    }
}

#[test]
fn an_original_is_exported_as_one_object() {
    for kind in [Kind::Minio, Kind::VersityGw] {
        let elsewhere = Elsewhere::start(kind);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = Server::start();
        // In one request, in parts of which the last is full, and in parts of which the last is not.
        for size in [5 * MIB + 7, 32 * MIB, 40 * MIB + 1] {
            let (video, content) = noise(&server, folder.path(), size);
            let key = format!("films/{size}.bin");
            let (code, said) = elsewhere.exported(&server, &video, &key, &[]);
            assert_eq!(code, 0, "{kind:?}: {said}");
            assert!(
                said.contains(&format!("exported to s3://{BUCKET}/{key}")) && said.contains("BLAKE3 verified"),
                "{said}"
            );
            let found = elsewhere.get(&format!("/{key}"));
            assert_eq!(found.status, 200, "{kind:?}: {size} bytes");
            assert!(found.body == content, "{kind:?}: {size} bytes");
        }
        assert!(!elsewhere.get("?uploads").text().contains("<UploadId>"), "{kind:?}: parts are left");
    }
}

#[test]
fn an_object_that_is_there_stays_unless_it_is_to_be_replaced() {
    let elsewhere = Elsewhere::start(Kind::Minio);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start();
    let (video, content) = noise(&server, folder.path(), MIB);
    // A key that ends like a folder gets the file's name.
    assert_eq!(elsewhere.exported(&server, &video, "to/", &[]).0, 0);
    assert!(elsewhere.get("/to/noise.bin").body == content);

    // Nothing of a key is changed or taken for something else.
    assert_eq!(elsewhere.exported(&server, &video, "My film @ sea%20.bin", &[]).0, 0);
    assert!(elsewhere.get("/My%20film%20%40%20sea%2520.bin").body == content);

    let (other, newer) = noise(&server, folder.path(), 20 * MIB);
    elsewhere.relay.asked();
    let (code, said) = elsewhere.exported(&server, &other, "to/noise.bin", &[]);
    assert_eq!(code, 1);
    assert!(said.contains("s3://exports/to/noise.bin exists already") && said.contains("--replace"), "{said}");
    assert!(elsewhere.relay.asked().iter().all(|asked| matches!(&*asked.method, "HEAD" | "GET")), "nothing was sent");
    assert!(elsewhere.get("/to/noise.bin").body == content);
    assert_eq!(elsewhere.exported(&server, &other, "to/noise.bin", &["--replace"]).0, 0);
    assert!(elsewhere.get("/to/noise.bin").body == newer);
}

#[test]
fn an_export_that_ends_early_leaves_nothing() {
    let elsewhere = Elsewhere::start(Kind::Minio);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start();
    let (video, _) = noise(&server, folder.path(), 200 * MIB);
    let mut vidctl =
        elsewhere.export(&server, &video, "early.bin", &[]).stderr(Stdio::piped()).spawn().expect("vidctl runs");
    let begun = Instant::now();
    while !elsewhere.relay.asked().iter().any(|asked| asked.method == "PUT") {
        assert!(begun.elapsed() < Duration::from_mins(1), "no part was sent");
        std::thread::sleep(Duration::from_millis(5));
    }
    // It can't be finished before it hears that it is to end.
    elsewhere.store.freeze();
    signal(vidctl.id(), "INT");
    std::thread::sleep(Duration::from_millis(200));
    elsewhere.store.thaw();
    assert_eq!(vidctl.wait().expect("it ends").code(), Some(1));
    assert_eq!(elsewhere.get("/early.bin").status, 404);
    assert!(!elsewhere.get("?uploads").text().contains("<UploadId>"), "parts are left");
}

#[test]
fn what_can_not_be_exported_is_told() {
    let elsewhere = Elsewhere::start(Kind::Minio);
    let server = Server::start();
    let video = Person::of(&server).upload(&clips::clip("first.mp4"), "--wait=all");
    let video = id(&video);
    let run = |id: &str, place: &str| {
        let mut command = Person::of(&server).command(&["export", id, place]);
        let out = command.env("AWS_ACCESS_KEY_ID", "nobody").env("AWS_SECRET_ACCESS_KEY", "hidden-words").output();
        let out = out.expect("vidctl runs");
        let said = String::from_utf8(out.stderr).expect("text");
        assert!(!said.contains("hidden-words"), "{said}");
        (out.status.code().unwrap_or(-1), said)
    };
    for (place, code, words) in [
        ("file:/tmp/film.mp4", 2, "write s3://BUCKET/KEY"),
        ("s3://exports", 2, "write s3://BUCKET/KEY"),
        ("s3://a:hidden-words@exports/film?speed=high", 2, "known: endpoint"),
        (&elsewhere.place("film.mp4"), 1, "the access key is not known"),
    ] {
        let (ended, said) = run(video, place);
        assert!(ended == code && said.contains(words), "{place}: {ended}: {said}");
    }
    let (code, said) = elsewhere.exported(&server, video, &"k".repeat(1025), &[]);
    assert!(code == 2 && said.contains("1024 bytes"), "{code}: {said}");
    let nobody = elsewhere.place("film.mp4");
    assert_eq!(run("01890a5d-ac96-774b-bcce-b302099a8057", &nobody).0, 3);
    assert_eq!(Person::of(&server).run(&["rm", video]).0, 0);
    assert_eq!(run(video, &nobody).0, 3, "it was removed");
}
