//! How long a gateway believes what it was told: with a feed that is heard, without one, and without a catalog.

use crate::catalog::Catalog;
use crate::world::World;
use bytes::Bytes;
use http::StatusCode;
use std::time::Duration;
use tokio::task::yield_now;
use tokio::time::advance;
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb;
use vidstream_proto::pb::watch_entries_response::Event;

const CURRENT: Event = Event::Current(pb::FeedCurrent {});

async fn world() -> World {
    World::new("odd.bin", &Bytes::from_static(b"bytes")).await
}

/// A world whose feed was refused from the start.
async fn without_feed() -> World {
    let world = world().await;
    world.catalog.be_feedless(true);
    world.catalog.until_watched(1).await;
    world
}

async fn status(world: &World) -> StatusCode {
    world.head("source").await.status
}

fn remove(catalog: &Catalog) {
    catalog.change(|video, _| video.state = pb::VideoState::Removed.into());
}

/// Lets everything that can run, run. The tests' services answer at once, so nothing is under way afterwards.
async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

async fn pass(time: Duration) {
    advance(time).await;
    settle().await;
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn without_a_feed_a_view_is_believed_for_five_seconds() {
    let world = without_feed().await;
    assert_eq!(status(&world).await, StatusCode::OK);
    remove(&world.catalog);
    pass(Duration::from_millis(4999)).await;
    assert_eq!((status(&world).await, world.catalog.questions()), (StatusCode::OK, 1));
    pass(Duration::from_millis(1)).await;
    assert_eq!((status(&world).await, world.catalog.questions()), (StatusCode::NOT_FOUND, 2));
    // Nothing is known to be there for as long.
    pass(seconds(4)).await;
    assert_eq!((status(&world).await, world.catalog.questions()), (StatusCode::NOT_FOUND, 2));
    world.catalog.change(|video, _| video.state = pb::VideoState::Ready.into());
    pass(seconds(1)).await;
    assert_eq!(status(&world).await, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn views_cost_no_question() {
    let world = world().await;
    world.catalog.until_watched(1).await;
    settle().await;
    assert_eq!(status(&world).await, StatusCode::OK);
    let questions = world.catalog.questions();
    for _ in 0..10 {
        world.catalog.change(|video, _| video.views += 1);
        world.catalog.tell_change("1");
        settle().await;
        assert_eq!((status(&world).await, world.catalog.questions()), (StatusCode::OK, questions));
    }
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_is_heard_spares_the_questions() {
    let world = world().await;
    world.catalog.until_watched(1).await;
    settle().await;
    assert_eq!(status(&world).await, StatusCode::OK);
    for _ in 0..100 {
        pass(seconds(4)).await;
        world.catalog.tell("", CURRENT);
        settle().await;
        assert_eq!(status(&world).await, StatusCode::OK);
    }
    assert_eq!(world.catalog.questions(), 1);
    // Silence is no confirmation.
    pass(seconds(5)).await;
    assert_eq!((status(&world).await, world.catalog.questions()), (StatusCode::OK, 2));
}

#[tokio::test(start_paused = true)]
async fn news_of_one_video_confirm_no_other() {
    let world = world().await;
    settle().await;
    assert_eq!(status(&world).await, StatusCode::OK);
    pass(seconds(4)).await;
    // What changed besides may come in the next message.
    let mut other = world.catalog.entry();
    other.video.as_mut().unwrap().id = VideoId::generate().to_string();
    world.catalog.tell("1", Event::Changed(other));
    pass(seconds(1)).await;
    assert_eq!((status(&world).await, world.catalog.questions()), (StatusCode::OK, 2));
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_is_told_counts_at_once() {
    let world = world().await;
    settle().await;
    assert_eq!(status(&world).await, StatusCode::OK);
    remove(&world.catalog);
    world.catalog.tell_change("1");
    settle().await;
    assert_eq!(status(&world).await, StatusCode::NOT_FOUND);
    world.catalog.change(|video, _| video.state = pb::VideoState::Ready.into());
    world.catalog.tell_change("2");
    settle().await;
    assert_eq!(status(&world).await, StatusCode::OK);
    world.catalog.purge();
    let purged = pb::PurgedEntry { video_id: world.video.to_string(), revision: 9 };
    world.catalog.tell("3", Event::Purged(purged));
    settle().await;
    assert_eq!(status(&world).await, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_removal_through_this_gateway_needs_no_feed() {
    let world = without_feed().await;
    assert_eq!(status(&world).await, StatusCode::OK);
    remove(&world.catalog);
    world.changed();
    assert_eq!(status(&world).await, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_a_change_overtook_is_not_believed() {
    let world = world().await;
    settle().await;
    let gate = world.catalog.hold_up();
    let asking = status(&world);
    let meanwhile = async {
        world.catalog.until_asked(1).await;
        remove(&world.catalog);
        world.catalog.tell_change("1");
        settle().await;
        world.catalog.answer_at_once();
        gate.notify_one();
    };
    // The request began before the removal: either answer is true.
    tokio::join!(asking, meanwhile);
    assert_eq!(status(&world).await, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_feed_goes_on_where_it_broke() {
    let world = world().await;
    settle().await;
    assert_eq!(status(&world).await, StatusCode::OK);
    world.catalog.tell("7", CURRENT);
    settle().await;
    world.catalog.break_feed();
    assert_eq!(world.catalog.until_watched(2).await, ["", "7"]);
    settle().await;
    // All since position 7 was told, so what was known before is confirmed.
    pass(seconds(4)).await;
    world.catalog.tell("8", CURRENT);
    settle().await;
    pass(seconds(4)).await;
    assert_eq!((status(&world).await, world.catalog.questions()), (StatusCode::OK, 1));
}

#[tokio::test(start_paused = true)]
async fn after_a_reset_everything_is_asked_again() {
    let world = world().await;
    settle().await;
    assert_eq!(status(&world).await, StatusCode::OK);
    remove(&world.catalog);
    world.catalog.tell("7", Event::Reset(pb::FeedReset {}));
    world.catalog.tell("8", CURRENT);
    settle().await;
    pass(seconds(4)).await;
    world.catalog.tell("9", CURRENT);
    pass(seconds(1)).await;
    assert_eq!(status(&world).await, StatusCode::NOT_FOUND, "the feed does not vouch for what it did not watch");
}

#[tokio::test(start_paused = true)]
async fn without_a_catalog_what_is_held_is_served_for_a_minute() {
    let world = without_feed().await;
    assert_eq!(status(&world).await, StatusCode::OK);
    world.catalog.be_away(true);
    pass(seconds(5)).await;
    assert_eq!((status(&world).await, world.catalog.questions()), (StatusCode::OK, 2));
    // It is not asked with every request.
    assert_eq!((status(&world).await, world.catalog.questions()), (StatusCode::OK, 2));
    pass(Duration::from_millis(59_999)).await;
    assert_eq!(status(&world).await, StatusCode::OK);
    pass(Duration::from_millis(1)).await;
    let answer = world.get("source").await;
    assert_eq!((answer.status, answer.reason().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"));
    world.catalog.be_away(false);
    assert_eq!(status(&world).await, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_catalog_that_hangs_is_not_waited_for_long() {
    let world = without_feed().await;
    assert_eq!(status(&world).await, StatusCode::OK);
    world.catalog.hold_up();
    pass(seconds(5)).await;
    let begun = tokio::time::Instant::now();
    assert_eq!(status(&world).await, StatusCode::OK);
    assert_eq!(begun.elapsed(), seconds(2));
}

#[tokio::test(start_paused = true)]
async fn a_removed_video_is_not_served_though_no_catalog_answers() {
    let world = world().await;
    settle().await;
    assert_eq!(status(&world).await, StatusCode::OK);
    remove(&world.catalog);
    world.catalog.be_away(true);
    world.catalog.tell_change("1");
    settle().await;
    assert_eq!(status(&world).await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn one_request_asks_for_all() {
    let world = without_feed().await;
    let gate = world.catalog.hold_up();
    let all = futures::future::join_all((0..20).map(|_| status(&world)));
    let release = async {
        world.catalog.until_asked(1).await;
        settle().await;
        gate.notify_one();
    };
    let (all, ()) = tokio::join!(all, release);
    assert_eq!(all, [StatusCode::OK; 20]);
    assert_eq!(world.catalog.questions(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_request_waits_for_a_catalog_that_hangs_and_all_fail_with_it() {
    let world = without_feed().await;
    world.catalog.hold_up();
    let begun = tokio::time::Instant::now();
    let all = futures::future::join_all((0..20).map(|_| status(&world))).await;
    assert_eq!(all, [StatusCode::GATEWAY_TIMEOUT; 20]);
    assert_eq!((begun.elapsed(), world.catalog.questions()), (seconds(20), 1));
    // Whoever comes later asks again.
    world.catalog.answer_at_once();
    pass(Duration::from_millis(1)).await;
    assert_eq!(status(&world).await, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn what_becomes_ready_is_seen_at_once() {
    let world = without_feed().await;
    world.catalog.change(|_, source| source.upload_state = pb::UploadState::Open.into());
    assert_eq!(status(&world).await, StatusCode::SERVICE_UNAVAILABLE);
    world.catalog.change(|_, source| source.upload_state = pb::UploadState::Complete.into());
    pass(Duration::from_millis(1)).await;
    assert_eq!(status(&world).await, StatusCode::OK);
}
