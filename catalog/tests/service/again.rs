//! What an older version could not take is tried again by a newer one, once.

use crate::world::{World, outcome};
use std::time::Duration;
use vidstream_proto::pb::finish_job_request::Result as Outcome;
use vidstream_proto::pb::{self, FailureKind, JobKind, PartState, VideoState};

/// Longer than between two sweeps.
const SWEEP: Duration = Duration::from_secs(40);

#[tokio::test(start_paused = true)]
async fn a_file_that_failed_is_tried_once_by_a_newer_version() {
    let mut world = World::start().await;
    let source = world.uploaded().await;
    let video = &source.video_ids[0];
    let first = world.take_as(3, 1).await.unwrap();
    world.fail(&first, FailureKind::Input, "a kind that is not known").await.unwrap();
    for maker in [3, 2, 3] {
        tokio::time::sleep(SWEEP).await;
        assert_eq!(world.take_as(maker, 1).await, None, "it would fail again");
    }
    assert_eq!(world.take_as(4, 1).await, None, "it is put back by the sweep");
    tokio::time::sleep(SWEEP).await;
    assert_eq!(world.video(video).await.state(), VideoState::Processing);
    let again = world.take_as(4, 1).await.unwrap();
    assert_eq!((again.id.as_str(), again.attempts), (first.id.as_str(), 0));
    world.fail(&again, FailureKind::Input, "still not known").await.unwrap();
    for _ in 0..3 {
        tokio::time::sleep(SWEEP).await;
        assert_eq!(world.take_as(4, 1).await, None, "once");
    }
    let shown = world.video(video).await;
    assert_eq!((shown.state(), shown.failure.as_str()), (VideoState::Failed, "still not known"));
    // And a later one takes it.
    assert_eq!(world.take_as(5, 1).await, None);
    tokio::time::sleep(SWEEP).await;
    let taken = world.take_as(5, 1).await.unwrap();
    world.finish(&taken, outcome(JobKind::Ingest)).await.unwrap();
    world.work().await;
    assert_eq!(world.video(video).await.state(), VideoState::Ready);
}

#[tokio::test(start_paused = true)]
async fn only_what_failed_is_tried_again() {
    let mut world = World::start().await;
    let source = world.uploaded().await;
    while let Some(job) = world.take().await {
        match job.kind() {
            JobKind::Storyboard => world.fail(&job, FailureKind::Input, "too odd").await.unwrap(),
            JobKind::Poster => world.fail(&job, FailureKind::NotOffered, "all black").await.unwrap(),
            kind => world.finish(&job, outcome(kind)).await.unwrap(),
        }
    }
    assert_eq!(world.take_as(2, 1).await, None);
    tokio::time::sleep(SWEEP).await;
    let again = world.take_as(2, 1).await.unwrap();
    assert_eq!(again.kind(), JobKind::Storyboard);
    assert_eq!(world.take_as(2, 1).await, None);
    world.finish(&again, outcome(JobKind::Storyboard)).await.unwrap();
    let now = world.source(&source.id).await;
    assert_eq!(now.storyboard.unwrap().state(), PartState::Ready);
    assert_eq!(now.poster.unwrap().state(), PartState::NotOffered);
}

fn index(generation: &str, format: u32) -> Outcome {
    let Outcome::Index(index) = outcome(JobKind::Ingest) else { unreachable!("an index") };
    Outcome::Index(pb::IndexResult { generation: generation.into(), format, ..index })
}

#[tokio::test(start_paused = true)]
async fn an_index_in_an_older_form_is_made_anew() {
    let mut world = World::start().await;
    let source = world.uploaded().await;
    let video = &source.video_ids[0];
    let ingest = world.take().await.unwrap();
    // The first version did not say its form.
    world.finish(&ingest, index("g1", 0)).await.unwrap();
    world.work().await;
    let before = world.video(video).await;
    assert_eq!(before.state(), VideoState::Ready);
    tokio::time::sleep(SWEEP).await;
    assert_eq!(world.take_as(1, 1).await, None, "nothing is older");

    assert_eq!(world.take_as(1, 2).await, None);
    tokio::time::sleep(SWEEP).await;
    assert_eq!(world.video(video).await.state(), VideoState::Processing, "nobody reads the old one");
    let again = world.take_as(1, 2).await.unwrap();
    assert_eq!((again.kind(), again.id.as_str()), (JobKind::Ingest, ingest.id.as_str()));
    assert!(again.fence > ingest.fence, "it is stored beside the old one");
    world.finish(&again, index("g2", 2)).await.unwrap();
    let after = world.video(video).await;
    assert_eq!(after.state(), VideoState::Ready);
    assert_eq!(after.source_rendition.unwrap().generation, "g2", "derived addresses are others");
    assert_eq!((after.storyboard, after.poster), (before.storyboard, before.poster), "pictures stay");
    tokio::time::sleep(SWEEP).await;
    assert_eq!(world.take_as(1, 2).await, None, "once");
}

#[tokio::test(start_paused = true)]
async fn jobs_of_one_kind_never_share_a_fence() {
    let mut world = World::start().await;
    let source = world.uploaded().await;
    let ingest = world.take().await.unwrap();
    world.finish(&ingest, index("g1", 1)).await.unwrap();
    let mut fences = Vec::new();
    while let Some(job) = world.take().await {
        if job.kind() == JobKind::Storyboard {
            fences.push((job.id.clone(), job.fence));
        }
        world.fail(&job, FailureKind::Input, "too odd").await.unwrap();
    }
    // Another index makes another job; both wrote below the same folder.
    assert_eq!(world.take_as(2, 2).await, None);
    tokio::time::sleep(SWEEP).await;
    while let Some(job) = world.take_as(2, 2).await {
        match job.kind() {
            JobKind::Ingest => world.finish(&job, index("g2", 2)).await.unwrap(),
            kind => {
                if kind == JobKind::Storyboard {
                    fences.push((job.id.clone(), job.fence));
                }
                world.finish(&job, outcome(kind)).await.unwrap();
            }
        }
    }
    assert_eq!(fences.len(), 2, "{fences:?}");
    assert_ne!(fences[0].0, fences[1].0);
    assert!(fences[0].1 < fences[1].1, "{fences:?}");
    assert_eq!(world.source(&source.id).await.storyboard.unwrap().state(), PartState::Ready);
}
