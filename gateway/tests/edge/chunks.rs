//! Chunks: the unary call, and `PUT`.

use crate::world::{MIB, World, at, chunk, cut, granules, pattern, piece, ranges};
use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE};
use http::{Request, Response, StatusCode};
use std::ops::Range;
use tonic::Code;
use tower::ServiceExt;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::UploadId;
use vidstream_proto::pb;
use vidstream_proto::upload::GRANULE;
use vidstream_source::extents::CELL;

async fn put_chunk(world: &World, request: pb::PutChunkRequest) -> Result<pb::PutChunkResponse, Problem> {
    Ok(world.uploads().put_chunk(request).await?.into_inner())
}

#[tokio::test]
async fn chunks_in_parallel_and_any_order_make_the_file() {
    let world = World::new().await;
    let content = pattern(2 * CELL + 3 * MIB + 9);
    let upload = world.create(&content).await;
    let mut chunks = cut(content.len() as u64, 5 * MIB);
    chunks.reverse();
    let answers = chunks.iter().map(|range| put_chunk(&world, chunk(&upload, &content, range.clone())));
    for answer in futures::future::join_all(answers).await {
        answer.expect("no problem");
    }
    let again = put_chunk(&world, chunk(&upload, &content, 0..CELL)).await.expect("a repeat");
    assert_eq!(ranges(&again.durable), (0..content.len() as u64).into());
    world.assert_whole(&upload, &content).await;
}

#[tokio::test]
async fn an_answer_has_all_that_is_durable_and_wanted() {
    let world = World::new().await;
    let content = pattern(2 * CELL);
    let upload = world.create(&content).await;
    world.catalog.want(&upload.id, vec![granules(200..201).into()]);
    let first = put_chunk(&world, chunk(&upload, &content, CELL..CELL + MIB)).await.expect("no problem");
    assert_eq!((ranges(&first.durable), first.wants.len()), ((CELL..CELL + MIB).into(), 1));
    let second = put_chunk(&world, chunk(&upload, &content, 0..MIB)).await.expect("no problem");
    assert_eq!(ranges(&second.durable), [0..MIB, CELL..CELL + MIB].into_iter().collect());
    let repeat = put_chunk(&world, chunk(&upload, &content, 0..MIB)).await.expect("no problem");
    assert_eq!(repeat, second, "though nothing was recorded");
}

#[tokio::test]
async fn each_mistake_has_its_error() {
    let world = World::new().await;
    let content = pattern(CELL + 5);
    let upload = world.create(&content).await;
    let good = || chunk(&upload, &content, 0..GRANULE);
    let of = |offset: u64, data: Bytes| pb::PutChunkRequest { offset, crc32c: crc32c::crc32c(&data), data, ..good() };
    let refused = async |request| {
        let reason = put_chunk(&world, request).await.expect_err("refused").reason;
        (reason, reason.code())
    };
    let stranger = pb::PutChunkRequest { upload_id: UploadId::generate().to_string(), ..good() };
    assert_eq!(refused(stranger).await, (Reason::NotFound, Code::NotFound));
    assert_eq!(refused(pb::PutChunkRequest { upload_id: String::new(), ..good() }).await.0, Reason::InvalidArgument);
    assert_eq!(refused(of(1, content.slice(..5))).await.0, Reason::InvalidOffset);
    assert_eq!(refused(of(0, content.slice(..5))).await.0, Reason::InvalidOffset);
    assert_eq!(refused(of(CELL, pattern(6))).await.0, Reason::TooManyBytes, "past the file's end");
    assert_eq!(refused(of(0, pattern(CELL + GRANULE))).await.0, Reason::TooManyBytes, "more than 8 MiB");
    assert_eq!(refused(pb::PutChunkRequest { crc32c: 7, ..good() }).await.0, Reason::ChecksumMismatch);
    put_chunk(&world, good()).await.expect("no problem");
    let other = pattern(GRANULE + 8).slice(8..);
    assert_eq!(refused(of(0, other)).await, (Reason::BytesDiffer, Code::Aborted));
    world.catalog.kill(&upload.id);
    assert_eq!(refused(good()).await.0, Reason::NotFound);
}

