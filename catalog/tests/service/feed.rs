//! The change feed.

use crate::bus::State;
use crate::dying::Dying;
use crate::world::{File, World, outcome, reason, request_id};
use futures::StreamExt;
use std::time::{Duration, Instant};
use tonic::Streaming;
use vidstream_catalog::Config;
use vidstream_proto::error::Reason;
use vidstream_proto::pb::watch_entries_response::Event;
use vidstream_proto::pb::{self, VideoState};

type Feed = Streaming<pb::WatchEntriesResponse>;

async fn watch(world: &mut World, position: &str, video: &str) -> Feed {
    let request = pb::WatchEntriesRequest { position: position.into(), video_id: video.into() };
    world.client.watch_entries(request).await.unwrap().into_inner()
}

/// The events until the feed has nothing more, and the position then.
async fn until_current(feed: &mut Feed) -> (Vec<Event>, String) {
    let mut events = Vec::new();
    loop {
        let message = feed.next().await.unwrap().unwrap();
        match message.event.unwrap() {
            Event::Current(_) => return (events, message.position),
            event => events.push(event),
        }
    }
}

fn ids(events: &[Event]) -> Vec<&str> {
    fn id(event: &Event) -> &str {
        match event {
            Event::Changed(entry) => entry.video.as_ref().unwrap().id.as_str(),
            Event::Purged(purged) => purged.video_id.as_str(),
            other => panic!("{other:?}"),
        }
    }
    events.iter().map(id).collect()
}

async fn retitle(world: &mut World, video: &str, title: &str) {
    let request = pb::UpdateEntryRequest {
        request_id: request_id(),
        video_id: video.into(),
        update_mask: Some(prost_types::FieldMask { paths: vec!["title".into()] }),
        title: title.into(),
        ..Default::default()
    };
    world.client.update_entry(request).await.unwrap();
}

#[tokio::test]
async fn nothing_after_a_list_is_missed() {
    let mut world = World::start().await;
    let first = world.create(10).await.video_ids[0].clone();
    let position = world.list(pb::ListEntriesRequest::default()).await.position;
    let second = world.create(10).await.video_ids[0].clone();
    retitle(&mut world, &first, "later").await;
    let mut feed = watch(&mut world, &position, "").await;
    let (events, position) = until_current(&mut feed).await;
    assert_eq!(ids(&events), [second.as_str(), &first], "each once, in its latest state");

    let third = world.create(10).await.video_ids[0].clone();
    let (events, _) = until_current(&mut feed).await;
    assert_eq!(ids(&events), [&third], "and live");

    // Another life serves the same positions.
    let mut world = world.reopen().await;
    let (events, _) = until_current(&mut watch(&mut world, &position, "").await).await;
    assert_eq!(ids(&events), [&third]);
}

#[tokio::test]
async fn without_a_position_it_starts_now() {
    let mut world = World::start().await;
    world.create(10).await;
    let mut feed = watch(&mut world, "", "").await;
    assert_eq!(until_current(&mut feed).await.0.len(), 0);
    let video = world.create(10).await.video_ids[0].clone();
    assert_eq!(ids(&until_current(&mut feed).await.0), [&video]);
}

#[tokio::test]
async fn one_video_can_be_watched() {
    let mut world = World::start().await;
    let position = world.list(pb::ListEntriesRequest::default()).await.position;
    let mine = world.create(10).await.video_ids[0].clone();
    let other = world.create(10).await.video_ids[0].clone();
    let mut feed = watch(&mut world, &position, &mine).await;
    let (events, after) = until_current(&mut feed).await;
    assert_eq!(ids(&events), [&mine]);
    retitle(&mut world, &other, "x").await;
    retitle(&mut world, &mine, "y").await;
    let mut feed = watch(&mut world, &after, &mine).await;
    assert_eq!(ids(&until_current(&mut feed).await.0), [&mine]);
}

