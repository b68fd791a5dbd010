//! What watchers hear who share one feed.

use crate::world::{AT_REST, Watcher, World};
use futures::future::join_all;
use std::sync::atomic::Ordering::Relaxed;
use tonic::Code;
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb;
use vidstream_proto::pb::watch_videos_response::Event;

async fn current(world: &World, count: usize) -> Vec<Watcher> {
    let mut watchers = join_all((0..count).map(|_| world.watch_all(""))).await;
    join_all(watchers.iter_mut().map(Watcher::until_current)).await;
    world.until_shared(&mut watchers).await;
    watchers
}

#[tokio::test]
async fn two_hundred_hear_every_change_once_and_in_order_by_one_stream() {
    let world = World::new().await;
    let videos: Vec<VideoId> = (0..7).map(|_| VideoId::generate()).collect();
    let mut watchers = current(&world, 200).await;
    let already = world.catalog.opened().len();
    for number in 1..=100 {
        world.catalog.change(videos[number % videos.len()]);
    }
    join_all(watchers.iter_mut().map(|watcher| watcher.hears(1..101))).await;
    for number in 101..=150 {
        world.catalog.change(videos[0]);
        join_all(watchers.iter_mut().map(|watcher| watcher.hears(number..number + 1))).await;
    }
    assert_eq!(world.catalog.opened().len(), already, "nobody needed a stream of his own again");
    watchers.truncate(1);
    world.catalog.change(videos[0]);
    watchers[0].hears(151..152).await;
    drop(watchers);
    world.catalog.until_open(AT_REST).await;
}

#[tokio::test]
async fn one_with_an_old_position_catches_up_and_goes_over_while_changes_come() {
    let world = World::new().await;
    let video = VideoId::generate();
    let mut early = current(&world, 2).await;
    let last = 600;
    let changes = async {
        for number in 1..=last {
            world.catalog.change(video);
            early[0].hears(number..number + 1).await;
        }
    };
    let late = |number: usize| {
        let (world, video) = (&world, number.is_multiple_of(2).then_some(video));
        async move {
            // Comes when so many changes were told, and wants all since half of them.
            world.catalog.until_changes(number).await;
            let video_id = video.map(|id| id.to_string()).unwrap_or_default();
            let position = format!("at {}", number / 2);
            let request = pb::WatchVideosRequest { position, video_id, ..Default::default() };
            let mut watcher = world.watch(request).await;
            watcher.hears(number / 2 + 1..last + 1).await;
            watcher
        }
    };
    let (mut late, ()) = tokio::join!(join_all((0..40).map(|n| late(n * 13))), changes);
    // All are at one place now, and stay on one stream.
    let told = async {
        world.catalog.until_open(AT_REST + 1).await;
        world.catalog.change(video);
    };
    tokio::join!(told, join_all(late.iter_mut().map(|watcher| watcher.hears(last + 1..last + 2))));
}

#[tokio::test]
async fn one_that_lags_reads_what_it_missed_and_comes_back() {
    let world = World::new().await;
    let video = VideoId::generate();
    let mut watchers = current(&world, 2).await;
    let [quick, slow] = &mut watchers[..] else { panic!("two") };
    for number in 1..=1000 {
        world.catalog.change(video);
        quick.hears(number..number + 1).await;
    }
    slow.hears(1..1001).await;
    assert_eq!(world.catalog.opened().last().unwrap(), "at 0", "by a stream of its own");
    let back = async {
        world.catalog.until_open(AT_REST + 1).await;
        world.catalog.change(video);
    };
    tokio::join!(back, slow.hears(1001..1002), quick.hears(1001..1002));
}

