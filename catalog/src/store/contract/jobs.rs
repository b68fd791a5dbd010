//! Rows of jobs and their queue.

use super::super::{JobRow, JobsQuery, Store};
use super::{at, ok, source};
use futures::future::join_all;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;
use vidstream_proto::ids::SourceId;
use vidstream_proto::job::{Fence, Job, JobClass, JobId, JobKind, JobProgress, JobState};
use vidstream_proto::pb;
use vidstream_proto::source::{Source, UploadState};

pub(super) async fn check(store: &Arc<dyn Store>) {
    rows_are_compared_and_set(&**store).await;
    the_best_job_is_leased(&**store).await;
    a_lease_starts_afresh(&**store).await;
    no_job_is_leased_twice(store).await;
    places_are_counted(&**store).await;
    load_is_told(&**store).await;
    ended_jobs_of_gone_sources_are_forgotten(&**store).await;
}

fn job(kind: JobKind, priority: i32, created: u64) -> JobRow {
    let source_id = SourceId::generate();
    let job = Job {
        id: JobId::new(source_id, kind, "part", "0"),
        source_id,
        kind,
        priority,
        state: JobState::Queued,
        attempts: 0,
        fence: Fence(0),
        worker: String::new(),
        beat: 0,
        progress: JobProgress::default(),
        reason: String::new(),
        create_time: at(created),
        update_time: at(created),
        not_before: None,
        queue_position: 0,
    };
    JobRow { job, revision: 1, lost: 0, result: None, unapplied: false, maker: 0 }
}

async fn insert(store: &dyn Store, row: JobRow) -> JobRow {
    assert!(ok(store.insert_job(row.clone()).await));
    row
}

async fn rows_are_compared_and_set(store: &dyn Store) {
    let first = insert(store, job(JobKind::Ingest, 1, 0)).await;
    let id = &first.job.id;
    assert!(!ok(store.insert_job(JobRow { lost: 9, ..first.clone() }).await), "making it twice makes one");
    assert_eq!(ok(store.job(id).await), Some(first.clone()));

    let mut done = JobRow { revision: 2, unapplied: true, lost: 3, ..first.clone() };
    done.job.state = JobState::Done;
    done.result = Some(pb::finish_job_request::Result::Delete(pb::DeleteResult { objects: 3 }));
    assert!(ok(store.replace_job(done.clone(), 1).await));
    assert!(!ok(store.replace_job(first.clone(), 1).await), "the revision has passed");
    assert_eq!(ok(store.job(id).await), Some(done.clone()));
    assert_eq!(ok(store.jobs_of(first.job.source_id).await), [done.clone()]);
    assert_eq!(ok(store.unapplied_jobs(10).await), [done.clone()]);
    let applied = JobRow { revision: 3, unapplied: false, ..done };
    assert!(ok(store.replace_job(applied, 2).await));
    assert!(ok(store.unapplied_jobs(10).await).is_empty());
}

async fn lease(store: &dyn Store, classes: &[JobClass], now: SystemTime) -> Option<JobId> {
    ok(store.lease_job(classes, "w", 1, now).await).map(|row| row.job.id)
}

async fn the_best_job_is_leased(store: &dyn Store) {
    let (light, pictures) = (JobClass::Light, JobClass::Pictures);
    let old = insert(store, job(JobKind::Poster, 1, 0)).await.job.id;
    let young = insert(store, job(JobKind::Poster, 1, 5)).await.job.id;
    let urgent = insert(store, job(JobKind::Ingest, 2, 9)).await.job.id;
    let other = insert(store, job(JobKind::Storyboard, 1, 0)).await.job.id;
    let mut later = job(JobKind::Ingest, 9, 0);
    later.job.not_before = Some(at(1000));
    let later = insert(store, later).await.job.id;

    assert_eq!(ok(store.waiting_classes(at(10)).await), [light, pictures]);
    assert_eq!(ok(store.next_due(at(10)).await), Some(at(1000)));
    assert_eq!(lease(store, &[pictures, light], at(10)).await, Some(urgent), "priority goes first");
    assert_eq!(lease(store, &[pictures, light], at(10)).await, Some(other), "then the preferred class");
    assert_eq!(lease(store, &[pictures], at(10)).await, None);
    assert_eq!(lease(store, &[light], at(10)).await, Some(old), "then age");
    assert_eq!(lease(store, &[light], at(10)).await, Some(young));
    assert_eq!(lease(store, &[light], at(999)).await, None, "not before its time");
    assert!(ok(store.waiting_classes(at(999)).await).is_empty());
    assert_eq!(ok(store.waiting_classes(at(1000)).await), [light]);
    assert_eq!(lease(store, &[light], at(1000)).await, Some(later));
    assert_eq!(ok(store.leased_jobs().await).len(), 5);
    cancel_all(store).await;
}

/// Ends all that is not ended, so that the next check has a queue of its own.
async fn cancel_all(store: &dyn Store) {
    let unfinished = JobsQuery { source: None, unfinished_only: true, limit: 500 };
    for job in ok(store.jobs(unfinished.clone()).await) {
        let mut row = ok(store.job(&job.id).await).expect("it is listed");
        row.job.state = JobState::Cancelled;
        row.revision += 1;
        let expected = row.revision - 1;
        assert!(ok(store.replace_job(row, expected).await));
    }
    assert!(ok(store.jobs(unfinished).await).is_empty());
    assert!(ok(store.leased_jobs().await).is_empty());
}

