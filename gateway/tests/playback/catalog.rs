//! A catalog of one video, whose every answer the test decides.

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};
use tokio::sync::{Notify, broadcast, watch};
use tokio_stream::wrappers::BroadcastStream;
use tonic::{Request, Response, Status};
use vidstream_proto::error::Problem;
use vidstream_proto::pb;
use vidstream_proto::pb::catalog_service_server::CatalogService;
use vidstream_proto::pb::watch_entries_response::Event;

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// What the test sets and reads.
#[derive(Debug)]
pub struct Catalog {
    video: Mutex<Video>,
    /// Calls that ask for the video.
    questions: watch::Sender<usize>,
    /// Calls of any kind.
    calls: AtomicUsize,
    /// What watchers of the feed hear: `None` breaks it.
    feed: broadcast::Sender<Option<pb::WatchEntriesResponse>>,
    /// Positions from which the feed was opened.
    opened: watch::Sender<Vec<String>>,
}

#[derive(Debug, Default)]
struct Video {
    entry: Option<pb::Entry>,
    source: pb::Source,
    pages: Vec<pb::ExtentPage>,
    away: bool,
    feedless: bool,
    held_up: Option<std::sync::Arc<Notify>>,
}

impl Default for Catalog {
    fn default() -> Self {
        let (questions, opened) = (watch::Sender::default(), watch::Sender::default());
        Self {
            video: Mutex::default(),
            questions,
            calls: AtomicUsize::default(),
            feed: broadcast::Sender::new(64),
            opened,
        }
    }
}

impl Catalog {
    /// All calls but watches of the feed.
    pub fn calls(&self) -> usize {
        self.calls.load(Relaxed)
    }

    fn video(&self) -> MutexGuard<'_, Video> {
        self.video.lock().unwrap()
    }

    pub fn set(&self, entry: pb::Entry, source: pb::Source, pages: Vec<pb::ExtentPage>) {
        let mut video = self.video();
        (video.entry, video.source, video.pages) = (Some(entry), source, pages);
    }

    /// Changes the rows without a word on the feed.
    pub fn change(&self, change: impl FnOnce(&mut pb::Video, &mut pb::Source)) {
        let mut video = self.video();
        let Video { entry, source, .. } = &mut *video;
        let shown = entry.as_mut().unwrap().video.as_mut().unwrap();
        let without_views = |video: &pb::Video| pb::Video { views: 0, ..video.clone() };
        let before = (without_views(shown), source.clone());
        change(shown, source);
        // Views change without raising the revision; nothing else does.
        if (without_views(shown), source.clone()) != before {
            shown.revision += 1;
        }
    }

    /// Forgets the video, as once its purge time is over.
    pub fn purge(&self) {
        self.video().entry = None;
    }

    /// Refuses every question from now on, or answers again.
    pub fn be_away(&self, away: bool) {
        self.video().away = away;
    }

    /// Refuses to be watched from now on, or can be again. What is watched already goes on.
    pub fn be_feedless(&self, feedless: bool) {
        self.video().feedless = feedless;
    }

    /// Holds up the answers to questions; each permit lets one go.
    pub fn hold_up(&self) -> std::sync::Arc<Notify> {
        let gate = std::sync::Arc::<Notify>::default();
        self.video().held_up = Some(gate.clone());
        gate
    }

    pub fn answer_at_once(&self) {
        self.video().held_up = None;
    }

    pub fn questions(&self) -> usize {
        *self.questions.borrow()
    }

    pub async fn until_asked(&self, times: usize) {
        self.questions.subscribe().wait_for(|asked| *asked >= times).await.unwrap();
    }

    pub async fn until_watched(&self, times: usize) -> Vec<String> {
        self.opened.subscribe().wait_for(|opened| opened.len() >= times).await.unwrap().clone()
    }

    pub fn tell(&self, position: &str, event: Event) {
        let message = pb::WatchEntriesResponse { position: position.into(), event: Some(event) };
        self.feed.send(Some(message)).expect("somebody watches");
    }

    /// The video as it is now.
    pub fn entry(&self) -> pb::Entry {
        self.video().entry.clone().unwrap()
    }

    /// Tells of the video as it is now.
    pub fn tell_change(&self, position: &str) {
        self.tell(position, Event::Changed(self.entry()));
    }

    pub fn break_feed(&self) {
        self.feed.send(None).expect("somebody watches");
    }

    async fn question(&self) -> Result<(), Status> {
        self.calls.fetch_add(1, Relaxed);
        self.questions.send_modify(|asked| *asked += 1);
        let gate = self.video().held_up.clone();
        if let Some(gate) = gate {
            gate.notified().await;
        }
        if self.video().away { Err(Status::unavailable("away")) } else { Ok(()) }
    }

    async fn answer(&self, id: &str) -> Answer<pb::GetEntryResponse> {
        // What is answered is what was so when the question came.
        let entry = self.video().entry.clone();
        self.question().await?;
        let entry = entry.filter(|entry| entry.video.as_ref().unwrap().id == id);
        let entry = entry.ok_or_else(|| Status::from(Problem::not_found("video", id)))?;
        Ok(Response::new(pb::GetEntryResponse { entry: Some(entry) }))
    }

    fn watch(&self, position: String) -> Answer<Answers<pb::WatchEntriesResponse>> {
        let feed = BroadcastStream::new(self.feed.subscribe());
        self.opened.send_modify(|opened| opened.push(position));
        if self.video().feedless {
            return Err(Status::unavailable("not to be watched"));
        }
        let current =
            pb::WatchEntriesResponse { position: String::new(), event: Some(Event::Current(pb::FeedCurrent {})) };
        let heard = feed.map(|message| message.unwrap().ok_or_else(|| Status::unavailable("the feed broke")));
        Ok(Response::new(stream::iter([Ok(current)]).chain(heard).boxed()))
    }
}

