//! Request ids and expected revisions.

use crate::world::{World, reason, request_id};
use futures::future::join_all;
use vidstream_proto::error::Reason;
use vidstream_proto::pb;

fn create(id: &str) -> pb::CreateSourceRequest {
    pb::CreateSourceRequest { request_id: id.into(), file_name: "a.mp4".into(), size: 10, ..Default::default() }
}

fn retitle(id: &str, video: &str, title: &str) -> pb::UpdateEntryRequest {
    pb::UpdateEntryRequest {
        request_id: id.into(),
        video_id: video.into(),
        update_mask: Some(prost_types::FieldMask { paths: vec!["title".into()] }),
        title: title.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_repeated_creation_makes_one() {
    let mut world = World::start().await;
    let id = request_id();
    let first = world.client.create_source(create(&id)).await.unwrap().into_inner();
    let again = world.client.create_source(create(&id)).await.unwrap().into_inner();
    assert_eq!(first, again);
    let mut world = world.reopen().await;
    assert_eq!(world.client.create_source(create(&id)).await.unwrap().into_inner(), first);
    let other = pb::CreateSourceRequest { size: 11, ..create(&id) };
    assert_eq!(reason(world.client.create_source(other).await), Reason::RequestIdReused);
    let video = first.source.unwrap().video_ids[0].clone();
    assert_eq!(reason(world.client.update_entry(retitle(&id, &video, "b")).await), Reason::RequestIdReused);
    assert_eq!(world.list(pb::ListEntriesRequest::default()).await.entries.len(), 1);
}

#[tokio::test]
async fn a_creation_asked_many_times_at_once_makes_one() {
    let mut world = World::start().await;
    let id = request_id();
    let calls = (0..16).map(|_| {
        let (mut client, request) = (world.client.clone(), create(&id));
        tokio::spawn(async move { client.create_source(request).await.unwrap().into_inner() })
    });
    let answers: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(world.list(pb::ListEntriesRequest::default()).await.entries.len(), 1);
}

#[tokio::test]
async fn a_repeated_update_gets_the_first_answer() {
    let mut world = World::start().await;
    let video = world.create(10).await.video_ids[0].clone();
    let id = request_id();
    let first = world.client.update_entry(retitle(&id, &video, "one")).await.unwrap().into_inner();
    world.client.update_entry(retitle(&request_id(), &video, "two")).await.unwrap();
    let again = world.client.update_entry(retitle(&id, &video, "one")).await.unwrap().into_inner();
    assert_eq!(first, again);
    assert_eq!(world.video(&video).await.title, "two", "the repeat did nothing");
}

#[tokio::test]
async fn an_update_under_an_old_revision_is_refused() {
    let mut world = World::start().await;
    let video = world.create(10).await.video_ids[0].clone();
    let now = world.video(&video).await.revision;
    let update = |expected| pb::UpdateEntryRequest {
        expected_revision: Some(expected),
        ..retitle(&request_id(), &video, "mine")
    };
    world.client.update_entry(update(now)).await.unwrap();
    assert_eq!(reason(world.client.update_entry(update(now)).await), Reason::RevisionMismatch);
    let remove = pb::RemoveEntryRequest {
        request_id: request_id(),
        video_id: video.clone(),
        expected_revision: Some(now),
        ..Default::default()
    };
    assert_eq!(reason(world.client.remove_entry(remove).await), Reason::RevisionMismatch);
}

#[tokio::test]
async fn concurrent_updates_all_happen() {
    let mut world = World::start().await;
    let video = world.create(10).await.video_ids[0].clone();
    let before = world.video(&video).await.revision;
    let calls = (0..12).map(|n| {
        let (mut client, request) = (world.client.clone(), retitle(&request_id(), &video, &format!("t{n}")));
        tokio::spawn(async move { client.update_entry(request).await.unwrap() })
    });
    assert!(join_all(calls).await.into_iter().all(|answer| answer.is_ok()));
    assert_eq!(world.video(&video).await.revision, before + 12);
}

#[tokio::test]
async fn what_is_unknown_is_not_found() {
    let mut world = World::start().await;
    let unknown = request_id();
    assert_eq!(reason(world.try_video(&unknown).await), Reason::NotFound);
    assert_eq!(reason(world.client.update_entry(retitle(&request_id(), &unknown, "x")).await), Reason::NotFound);
    assert_eq!(reason(world.restore(&unknown).await), Reason::NotFound);
    assert_eq!(reason(world.remove(&unknown, std::time::Duration::ZERO).await), Reason::NotFound);
    assert_eq!(reason(world.complete(&unknown, [0; 32]).await), Reason::NotFound);
    assert_eq!(reason(world.record(&unknown, vec![]).await), Reason::NotFound);
    let retry = pb::RetryEntryRequest { request_id: request_id(), video_id: unknown, expected_revision: None };
    assert_eq!(reason(world.client.retry_entry(retry).await), Reason::NotFound);
}
