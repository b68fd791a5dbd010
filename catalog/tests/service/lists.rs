//! Lists, their order, pages, filters and words.

use crate::world::{World, reason, request_id};
use std::time::Duration;
use vidstream_proto::error::Reason;
use vidstream_proto::pb::{self, VideoOrder, VideoState};

fn titles(list: &pb::ListEntriesResponse) -> Vec<&str> {
    list.entries.iter().map(|entry| entry.video.as_ref().unwrap().title.as_str()).collect()
}

/// All pages, each of `page_size`.
async fn all(world: &mut World, list: &pb::ListEntriesRequest, page_size: u32) -> Vec<String> {
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = world.list(pb::ListEntriesRequest { page_size, page_token, ..list.clone() }).await;
        assert!(page.entries.len() <= page_size as usize);
        found.extend(titles(&page).into_iter().map(str::to_owned));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return found;
        }
    }
}

async fn tag(world: &mut World, video: &str, tags: &[&str]) {
    let request = pb::UpdateEntryRequest {
        request_id: request_id(),
        video_id: video.into(),
        update_mask: Some(prost_types::FieldMask { paths: vec!["tags".into()] }),
        tags: tags.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    world.client.update_entry(request).await.unwrap();
}

#[tokio::test]
async fn pages_join_to_the_whole_list() {
    let mut world = World::start().await;
    let names = ["beta", "Alpha", "alpha", "Émile", "zoo", "Zebra", "emu"];
    for name in names {
        world.create_named(&format!("{name}.mp4"), 10).await;
    }
    let newest: Vec<&str> = names.iter().rev().copied().collect();
    let by_title = pb::ListEntriesRequest { order: VideoOrder::Title.into(), ..Default::default() };
    for size in [1, 2, 3, 7, 50] {
        assert_eq!(all(&mut world, &pb::ListEntriesRequest::default(), size).await, newest);
        let sorted = all(&mut world, &by_title, size).await;
        assert_eq!(sorted, ["Alpha", "alpha", "beta", "emu", "Émile", "Zebra", "zoo"], "ties by id");
    }
    let whole = world.list(pb::ListEntriesRequest { page_size: 7, ..Default::default() }).await;
    assert!(whole.next_page_token.is_empty(), "a full last page has no next one");
}

#[tokio::test]
async fn pages_stay_right_while_the_list_changes() {
    let mut world = World::start().await;
    let mut videos = Vec::new();
    for n in 0..6 {
        videos.push(world.create_named(&format!("v{n}"), 10).await.video_ids[0].clone());
    }
    let first = world.list(pb::ListEntriesRequest { page_size: 3, ..Default::default() }).await;
    assert_eq!(titles(&first), ["v5", "v4", "v3"]);
    world.remove(&videos[3], Duration::from_secs(1000)).await.unwrap();
    world.create_named("v6", 10).await;
    let next = pb::ListEntriesRequest { page_size: 3, page_token: first.next_page_token, ..Default::default() };
    assert_eq!(titles(&world.list(next).await), ["v2", "v1", "v0"]);
}

#[tokio::test]
async fn removed_videos_are_listed_only_if_asked_for() {
    let mut world = World::start().await;
    world.create_named("kept", 10).await;
    let gone = world.create_named("gone", 10).await;
    world.uploaded().await;
    world.remove(&gone.video_ids[0], Duration::from_secs(1000)).await.unwrap();
    let mut of = async |state: VideoState| {
        let list = world.list(pb::ListEntriesRequest { state: state.into(), ..Default::default() }).await;
        titles(&list).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(of(VideoState::Unspecified).await, ["holiday at sea", "kept"]);
    assert_eq!(of(VideoState::Removed).await, ["gone"]);
    assert_eq!(of(VideoState::Uploading).await, ["kept"]);
    assert_eq!(of(VideoState::Processing).await, ["holiday at sea"]);
    assert_eq!(of(VideoState::Ready).await, [""; 0]);
}

#[tokio::test]
async fn every_word_must_begin_a_word_of_title_or_tags() {
    let mut world = World::start().await;
    world.create_named("Café at the Seaside.mp4", 10).await;
    let boat = world.create_named("boat.mp4", 10).await;
    tag(&mut world, &boat.video_ids[0], &["Sea", "summer 2024"]).await;
    let mut search = async |query: &str| {
        let list =
            pb::ListEntriesRequest { search: query.into(), order: VideoOrder::Title.into(), ..Default::default() };
        all(&mut world, &list, 1).await
    };
    let (cafe, boats) = ("Café at the Seaside", "boat");
    assert_eq!(search("sea").await, [boats, cafe]);
    assert_eq!(search("SEA cafe\u{301}").await, [cafe]);
    assert_eq!(search("sea 202").await, [boats]);
    assert_eq!(search("side").await, [""; 0], "not the middle of a word");
    assert_eq!(search("seaside sea").await, [cafe]);
    assert_eq!(search("seaside boat").await, [""; 0]);
    assert_eq!(search(" .,! ").await, [boats, cafe], "no word asks for nothing");
    assert_eq!(search("%").await, [boats, cafe]);
}

#[tokio::test]
async fn words_follow_their_video() {
    let mut world = World::start().await;
    let source = world.create_named("one.mp4", 10).await;
    let video = &source.video_ids[0];
    tag(&mut world, video, &["first"]).await;
    tag(&mut world, video, &["second"]).await;
    let count = async |world: &mut World, search: &str| {
        let removed = pb::ListEntriesRequest { search: search.into(), ..Default::default() };
        world.list(removed).await.entries.len()
    };
    assert_eq!((count(&mut world, "first").await, count(&mut world, "second").await), (0, 1));
    world.remove(video, Duration::from_secs(100)).await.unwrap();
    assert_eq!(count(&mut world, "second").await, 0);
    world.restore(video).await.unwrap();
    assert_eq!(count(&mut world, "second").await, 1);
}

#[tokio::test]
async fn wrong_lists_are_refused() {
    let mut world = World::start().await;
    for _ in 0..2 {
        world.create(10).await;
    }
    let first = world.list(pb::ListEntriesRequest { page_size: 1, ..Default::default() }).await;
    let of_another = pb::ListEntriesRequest {
        page_token: first.next_page_token,
        order: VideoOrder::Title.into(),
        ..Default::default()
    };
    let made_up = pb::ListEntriesRequest { page_token: "00ff".into(), ..Default::default() };
    let too_long = pb::ListEntriesRequest { page_size: 201, ..Default::default() };
    for wrong in [of_another, made_up, too_long] {
        assert_eq!(reason(world.client.list_entries(wrong).await), Reason::InvalidArgument);
    }
}