/// The service, with the calls playback has no business with.
macro_rules! service {
    ({ $($used:item)* } $($call:ident: $request:ident -> $response:ident;)*) => {
        #[tonic::async_trait]
        impl CatalogService for Catalog {
            type WatchSourceStream = Answers<pb::WatchSourceResponse>;
            type WatchEntriesStream = Answers<pb::WatchEntriesResponse>;
            type CollectObjectsStream = Answers<pb::CollectObjectsResponse>;

            $($used)*

            $(async fn $call(&self, _: Request<pb::$request>) -> Answer<pb::$response> {
                Err(Status::unimplemented("playback does not call this"))
            })*
        }
    };
}

service! {
    {
        async fn get_entry(&self, request: Request<pb::GetEntryRequest>) -> Answer<pb::GetEntryResponse> {
            self.answer(&request.into_inner().video_id).await
        }

        async fn get_source(&self, _: Request<pb::GetSourceRequest>) -> Answer<pb::GetSourceResponse> {
            self.calls.fetch_add(1, Relaxed);
            if self.video().away {
                return Err(Status::unavailable("away"));
            }
            Ok(Response::new(pb::GetSourceResponse { source: Some(self.video().source.clone()) }))
        }

        async fn list_extents(&self, request: Request<pb::ListExtentsRequest>) -> Answer<pb::ListExtentsResponse> {
            self.calls.fetch_add(1, Relaxed);
            let first = request.into_inner().first_page;
            let pages = self.video().pages.iter().filter(|page| page.number == first).cloned().collect();
            Ok(Response::new(pb::ListExtentsResponse { pages, ..Default::default() }))
        }

        async fn watch_entries(&self, request: Request<pb::WatchEntriesRequest>) -> Answer<Self::WatchEntriesStream> {
            self.watch(request.into_inner().position)
        }

        async fn watch_source(&self, _: Request<pb::WatchSourceRequest>) -> Answer<Self::WatchSourceStream> {
            Err(Status::unimplemented("playback does not call this"))
        }

        async fn collect_objects(&self, _: Request<pb::CollectObjectsRequest>) -> Answer<Self::CollectObjectsStream> {
            Err(Status::unimplemented("playback does not call this"))
        }
    }
    create_source: CreateSourceRequest -> CreateSourceResponse;
    record_extents: RecordExtentsRequest -> RecordExtentsResponse;
    complete_source: CompleteSourceRequest -> CompleteSourceResponse;
    want_ranges: WantRangesRequest -> WantRangesResponse;
    list_entries: ListEntriesRequest -> ListEntriesResponse;
    update_entry: UpdateEntryRequest -> UpdateEntryResponse;
    add_entry_captions: AddEntryCaptionsRequest -> AddEntryCaptionsResponse;
    remove_entry_captions: RemoveEntryCaptionsRequest -> RemoveEntryCaptionsResponse;
    remove_entry: RemoveEntryRequest -> RemoveEntryResponse;
    restore_entry: RestoreEntryRequest -> RestoreEntryResponse;
    retry_entry: RetryEntryRequest -> RetryEntryResponse;
    take_job: TakeJobRequest -> TakeJobResponse;
    beat_job: BeatJobRequest -> BeatJobResponse;
    finish_job: FinishJobRequest -> FinishJobResponse;
    fail_job: FailJobRequest -> FailJobResponse;
    record_segment: RecordSegmentRequest -> RecordSegmentResponse;
    want_segment: WantSegmentRequest -> WantSegmentResponse;
    list_jobs: ListJobsRequest -> ListJobsResponse;
    add_watched: AddWatchedRequest -> AddWatchedResponse;
    examine_catalog: ExamineCatalogRequest -> ExamineCatalogResponse;
}
