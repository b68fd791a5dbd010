//! Leases: beats, cancellation, loss, and handing back.

use crate::clips::plain;
use crate::mesh::{Mesh, quick};
use std::time::Duration;
use tokio::task::JoinHandle;
use vidstream_proto::job::{Fence, JobKind, JobState};
use vidstream_proto::pb::FailureKind;
use vidstream_transcoder::Config;

/// A storyboard whose ffmpeg runs and waits for bytes that do not come.
async fn stuck() -> (Mesh, JoinHandle<()>) {
    let content = plain();
    let whole = Mesh::with(content.clone()).await;
    whole.start();
    let result = whole.index().await;
    let stored = whole.read(&result.object).await;
    let mesh = Mesh::of(content, quick()).await;
    mesh.objects.put(&result.object.parse().expect("a name"), vec![stored]).await.expect("stored");
    mesh.catalog.set(|state| state.source.index_result = Some(result));
    let worker = mesh.start();
    mesh.queue(JobKind::Storyboard).await;
    // The keyframes are read while ffmpeg runs.
    mesh.catalog.see(|state| (!state.wants.is_empty()).then_some(())).await;
    mesh.children_are(1).await;
    (mesh, worker)
}

/// The worker goes on, and ends when it is to.
async fn still_works(mesh: &Mesh, worker: JoinHandle<()>) {
    mesh.outcome(JobKind::Delete).await.expect("it works");
    mesh.life.stopping().cancel();
    worker.await.expect("it ends");
    assert_eq!(mesh.children(), 0);
}

#[tokio::test]
async fn a_cancelled_job_stops_at_once_and_says_nothing() {
    let (mesh, worker) = stuck().await;
    mesh.catalog.set(|state| state.jobs[0].state = JobState::Cancelled);
    mesh.children_are(0).await;
    still_works(&mesh, worker).await;
    let state = mesh.catalog.state();
    assert!(state.failed.is_empty() && state.finished.len() == 1, "{:?} {:?}", state.failed, state.finished);
}

#[tokio::test]
async fn a_lease_that_another_has_is_let_go() {
    let (mesh, worker) = stuck().await;
    mesh.catalog.set(|state| state.jobs[0].fence = Fence(99));
    mesh.children_are(0).await;
    still_works(&mesh, worker).await;
    assert_eq!(mesh.catalog.state().failed, []);
}

#[tokio::test]
async fn a_worker_that_is_not_heard_stops() {
    let (mesh, worker) = stuck().await;
    mesh.catalog.set(|state| state.away = true);
    mesh.children_are(0).await;
    mesh.catalog.set(|state| state.away = false);
    still_works(&mesh, worker).await;
    assert_eq!(mesh.catalog.state().failed, []);
}

#[tokio::test]
async fn a_worker_that_is_to_stop_hands_its_jobs_back() {
    let (mesh, worker) = stuck().await;
    mesh.life.stopping().cancel();
    worker.await.expect("it ends");
    assert_eq!(mesh.children(), 0, "reaped");
    let failed = std::mem::take(&mut mesh.catalog.state().failed);
    assert_eq!(failed, [(JobKind::Storyboard, FailureKind::Infrastructure, "the worker was stopped".to_owned())]);
}

#[tokio::test]
async fn a_catalog_that_comes_back_is_found() {
    let mesh = Mesh::with(plain()).await;
    mesh.catalog.set(|state| state.away = true);
    mesh.catalog.queue(JobKind::Ingest);
    mesh.start();
    mesh.ring(JobKind::Ingest).await;
    mesh.catalog.see(|state| (state.missed >= 2).then_some(())).await;
    mesh.catalog.set(|state| state.away = false);
    mesh.catalog.outcome(JobKind::Ingest).await.expect("an index");
}

#[tokio::test]
async fn a_result_is_said_until_it_is_heard_while_the_lease_is_kept() {
    let mesh = Mesh::with(plain()).await;
    mesh.catalog.set(|state| state.deaf = true);
    mesh.start();
    mesh.queue(JobKind::Ingest).await;
    // Longer than a lease without beats would be kept.
    mesh.catalog.see(|state| (state.beats.len() > 15).then_some(())).await;
    mesh.catalog.set(|state| state.deaf = false);
    mesh.catalog.outcome(JobKind::Ingest).await.expect("an index");
    let state = mesh.catalog.state();
    assert_eq!((state.finished.len(), state.jobs[0].fence), (1, Fence(1)));
    assert!(state.beats.is_sorted_by(|a, b| a < b), "{:?}", state.beats);
}

#[tokio::test]
async fn a_lost_bell_costs_a_look() {
    let mesh = Mesh::of(plain(), Config { poll: Duration::from_millis(100), ..quick() }).await;
    mesh.upload(0..mesh.content.len() as u64).await;
    mesh.start();
    mesh.catalog.queue(JobKind::Ingest);
    mesh.catalog.outcome(JobKind::Ingest).await.expect("an index");
}