#[tokio::test]
async fn a_broken_stream_ends_all_watches_which_go_on_from_where_they_were() {
    let world = World::new().await;
    let video = VideoId::generate();
    let mut watchers = current(&world, 50).await;
    for _ in 0..10 {
        world.catalog.change(video);
    }
    join_all(watchers.iter_mut().map(|watcher| watcher.hears(1..11))).await;
    world.catalog.break_feed();
    for _ in 0..10 {
        world.catalog.change(video);
    }
    for watcher in &mut watchers {
        let end = loop {
            match watcher.try_next().await {
                Ok(Event::Current(_)) => {}
                Ok(other) => panic!("{other:?}"),
                Err(status) => break status,
            }
        };
        assert_eq!((end.code(), end.message()), (Code::Unavailable, "the feed broke"));
    }
    let positions: Vec<String> = watchers.drain(..).map(|watcher| watcher.position).collect();
    let mut watchers = join_all(positions.iter().map(|position| world.watch_all(position))).await;
    join_all(watchers.iter_mut().map(|watcher| watcher.hears(11..21))).await;
    world.catalog.change(video);
    join_all(watchers.iter_mut().map(|watcher| watcher.hears(21..22))).await;
}

#[tokio::test]
async fn a_reset_is_told_to_all_and_is_the_last_they_hear() {
    let world = World::new().await;
    let video = VideoId::generate();
    let mut watchers = current(&world, 50).await;
    watchers.push(world.watch_one(video).await);
    watchers[50].until_current().await;
    world.catalog.change(video);
    join_all(watchers.iter_mut().map(|watcher| watcher.hears(1..2))).await;
    world.catalog.reset_feed();
    for watcher in &mut watchers {
        let told = loop {
            match watcher.try_next().await.unwrap() {
                Event::Current(_) => {}
                told => break told,
            }
        };
        assert!(matches!(told, Event::Reset(_)), "{told:?}");
        assert_eq!(watcher.position, "at 1", "it goes on from there");
        assert_eq!(watcher.events.message().await.unwrap(), None);
    }
    let mut watchers = current(&world, 2).await;
    world.catalog.change(video);
    join_all(watchers.iter_mut().map(|watcher| watcher.hears(2..3))).await;
}

#[tokio::test]
async fn watchers_of_one_video_hear_only_of_it_and_never_fall_behind_for_others() {
    let world = World::new().await;
    let (mine, other) = (VideoId::generate(), VideoId::generate());
    let mut watchers = vec![world.watch_one(mine).await, world.watch_all("").await];
    join_all(watchers.iter_mut().map(Watcher::until_current)).await;
    world.until_shared(&mut watchers).await;
    let already = world.catalog.opened().len();
    for number in 1..=1000 {
        world.catalog.change(other);
        watchers[1].hears(number..number + 1).await;
    }
    world.catalog.change(mine);
    watchers[0].hears(1001..1002).await;
    assert_eq!(world.catalog.opened().len(), already);
}

#[tokio::test]
async fn after_a_change_nobody_is_told_that_the_feed_is_current() {
    let world = World::new().await;
    let video = VideoId::generate();
    let mut watchers = current(&world, 2).await;
    for revision in 1..=10 {
        // The catalog says so after each change.
        world.catalog.change(video);
        let told = watchers[0].try_next().await.unwrap();
        assert!(matches!(&told, Event::Changed(video) if video.revision == revision), "{told:?}");
    }
}

#[tokio::test]
async fn progress_of_all_videos_is_heard_once_for_all() {
    let world = World::new().await;
    let request = || pb::WatchVideosRequest { include_progress: true, ..Default::default() };
    let mut watchers = join_all((0..50).map(|_| world.watch(request()))).await;
    join_all(watchers.iter_mut().map(Watcher::until_current)).await;
    // The progress stream opens on its own.
    while world.transcoder.step.receiver_count() == 0 {
        tokio::task::yield_now().await;
    }
    for percent in [10.0, 20.0] {
        let progress = pb::Progress { stage: pb::Stage::Index.into(), percent, ..Default::default() };
        let video_ids = vec![VideoId::generate().to_string()];
        let step = pb::WatchAllProgressResponse {
            video_ids: video_ids.clone(),
            progress: Some(progress),
            ..Default::default()
        };
        world.transcoder.step.send_replace(Some(step));
        for watcher in &mut watchers {
            let Event::Progress(heard) = watcher.try_next().await.unwrap() else { panic!("progress") };
            assert_eq!((&heard.video_id, heard.percent), (&video_ids[0], percent));
        }
    }
    assert_eq!(world.transcoder.opened.load(Relaxed), 1);
}
