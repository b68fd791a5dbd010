//! Hiding, restoring, purging.

use crate::world::{File, World, outcome, reason, request_id};
use std::time::Duration;
use vidstream_catalog::Config;
use vidstream_proto::error::Reason;
use vidstream_proto::pb::{self, FailureKind, JobKind, JobState, VideoState};

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test(start_paused = true)]
async fn a_removed_video_can_be_restored_until_its_purge_time() {
    let mut world = World::start().await;
    let source = world.uploaded().await;
    let video = &source.video_ids[0];
    world.work().await;
    let removed = world.remove(video, 2 * HOUR).await.unwrap();
    assert_eq!(removed.state(), VideoState::Removed);
    let (remove, purge) = (removed.remove_time.unwrap(), removed.purge_time.unwrap());
    assert_eq!(purge.seconds - remove.seconds, 7200);
    tokio::time::sleep(HOUR).await;
    let restored = world.restore(video).await.unwrap();
    assert_eq!((restored.state(), restored.remove_time, restored.purge_time), (VideoState::Ready, None, None));
    assert!(restored.revision > removed.revision);
    let again = world.restore(video).await.unwrap();
    assert_eq!(again, restored, "harmless on one that is shown");
    tokio::time::sleep(3 * HOUR).await;
    assert_eq!(world.video(video).await.state(), VideoState::Ready);
}

#[tokio::test(start_paused = true)]
async fn everything_goes_at_the_purge_time() {
    let mut world = World::start().await;
    let source = world.uploaded().await;
    let video = &source.video_ids[0];
    world.work().await;
    world.remove(video, HOUR).await.unwrap();
    assert!(world.take().await.is_none());
    // The purge is on time, not on the next sweep.
    tokio::time::sleep(HOUR + Duration::from_secs(1)).await;
    assert_eq!(reason(world.restore(video).await), Reason::NotFound, "too late");
    assert_eq!(world.source(&source.id).await.life(), pb::SourceLife::Dying);
    let late = world.record(&source.id, File::new(100_000).cells()).await;
    assert_eq!(reason(late), Reason::SourceDying);

    let delete = world.take().await.unwrap();
    assert_eq!(delete.kind(), JobKind::Delete);
    world.finish(&delete, outcome(JobKind::Delete)).await.unwrap();
    world.finish(&delete, outcome(JobKind::Delete)).await.unwrap();
    assert_eq!(reason(world.try_video(video).await), Reason::NotFound);
    let key = Some(pb::get_source_request::Key::SourceId(source.id.clone()));
    assert_eq!(reason(world.client.get_source(pb::GetSourceRequest { key }).await), Reason::NotFound);
    let extents = pb::ListExtentsRequest { source_id: source.id.clone(), ..Default::default() };
    assert_eq!(reason(world.client.list_extents(extents).await), Reason::NotFound);
    let removed = pb::ListEntriesRequest { state: VideoState::Removed.into(), ..Default::default() };
    assert!(world.list(removed).await.entries.is_empty());
}

#[tokio::test]
async fn a_purge_after_nothing_starts_at_once() {
    let mut world = World::start().await;
    let source = world.uploaded().await;
    world.work().await;
    let mut bells = vidstream_backends::queue::JobQueue::listen(&*world.queue, &[light()]).await.unwrap();
    // A bell of the upload may wait still.
    let _ = tokio::time::timeout(Duration::from_millis(50), bells.next()).await;
    world.remove(&source.video_ids[0], Duration::ZERO).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), bells.next()).await.unwrap().unwrap();
    assert_eq!(world.take().await.unwrap().kind(), JobKind::Delete);
}

fn light() -> vidstream_backends::queue::Class {
    vidstream_backends::queue::Class::new("light")
}

#[tokio::test(start_paused = true)]
async fn removing_an_open_upload_ends_it() {
    let mut world = World::start().await;
    let file = File::new(200_000);
    let source = world.create(file.size()).await;
    let video = &source.video_ids[0];
    let ingest = world.take().await.unwrap();
    world.remove(video, Duration::ZERO).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(reason(world.record(&source.id, file.cells()).await), Reason::SourceDying);
    assert_eq!(reason(world.complete(&source.id, file.blake3()).await), Reason::SourceDying);
    assert!(world.beat(&ingest, 1).await.unwrap(), "the worker shall stop");
    assert_eq!(reason(world.finish(&ingest, outcome(JobKind::Ingest)).await), Reason::SourceDying);
    world.fail(&ingest, FailureKind::Infrastructure, "cancelled").await.unwrap();
    let delete = world.take().await.unwrap();
    assert_eq!(delete.kind(), JobKind::Delete);
    assert!(world.take().await.is_none(), "the ingest job is not taken again");
    world.finish(&delete, outcome(JobKind::Delete)).await.unwrap();
    assert_eq!(reason(world.try_video(video).await), Reason::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_never_given_up() {
    let mut world = World::start().await;
    let source = world.uploaded().await;
    world.work().await;
    world.remove(&source.video_ids[0], Duration::ZERO).await.unwrap();
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_mins(6)).await;
        let delete = world.take().await.unwrap();
        world.fail(&delete, FailureKind::Attempt, "the disk is read-only").await.unwrap();
    }
    let jobs = world.jobs(&source.id).await;
    let delete = jobs.iter().find(|job| job.kind() == JobKind::Delete).unwrap();
    assert_eq!((delete.state(), delete.reason.as_str()), (JobState::Queued, "the disk is read-only"));
}

#[tokio::test(start_paused = true)]
async fn removing_again_changes_the_purge_time() {
    let mut world = World::start().await;
    let source = world.uploaded().await;
    let video = &source.video_ids[0];
    let first = world.remove(video, 24 * HOUR).await.unwrap();
    tokio::time::sleep(HOUR).await;
    let second = world.remove(video, HOUR).await.unwrap();
    assert_eq!(second.remove_time, first.remove_time);
    assert!(second.purge_time.unwrap().seconds < first.purge_time.unwrap().seconds);
    tokio::time::sleep(2 * HOUR).await;
    assert_eq!(world.source(&source.id).await.life(), pb::SourceLife::Dying);
    // Its bytes are going: another purge time would be a promise that nobody keeps.
    assert_eq!(reason(world.remove(video, 24 * HOUR).await), Reason::NotFound);
}

#[tokio::test(start_paused = true)]
async fn the_setting_says_how_long_where_nobody_else_does() {
    let config = Config { purge_after: 3 * HOUR, ..Config::default() };
    let mut world = World::with(config).await;
    let source = world.uploaded().await;
    let request = pb::RemoveEntryRequest {
        request_id: request_id(),
        video_id: source.video_ids[0].clone(),
        ..Default::default()
    };
    let removed = world.client.remove_entry(request).await.unwrap().into_inner().entry.unwrap().video.unwrap();
    assert_eq!(removed.purge_time.unwrap().seconds - removed.remove_time.unwrap().seconds, 3 * 3600);
}

#[tokio::test]
async fn a_removed_video_goes_on_being_processed() {
    let mut world = World::start().await;
    let source = world.uploaded().await;
    let video = &source.video_ids[0];
    world.remove(video, HOUR).await.unwrap();
    world.work().await;
    assert_eq!(world.video(video).await.state(), VideoState::Removed);
    assert_eq!(world.restore(video).await.unwrap().state(), VideoState::Ready);
}
