//! Two clients on one upload at once, and a file that is not what it was.

use crate::kill::blake3_of_source;
use crate::upload::{Client, GRANULE, MIB, bytes, client, complete, create, open, piece};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use vidstream_proto::pb;
use vidstream_tests::clips;
use vidstream_tests::proxy::Proxy;
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

/// Sends these pieces over a stream of its own, each of which must be acknowledged.
async fn send(mut client: Client, upload: pb::Upload, pieces: Vec<pb::StreamPiecesRequest>) {
    let (sender, messages) = mpsc::channel(1);
    tokio::spawn(async move {
        for message in std::iter::once(open(&upload)).chain(pieces) {
            sender.send(message).await.expect("the server takes it");
        }
    });
    let mut answers = client.stream_pieces(ReceiverStream::new(messages)).await.expect("opened").into_inner();
    while answers.message().await.expect("no problem").is_some() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_streams_with_interleaved_and_equal_pieces_make_one_file() {
    let server = Server::start();
    let client = client(&server).await;
    let data = bytes(33 * MIB + 999);
    let upload = create(&mut client.clone(), data.len()).await;
    let length = 3 * GRANULE;
    let every = |which: fn(usize) -> bool| -> Vec<_> {
        let starts = (0..data.len()).step_by(length).filter(|at| which(at / length));
        starts.map(|at| piece(at, &data[at..data.len().min(at + length)])).collect()
    };
    // Each piece goes up once, and every third by both.
    let (one, other) = (every(|n| n % 2 == 0 || n % 3 == 0), every(|n| n % 2 == 1 || n % 3 == 0));
    tokio::join!(send(client.clone(), upload.clone(), one), send(client.clone(), upload.clone(), other));
    complete(&mut client.clone(), &upload, blake3::hash(&data).as_bytes().to_vec()).await.expect("every byte is there");
    let found = tokio::task::spawn_blocking(move || blake3_of_source(&server, &upload.video_id)).await.expect("read");
    assert_eq!(found, blake3::hash(&data));
}

fn quiet(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("vidctl starts")
}

/// An upload whose client was killed in its midst.
fn interrupted(person: &Person, proxy: &Proxy, path: &str) {
    let mut upload = quiet(person.command(&["upload", path]));
    while proxy.passed() < 10 * MIB as u64 && upload.try_wait().expect("asked").is_none() {
        std::thread::yield_now();
    }
    upload.kill().expect("it runs");
    upload.wait().expect("it ends");
    assert!(person.unfinished_upload().is_some(), "it was in its midst");
}

#[test]
fn two_vidctls_finish_one_upload() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = clips::noise(folder.path(), "noise.bin", 70 * MIB as u64 + 5);
    let path = file.to_str().expect("text");
    let proxy = Proxy::before(&server);
    let person = Person::at(&proxy.address);
    interrupted(&person, &proxy, path);
    // The same person at another machine: what is remembered is there, its locks are not.
    let elsewhere = person.elsewhere();
    let both = [&person, &elsewhere].map(|person| quiet(person.command(&["upload", path])));
    for child in both {
        let out = child.wait_with_output().expect("it ends");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    let videos = person.json(&["list"]);
    assert_eq!(videos.len(), 1, "one upload, one video");
    let expected = blake3::hash(&std::fs::read(&file).expect("readable"));
    assert_eq!(blake3_of_source(&server, id(&videos[0])), expected);
    let (code, _, errors) = person.run(&["upload", path]);
    assert_eq!(code, 0, "both have forgotten it, so it is uploaded anew: {errors}");
    assert_eq!(person.json(&["list"]).len(), 2);
}

#[test]
fn two_vidctls_of_one_machine_do_not_send_one_file_twice() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = clips::noise(folder.path(), "noise.bin", 70 * MIB as u64);
    let path = file.to_str().expect("text");
    let proxy = Proxy::before(&server);
    let person = Person::at(&proxy.address);
    let first = quiet(person.command(&["upload", path]));
    while proxy.passed() == 0 {
        std::thread::yield_now();
    }
    // Stopped, so that it is in its midst for as long as it takes.
    vidstream_tests::server::signal(first.id(), "STOP");
    let (code, _, errors) = person.run(&["upload", path]);
    assert_eq!(code, 1);
    assert!(errors.contains("another vidctl is uploading"), "{errors}");
    vidstream_tests::server::signal(first.id(), "CONT");
    assert!(first.wait_with_output().expect("it ends").status.success());
    assert_eq!(person.json(&["list"]).len(), 1);
}

#[test]
fn a_changed_file_is_refused_until_its_upload_is_cleared() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = clips::noise(folder.path(), "noise.bin", 80 * MIB as u64);
    let path = file.to_str().expect("text");
    let proxy = Proxy::before(&server);
    let person = Person::at(&proxy.address);
    interrupted(&person, &proxy, path);
    let unfinished = person.json(&["list"]).remove(0);
    let mut changed = std::fs::read(&file).expect("readable");
    changed[20 * MIB] ^= 1;
    std::fs::write(&file, &changed).expect("written");
    let later = UNIX_EPOCH + Duration::from_secs(2_000_000_000);
    std::fs::File::options().write(true).open(&file).and_then(|file| file.set_modified(later)).expect("dated");
    let (code, out, errors) = person.run(&["upload", path]);
    assert_eq!((code, out.as_str()), (1, ""));
    let command = format!("vidctl rm {}", id(&unfinished));
    assert!(errors.contains(&command), "{errors}");
    assert_eq!(person.run(&["rm", id(&unfinished)]).0, 0);
    let (code, out, errors) = person.run(&["--output", "json", "upload", path]);
    assert_eq!(code, 0, "{errors}");
    let video: serde_json::Value = serde_json::from_str(out.trim()).expect("a video");
    assert_eq!(blake3_of_source(&server, id(&video)), blake3::hash(&changed));
}