#[tokio::test(start_paused = true)]
async fn silence_is_confirmed() {
    let mut world = World::start().await;
    let mut feed = watch(&mut world, "", "").await;
    for _ in 0..5 {
        let (events, position) = until_current(&mut feed).await;
        assert!(events.is_empty() && !position.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_ends_in_a_tombstone_that_is_forgotten_after_a_day() {
    let mut world = World::start().await;
    let source = world.uploaded().await;
    let video = source.video_ids[0].clone();
    world.work().await;
    let position = world.list(pb::ListEntriesRequest::default()).await.position;
    let mut feed = watch(&mut world, &position, "").await;
    let removed = world.remove(&video, Duration::ZERO).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.work().await;
    let mut events = Vec::new();
    while !matches!(events.last(), Some(Event::Purged(_))) {
        events.extend(until_current(&mut feed).await.0);
    }
    let Some(Event::Purged(purged)) = events.pop() else { panic!("a tombstone") };
    assert_eq!(purged.video_id, video);
    assert!(purged.revision > removed.revision);
    let hidden = |event: &Event| {
        matches!(event, Event::Changed(entry)
        if entry.video.as_ref().unwrap().state() == VideoState::Removed)
    };
    assert!(events.iter().all(hidden));

    drop(feed);
    let (events, _) = until_current(&mut watch(&mut world, &position, "").await).await;
    assert_eq!(ids(&events), [&video]);
    tokio::time::sleep(Duration::from_hours(25)).await;
    let mut feed = watch(&mut world, &position, "").await;
    let message = feed.next().await.unwrap().unwrap();
    assert!(matches!(message.event, Some(Event::Reset(_))));
    assert!(feed.next().await.is_none(), "list again, then watch from there");
    let (events, _) = until_current(&mut watch(&mut world, &message.position, "").await).await;
    assert!(events.is_empty());
}

#[tokio::test]
async fn positions_of_another_feed_are_reset() {
    let mut one = World::start().await;
    let mut other = World::start().await;
    let position = one.list(pb::ListEntriesRequest::default()).await.position;
    let message = watch(&mut other, &position, "").await.next().await.unwrap().unwrap();
    assert!(matches!(message.event, Some(Event::Reset(_))));
    let request = pb::WatchEntriesRequest { position: "yesterday".into(), video_id: String::new() };
    assert_eq!(reason(other.client.watch_entries(request).await.map(|_| ())), Reason::InvalidArgument);
}

#[tokio::test]
async fn it_ends_when_the_catalog_stops() {
    let mut world = World::start().await;
    let mut feed = watch(&mut world, "", "").await;
    until_current(&mut feed).await;
    world.life.stopping().cancel();
    let end = loop {
        match feed.next().await.unwrap() {
            Ok(_) => {}
            Err(status) => break status,
        }
    };
    assert_eq!(end.code(), tonic::Code::Unavailable);
    assert!(feed.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_lost_notice_costs_only_time() {
    let config = Config { feed_interval: Duration::from_secs(3), ..Config::default() };
    let mut world = World::with(config).await;
    let mut feed = watch(&mut world, "", "").await;
    until_current(&mut feed).await;
    // Another replica over the same file, whose notices do not come here.
    let mut other = world.reopen().await;
    let video = other.create(10).await.video_ids[0].clone();
    let started = tokio::time::Instant::now();
    let mut events = Vec::new();
    while events.is_empty() {
        events = until_current(&mut feed).await.0;
    }
    assert_eq!(ids(&events), [&video]);
    assert!(started.elapsed() <= Duration::from_secs(4));
}

#[tokio::test]
async fn a_slow_watcher_sees_the_latest_state() {
    let mut world = World::start().await;
    let mut feed = watch(&mut world, "", "").await;
    until_current(&mut feed).await;
    let source = world.create(10).await;
    for n in 0..300 {
        retitle(&mut world, &source.video_ids[0], &format!("title {n}")).await;
    }
    let job = world.take().await.unwrap();
    world.finish(&job, outcome(job.kind())).await.unwrap();
    let mut last = String::new();
    let mut seen = 0;
    while last != "title 299" {
        for event in until_current(&mut feed).await.0 {
            let Event::Changed(entry) = event else { panic!("{event:?}") };
            last = entry.video.unwrap().title;
            seen += 1;
        }
    }
    assert!(seen < 300, "states nobody looked at are skipped, {seen} seen");
}

#[tokio::test]
async fn many_watchers_at_one_place_hear_every_change() {
    // Nobody looks by the clock: what is not told is not heard.
    let config = Config { feed_interval: Duration::from_hours(1), ..Config::default() };
    let mut world = World::with(config).await;
    let videos = [world.create(10).await.video_ids.remove(0), world.create(10).await.video_ids.remove(0)];
    let mut feeds = Vec::new();
    for _ in 0..200 {
        let mut feed = watch(&mut world, "", "").await;
        until_current(&mut feed).await;
        feeds.push(feed);
    }
    for n in 0..10 {
        let title = format!("title {n}");
        retitle(&mut world, &videos[n % 2], &title).await;
        for feed in &mut feeds {
            let is_it = |event: &Event| matches!(event, Event::Changed(e) if e.video.as_ref().unwrap().title == title);
            let hear = async { while !until_current(feed).await.0.iter().any(is_it) {} };
            tokio::time::timeout(Duration::from_secs(30), hear).await.expect("it is told");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_while_the_bus_is_away_hears_of_it_when_it_is_back() {
    // By looking alone it would take a day.
    let day = Duration::from_hours(24);
    let mut world = World::with(Config { feed_interval: day, ..Config::default() }).await;
    let file = File::new(100_000);
    let source = world.create(file.size()).await;
    world.bus.be(State::Away);
    let mut feed = watch(&mut world, "", "").await;
    until_current(&mut feed).await;
    let request = pb::WatchSourceRequest { source_id: source.id.clone() };
    let mut records = world.client.watch_source(request).await.unwrap().into_inner();
    assert!(!records.next().await.unwrap().unwrap().lagged);
    world.bus.be(State::Well);
    let soon = Duration::from_mins(1);
    let back = async {
        until_current(&mut feed).await;
        while !records.next().await.unwrap().unwrap().lagged {}
    };
    tokio::time::timeout(soon, back).await.expect("they look at what they may have missed");
    world.record(&source.id, file.cells()).await.unwrap();
    retitle(&mut world, &source.video_ids[0], "later").await;
    let heard = async {
        while records.next().await.unwrap().unwrap().recorded.is_empty() {}
        while until_current(&mut feed).await.0.is_empty() {}
    };
    tokio::time::timeout(soon, heard).await.expect("they hear");
}

#[tokio::test]
async fn what_came_late_is_looked_for_once_a_second_whatever_happens() {
    let world = World::still(Config::default()).await;
    let store = Dying::never(world.store.clone());
    let mut world = world.reopen_over(|_| store.clone()).await.run();
    let video = world.create(10).await.video_ids.remove(0);
    let mut feed = watch(&mut world, "", "").await;
    until_current(&mut feed).await;
    let (begun, before) = (Instant::now(), store.looks_back());
    for n in 0..40 {
        retitle(&mut world, &video, &format!("title {n}")).await;
        while until_current(&mut feed).await.0.is_empty() {}
    }
    let seconds = i64::try_from(begun.elapsed().as_secs()).unwrap();
    let looked = store.looks_back() - before;
    assert!(looked <= seconds + 2, "{looked} times in {seconds} s");
}
