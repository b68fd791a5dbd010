//! Unfinished uploads end by themselves, and their bytes go with them.

use crate::deletion::{eventually, files};
use crate::kill::blake3_of_source;
use crate::upload::{GRANULE, MIB, bytes, chunk, client, complete, create, open};
use std::process::Stdio;
use tonic::Code;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::pb;
use vidstream_tests::clips;
use vidstream_tests::proxy::Proxy;
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

const SOON: [&str; 4] = ["--upload-expiry", "4s", "--write-deadline", "0s"];

#[tokio::test]
async fn an_unfinished_upload_expires_with_its_bytes() {
    let server = Server::with(&SOON);
    let person = Person::of(&server);
    let mut client = client(&server).await;
    let data = bytes(3 * GRANULE);
    let upload = create(&mut client, data.len()).await;
    let finished = create(&mut client, data.len()).await;
    client.put_chunk(chunk(&finished, 0, &data)).await.expect("durable");
    complete(&mut client, &finished, vec![]).await.expect("complete");
    client.put_chunk(chunk(&upload, 0, &data[..GRANULE])).await.expect("durable");
    eventually("its row goes", || person.run(&["get", &upload.video_id]).0 == 3);
    let gone = client.get_upload(pb::GetUploadRequest { upload_id: upload.id.clone() }).await.expect_err("gone");
    assert_eq!((gone.code(), Problem::from(gone).reason), (Code::NotFound, Reason::NotFound));
    let late = client.put_chunk(chunk(&upload, GRANULE, &data[GRANULE..])).await.expect_err("gone");
    assert_eq!(late.code(), Code::NotFound);
    let stream = client.stream_pieces(tokio_stream::iter([open(&upload)])).await;
    let ended = async { stream?.into_inner().message().await };
    assert_eq!(ended.await.expect_err("gone").code(), Code::NotFound);
    // What is finished stays: one extent.
    eventually("its objects go", || files(&server.data().join("objects/sources")) == 1);
    let (code, ..) = person.run(&["get", &finished.video_id]);
    assert_eq!(code, 0);
}

#[test]
fn vidctl_uploads_anew_what_expired() {
    let server = Server::with(&SOON);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = clips::noise(folder.path(), "noise.bin", 80 * MIB as u64);
    let path = file.to_str().expect("text");
    let proxy = Proxy::before(&server);
    let person = Person::at(&proxy.address);
    let mut command = person.command(&["upload", path]);
    let mut upload = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("vidctl starts");
    while proxy.passed() < 10 * MIB as u64 && upload.try_wait().expect("asked").is_none() {
        std::thread::yield_now();
    }
    upload.kill().expect("it runs");
    upload.wait().expect("it ends");
    assert!(person.unfinished_upload().is_some(), "it was in its midst");
    let old = person.json(&["list"]).remove(0);
    eventually("the unfinished one goes", || person.run(&["get", id(&old)]).0 == 3);
    let (code, out, errors) = person.run(&["--output", "json", "upload", path]);
    assert_eq!(code, 0, "{out}{errors}");
    assert!(errors.contains("uploading it anew"), "{errors}");
    let video: serde_json::Value = serde_json::from_str(out.trim()).expect("a video");
    assert_ne!(id(&video), id(&old));
    let expected = blake3::hash(&std::fs::read(&file).expect("readable"));
    assert_eq!(blake3_of_source(&server, id(&video)), expected);
}