#[tokio::test]
async fn only_uploads_take_large_messages() {
    let world = World::new().await;
    let content = pattern(CELL);
    let upload = world.create(&content).await;
    put_chunk(&world, chunk(&upload, &content, 0..CELL)).await.expect("8 MiB");
    let huge = pb::PutChunkRequest { data: pattern(17 * MIB), ..chunk(&upload, &content, 0..GRANULE) };
    let status = world.uploads().put_chunk(huge).await.expect_err("17 MiB");
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    let long = pb::GetVideoRequest { video_id: "x".repeat(at(5 * MIB)) };
    let status = world.videos().get_video(long).await.expect_err("5 MiB");
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
}

fn digest(data: &[u8]) -> String {
    format!("crc32c=:{}:", STANDARD.encode(crc32c::crc32c(data).to_be_bytes()))
}

fn address(upload: &pb::Upload, offset: u64) -> String {
    format!("/uploads/{}/bytes?offset={offset}", upload.id)
}

fn put(address: &str, digest: &str, body: impl Into<Body>) -> Request<Body> {
    Request::put(address).header("Content-Digest", digest).body(body.into()).expect("a request")
}

/// Status, media type and JSON of the answer.
async fn answered(world: &World, request: Request<Body>) -> (StatusCode, String, serde_json::Value) {
    let response: Response<Body> = world.router().oneshot(request).await.expect("infallible");
    let (parts, body) = response.into_parts();
    let kind = parts.headers[CONTENT_TYPE].to_str().expect("text").to_owned();
    let bytes = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    (parts.status, kind, serde_json::from_slice(&bytes).expect("JSON"))
}

#[tokio::test]
async fn a_file_is_put_over_http() {
    let world = World::new().await;
    let content = pattern(CELL + 2 * MIB + 3);
    let upload = world.create(&content).await;
    world.catalog.want(&upload.id, vec![granules(1..2).into()]);
    for Range { start, end } in cut(content.len() as u64, CELL).into_iter().rev() {
        let data = content.slice(at(start)..at(end));
        let (status, kind, json) = answered(&world, put(&address(&upload, start), &digest(&data), data)).await;
        assert_eq!((status, kind.as_str()), (StatusCode::OK, "application/json"), "{json}");
        assert_eq!(json["durable"][0]["start"], start.to_string());
        assert_eq!(json["wants"][0]["end"], (2 * GRANULE).to_string());
    }
    world.assert_whole(&upload, &content).await;
}

#[tokio::test]
async fn each_mistake_of_a_put_has_its_problem() {
    let world = World::new().await;
    let content = pattern(CELL + GRANULE);
    let upload = world.create(&content).await;
    let data = content.slice(..at(GRANULE));
    let sum = digest(&data);
    let at_start = address(&upload, 0);
    let refused = async |request: Request<Body>| {
        let (status, kind, json) = answered(&world, request).await;
        assert_eq!(kind, "application/problem+json");
        assert_eq!(json["status"], status.as_u16());
        (status.as_u16(), json["reason"].as_str().expect("a reason").to_owned())
    };
    let is = |status: u16, reason: Reason| (status, reason.as_str().to_owned());
    let base = format!("/uploads/{}/bytes", upload.id);
    let without = Request::put(&at_start).body(Body::from(data.clone())).expect("a request");
    assert_eq!(refused(without).await, is(400, Reason::InvalidArgument));
    assert_eq!(refused(put(&at_start, "crc32c=abc", data.clone())).await, is(400, Reason::InvalidArgument));
    assert_eq!(refused(put(&at_start, &digest(b"x"), data.clone())).await, is(400, Reason::ChecksumMismatch));
    for query in ["", "?offset=", "?offset=x", "?offset=-1", "?offset=+1", "?offset=99999999999999999999"] {
        let request = put(&format!("{base}{query}"), &sum, data.clone());
        assert_eq!(refused(request).await, is(400, Reason::InvalidArgument), "{query}");
    }
    assert_eq!(refused(put(&address(&upload, 5), &sum, data.clone())).await, is(400, Reason::InvalidOffset));
    let odd = &data[..5];
    assert_eq!(refused(put(&at_start, &digest(odd), odd.to_vec())).await, is(400, Reason::InvalidOffset));
    assert_eq!(refused(put(&at_start, &digest(b""), Body::empty())).await, is(400, Reason::InvalidOffset));
    let past = refused(put(&address(&upload, 2 * CELL), &sum, data.clone()));
    assert_eq!(past.await, is(413, Reason::TooManyBytes));
    for id in [UploadId::generate().to_string().as_str(), "x", "%2e%2e"] {
        let request = put(&format!("/uploads/{id}/bytes?offset=0"), &sum, data.clone());
        assert_eq!(refused(request).await, is(404, Reason::NotFound), "{id}");
    }
    assert_eq!(answered(&world, put(&at_start, &sum, data.clone())).await.0, StatusCode::OK);
    let other = pattern(GRANULE + 8).slice(8..);
    assert_eq!(refused(put(&at_start, &digest(&other), other)).await, is(409, Reason::BytesDiffer));
}

