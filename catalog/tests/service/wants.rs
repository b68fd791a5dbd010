//! Watching a source: records, wants, the end.

use crate::world::{File, World, reason};
use futures::StreamExt;
use std::time::Duration;
use tonic::Streaming;
use vidstream_proto::error::Reason;
use vidstream_proto::pb;
use vidstream_source::extents::GRANULE;

type Feed = Streaming<pb::WatchSourceResponse>;

async fn watch(world: &mut World, source: &str) -> Feed {
    let request = pb::WatchSourceRequest { source_id: source.into() };
    world.client.watch_source(request).await.unwrap().into_inner()
}

async fn want(world: &mut World, source: &str, waiter: &str, ranges: &[(u64, u64)], ttl: Duration) {
    let request = pb::WantRangesRequest {
        source_id: source.into(),
        waiter: waiter.into(),
        ranges: ranges.iter().map(|(start, end)| pb::ByteRange { start: *start, end: *end }).collect(),
        ttl: Some(vidstream_proto::time::proto_duration(ttl)),
    };
    world.client.want_ranges(request).await.unwrap();
}

fn plain(ranges: &[pb::ByteRange]) -> Vec<(u64, u64)> {
    ranges.iter().map(|range| (range.start, range.end)).collect()
}

async fn next(feed: &mut Feed) -> pb::WatchSourceResponse {
    feed.next().await.unwrap().unwrap()
}

/// The next message that `found` is true for; the ones before told of something else.
async fn until(feed: &mut Feed, found: impl Fn(&pb::WatchSourceResponse) -> bool) -> pb::WatchSourceResponse {
    loop {
        let message = next(feed).await;
        if found(&message) {
            return message;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_watcher_hears_records_and_wants() {
    let mut world = World::start().await;
    let file = File::new(usize::try_from(8 * GRANULE).unwrap());
    let source = world.create(file.size()).await;
    world.record(&source.id, vec![file.extent(0..GRANULE), file.extent(GRANULE..2 * GRANULE)]).await.unwrap();
    want(&mut world, &source.id, "a", &[(7 * GRANULE, u64::MAX)], Duration::from_secs(10)).await;

    let mut feed = watch(&mut world, &source.id).await;
    let first = next(&mut feed).await;
    assert_eq!(plain(&first.recorded), [(0, 2 * GRANULE)]);
    assert_eq!(plain(&first.wants), [(7 * GRANULE, 8 * GRANULE)], "cut at the file's end");

    want(&mut world, &source.id, "b", &[(3 * GRANULE, 4 * GRANULE)], Duration::from_secs(1000)).await;
    let wants = until(&mut feed, |m| m.wants.len() == 2).await;
    assert_eq!(plain(&wants.wants), [(3 * GRANULE, 4 * GRANULE), (7 * GRANULE, 8 * GRANULE)]);

    let answer = world.record(&source.id, vec![file.extent(3 * GRANULE..4 * GRANULE)]).await.unwrap();
    assert_eq!(plain(&answer.wants), [(7 * GRANULE, 8 * GRANULE)], "what came is not wanted any more");
    let recorded = until(&mut feed, |m| !m.recorded.is_empty()).await;
    assert_eq!(plain(&recorded.recorded), [(3 * GRANULE, 4 * GRANULE)]);

    let none = until(&mut feed, |m| m.wants.is_empty()).await;
    assert!(!none.lagged, "wants end by time");
}

#[tokio::test(start_paused = true)]
async fn what_one_catalog_is_told_watchers_of_another_hear() {
    let mut one = World::start().await;
    let mut other = one.replica().await.run();
    let source = one.create(8 * GRANULE).await;
    let mut feed = watch(&mut other, &source.id).await;
    next(&mut feed).await;
    let file = File::new(usize::try_from(8 * GRANULE).unwrap());
    // As waiters do, again and again: a replica that begins to listen hears the next one.
    let waiting = async {
        loop {
            want(&mut one, &source.id, "a", &[(7 * GRANULE, 8 * GRANULE)], Duration::from_secs(10)).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let wanted = async {
        let wanted = until(&mut feed, |message| !message.wants.is_empty()).await;
        assert_eq!(plain(&wanted.wants), [(7 * GRANULE, 8 * GRANULE)]);
        let answer = other.record(&source.id, vec![file.extent(0..GRANULE)]).await.unwrap();
        assert_eq!(plain(&answer.wants), [(7 * GRANULE, 8 * GRANULE)]);
    };
    tokio::select! {
        () = waiting => unreachable!("it has no end"),
        () = wanted => {}
    }
    // The replica hears the end of a wait too.
    want(&mut one, &source.id, "a", &[], Duration::from_secs(10)).await;
    until(&mut feed, |message| message.wants.is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_watcher_hears_the_end() {
    let mut world = World::start().await;
    let source = world.create(10).await;
    let mut feed = watch(&mut world, &source.id).await;
    next(&mut feed).await;
    world.remove(&source.video_ids[0], Duration::ZERO).await.unwrap();
    assert!(until(&mut feed, |m| m.dying).await.dying);
    assert!(feed.next().await.is_none());
}

#[tokio::test]
async fn a_slow_watcher_is_told_to_read_again() {
    let mut world = World::start().await;
    let file = File::new(usize::try_from(1500 * GRANULE).unwrap());
    let source = world.create(file.size()).await;
    let mut feed = watch(&mut world, &source.id).await;
    next(&mut feed).await;
    let granule = file.extent(0..GRANULE);
    for n in 0..1500 {
        world.record(&source.id, vec![pb::Extent { offset: n * GRANULE, ..granule.clone() }]).await.unwrap();
    }
    assert!(until(&mut feed, |m| m.lagged).await.lagged);
}

#[tokio::test(start_paused = true)]
async fn a_change_without_a_notice_is_seen_later() {
    let mut world = World::start().await;
    let source = world.create(10).await;
    let mut feed = watch(&mut world, &source.id).await;
    let first = next(&mut feed).await;
    let mut other = world.reopen().await;
    other.take().await.unwrap();
    let changed = until(&mut feed, |m| m.revision > first.revision).await;
    assert!(changed.lagged);
}

#[tokio::test]
async fn a_watch_of_nothing_is_refused_and_others_end_with_the_catalog() {
    let mut world = World::start().await;
    let request = pb::WatchSourceRequest { source_id: crate::world::request_id() };
    assert_eq!(reason(world.client.watch_source(request).await.map(|_| ())), Reason::NotFound);
    let source = world.create(10).await;
    let mut feed = watch(&mut world, &source.id).await;
    next(&mut feed).await;
    world.life.stopping().cancel();
    let end = loop {
        match feed.next().await.unwrap() {
            Ok(_) => {}
            Err(status) => break status.code(),
        }
    };
    assert_eq!(end, tonic::Code::Unavailable);
}
