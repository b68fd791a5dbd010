//! Captions that people add: what the row says of them, and when their objects are garbage.

use crate::world::{World, reason, request_id};
use futures::StreamExt;
use futures::future::join_all;
use std::collections::BTreeSet;
use std::time::Duration;
use vidstream_catalog::Config;
use vidstream_proto::error::Reason;
use vidstream_proto::ids::CaptionsId;
use vidstream_proto::pb::{self, collect_objects_response::Event};

fn captions(language: &str, label: &str) -> pb::Captions {
    let id = CaptionsId::generate().to_string();
    pb::Captions { id, language: language.into(), label: label.into(), cues: 3, size: 70, forced: false }
}

fn add(video: &str, captions: &pb::Captions) -> pb::AddEntryCaptionsRequest {
    pb::AddEntryCaptionsRequest {
        request_id: request_id(),
        video_id: video.into(),
        captions: Some(captions.clone()),
        expected_revision: None,
    }
}

fn remove(video: &str, captions: &str) -> pb::RemoveEntryCaptionsRequest {
    pb::RemoveEntryCaptionsRequest {
        request_id: request_id(),
        video_id: video.into(),
        captions_id: captions.into(),
        expected_revision: None,
    }
}

impl World {
    /// Ids and labels of a video's captions.
    async fn captions(&mut self, video: &str) -> Vec<pb::Captions> {
        self.video(video).await.captions
    }
}

#[tokio::test]
async fn captions_come_go_and_replace_each_other() {
    let mut world = World::start().await;
    let video = world.create(10).await.video_ids[0].clone();
    let [en, de, other] =
        [captions("en", "English"), captions("de", "Deutsch"), captions("en", "English, for the deaf")];
    for one in [&en, &de, &other] {
        world.client.add_entry_captions(add(&video, one)).await.unwrap();
    }
    let better = captions("en", "English");
    let revision = world.video(&video).await.revision;
    let answer = world.client.add_entry_captions(add(&video, &better)).await.unwrap().into_inner();
    let shown = answer.entry.unwrap().video.unwrap();
    assert_eq!(shown.captions, [better.clone(), de.clone(), other.clone()]);
    assert!(shown.revision > revision);
    // The first ones are gone already.
    assert_eq!(reason(world.client.remove_entry_captions(remove(&video, &en.id)).await), Reason::NotFound);
    world.client.remove_entry_captions(remove(&video, &de.id)).await.unwrap();
    assert_eq!(world.captions(&video).await, [better.clone(), other.clone()]);
    let mut world = world.reopen().await;
    assert_eq!(world.captions(&video).await, [better, other]);
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_nobody_is_overtaken() {
    let mut world = World::start().await;
    let video = world.create(10).await.video_ids[0].clone();
    let request = add(&video, &captions("en", "English"));
    let first = world.client.add_entry_captions(request.clone()).await.unwrap().into_inner();
    let id = first.entry.as_ref().unwrap().video.as_ref().unwrap().captions[0].id.clone();
    world.client.remove_entry_captions(remove(&video, &id)).await.unwrap();
    assert_eq!(world.client.add_entry_captions(request.clone()).await.unwrap().into_inner(), first);
    assert_eq!(world.captions(&video).await, [], "the repeat did nothing");
    let other = pb::AddEntryCaptionsRequest { captions: Some(captions("de", "Deutsch")), ..request };
    assert_eq!(reason(world.client.add_entry_captions(other).await), Reason::RequestIdReused);
    let late = pb::AddEntryCaptionsRequest { expected_revision: Some(1), ..add(&video, &captions("de", "Deutsch")) };
    assert_eq!(reason(world.client.add_entry_captions(late).await), Reason::RevisionMismatch);
}

#[tokio::test]
async fn many_at_once_are_all_there_up_to_the_most() {
    let mut world = World::start().await;
    let video = world.create(10).await.video_ids[0].clone();
    let calls = (0..64).map(|n| {
        let (mut client, request) = (world.client.clone(), add(&video, &captions("en", &format!("{}", n / 2))));
        tokio::spawn(async move { client.add_entry_captions(request).await.map(drop) })
    });
    assert!(join_all(calls).await.into_iter().all(|done| done.unwrap().is_ok()));
    let there = world.captions(&video).await;
    let labels: BTreeSet<_> = there.iter().map(|captions| captions.label.clone()).collect();
    assert_eq!((there.len(), labels.len()), (32, 32), "of two with one label one is left");
    for n in 32..64 {
        world.client.add_entry_captions(add(&video, &captions("en", &format!("{n}")))).await.unwrap();
    }
    let more = world.client.add_entry_captions(add(&video, &captions("fr", "one more"))).await;
    assert_eq!(reason(more), Reason::ResourceExhausted);
    world.client.add_entry_captions(add(&video, &captions("en", "63"))).await.unwrap();
}

#[tokio::test]
async fn objects_of_captions_that_are_no_more_are_garbage() {
    let mut world = World::still(Config::default()).await;
    let source = world.uploaded().await;
    let video = source.video_ids[0].clone();
    let at = |captions: &pb::Captions| format!("sources/{}/captions/{}.vtt", source.id, captions.id);
    let [kept, replaced, never] = [captions("de", "Deutsch"), captions("en", "English"), captions("fr", "Français")];
    for one in [&kept, &replaced, &captions("en", "English")] {
        world.client.add_entry_captions(add(&video, one)).await.unwrap();
    }
    for one in [&kept, &replaced, &never] {
        world.plant(&at(one), Duration::from_hours(1)).await;
    }
    let mut collected = async || {
        let request = pb::CollectObjectsRequest::default();
        let mut events = world.client.collect_objects(request).await.unwrap().into_inner();
        let mut found = BTreeSet::new();
        while let Some(event) = events.next().await {
            if let Event::Found(garbage) = event.unwrap().event.unwrap() {
                found.insert(garbage.name);
            }
        }
        found
    };
    assert_eq!(collected().await, BTreeSet::new(), "somebody may be reading what was replaced just now");
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(10)).await;
    tokio::time::resume();
    assert_eq!(collected().await, BTreeSet::from([at(&replaced), at(&never)]));
    assert!(world.is_there(&at(&kept)));
}
