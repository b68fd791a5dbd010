//! A catalog in memory for one source: what the transcoder asks of one, and levers for the tests.

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::{SourceId, UploadId, VideoId};
use vidstream_proto::job::{Fence, Job, JobId, JobKind, JobProgress, JobState};
use vidstream_proto::pb::catalog_service_server::CatalogService;
use vidstream_proto::pb::finish_job_request::Result as Outcome;
use vidstream_proto::pb::{self, FailureKind};
use vidstream_proto::source::{Part, Source, SourceLife, UploadState};
use vidstream_source::checksum::{Tree, crc32c};
use vidstream_source::extents::{CELL, Extent, ExtentMap, PageNumber, RecordPage};
use vidstream_source::names;
use vidstream_source::ranges::ByteRanges;

/// What a test sees and sets.
#[derive(Debug)]
pub struct State {
    pub source: Source,
    pub extents: ExtentMap,
    pub jobs: Vec<Job>,
    pub finished: Vec<(JobKind, Outcome)>,
    pub failed: Vec<(JobKind, FailureKind, String)>,
    pub beats: Vec<u64>,
    pub wants: ByteRanges,
    /// The catalog does not answer.
    pub away: bool,
    /// Calls while it was away.
    pub missed: usize,
    /// Results can't be said.
    pub deaf: bool,
}

/// The catalog; clones are the same one.
#[derive(Clone, Debug)]
pub struct Catalog {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

impl Catalog {
    /// Of a live source of `size` bytes, none of which is there.
    pub fn new(size: u64) -> Self {
        let now = SystemTime::UNIX_EPOCH;
        let source = Source {
            id: SourceId::generate(),
            revision: 1,
            video_ids: vec![VideoId::generate()],
            life: SourceLife::Live,
            file_name: "clip.mp4".into(),
            size,
            upload_id: UploadId::generate(),
            upload_state: UploadState::Open,
            received: 0,
            expected_blake3: None,
            blake3: None,
            create_time: now,
            receive_time: now,
            index: Part::waiting(),
            index_result: None,
            storyboard: Part::waiting(),
            storyboard_result: None,
            poster: Part::waiting(),
            poster_result: None,
            shown_revision: 1,
            tried_by: 0,
            trace_parent: String::new(),
            normalisation: None,
            encoded: Vec::new(),
        };
        let state = State {
            source,
            extents: ExtentMap::new(size),
            jobs: Vec::new(),
            finished: Vec::new(),
            failed: Vec::new(),
            beats: Vec::new(),
            wants: ByteRanges::new(),
            away: false,
            missed: 0,
            deaf: false,
        };
        Self { state: Arc::new(Mutex::new(state)), changed: watch::Sender::new(0) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics with it")
    }

    /// Changes something and wakes whoever waits for it.
    pub fn set<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.changed.send_modify(|count| *count += 1);
        changed
    }

    /// Waits until `look` sees something.
    pub async fn see<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        let seen = async {
            loop {
                changed.borrow_and_update();
                if let Some(seen) = look(&mut self.state()) {
                    return seen;
                }
                changed.changed().await.expect("the catalog lives");
            }
        };
        tokio::time::timeout(std::time::Duration::from_mins(1), seen).await.expect("it happens within a minute")
    }

    /// Queues a job.
    pub fn queue(&self, kind: JobKind) -> JobId {
        self.set(|state| {
            let id = JobId::new(state.source.id, kind, "source", "0");
            let now = SystemTime::UNIX_EPOCH;
            state.jobs.push(Job {
                id: id.clone(),
                source_id: state.source.id,
                kind,
                priority: 0,
                state: JobState::Queued,
                attempts: 0,
                fence: Fence(0),
                worker: String::new(),
                beat: 0,
                progress: JobProgress::default(),
                reason: String::new(),
                create_time: now,
                update_time: now,
                not_before: None,
                queue_position: 0,
            });
            id
        })
    }

    /// Waits for the result of a job.
    pub async fn outcome(&self, kind: JobKind) -> Result<Outcome, (FailureKind, String)> {
        self.see(|state| {
            let failed = state.failed.iter().find(|(of, ..)| *of == kind).cloned();
            let finished = state.finished.iter().find(|(of, _)| *of == kind).cloned();
            failed.map(|(_, kind, reason)| Err((kind, reason))).or(finished.map(|(_, outcome)| Ok(outcome)))
        })
        .await
    }

