//! A catalog that is nothing but a feed: numbered changes of videos, which stay.

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use vidstream_proto::ids::{SourceId, VideoId};
use vidstream_proto::pb;
use vidstream_proto::pb::catalog_service_server::CatalogService;
use vidstream_proto::pb::watch_entries_response::Event;

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// What the test sets and reads.
#[derive(Debug, Default)]
pub struct Catalog {
    feed: Arc<Feed>,
    /// Positions from which the feed was opened.
    opened: watch::Sender<Vec<String>>,
}

#[derive(Debug, Default)]
struct Feed {
    /// The change at number 1, 2, …
    changes: Mutex<Vec<pb::Entry>>,
    /// How many changes there are, and how often the feed was broken.
    state: watch::Sender<(usize, usize)>,
    /// Where it broke, it has forgotten what was before.
    forgets: AtomicBool,
    /// Streams that somebody holds.
    open: AtomicUsize,
}

/// One stream of the feed.
struct Stream {
    feed: Arc<Feed>,
    state: watch::Receiver<(usize, usize)>,
    video_id: String,
    number: usize,
    /// How often the feed had been broken when this was opened.
    broken: usize,
    /// It was told that it is current.
    current: bool,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.feed.open.fetch_sub(1, Relaxed);
        self.feed.state.send_modify(|_| {});
    }
}

impl Stream {
    async fn next(&mut self) -> Result<pb::WatchEntriesResponse, Status> {
        loop {
            let (changes, broken) = *self.state.borrow_and_update();
            if broken != self.broken && self.feed.forgets.load(Relaxed) {
                return Ok(response(changes, Event::Reset(pb::FeedReset {})));
            }
            if broken != self.broken {
                return Err(Status::unavailable("the feed broke"));
            }
            while self.number < changes {
                self.number += 1;
                let entry = self.feed.changes.lock().unwrap()[self.number - 1].clone();
                if self.video_id.is_empty() || self.video_id == entry.video.as_ref().unwrap().id {
                    self.current = false;
                    return Ok(response(self.number, Event::Changed(entry)));
                }
            }
            if !self.current {
                self.current = true;
                return Ok(response(self.number, Event::Current(pb::FeedCurrent {})));
            }
            self.state.changed().await.unwrap();
        }
    }
}

fn response(number: usize, event: Event) -> pb::WatchEntriesResponse {
    pb::WatchEntriesResponse { position: format!("at {number}"), event: Some(event) }
}

impl Catalog {
    /// A change of the video, under the next number.
    pub fn change(&self, id: VideoId) {
        let mut changes = self.feed.changes.lock().unwrap();
        let revision = i64::try_from(changes.len() + 1).unwrap();
        let video = pb::Video { id: id.to_string(), revision, ..Default::default() };
        changes.push(pb::Entry { video: Some(video), source_id: SourceId::generate().to_string() });
        let count = changes.len();
        drop(changes);
        self.feed.state.send_modify(|(changes, _)| *changes = count);
    }

    /// Breaks all streams that are open.
    pub fn break_feed(&self) {
        self.feed.state.send_modify(|(_, broken)| *broken += 1);
    }

    /// Resets all streams that are open: what they go on from is forgotten.
    pub fn reset_feed(&self) {
        self.feed.forgets.store(true, Relaxed);
        self.break_feed();
    }

    /// Where all streams began.
    pub fn opened(&self) -> Vec<String> {
        self.opened.borrow().clone()
    }

    /// Waits until `count` streams are held.
    pub async fn until_open(&self, count: usize) {
        let open = || self.feed.open.load(Relaxed);
        let mut state = self.feed.state.subscribe();
        while open() != count {
            state.changed().await.unwrap();
        }
    }

    /// Waits until there are so many changes.
    pub async fn until_changes(&self, count: usize) {
        self.feed.state.subscribe().wait_for(|(changes, _)| *changes >= count).await.unwrap();
    }

