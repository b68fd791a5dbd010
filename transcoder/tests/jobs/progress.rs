//! Progress as others see it.

use crate::clips::plain;
use crate::mesh::{Mesh, quick};
use std::collections::BTreeMap;
use tonic::Code;
use vidstream_proto::job::JobKind;
use vidstream_proto::pb::{self, PartState, Progress, Stage};
use vidstream_source::extents::GRANULE;

fn watch(mesh: &Mesh) -> pb::WatchSourceProgressRequest {
    let state = mesh.catalog.state();
    pb::WatchSourceProgressRequest {
        source_id: state.source.id.to_string(),
        video_id: state.source.video_ids[0].to_string(),
    }
}

/// Every message until the stream ends by itself.
async fn all(mut stream: tonic::Streaming<pb::WatchSourceProgressResponse>) -> Vec<Progress> {
    let mut said = Vec::new();
    while let Some(message) = stream.message().await.expect("it goes on") {
        said.push(message.progress.expect("progress"));
    }
    said
}

#[tokio::test]
async fn from_the_first_byte_to_the_last_part() {
    let mesh = Mesh::of(plain(), quick()).await;
    let request = watch(&mesh);
    let stream = mesh.client().watch_source_progress(request.clone()).await.expect("a stream").into_inner();
    let watched = tokio::spawn(all(stream));
    mesh.start();
    mesh.queue(JobKind::Ingest).await;
    let size = mesh.content.len() as u64;
    for start in (0..size).step_by(usize::try_from(GRANULE).expect("small")) {
        mesh.upload(start..size.min(start + GRANULE)).await;
        tokio::task::yield_now().await;
    }
    mesh.catalog.outcome(JobKind::Ingest).await.expect("an index");
    futures::join!(mesh.storyboard(), mesh.poster());
    let said = watched.await.expect("it ends by itself");

    let mut last: BTreeMap<i32, Progress> = BTreeMap::new();
    for now in said {
        assert_eq!(now.video_id, request.video_id);
        assert!((0.0..=100.0).contains(&now.percent), "{now:?}");
        if let Some(before) = last.insert(now.stage, now.clone()) {
            assert!(now.sequence > before.sequence || now.percent >= before.percent, "{before:?} then {now:?}");
        }
    }
    let ends: Vec<_> = last.values().map(|end| (end.stage(), end.state(), end.percent)).collect();
    let stages = [Stage::Upload, Stage::Index, Stage::Storyboard, Stage::Poster];
    assert_eq!(ends, stages.map(|stage| (stage, PartState::Ready, 100.0)));
}

#[tokio::test]
async fn what_is_over_is_said_once_and_that_is_all() {
    let mesh = Mesh::with(plain()).await;
    mesh.start();
    mesh.index().await;
    futures::join!(mesh.storyboard(), mesh.poster());
    let request = watch(&mesh);
    let stream = mesh.client().watch_source_progress(request).await.expect("a stream").into_inner();
    let said = all(stream).await;
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(said.iter().all(|said| said.state() == PartState::Ready && said.percent > 99.9), "{said:?}");
}

#[tokio::test]
async fn a_failure_ends_it_too() {
    let mesh = Mesh::with(vec![7; 100_000]).await;
    let request = watch(&mesh);
    let stream = mesh.client().watch_source_progress(request).await.expect("a stream").into_inner();
    mesh.start();
    mesh.outcome(JobKind::Ingest).await.expect_err("no video");
    let said = all(stream).await;
    let end = said.iter().rfind(|said| said.stage() == Stage::Index).expect("its end");
    assert_eq!(end.state(), PartState::Failed);
}

#[tokio::test]
async fn a_list_hears_of_every_source() {
    let mesh = Mesh::with(plain()).await;
    let mut stream =
        mesh.client().watch_all_progress(pb::WatchAllProgressRequest {}).await.expect("a stream").into_inner();
    mesh.start();
    mesh.queue(JobKind::Ingest).await;
    let request = watch(&mesh);
    loop {
        let heard = stream.message().await.expect("it goes on").expect("it has no end");
        assert_eq!((heard.source_id, heard.video_ids), (request.source_id.clone(), vec![request.video_id.clone()]));
        let progress = heard.progress.expect("progress");
        assert_eq!(progress.stage(), Stage::Index);
        if progress.state() == PartState::Ready {
            break;
        }
    }
}

#[tokio::test]
async fn streams_end_with_the_server() {
    let mesh = Mesh::of(plain(), quick()).await;
    let request = watch(&mesh);
    let mut one = mesh.client().watch_source_progress(request).await.expect("a stream").into_inner();
    let mut every =
        mesh.client().watch_all_progress(pb::WatchAllProgressRequest {}).await.expect("a stream").into_inner();
    assert!(one.message().await.expect("it begins").is_some());
    mesh.life.stopping().cancel();
    let end = loop {
        match one.message().await {
            Ok(message) => assert!(message.is_some(), "it does not end as if all were done"),
            Err(status) => break status,
        }
    };
    assert_eq!(end.code(), Code::Unavailable);
    assert_eq!(every.message().await.expect_err("its end").code(), Code::Unavailable);
}

#[tokio::test]
async fn what_is_no_id_is_refused() {
    let mesh = Mesh::of(plain(), quick()).await;
    let request = pb::WatchSourceProgressRequest { source_id: "../x".into(), video_id: String::new() };
    let refused = mesh.client().watch_source_progress(request).await.expect_err("no id");
    assert_eq!(refused.code(), Code::InvalidArgument);
}