    /// Records that `range` of `content` is there, and says under which name and bytes.
    pub fn record(&self, content: &Bytes, range: Range<u64>) -> Vec<(vidstream_backends::objects::ObjectName, Bytes)> {
        self.set(|state| {
            let mut stored = Vec::new();
            let mut start = range.start;
            while start < range.end {
                let end = range.end.min(start - start % CELL + CELL);
                let at = |offset: u64| usize::try_from(offset).expect("small");
                let bytes = content.slice(at(start)..at(end));
                let tree = Tree::of(start, std::slice::from_ref(&bytes), state.source.size);
                let extent = Extent::new(start..end, crc32c(&bytes), tree).expect("a run of granules");
                stored.push((names::extent(state.source.id, &extent), bytes));
                state.extents.insert(extent).expect("of this file");
                state.wants.remove(start..end);
                start = end;
            }
            state.source.received = state.extents.received();
            if state.extents.is_complete() {
                state.source.upload_state = UploadState::Complete;
            }
            stored
        })
    }

    fn leased(&self, id: &str, fence: u64) -> Result<usize, Problem> {
        let state = self.state();
        let found = state.jobs.iter().position(|job| job.id.as_str() == id && job.fence == Fence(fence));
        found.ok_or_else(|| Problem::new(Reason::StaleFence, "another has it"))
    }

