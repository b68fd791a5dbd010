//! Room on the disk: promised before an upload is accepted, and what happens when it is gone all the same.

use crate::kill::blake3_of_source;
use crate::upload::{Client, MIB, bytes, chunk, client, complete, create, open, piece};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tonic::{Code, Status};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::RequestId;
use vidstream_proto::pb;
use vidstream_tests::clips;
use vidstream_tests::proxy::Proxy;
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

async fn try_create(client: &mut Client, size: u64) -> Result<pb::Upload, Status> {
    let request = pb::CreateUploadRequest {
        request_id: RequestId::generate().to_string(),
        file_name: "large.bin".into(),
        size,
        ..Default::default()
    };
    Ok(client.create_upload(request).await?.into_inner().upload.expect("an upload"))
}

/// What statfs(2) says is free where `path` is, bytes. (`df` looks into the mounts of its own namespace.)
fn free(path: &Path) -> u64 {
    let out = Command::new("stat").args(["--file-system", "--format=%a %S"]).arg(path).output().expect("stat runs");
    let text = String::from_utf8(out.stdout).expect("text");
    text.split_whitespace().map(|number| number.parse::<u64>().expect("a number")).product()
}

#[tokio::test]
async fn uploads_that_do_not_fit_together_are_refused() {
    let server = Server::start();
    let mut client = client(&server).await;
    let free = free(&server.data());
    let refused = try_create(&mut client, free).await.expect_err("some is kept for the rest");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let problem = Problem::from(refused);
    assert_eq!(problem.reason, Reason::NoSpace);
    assert!(problem.message.contains("there is no room for"), "{}", problem.message);
    let large = try_create(&mut client, free / 10 * 6).await.expect("it fits");
    let second = try_create(&mut client, free / 10 * 6).await.expect_err("not beside the first");
    assert_eq!(Problem::from(second).reason, Reason::NoSpace);
    let small = try_create(&mut client, MIB as u64).await.expect("a small one does");
    assert_ne!(small.id, large.id);
    let (code, _, errors) = Person::of(&server).run(&["rm", &large.video_id, "--purge-after", "0s"]);
    assert_eq!(code, 0, "{errors}");
    // It owes nothing from when its source dies on; the sweep is not waited for.
    while let Err(status) = try_create(&mut client, free / 10 * 6).await {
        assert_eq!(Problem::from(status).reason, Reason::NoSpace);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn vidctl_says_that_there_is_no_room() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("sparse.bin");
    let size = free(&server.data());
    std::fs::File::create(&file).and_then(|file| file.set_len(size)).expect("a file of holes");
    let (code, out, errors) = Person::of(&server).run(&["upload", file.to_str().expect("text")]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(errors.contains("there is no room for"), "{errors}");
}

/// Mounts a disk of 64 MiB of memory where the server's data is, in a mount namespace of the server's own. Root in a user
/// namespace suffices, so nobody has to be root.
const SMALL_DISK: [&str; 6] = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"];
const MOUNT: &str = "mkdir -p \"$4\" && mount -t tmpfs -o size=64m tmpfs \"$4\" && exec \"$0\" \"$@\"";

/// A server on a small disk and where its data is seen from here.
fn on_small_disk() -> (Server, PathBuf) {
    let probe = "mount -t tmpfs -o size=1m tmpfs /mnt";
    let out = Command::new(SMALL_DISK[0]).args(&SMALL_DISK[1..]).arg(probe).output().expect("unshare runs");
    let words = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "a small disk can't be mounted here; allow user namespaces: {words}");
    let server = Server::within(&[&SMALL_DISK[..], &[MOUNT]].concat(), &[]);
    let data = server.data();
    let seen = PathBuf::from(format!("/proc/{}/root", server.id())).join(data.strip_prefix("/").expect("absolute"));
    eprintln!("a server on a disk of 64 MiB, of which {} MiB are free", free(&seen) >> 20);
    (server, seen)
}

/// Fills the disk but for `left` bytes.
fn fill(data: &Path, left: u64) -> PathBuf {
    let ballast = data.join("ballast");
    let free = free(data);
    assert!(free < 64 * MIB as u64, "not the small disk: {free} bytes are free");
    let size = usize::try_from(free - left).expect("small");
    std::fs::write(&ballast, vec![1; size]).expect("there is room for it");
    ballast
}

fn sum(ranges: &[pb::ByteRange]) -> u64 {
    ranges.iter().map(|range| range.end - range.start).sum()
}

#[test]
fn vidctl_goes_on_when_a_full_disk_has_room_again() {
    let (server, data) = on_small_disk();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = clips::noise(folder.path(), "noise.bin", 40 * MIB as u64);
    let path = file.to_str().expect("text");
    // Accepted while there is room, which then goes to somebody else.
    let proxy = Proxy::before(&server);
    let person = Person::at(&proxy.address);
    let mut upload =
        person.command(&["upload", path]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("vidctl starts");
    while proxy.passed() < 4 * MIB as u64 && upload.try_wait().expect("asked").is_none() {
        std::thread::yield_now();
    }
    upload.kill().expect("it runs");
    upload.wait().expect("it ends");
    let ballast = fill(&data, 12 * MIB as u64);
    let (code, out, errors) = person.run(&["upload", path]);
    assert_eq!((code, out.as_str()), (1, ""), "{errors}");
    assert!(errors.contains("no space is left") || errors.contains("disk is full"), "{errors}");
    let unfinished = person.unfinished_upload();
    assert!(unfinished.is_some(), "it is remembered");
    std::fs::remove_file(ballast).expect("it is there");
    let (code, out, errors) = person.run(&["--output", "json", "upload", path]);
    assert_eq!(code, 0, "{errors}");
    assert!(errors.contains("continuing the upload"), "{errors}");
    let video: serde_json::Value = serde_json::from_str(out.trim()).expect("a video");
    let expected = blake3::hash(&std::fs::read(&file).expect("readable"));
    assert_eq!(blake3_of_source(&server, id(&video)), expected);
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let (server, seen) = on_small_disk();
    let mut client = client(&server).await;
    let data = bytes(40 * MIB);
    let upload = create(&mut client, data.len()).await;
    let second = try_create(&mut client, 30 * MIB as u64).await.expect_err("not beside the first");
    assert_eq!(Problem::from(second).reason, Reason::NoSpace);
    let ballast = fill(&seen, 20 * MIB as u64);
    let messages = (0..40).map(|at| piece(at * MIB, &data[at * MIB..(at + 1) * MIB]));
    let messages: Vec<_> = std::iter::once(open(&upload)).chain(messages).collect();
    let mut answers = client.stream_pieces(tokio_stream::iter(messages)).await.expect("opened").into_inner();
    let mut acknowledged = Vec::new();
    let refused = loop {
        match answers.message().await {
            Ok(Some(answer)) => acknowledged.extend(answer.durable),
            Ok(None) => panic!("40 MiB do not fit into 20"),
            Err(status) => break status,
        }
    };
    assert_eq!((refused.code(), Problem::from(refused).reason), (Code::ResourceExhausted, Reason::NoSpace));
    let request = pb::GetUploadRequest { upload_id: upload.id.clone() };
    let now = client.get_upload(request.clone()).await.expect("it answers").into_inner().upload.expect("an upload");
    assert!(sum(&now.durable) < 40 * MIB as u64);
    for range in &acknowledged {
        let kept = now.durable.iter().any(|kept| kept.start <= range.start && range.end <= kept.end);
        assert!(kept, "{range:?} was acknowledged, there is {:?}", now.durable);
    }
    let chunked = client.put_chunk(chunk(&upload, 32 * MIB, &data[32 * MIB..])).await.expect_err("still full");
    assert_eq!(Problem::from(chunked).reason, Reason::NoSpace);
    std::fs::remove_file(ballast).expect("it is there");
    for at in (0..40 * MIB).step_by(8 * MIB) {
        client.put_chunk(chunk(&upload, at, &data[at..at + 8 * MIB])).await.expect("there is room");
    }
    complete(&mut client, &upload, blake3::hash(&data).as_bytes().to_vec()).await.expect("every byte is there");
    let video = upload.video_id;
    let found = tokio::task::spawn_blocking(move || blake3_of_source(&server, &video)).await.expect("read");
    assert_eq!(found, blake3::hash(&data));
}
