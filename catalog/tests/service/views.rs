//! What counts as a view, and what never counts twice.
#![expect(clippy::single_range_in_vec_init, reason = "intervals are meant, one of them often")]

use crate::dying::{Dying, Fault};
use crate::world::{World, reason, request_id};
use futures::StreamExt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use vidstream_catalog::Config;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::ViewerId;
use vidstream_proto::pb::{self, FailureKind, finish_job_request::Result as Outcome, watch_entries_response::Event};
use vidstream_proto::time::proto_duration;

const SECOND: Duration = Duration::from_secs(1);
/// A little longer than between two batches.
const BATCH: Duration = Duration::from_secs(6);

fn between(seconds: Range<u64>) -> pb::WatchedInterval {
    let at = |seconds| Some(proto_duration(Duration::from_secs(seconds)));
    pb::WatchedInterval { start: at(seconds.start), end: at(seconds.end) }
}

impl World {
    /// A video of 100 s that plays.
    async fn film(&mut self) -> String {
        let source = self.uploaded().await;
        while let Some(job) = self.take().await {
            let mut made = crate::world::outcome(job.kind());
            if let Outcome::Index(index) = &mut made {
                index.media.as_mut().unwrap().duration = Some(proto_duration(100 * SECOND));
            }
            self.finish(&job, made).await.unwrap();
        }
        source.video_ids[0].clone()
    }

    async fn report(&mut self, video: &str, viewer: &str, seconds: &[Range<u64>]) -> Result<(), Problem> {
        let intervals = seconds.iter().cloned().map(between).collect();
        let request = pb::AddWatchedRequest { video_id: video.into(), viewer_id: viewer.into(), intervals };
        self.client.add_watched(request).await?;
        Ok(())
    }

    /// Watches `seconds`, as long as that takes.
    async fn watch(&mut self, video: &str, viewer: &str, seconds: Range<u64>) {
        self.report(video, viewer, &[]).await.unwrap();
        tokio::time::sleep(Duration::from_secs(seconds.end - seconds.start)).await;
        self.report(video, viewer, &[seconds]).await.unwrap();
    }

    async fn views(&mut self, video: &str) -> u64 {
        tokio::time::sleep(BATCH).await;
        self.video(video).await.views
    }
}

fn somebody() -> String {
    ViewerId::generate().to_string()
}

#[tokio::test(start_paused = true)]
async fn a_view_counts_once_a_day_and_viewer() {
    let mut world = World::start().await;
    let (film, one, other) = (world.film().await, somebody(), somebody());
    world.watch(&film, &one, 0..14).await;
    assert_eq!(world.views(&film).await, 0, "not enough");
    world.watch(&film, &one, 3..14).await;
    assert_eq!(world.views(&film).await, 0, "looping is not watching more");
    world.watch(&film, &one, 50..51).await;
    assert_eq!(world.views(&film).await, 1, "the union of all visits");
    world.watch(&film, &one, 0..100).await;
    assert_eq!(world.views(&film).await, 1, "once");
    world.watch(&film, &other, 85..100).await;
    assert_eq!(world.views(&film).await, 2);
    tokio::time::sleep(Duration::from_hours(24)).await;
    world.watch(&film, &one, 0..15).await;
    assert_eq!(world.views(&film).await, 3, "another day");
    let listed = world.list(pb::ListEntriesRequest::default()).await.entries.remove(0);
    assert_eq!(listed.video.unwrap().views, 3);
}