    fn watch(&self, request: pb::WatchEntriesRequest) -> Answers<pb::WatchEntriesResponse> {
        let mut state = self.feed.state.subscribe();
        let (changes, broken) = *state.borrow_and_update();
        let number = match request.position.strip_prefix("at ") {
            Some(number) => number.parse().unwrap(),
            None => changes,
        };
        self.feed.open.fetch_add(1, Relaxed);
        let feed = Arc::clone(&self.feed);
        let stream = Stream { feed, state, video_id: request.video_id, number, broken, current: false };
        self.opened.send_modify(|opened| opened.push(request.position));
        self.feed.state.send_modify(|_| {});
        let told = stream::unfold(Some(stream), |stream| async {
            let mut stream = stream?;
            let told = stream.next().await;
            let goes_on = told.as_ref().is_ok_and(|told| !matches!(told.event, Some(Event::Reset(_))));
            Some((told, goes_on.then_some(stream)))
        });
        told.boxed()
    }
}

/// The service, with the calls that watchers have no business with.
macro_rules! service {
    ({ $($used:item)* } $($call:ident: $request:ident -> $response:ty;)*) => {
        #[tonic::async_trait]
        impl CatalogService for Catalog {
            type WatchSourceStream = Answers<pb::WatchSourceResponse>;
            type WatchEntriesStream = Answers<pb::WatchEntriesResponse>;
            type CollectObjectsStream = Answers<pb::CollectObjectsResponse>;

            $($used)*

            $(async fn $call(&self, _: Request<pb::$request>) -> Answer<$response> {
                Err(Status::unimplemented("a feed only"))
            })*
        }
    };
}

service! {
    {
        async fn watch_entries(&self, request: Request<pb::WatchEntriesRequest>) -> Answer<Self::WatchEntriesStream> {
            Ok(Response::new(self.watch(request.into_inner())))
        }
    }
    get_entry: GetEntryRequest -> pb::GetEntryResponse;
    get_source: GetSourceRequest -> pb::GetSourceResponse;
    list_extents: ListExtentsRequest -> pb::ListExtentsResponse;
    watch_source: WatchSourceRequest -> Self::WatchSourceStream;
    collect_objects: CollectObjectsRequest -> Self::CollectObjectsStream;
    create_source: CreateSourceRequest -> pb::CreateSourceResponse;
    record_extents: RecordExtentsRequest -> pb::RecordExtentsResponse;
    complete_source: CompleteSourceRequest -> pb::CompleteSourceResponse;
    want_ranges: WantRangesRequest -> pb::WantRangesResponse;
    list_entries: ListEntriesRequest -> pb::ListEntriesResponse;
    update_entry: UpdateEntryRequest -> pb::UpdateEntryResponse;
    remove_entry: RemoveEntryRequest -> pb::RemoveEntryResponse;
    restore_entry: RestoreEntryRequest -> pb::RestoreEntryResponse;
    retry_entry: RetryEntryRequest -> pb::RetryEntryResponse;
    add_entry_captions: AddEntryCaptionsRequest -> pb::AddEntryCaptionsResponse;
    remove_entry_captions: RemoveEntryCaptionsRequest -> pb::RemoveEntryCaptionsResponse;
    take_job: TakeJobRequest -> pb::TakeJobResponse;
    beat_job: BeatJobRequest -> pb::BeatJobResponse;
    finish_job: FinishJobRequest -> pb::FinishJobResponse;
    fail_job: FailJobRequest -> pb::FailJobResponse;
    record_segment: RecordSegmentRequest -> pb::RecordSegmentResponse;
    want_segment: WantSegmentRequest -> pb::WantSegmentResponse;
    list_jobs: ListJobsRequest -> pb::ListJobsResponse;
    add_watched: AddWatchedRequest -> pb::AddWatchedResponse;
    examine_catalog: ExamineCatalogRequest -> pb::ExamineCatalogResponse;
}