async fn load_is_told(store: &dyn Store) {
    let class = async |class, now| {
        let load = ok(store.load(at(now)).await);
        let of = load.classes.iter().find(|of| of.class == class);
        of.map_or((0, 0, None), |of| (of.waiting, of.running, of.oldest))
    };
    let (light, pictures) = (JobClass::Light, JobClass::Pictures);
    let uploads = ok(store.load(at(0)).await).open_uploads;
    assert_eq!((class(light, 9).await, class(pictures, 9).await), ((0, 0, None), (0, 0, None)));
    insert(store, job(JobKind::Ingest, 1, 5)).await;
    insert(store, job(JobKind::Poster, 9, 7)).await;
    let mut later = job(JobKind::Delete, 1, 0);
    later.job.not_before = Some(at(20));
    insert(store, later).await;
    insert(store, job(JobKind::Storyboard, 1, 6)).await;
    assert_eq!(class(light, 10).await, (2, 0, Some(at(5))), "what is not due does not wait");
    assert_eq!(class(light, 30).await, (3, 0, Some(at(5))));
    assert_eq!(class(pictures, 10).await, (1, 0, Some(at(6))));
    // The one of the higher priority goes first, and the older one still waits.
    assert!(lease(store, &[light], at(10)).await.is_some());
    assert_eq!(class(light, 10).await, (1, 1, Some(at(5))));
    assert!(lease(store, &[light], at(10)).await.is_some());
    assert_eq!(class(light, 10).await, (0, 2, None));
    assert_eq!(class(light, 30).await, (1, 2, Some(at(20))), "since it could be taken, not since it was made");
    cancel_all(store).await;
    assert_eq!((class(light, 99).await, class(pictures, 99).await), ((0, 0, None), (0, 0, None)));

    let open = source();
    assert!(ok(store.insert_source(open.clone()).await));
    assert_eq!(ok(store.load(at(0)).await).open_uploads, uploads + 1);
    let complete = Source { revision: 2, upload_state: UploadState::Complete, ..open };
    assert!(ok(store.replace_source(complete, 1).await));
    assert_eq!(ok(store.load(at(0)).await).open_uploads, uploads);
}

async fn a_lease_starts_afresh(store: &dyn Store) {
    let mut row = job(JobKind::Ingest, 1, 0);
    row.job.fence = Fence(4);
    row.job.beat = 17;
    row.job.progress.percent = 50.0;
    row.job.not_before = Some(at(1));
    let row = insert(store, row).await;
    let leased = ok(store.lease_job(&[JobClass::Light], "me", 7, at(3)).await).expect("it is due");
    assert_eq!(Some(&leased), ok(store.job(&row.job.id).await).as_ref());
    assert_eq!(leased.maker, 7);
    let job = leased.job;
    assert_eq!((job.state, job.fence, job.worker.as_str()), (JobState::Leased, Fence(5), "me"));
    assert_eq!((job.beat, job.progress, job.not_before), (0, JobProgress::default(), None));
    assert_eq!((job.update_time, leased.revision > row.revision), (at(3), true));
    cancel_all(store).await;
}

async fn no_job_is_leased_twice(store: &Arc<dyn Store>) {
    for n in 0..24 {
        insert(&**store, job(JobKind::Ingest, 1, n)).await;
    }
    let takers = (0..32).map(|_| {
        let store = Arc::clone(store);
        tokio::spawn(async move { lease(&*store, &[JobClass::Light], at(99)).await })
    });
    let taken: Vec<JobId> = join_all(takers).await.into_iter().filter_map(|task| task.expect("no panic")).collect();
    assert_eq!(taken.len(), 24);
    assert_eq!(taken.into_iter().collect::<HashSet<_>>().len(), 24);
    cancel_all(&**store).await;
}

async fn places_are_counted(store: &dyn Store) {
    let mut expected = Vec::new();
    for (priority, created, place) in [(1, 0, 2), (1, 3, 3), (5, 2, 1), (5, 1, 0)] {
        expected.push((insert(store, job(JobKind::Ingest, priority, created)).await.job.id, place));
    }
    let other = insert(store, job(JobKind::Storyboard, 0, 0)).await;
    expected.push((other.job.id.clone(), 0));
    let query = JobsQuery { source: None, unfinished_only: true, limit: 500 };
    let listed = ok(store.jobs(query.clone()).await);
    assert!(listed.windows(2).all(|pair| pair[0].create_time >= pair[1].create_time), "newest first");
    for (id, place) in expected {
        let job = listed.iter().find(|job| job.id == id).expect("it is listed");
        assert_eq!(job.queue_position, place, "{job:?}");
    }
    assert_eq!(ok(store.jobs(JobsQuery { limit: 2, ..query.clone() }).await).len(), 2);
    let of_one = JobsQuery { source: Some(other.job.source_id), ..query };
    assert_eq!(ok(store.jobs(of_one).await).into_iter().map(|job| job.id).collect::<Vec<_>>(), [other.job.id]);
    cancel_all(store).await;
}

async fn ended_jobs_of_gone_sources_are_forgotten(store: &dyn Store) {
    let source = source();
    ok(store.insert_source(source.clone()).await);
    let ended = |mut row: JobRow| {
        row.job.state = JobState::Done;
        row
    };
    let gone = insert(store, ended(job(JobKind::Delete, 1, 10))).await.job.id;
    let queued = insert(store, job(JobKind::Delete, 1, 10)).await.job.id;
    let mut kept = ended(job(JobKind::Ingest, 1, 10));
    kept.job.source_id = source.id;
    let kept = insert(store, kept).await.job.id;
    ok(store.forget_jobs(at(10)).await);
    assert!(ok(store.job(&gone).await).is_some(), "not old enough");
    ok(store.forget_jobs(at(11)).await);
    assert!(ok(store.job(&gone).await).is_none());
    assert!(ok(store.job(&queued).await).is_some());
    assert!(ok(store.job(&kept).await).is_some());
    ok(store.remove_source(source.id).await);
    cancel_all(store).await;
}