#[tokio::test]
async fn a_long_body_is_refused_before_it_is_here() {
    let world = World::new().await;
    let content = pattern(2 * CELL);
    let upload = world.create(&content).await;
    let announced = Request::put(address(&upload, 0))
        .header("Content-Digest", digest(b""))
        .header(CONTENT_LENGTH, CELL + 1)
        // A body that never comes: who reads it hangs.
        .body(Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>()))
        .expect("a request");
    assert_eq!(answered(&world, announced).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let endless = stream::repeat(pattern(MIB)).map(Ok::<_, std::io::Error>);
    let (status, _, json) = answered(&world, put(&address(&upload, 0), &digest(b""), Body::from_stream(endless))).await;
    assert_eq!((status, &json["reason"]), (StatusCode::PAYLOAD_TOO_LARGE, &"TOO_MANY_BYTES".into()));
    let broken = stream::iter([Ok(pattern(MIB)), Err(std::io::Error::other("the line broke"))]);
    let (status, ..) = answered(&world, put(&address(&upload, 0), &digest(b""), Body::from_stream(broken))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(world.catalog.extents(&upload.id).is_empty());
}

#[tokio::test]
async fn a_complete_upload_takes_no_more() {
    let world = World::new().await;
    let content = pattern(GRANULE);
    let upload = world.create(&content).await;
    put_chunk(&world, chunk(&upload, &content, 0..GRANULE)).await.expect("no problem");
    world.assert_whole(&upload, &content).await;
    let refused = put_chunk(&world, chunk(&upload, &content, 0..GRANULE)).await.expect_err("complete");
    assert_eq!(refused.reason, Reason::UploadComplete);
    let (status, _, json) = answered(&world, put(&address(&upload, 0), &digest(&content), content.clone())).await;
    assert_eq!((status, &json["reason"]), (StatusCode::CONFLICT, &"UPLOAD_COMPLETE".into()));
}

#[tokio::test]
async fn other_methods_are_refused_in_words() {
    let world = World::new().await;
    let upload = world.create(&pattern(5)).await;
    let request = Request::post(address(&upload, 0)).body(Body::empty()).expect("a request");
    let response = world.router().oneshot(request).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()[ALLOW], "PUT");
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
}

/// A browser's way: grpc-web over HTTP/1.1.
#[tokio::test]
async fn grpc_web_sends_chunks() {
    use prost::Message;
    let world = World::new().await;
    let content = pattern(GRANULE);
    let upload = world.create(&content).await;
    let message = chunk(&upload, &content, 0..GRANULE).encode_to_vec();
    let length = u32::try_from(message.len()).expect("small").to_be_bytes();
    let body = [&[0][..], &length, &message].concat();
    let request = Request::post("/vidstream.v1.UploadService/PutChunk")
        .header(CONTENT_TYPE, "application/grpc-web+proto")
        .body(Body::from(body))
        .expect("a request");
    let response = world.router().oneshot(request).await.expect("infallible");
    assert_eq!(response.headers()[CONTENT_TYPE], "application/grpc-web+proto");
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    let length = u32::from_be_bytes(body[1..5].try_into().expect("four bytes")) as usize;
    let answer = pb::PutChunkResponse::decode(&body[5..5 + length]).expect("an answer");
    assert_eq!(ranges(&answer.durable), (0..GRANULE).into());
    let trailers = &body[5 + length..];
    assert_eq!(trailers[0], 0x80, "trailers follow");
    assert!(trailers[5..].starts_with(b"grpc-status:0"), "{:?}", String::from_utf8_lossy(trailers));
    let sum = piece(&content, 0..GRANULE).crc32c;
    assert_eq!(world.catalog.extents(&upload.id)[0].crc32c(), sum);
}
