//! A video's whole life, with a kill at every single write of it.

use crate::dying::{Death, Dying};
use crate::world::{Client, File, World, outcome, request_id};
use futures::StreamExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use vidstream_catalog::Config;
use vidstream_catalog::store::JobsQuery;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::pb::{self, JobKind, SourceLife, VideoState};
use vidstream_source::extents::{GRANULE, PageNumber};

/// What a client and a worker do. Each repeats what got no answer, with the same request ids.
struct Script {
    file: File,
    requests: [String; 4],
    /// The update's expected revision, which its repeat must not be refused for.
    revision: Option<i64>,
    seen_ready: bool,
    removed: bool,
}

impl Script {
    fn new() -> Self {
        let file = File::new(usize::try_from(3 * GRANULE + 1).unwrap());
        let requests = [(); 4].map(|()| request_id());
        Self { file, requests, revision: None, seen_ready: false, removed: false }
    }

    /// From the start to the end; fails when the catalog does not answer.
    async fn play(&mut self, client: &mut Client) -> Result<(), Problem> {
        let [create, complete, update, remove] = self.requests.clone();
        let created = client
            .create_source(pb::CreateSourceRequest {
                request_id: create,
                file_name: "life.mp4".into(),
                size: self.file.size(),
                ..Default::default()
            })
            .await?
            .into_inner();
        let source = created.source.unwrap();
        let video_id = source.video_ids[0].clone();
        if !self.seen_ready {
            client
                .record_extents(pb::RecordExtentsRequest { source_id: source.id.clone(), extents: self.file.cells() })
                .await?;
            let blake3 = self.file.blake3().to_vec();
            let request = pb::CompleteSourceRequest { request_id: complete, source_id: source.id.clone(), blake3 };
            client.complete_source(request).await?;
            let video = self.work(client, &video_id, |video| has_all_parts(video.unwrap())).await?.unwrap();
            assert_eq!(video.state(), VideoState::Ready);
            self.revision = Some(video.revision);
            self.seen_ready = true;
        }
        if !self.removed {
            let request = pb::UpdateEntryRequest {
                request_id: update,
                video_id: video_id.clone(),
                update_mask: Some(prost_types::FieldMask { paths: vec!["title".into()] }),
                title: "death".into(),
                expected_revision: self.revision,
                ..Default::default()
            };
            let video = client.update_entry(request).await?.into_inner().entry.unwrap().video.unwrap();
            assert_eq!(video.title, "death");
            let purge_after = Some(prost_types::Duration::default());
            let request = pb::RemoveEntryRequest {
                request_id: remove,
                video_id: video_id.clone(),
                purge_after,
                expected_revision: None,
            };
            client.remove_entry(request).await?;
            self.removed = true;
        }
        self.work(client, &video_id, |video| video.is_none()).await?;
        Ok(())
    }

    /// Works on jobs until the video is as wanted.
    async fn work(
        &self,
        client: &mut Client,
        video_id: &str,
        wanted: impl Fn(Option<&pb::Video>) -> bool,
    ) -> Result<Option<pb::Video>, Problem> {
        for _ in 0..100 {
            let video = match client.get_entry(pb::GetEntryRequest { video_id: video_id.into() }).await {
                Ok(answer) => answer.into_inner().entry.unwrap().video,
                Err(status) if Problem::from(status.clone()).reason == Reason::NotFound => None,
                Err(status) => return Err(status.into()),
            };
            if wanted(video.as_ref()) {
                return Ok(video);
            }
            let classes = vec![pb::JobClass::Light.into(), pb::JobClass::Pictures.into()];
            let taken = client
                .take_job(pb::TakeJobRequest { classes, worker: "w".into(), ..Default::default() })
                .await?
                .into_inner();
            match taken.job {
                Some(job) => finish(client, &job).await?,
                None => tokio::time::sleep(Duration::from_secs(10)).await,
            }
        }
        panic!("it is stuck");
    }
}

async fn finish(client: &mut Client, job: &pb::Job) -> Result<(), Problem> {
    let result = Some(outcome(job.kind()));
    client.finish_job(pb::FinishJobRequest { job_id: job.id.clone(), fence: job.fence, result }).await?;
    Ok(())
}

fn has_all_parts(video: &pb::Video) -> bool {
    let parts = [&video.source_rendition, &video.storyboard, &video.poster];
    parts.into_iter().all(|part| part.as_ref().unwrap().state() == pb::PartState::Ready)
}

fn config() -> Config {
    Config { free_leases_at_start: true, ..Config::default() }
}

/// A catalog whose store dies at write `n`, and that store.
async fn dying_at(n: i64, death: Death) -> (World, Arc<Dying>) {
    let world = World::still(config()).await;
    let store = Arc::new(Dying::new(world.store.clone(), n, death));
    (world.reopen_over(|_| store.clone()).await, store)
}

