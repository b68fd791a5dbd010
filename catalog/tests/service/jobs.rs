//! Jobs, leases and fences.

use crate::dying::{Dying, Fault};
use crate::world::{World, outcome, reason};
use futures::future::join_all;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use vidstream_backends::queue::{Class, JobQueue};
use vidstream_catalog::Config;
use vidstream_proto::error::Reason;
use vidstream_proto::pb::{self, FailureKind, JobKind, JobState, PartState, VideoState};

#[tokio::test]
async fn work_comes_in_its_order() {
    let mut world = World::start().await;
    let source = world.create(10).await;
    let ingest = world.take().await.unwrap();
    assert_eq!((ingest.kind(), ingest.fence, ingest.worker.as_str()), (JobKind::Ingest, 1, "w"));
    assert!(world.take().await.is_none(), "pictures wait for index and bytes");
    let shown = world.video(&source.video_ids[0]).await;
    assert_eq!(shown.source_rendition.unwrap().state(), PartState::Running);
    assert!(world.finish(&ingest, outcome(JobKind::Poster)).await.is_err());
    world.finish(&ingest, outcome(JobKind::Ingest)).await.unwrap();
    assert!(world.take().await.is_none(), "pictures wait for the bytes");

    let source = world.uploaded().await;
    let mut kinds = Vec::new();
    while let Some(job) = world.take().await {
        assert_eq!(job.source_id, source.id);
        kinds.push(job.kind());
        world.finish(&job, outcome(job.kind())).await.unwrap();
    }
    assert_eq!(kinds, [JobKind::Ingest, JobKind::Poster, JobKind::Storyboard]);
    assert!(world.jobs(&source.id).await.iter().all(|job| job.state() == JobState::Done));
}

#[tokio::test]
async fn a_bell_rings_for_new_work() {
    let mut world = World::start().await;
    let mut bells = world.queue.listen(&[Class::new("light")]).await.unwrap();
    world.create(10).await;
    assert_eq!(bells.next().await.unwrap(), Class::new("light"));
}

#[tokio::test]
async fn no_job_is_taken_twice() {
    let mut world = World::start().await;
    for _ in 0..20 {
        world.create(10).await;
    }
    let takers = (0..32).map(|n| {
        let mut client = world.client.clone();
        let request = pb::TakeJobRequest {
            classes: vec![pb::JobClass::Light.into()],
            worker: format!("w{n}"),
            ..Default::default()
        };
        tokio::spawn(async move { client.take_job(request).await.unwrap().into_inner().job })
    });
    let taken: Vec<pb::Job> = join_all(takers).await.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(taken.len(), 20);
    assert_eq!(taken.iter().map(|job| &job.id).collect::<HashSet<_>>().len(), 20);
    assert!(taken.iter().all(|job| job.fence == 1));
}

