//! Creating, asking for and completing uploads.

use crate::world::{MIB, Stream, World, cut, pattern};
use bytes::Bytes;
use std::iter::once;
use tonic::Code;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::{RequestId, UploadId};
use vidstream_proto::pb;
use vidstream_proto::upload::GRANULE;
use vidstream_source::extents::{CELL, PAGE};

fn request(file_name: &str, size: u64) -> pb::CreateUploadRequest {
    let request_id = RequestId::generate().to_string();
    pb::CreateUploadRequest { request_id, file_name: file_name.into(), size, ..Default::default() }
}

async fn send(world: &World, upload: &pb::Upload, content: &Bytes) {
    let stream = Stream::open(world.uploads(), upload).await;
    stream.send_all(content, cut(content.len() as u64, MIB)).await.expect("no problem");
}

#[tokio::test]
async fn creating_again_gives_the_first_answer() {
    let world = World::new().await;
    let content = pattern(GRANULE);
    let wish = request("sea.mp4", GRANULE);
    let create = async || world.uploads().create_upload(wish.clone()).await.expect("created").into_inner().upload;
    let first = create().await.expect("an upload");
    assert_ne!(first.id, first.video_id);
    send(&world, &first, &content).await;
    let again = create().await.expect("an upload");
    assert_eq!((&again.id, &again.video_id), (&first.id, &first.video_id));
    assert_eq!(again.durable, [(0..GRANULE).into()], "and says what came since");
}

#[tokio::test]
async fn wrong_wishes_name_the_field() {
    let world = World::new().await;
    for (wish, field) in [
        (request("", 1), "file_name"),
        (request("a/b.mp4", 1), "file_name"),
        (request("sea.mp4", 0), "size"),
        (pb::CreateUploadRequest { blake3: vec![1], ..request("sea.mp4", 1) }, "blake3"),
        (pb::CreateUploadRequest { request_id: String::new(), ..request("sea.mp4", 1) }, "request_id"),
    ] {
        let status = world.uploads().create_upload(wish).await.expect_err(field);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(Problem::from(status).fields[0].field, field);
    }
}

#[tokio::test]
async fn what_is_durable_can_be_asked_for() {
    let world = World::new().await;
    // Three pages of records, of which the last two have some.
    let size = 2 * PAGE + CELL;
    let upload = world.create_with_sum(size, Vec::new()).await;
    let data = pattern(MIB);
    let mut expected = Vec::new();
    for start in [PAGE, PAGE + 2 * CELL, 2 * PAGE] {
        let chunk = pb::PutChunkRequest {
            upload_id: upload.id.clone(),
            offset: start,
            crc32c: crc32c::crc32c(&data),
            data: data.clone(),
        };
        world.uploads().put_chunk(chunk).await.expect("no problem");
        expected.push(start..start + MIB);
    }
    assert_eq!(world.durable(&upload).await, expected.into_iter().collect());
    let ask = async |id: &str| world.uploads().get_upload(pb::GetUploadRequest { upload_id: id.into() }).await;
    let missing = ask(&UploadId::generate().to_string()).await.expect_err("unknown");
    assert_eq!(missing.code(), Code::NotFound);
    assert_eq!(ask("x").await.expect_err("no id").code(), Code::InvalidArgument);
}

#[tokio::test]
async fn missing_bytes_are_named() {
    let world = World::new().await;
    let content = pattern(CELL + 5);
    let upload = world.create(&content).await;
    let stream = Stream::open(world.uploads(), &upload).await;
    stream.send_all(&content, once(MIB..2 * MIB)).await.expect("no problem");
    let problem = world.complete(&upload, &[]).await.expect_err("bytes are missing");
    assert_eq!((problem.reason, problem.reason.code()), (Reason::BytesMissing, Code::FailedPrecondition));
    let named: Vec<&str> = problem.fields.iter().map(|field| field.description.as_str()).collect();
    assert_eq!(named, ["lacks 0..1048576".to_owned(), format!("lacks 2097152..{}", CELL + 5)]);
    send(&world, &upload, &content).await;
    world.assert_whole(&upload, &content).await;
}

#[tokio::test]
async fn a_wrong_sum_leaves_the_upload_open() {
    let world = World::new().await;
    let content = pattern(2 * CELL + 1);
    let upload = world.create(&content).await;
    send(&world, &upload, &content).await;
    let problem = world.complete(&upload, &[7; 32]).await.expect_err("another sum");
    assert_eq!((problem.reason, problem.reason.code()), (Reason::ChecksumMismatch, Code::DataLoss));
    assert!(problem.message.contains(blake3::hash(&content).to_hex().as_str()), "{}", problem.message);
    world.assert_whole(&upload, &content).await;
}

#[tokio::test]
async fn a_sum_given_at_creation_is_verified() {
    let world = World::new().await;
    let content = pattern(3 * GRANULE);
    let right = world.create_with_sum(3 * GRANULE, blake3::hash(&content).as_bytes().to_vec()).await;
    let wrong = world.create_with_sum(3 * GRANULE, vec![7; 32]).await;
    send(&world, &right, &content).await;
    send(&world, &wrong, &content).await;
    world.complete(&right, &[]).await.expect("its own sum");
    assert_eq!(world.complete(&wrong, &[]).await.expect_err("another").reason, Reason::ChecksumMismatch);
}

#[tokio::test]
async fn completing_again_is_harmless() {
    let world = World::new().await;
    let content = pattern(GRANULE + 1);
    let upload = world.create(&content).await;
    send(&world, &upload, &content).await;
    let (one, two) = tokio::join!(world.complete(&upload, &[]), world.complete(&upload, &[]));
    assert_eq!(one.expect("complete"), two.expect("complete"));
    world.assert_whole(&upload, &content).await;
    assert_eq!(world.complete(&upload, &[7; 32]).await.expect_err("another sum").reason, Reason::ChecksumMismatch);
    let found = world.uploads().get_upload(pb::GetUploadRequest { upload_id: upload.id.clone() }).await;
    let found = found.expect("found").into_inner().upload.expect("an upload");
    assert_eq!((found.state(), found.durable), (pb::UploadState::Complete, vec![(0..GRANULE + 1).into()]));
    let stranger = pb::Upload { id: UploadId::generate().to_string(), ..upload };
    assert_eq!(world.complete(&stranger, &[]).await.expect_err("unknown").reason, Reason::NotFound);
}

#[tokio::test]
async fn files_of_any_odd_size_are_summed() {
    let world = World::new().await;
    for size in [1, 1024, GRANULE - 1, GRANULE, GRANULE + 1, CELL - 1, CELL, CELL + GRANULE, 2 * CELL] {
        let content = pattern(size);
        let upload = world.create(&content).await;
        send(&world, &upload, &content).await;
        world.assert_whole(&upload, &content).await;
    }
}