/// Kills at write `n`, starts again and plays to the end.
async fn kill_at(n: i64, death: Death) {
    let first = dying_at(n, death).await.0.run();
    let mut script = Script::new();
    let problem = script.play(&mut first.client.clone()).await.unwrap_err();
    assert_eq!(problem.reason, Reason::Unavailable, "{problem}");
    let mut second = first.reopen().await.run();
    script.play(&mut second.client).await.unwrap_or_else(|problem| panic!("{death:?} write {n}: {problem}"));
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_clean(&second, &format!("{death:?} write {n}")).await;
}

/// Writes of a life without a kill, until its client has what it wants.
async fn writes_of_a_life() -> i64 {
    let (world, store) = dying_at(i64::MAX, Death::Before).await;
    let world = world.run();
    Script::new().play(&mut world.client.clone()).await.unwrap();
    store.writes()
}

/// Nothing is left but a tombstone, ended jobs and answers.
async fn assert_clean(world: &World, when: &str) {
    let store = &world.store;
    assert!(store.unapplied_jobs(10).await.unwrap().is_empty(), "{when}");
    assert!(store.unsettled_sources(10).await.unwrap().is_empty(), "{when}");
    assert!(store.open_sources(None, 10).await.unwrap().is_empty(), "{when}");
    assert!(store.dying_sources(10).await.unwrap().is_empty(), "{when}");
    assert!(store.purging_videos(10).await.unwrap().is_empty(), "{when}");
    assert!(store.leased_jobs().await.unwrap().is_empty(), "{when}");
    let pending = store.pending_requests(SystemTime::now() + Duration::from_hours(9), 10).await.unwrap();
    assert!(pending.is_empty(), "{when}");
    let jobs = store.jobs(JobsQuery { source: None, unfinished_only: false, limit: 99 }).await.unwrap();
    let mut kinds: Vec<JobKind> = jobs.iter().map(|job| job.kind).collect();
    kinds.sort_by_key(|kind| i32::from(*kind));
    assert_eq!(kinds, [JobKind::Ingest, JobKind::Storyboard, JobKind::Poster, JobKind::Delete], "{when}");
    let source = jobs[0].source_id;
    assert!(store.source(source).await.unwrap().is_none(), "{when}");
    assert!(store.pages(source, PageNumber(0), 10).await.unwrap().is_empty(), "{when}");
    assert!(store.videos_of(source).await.unwrap().is_empty(), "{when}");
}

async fn kill_at_every_write(death: Death) {
    let writes = writes_of_a_life().await;
    assert!(writes > 40, "only {writes} writes were seen");
    // The loops write, too, so that a life's last writes may differ by a few.
    let kills = futures::stream::iter(0..writes - 5).map(|n| kill_at(n, death));
    kills.buffer_unordered(8).for_each(|()| async {}).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_before_any_write_harms_nothing() {
    kill_at_every_write(Death::Before).await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_after_any_write_harms_nothing() {
    kill_at_every_write(Death::After).await;
}

/// The client never comes back: what it began is made whole or was never there.
#[tokio::test(start_paused = true)]
async fn a_creation_that_nobody_repeats_is_whole_or_nothing() {
    for death in [Death::Before, Death::After] {
        for n in 0..8 {
            let (first, _) = dying_at(n, death).await;
            let mut client = first.client.clone();
            let request = pb::CreateSourceRequest {
                request_id: request_id(),
                file_name: "x.mp4".into(),
                size: 5,
                ..Default::default()
            };
            let answered = client.create_source(request).await.is_ok();
            let mut second = first.reopen().await.run();
            tokio::time::sleep(Duration::from_mins(2)).await;
            let entries = second.list(pb::ListEntriesRequest::default()).await.entries;
            assert!(entries.len() == 1 || !answered, "{death:?} {n}");
            for entry in entries {
                let source = second.source(&entry.source_id).await;
                assert_eq!((source.life(), source.revision), (SourceLife::Live, source.shown_revision));
                assert_eq!(second.take().await.unwrap().source_id, source.id);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_completion_that_nobody_repeats_is_whole_or_nothing() {
    for death in [Death::Before, Death::After] {
        for n in 0..6 {
            let mut first = World::still(config()).await;
            let file = File::new(1000);
            let source = first.create(file.size()).await;
            first.record(&source.id, file.cells()).await.unwrap();
            let ingest = first.take().await.unwrap();
            first.finish(&ingest, outcome(JobKind::Ingest)).await.unwrap();
            let store = first.store.clone();
            let mut dying = first.reopen_over(|_| Arc::new(Dying::new(store, n, death))).await;
            let answered = dying.complete(&source.id, file.blake3()).await.is_ok();

            let mut second = dying.reopen().await.run();
            tokio::time::sleep(Duration::from_mins(2)).await;
            let source = second.source(&source.id).await;
            let complete = source.upload_state() == pb::UploadState::Complete;
            assert!(complete || !answered, "{death:?} {n}");
            let expected = if complete { VideoState::Ready } else { VideoState::Uploading };
            assert_eq!(second.video(&source.video_ids[0]).await.state(), expected, "{death:?} {n}");
            let mut jobs = 0;
            while second.take().await.is_some() {
                jobs += 1;
            }
            assert_eq!(jobs, if complete { 2 } else { 0 }, "{death:?} {n}");
        }
    }
}