#[tokio::test(start_paused = true)]
async fn what_can_not_have_been_watched_does_not_count() {
    let mut world = World::start().await;
    let (film, viewer) = (world.film().await, somebody());
    world.report(&film, &viewer, &[0..100]).await.unwrap();
    world.report(&film, &viewer, &[0..100]).await.unwrap();
    assert_eq!(world.views(&film).await, 0, "in no time");
    // Behind the end there is nothing to see.
    let (film, viewer) = (world.film().await, somebody());
    world.watch(&film, &viewer, 95..1000).await;
    assert_eq!(world.views(&film).await, 0);
    // A flood of reports says no more than one.
    let (film, viewer) = (world.film().await, somebody());
    for _ in 0..500 {
        world.report(&film, &viewer, &[0..10, 5..10]).await.unwrap();
        tokio::time::sleep(SECOND / 10).await;
    }
    assert_eq!(world.views(&film).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_view_is_told_and_refuses_nobodys_edit() {
    let mut world = World::start().await;
    let film = world.film().await;
    let before = world.video(&film).await;
    let request = pb::WatchEntriesRequest::default();
    let mut feed = world.client.watch_entries(request).await.unwrap().into_inner();
    for _ in 0..3 {
        world.watch(&film, &somebody(), 0..15).await;
    }
    assert_eq!(world.views(&film).await, 3);
    let mut told = Vec::new();
    while told.last() != Some(&3) {
        if let Some(Event::Changed(entry)) = feed.next().await.unwrap().unwrap().event {
            let video = entry.video.unwrap();
            assert_eq!(pb::Video { views: 0, ..video.clone() }, before, "nothing else changed");
            told.push(video.views);
        }
    }
    assert!(told.is_sorted(), "{told:?}");
    let update = pb::UpdateEntryRequest {
        request_id: request_id(),
        video_id: film.clone(),
        update_mask: Some(prost_types::FieldMask { paths: vec!["title".into()] }),
        title: "Watched".into(),
        expected_revision: Some(before.revision),
        ..Default::default()
    };
    let updated = world.client.update_entry(update).await.unwrap().into_inner().entry.unwrap().video.unwrap();
    assert_eq!((updated.views, updated.title.as_str()), (3, "Watched"));
    assert_eq!(world.video(&film).await.views, 3);
}

#[tokio::test(start_paused = true)]
async fn views_outlive_the_process() {
    let mut world = World::start().await;
    let (film, viewer) = (world.film().await, somebody());
    world.watch(&film, &viewer, 0..15).await;
    world.watch(&film, &somebody(), 0..10).await;
    tokio::time::sleep(BATCH).await;
    let late = somebody();
    world.watch(&film, &late, 0..15).await;
    // Somebody stops it in order: what came a moment ago is written.
    assert!(world.life.stop(SECOND).await);
    let mut world = world.reopen().await.run();
    assert_eq!(world.video(&film).await.views, 2);
    world.watch(&film, &viewer, 50..80).await;
    world.watch(&film, &late, 50..80).await;
    assert_eq!(world.views(&film).await, 2, "they counted before");
}

#[tokio::test(start_paused = true)]
async fn two_catalogs_count_one_viewer_once() {
    let mut world = World::start().await;
    let (film, viewer) = (world.film().await, somebody());
    let mut second = world.beside().await.run();
    world.report(&film, &viewer, &[]).await.unwrap();
    second.report(&film, &viewer, &[]).await.unwrap();
    tokio::time::sleep(20 * SECOND).await;
    world.report(&film, &viewer, &[0..20]).await.unwrap();
    second.report(&film, &viewer, &[0..20]).await.unwrap();
    tokio::time::sleep(2 * BATCH).await;
    assert_eq!((world.views(&film).await, second.views(&film).await), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn only_what_plays_is_watched() {
    let mut world = World::start().await;
    let viewer = somebody();
    let nowhere = vidstream_proto::ids::VideoId::generate().to_string();
    assert_eq!(reason(world.report(&nowhere, &viewer, &[]).await), Reason::NotFound);
    let open = world.create(100).await.video_ids.remove(0);
    assert_eq!(reason(world.report(&open, &viewer, &[]).await), Reason::NotReady);
    let film = world.film().await;
    for wrong in ["", "me", &viewer.to_uppercase()] {
        assert_eq!(reason(world.report(&film, wrong, &[]).await), Reason::InvalidArgument, "{wrong}");
    }
    let many = vec![0..1; 65];
    assert_eq!(reason(world.report(&film, &viewer, &many).await), Reason::InvalidArgument);
    #[expect(clippy::reversed_empty_ranges, reason = "what a hostile client sends")]
    let backwards = [5..5, 5..4];
    for range in backwards {
        assert_eq!(reason(world.report(&film, &viewer, &[range]).await), Reason::InvalidArgument);
    }
    world.remove(&film, Duration::from_hours(1)).await.unwrap();
    assert_eq!(reason(world.report(&film, &viewer, &[]).await), Reason::NotFound);
}

#[tokio::test]
async fn more_viewers_than_there_is_room_for_are_told_so() {
    // Nothing is written meanwhile: these are all the viewers of one batch.
    let mut world = World::still(Config::default()).await;
    let film = world.film().await;
    for _ in 0..20_000 {
        world.report(&film, &somebody(), &[]).await.unwrap();
    }
    assert_eq!(reason(world.report(&film, &somebody(), &[]).await), Reason::ResourceExhausted);
}

#[tokio::test(start_paused = true)]
async fn a_failed_video_has_no_viewers() {
    let mut world = World::start().await;
    let source = world.uploaded().await;
    let ingest = world.take().await.unwrap();
    world.fail(&ingest, FailureKind::Input, "no MP4").await.unwrap();
    assert_eq!(reason(world.report(&source.video_ids[0], &somebody(), &[]).await), Reason::NotFound);
}

/// A catalog with its loops over a store that may fail, and that store.
async fn over_faults() -> (World, Arc<Dying>) {
    let world = World::still(Config::default()).await;
    let store = Dying::never(world.store.clone());
    (world.reopen_over(|_| store.clone()).await.run(), store)
}

#[tokio::test(start_paused = true)]
async fn a_view_whose_writing_was_not_heard_of_counts_once() {
    let (mut world, store) = over_faults().await;
    let (film, viewer) = (world.film().await, somebody());
    world.watch(&film, &viewer, 0..15).await;
    store.fail_next("save_viewers", Fault::Unheard);
    tokio::time::sleep(BATCH).await;
    assert!(store.has_failed());
    // What comes meanwhile is joined with it.
    world.report(&film, &viewer, &[15..20]).await.unwrap();
    assert_eq!(world.views(&film).await, 1);
    world.watch(&film, &viewer, 20..40).await;
    assert_eq!(world.views(&film).await, 1, "once");
    // As after one that was not done.
    let other = somebody();
    world.watch(&film, &other, 0..15).await;
    store.fail_next("save_viewers", Fault::Undone);
    assert_eq!(world.views(&film).await, 1);
    assert_eq!(world.views(&film).await, 2);
}

#[tokio::test(start_paused = true)]
async fn counts_behind_one_that_failed_wait_for_it() {
    let (mut world, store) = over_faults().await;
    let film = world.film().await;
    // More than one commit of them, so that a batch adds to the video twice.
    let crowd: Vec<String> = (0..600).map(|_| somebody()).collect();
    for viewer in &crowd {
        world.report(&film, viewer, &[]).await.unwrap();
    }
    tokio::time::sleep(15 * SECOND).await;
    for viewer in &crowd {
        world.report(&film, viewer, &[0..15]).await.unwrap();
    }
    store.fail_next("add_views", Fault::Undone);
    tokio::time::sleep(BATCH).await;
    assert!(store.has_failed());
    assert_eq!(world.views(&film).await, 600);
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_the_midst_of_a_batch_loses_nothing() {
    let (mut world, store) = over_faults().await;
    let film = world.film().await;
    world.watch(&film, &somebody(), 0..15).await;
    store.fail_next("save_viewers", Fault::Late(3 * SECOND));
    while !store.has_failed() {
        tokio::time::sleep(SECOND / 10).await;
    }
    assert!(world.life.stop(10 * SECOND).await);
    assert_eq!(world.reopen().await.video(&film).await.views, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_reported_while_the_last_connections_end_counts() {
    let mut world = World::start().await;
    let film = world.film().await;
    let viewer = somebody();
    world.report(&film, &viewer, &[]).await.unwrap();
    tokio::time::sleep(15 * SECOND).await;
    let (last, served) = tokio::sync::oneshot::channel::<()>();
    world.life.serve("listener", async move { Ok(served.await?) });
    let life = world.life.clone();
    let stop = tokio::spawn(async move { life.stop(10 * SECOND).await });
    tokio::time::sleep(SECOND / 2).await;
    world.report(&film, &viewer, &[0..15]).await.unwrap();
    last.send(()).unwrap();
    assert!(stop.await.unwrap());
    assert_eq!(world.reopen().await.video(&film).await.views, 1);
}