    fn present(&self) -> Result<(), Problem> {
        if !self.state().away {
            return Ok(());
        }
        self.set(|state| state.missed += 1);
        Err(Problem::new(Reason::Unavailable, "away"))
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[expect(clippy::unnecessary_wraps, reason = "what every handler returns")]
fn ok<T>(message: T) -> Answer<T> {
    Ok(Response::new(message))
}

/// What the transcoder never calls.
macro_rules! unused {
    ($($name:ident($request:ident) -> $response:ident),+ $(,)?) => {
        #[tonic::async_trait]
        impl CatalogService for Catalog {
            type WatchSourceStream = BoxStream<'static, Result<pb::WatchSourceResponse, Status>>;
            type WatchEntriesStream = BoxStream<'static, Result<pb::WatchEntriesResponse, Status>>;
            type CollectObjectsStream = BoxStream<'static, Result<pb::CollectObjectsResponse, Status>>;

            $(async fn $name(&self, _: Request<pb::$request>) -> Answer<pb::$response> {
                unreachable!(concat!(stringify!($name), " is not the transcoder's to call"))
            })+

            async fn watch_entries(&self, _: Request<pb::WatchEntriesRequest>) -> Answer<Self::WatchEntriesStream> {
                unreachable!("watch_entries is not the transcoder's to call")
            }

            async fn collect_objects(&self, _: Request<pb::CollectObjectsRequest>) -> Answer<Self::CollectObjectsStream> {
                unreachable!("collect_objects is not the transcoder's to call")
            }

            async fn get_source(&self, _: Request<pb::GetSourceRequest>) -> Answer<pb::GetSourceResponse> {
                self.present()?;
                ok(pb::GetSourceResponse { source: Some(self.state().source.clone().into()) })
            }

            async fn list_extents(&self, asked: Request<pb::ListExtentsRequest>) -> Answer<pb::ListExtentsResponse> {
                self.present()?;
                let number = PageNumber(asked.into_inner().first_page);
                let mut page = RecordPage::new(number);
                let state = self.state();
                for extent in state.extents.extents().filter(|extent| extent.page() == number) {
                    page.insert(extent.clone());
                }
                ok(pb::ListExtentsResponse { pages: vec![(&page).into()], ..Default::default() })
            }

            async fn want_ranges(&self, want: Request<pb::WantRangesRequest>) -> Answer<pb::WantRangesResponse> {
                self.present()?;
                let ranges = vidstream_proto::ranges::from_wire(want.into_inner().ranges)?;
                self.set(|state| state.wants.extend(ranges));
                ok(pb::WantRangesResponse {})
            }

            async fn watch_source(&self, _: Request<pb::WatchSourceRequest>) -> Answer<Self::WatchSourceStream> {
                self.present()?;
                let (catalog, changed) = (self.clone(), self.changed.subscribe());
                let messages = stream::unfold((catalog, changed, true), |(catalog, mut changed, first)| async move {
                    if !first {
                        changed.changed().await.ok()?;
                    }
                    changed.borrow_and_update();
                    let message = {
                        let state = catalog.state();
                        pb::WatchSourceResponse {
                            recorded: vidstream_proto::ranges::to_wire(state.extents.recorded().iter()),
                            dying: state.source.life != SourceLife::Live,
                            ..Default::default()
                        }
                    };
                    Some((Ok(message), (catalog, changed, false)))
                });
                ok(messages.boxed())
            }

            async fn take_job(&self, asked: Request<pb::TakeJobRequest>) -> Answer<pb::TakeJobResponse> {
                self.present()?;
                let asked = asked.into_inner();
                let taken = self.set(|state| {
                    let free = |job: &&mut Job| {
                        job.state == JobState::Queued && asked.classes.contains(&i32::from(job.class()))
                    };
                    let job = state.jobs.iter_mut().find(free)?;
                    job.state = JobState::Leased;
                    job.fence.0 += 1;
                    job.worker.clone_from(&asked.worker);
                    Some((job.clone(), state.source.clone()))
                });
                ok(taken.map_or_else(Default::default, |(job, source)| pb::TakeJobResponse {
                    job: Some(job.into()),
                    source: Some(source.into()),
                }))
            }

            async fn beat_job(&self, beat: Request<pb::BeatJobRequest>) -> Answer<pb::BeatJobResponse> {
                self.present()?;
                let beat = beat.into_inner();
                let at = self.leased(&beat.job_id, beat.fence)?;
                let cancelled = self.set(|state| {
                    state.beats.push(beat.beat);
                    if let Some(progress) = beat.progress {
                        state.jobs[at].progress = progress.try_into().expect("valid progress");
                    }
                    state.jobs[at].state == JobState::Cancelled
                });
                ok(pb::BeatJobResponse { cancelled })
            }

            async fn finish_job(&self, done: Request<pb::FinishJobRequest>) -> Answer<pb::FinishJobResponse> {
                self.present()?;
                if self.state().deaf {
                    return Err(Status::unavailable("deaf"));
                }
                let done = done.into_inner();
                let at = self.leased(&done.job_id, done.fence)?;
                let outcome = done.result.expect("a result");
                self.set(|state| {
                    let kind = state.jobs[at].kind;
                    state.jobs[at].state = JobState::Done;
                    let source = &mut state.source;
                    match &outcome {
                        Outcome::Index(index) => {
                            (source.index, source.index_result) = (Part::ready(""), Some(index.clone()));
                        }
                        Outcome::Storyboard(made) => source.storyboard = Part::ready(made.generation.clone()),
                        Outcome::Poster(made) => source.poster = Part::ready(made.generation.clone()),
                        Outcome::Normalisation(reading) => {
                            (source.index, source.normalisation) = (Part::waiting(), Some(reading.clone()));
                        }
                        Outcome::Encode(_) | Outcome::Delete(_) => {}
                    }
                    state.finished.push((kind, outcome));
                });
                ok(pb::FinishJobResponse {})
            }

            async fn fail_job(&self, failed: Request<pb::FailJobRequest>) -> Answer<pb::FailJobResponse> {
                self.present()?;
                let failed = failed.into_inner();
                let at = self.leased(&failed.job_id, failed.fence)?;
                self.set(|state| {
                    let again = matches!(failed.kind(), FailureKind::Infrastructure | FailureKind::Attempt);
                    let (job, source) = (&mut state.jobs[at], &mut state.source);
                    job.state = if again { JobState::Queued } else { JobState::Failed };
                    let part = if again { Part::waiting() } else { Part::failed(failed.reason.clone()) };
                    match job.kind {
                        JobKind::Ingest => source.index = part,
                        JobKind::Storyboard => source.storyboard = part,
                        JobKind::Poster => source.poster = part,
                        _ => {}
                    }
                    state.failed.push((job.kind, failed.kind(), failed.reason.clone()));
                    // Once is enough to look at.
                    if again {
                        job.state = JobState::Cancelled;
                    }
                });
                ok(pb::FailJobResponse {})
            }

            async fn list_jobs(&self, _: Request<pb::ListJobsRequest>) -> Answer<pb::ListJobsResponse> {
                self.present()?;
                let state = self.state();
                let open = |job: &&Job| matches!(job.state, JobState::Queued | JobState::Leased);
                ok(pb::ListJobsResponse { jobs: state.jobs.iter().filter(open).cloned().map(Into::into).collect() })
            }
        }
    };
}

unused! {
    create_source(CreateSourceRequest) -> CreateSourceResponse,
    record_extents(RecordExtentsRequest) -> RecordExtentsResponse,
    complete_source(CompleteSourceRequest) -> CompleteSourceResponse,
    record_segment(RecordSegmentRequest) -> RecordSegmentResponse,
    want_segment(WantSegmentRequest) -> WantSegmentResponse,
    list_entries(ListEntriesRequest) -> ListEntriesResponse,
    get_entry(GetEntryRequest) -> GetEntryResponse,
    add_watched(AddWatchedRequest) -> AddWatchedResponse,
    examine_catalog(ExamineCatalogRequest) -> ExamineCatalogResponse,
    update_entry(UpdateEntryRequest) -> UpdateEntryResponse,
    remove_entry(RemoveEntryRequest) -> RemoveEntryResponse,
    restore_entry(RestoreEntryRequest) -> RestoreEntryResponse,
    retry_entry(RetryEntryRequest) -> RetryEntryResponse,
    add_entry_captions(AddEntryCaptionsRequest) -> AddEntryCaptionsResponse,
    remove_entry_captions(RemoveEntryCaptionsRequest) -> RemoveEntryCaptionsResponse,
}