#[tokio::test]
async fn places_in_the_queue_are_counted() {
    let mut world = World::start().await;
    let mut sources = Vec::new();
    for _ in 0..4 {
        sources.push(world.create(10).await);
    }
    let mut places = Vec::new();
    for source in &sources {
        places.push(world.jobs(&source.id).await[0].queue_position);
    }
    assert_eq!(places, [0, 1, 2, 3]);
    assert_eq!(world.take().await.unwrap().source_id, sources[0].id, "the oldest first");
    assert_eq!(world.jobs(&sources[3].id).await[0].queue_position, 2);
    let all = pb::ListJobsRequest { limit: 2, unfinished_only: true, ..Default::default() };
    let all = world.client.list_jobs(all).await.unwrap().into_inner().jobs;
    assert_eq!(all.iter().map(|job| &job.source_id).collect::<Vec<_>>(), [&sources[3].id, &sources[2].id]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_lease_dies_and_its_worker_is_refused() {
    let mut world = World::start().await;
    let source = world.create(10).await;
    let lost = world.take().await.unwrap();
    // The first look, then 30 seconds, then the look that finds it dead.
    tokio::time::sleep(3 * world.config.sweep_interval).await;
    let shown = world.video(&source.video_ids[0]).await;
    assert_eq!(shown.source_rendition.unwrap().state(), PartState::Waiting);
    let again = world.take().await.unwrap();
    assert_eq!((&again.id, again.fence, again.attempts), (&lost.id, 2, 0));
    assert_eq!(reason(world.beat(&lost, 1).await), Reason::StaleFence);
    assert_eq!(reason(world.finish(&lost, outcome(JobKind::Ingest)).await), Reason::StaleFence);
    assert_eq!(reason(world.fail(&lost, FailureKind::Input, "late").await), Reason::StaleFence);
    world.finish(&again, outcome(JobKind::Ingest)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_beating_lease_lives() {
    let mut world = World::start().await;
    world.create(10).await;
    let job = world.take().await.unwrap();
    for beat in 1..20 {
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(!world.beat(&job, beat).await.unwrap());
    }
    world.finish(&job, outcome(JobKind::Ingest)).await.unwrap();
    world.finish(&job, outcome(JobKind::Ingest)).await.unwrap();
    assert_eq!(reason(world.beat(&job, 99).await), Reason::StaleFence, "it ended");
}

#[tokio::test]
async fn an_embedded_server_frees_its_former_leases() {
    let config = Config { free_leases_at_start: true, ..Config::default() };
    let mut world = World::with(config).await;
    world.create(10).await;
    let lost = world.take().await.unwrap();
    let mut world = world.reopen().await.run();
    let mut bells = world.queue.listen(&[Class::new("light")]).await.unwrap();
    bells.next().await.unwrap();
    let again = world.take().await.unwrap();
    assert_eq!(again.fence, lost.fence + 1);

    // A worker may be faster than the loops; what it got is not taken for a former life's.
    let mut world = world.reopen().await;
    let taken = world.take().await.unwrap();
    assert_eq!(taken.fence, again.fence + 1);
    let mut world = world.run();
    assert!(world.take().await.is_none());
    world.finish(&taken, outcome(JobKind::Ingest)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn attempts_are_counted_and_backed_off() {
    let mut world = World::start().await;
    let source = world.uploaded().await;
    let job = world.take().await.unwrap();
    world.fail(&job, FailureKind::Infrastructure, "the store is away").await.unwrap();
    world.fail(&job, FailureKind::Infrastructure, "the store is away").await.unwrap();
    assert!(world.take().await.is_none(), "not at once");
    for attempt in 1..=3 {
        tokio::time::sleep(Duration::from_secs(30)).await;
        let job = world.take().await.unwrap();
        assert_eq!(job.attempts, attempt - 1);
        world.fail(&job, FailureKind::Attempt, "out of memory").await.unwrap();
    }
    let shown = world.video(&source.video_ids[0]).await;
    assert_eq!((shown.state(), shown.failure.as_str()), (VideoState::Failed, "out of memory"));
    let pending = |part: Option<pb::Part>| matches!(part.unwrap().state(), PartState::Waiting | PartState::Running);
    assert!(!pending(shown.storyboard) && !pending(shown.poster), "nothing is still to come");
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert!(world.take().await.is_none());
}

#[tokio::test]
async fn a_bad_file_fails_once_it_is_complete_and_can_be_retried() {
    let mut world = World::start().await;
    let file = crate::world::File::new(1000);
    let source = world.create(file.size()).await;
    let job = world.take().await.unwrap();
    world.fail(&job, FailureKind::Input, "this is a text file").await.unwrap();
    let shown = world.video(&source.video_ids[0]).await;
    assert_eq!(shown.state(), VideoState::Uploading, "the sender goes on");
    assert_eq!(shown.source_rendition.unwrap().reason, "this is a text file");
    world.record(&source.id, file.cells()).await.unwrap();
    let shown = world.complete(&source.id, file.blake3()).await.unwrap();
    assert_eq!((shown.state(), shown.failure.as_str()), (VideoState::Failed, "this is a text file"));

    let retry = || pb::RetryEntryRequest {
        request_id: crate::world::request_id(),
        video_id: source.video_ids[0].clone(),
        expected_revision: None,
    };
    let shown = world.client.retry_entry(retry()).await.unwrap().into_inner().entry.unwrap().video.unwrap();
    assert_eq!(shown.state(), VideoState::Processing);
    let again = world.take().await.unwrap();
    assert_eq!((again.id.as_str(), again.attempts, again.fence), (job.id.as_str(), 0, 2));
    world.finish(&again, outcome(JobKind::Ingest)).await.unwrap();
    world.work().await;
    assert_eq!(world.video(&source.video_ids[0]).await.state(), VideoState::Ready);
    world.client.retry_entry(retry()).await.unwrap();
    assert!(world.take().await.is_none(), "nothing failed, nothing runs");
}

#[tokio::test]
async fn missing_pictures_are_a_warning() {
    let mut world = World::start().await;
    let source = world.uploaded().await;
    let ingest = world.take().await.unwrap();
    world.finish(&ingest, outcome(JobKind::Ingest)).await.unwrap();
    let poster = world.take().await.unwrap();
    world.fail(&poster, FailureKind::Input, "every picture is black").await.unwrap();
    let storyboard = world.take().await.unwrap();
    world.fail(&storyboard, FailureKind::NotOffered, "keyframes do not decode alone").await.unwrap();
    let shown = world.video(&source.video_ids[0]).await;
    assert_eq!(shown.state(), VideoState::Ready);
    assert_eq!(shown.storyboard.unwrap().state(), PartState::NotOffered);
    assert_eq!(shown.poster.unwrap().state(), PartState::Failed);
    let warnings: Vec<_> = shown.warnings.iter().map(|w| (w.code.as_str(), w.message.as_str())).collect();
    assert_eq!(warnings, [("NO_STORYBOARD", "keyframes do not decode alone"), ("NO_POSTER", "every picture is black")]);
}

#[tokio::test]
async fn a_file_without_pictures_gets_none() {
    let mut world = World::start().await;
    let source = world.uploaded().await;
    let ingest = world.take().await.unwrap();
    let index = pb::IndexResult {
        media: Some(pb::Media::default()),
        segmented: true,
        no_storyboard_reason: "it is sound only".into(),
        no_poster_reason: "it is sound only".into(),
        ..Default::default()
    };
    world.finish(&ingest, pb::finish_job_request::Result::Index(index)).await.unwrap();
    assert!(world.take().await.is_none());
    let shown = world.video(&source.video_ids[0]).await;
    assert_eq!((shown.state(), shown.warnings.len()), (VideoState::Ready, 0));
    assert_eq!(shown.poster.unwrap().reason, "it is sound only");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_kills_its_workers_is_given_up() {
    let mut world = World::start().await;
    let source = world.uploaded().await;
    let mut leases = 0;
    while world.take().await.is_some() {
        leases += 1;
        assert!(leases < 50, "it is tried for ever");
        tokio::time::sleep(3 * world.config.sweep_interval).await;
    }
    assert_eq!(leases, 10);
    assert_eq!(world.video(&source.video_ids[0]).await.state(), VideoState::Failed);
}

#[tokio::test]
async fn a_lost_bell_costs_a_sweep() {
    let config = Config { sweep_interval: Duration::from_millis(10), ..Config::default() };
    let mut world = World::still(config).await;
    world.create(10).await;
    let mut bells = world.queue.listen(&[Class::new("light")]).await.unwrap();
    bells.next().await.unwrap();
    let queue: Arc<dyn JobQueue> = world.queue.clone();
    world = world.run();
    let mut bells = queue.listen(&[Class::new("light")]).await.unwrap();
    bells.next().await.unwrap();
    assert!(world.take().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_could_not_be_given_goes_back() {
    let world = World::still(Config::default()).await;
    let store = Dying::never(world.store.clone());
    let mut world = world.reopen_over(|_| store.clone()).await.run();
    let source = world.uploaded().await;
    let mut fence = 0;
    for call in ["source", "replace_source"] {
        tokio::time::sleep(Duration::from_secs(5)).await;
        store.fail_next(call, Fault::Undone);
        let request = pb::TakeJobRequest {
            classes: vec![pb::JobClass::Light.into()],
            worker: "w".into(),
            ..pb::TakeJobRequest::default()
        };
        assert_eq!(reason(world.client.take_job(request).await), Reason::Unavailable, "{call}");
        assert!(store.has_failed());
        fence += 1;
        let job = world.jobs(&source.id).await.remove(0);
        assert_eq!((job.state(), job.fence), (JobState::Queued, fence), "{call}");
    }
    // A moment later, long before a lease dies.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let job = world.take().await.expect("it waits");
    assert_eq!((job.fence, job.attempts), (fence + 1, 0));
}
