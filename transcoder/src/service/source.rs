//! Progress of one source until nothing of it waits or runs.

use crate::catalog::Catalog;
use crate::progress::{self, Merge};
use crate::service::upload::Upload;
use futures::stream;
use futures::{Stream, StreamExt as _};
use prost::Message as _;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tonic::Status;
use vidstream_backends::bus::{Event, EventBus, Events};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::{SourceId, VideoId};
use vidstream_proto::job::Job;
use vidstream_proto::pb::{self, PartState, Progress, SourceLife, Stage, UploadState};
use vidstream_proto::source::{Part, Source};

/// Between two looks at the rows: what the bus does not tell is seen then.
const LOOK: Duration = Duration::from_secs(1);

/// A watch of one source's progress.
pub(super) struct SourceProgress {
    catalog: Catalog,
    source: SourceId,
    video: String,
    events: Events,
    upload: Option<Upload>,
    merge: Merge,
    /// What is news and not said yet.
    news: VecDeque<Progress>,
    next_look: Instant,
    ended: bool,
}

impl SourceProgress {
    /// A watch that begins with what is now.
    pub async fn open(
        catalog: Catalog,
        bus: &dyn EventBus,
        source: SourceId,
        video: Option<VideoId>,
    ) -> Result<Self, Problem> {
        // Heard before looked at, so that nothing falls between. Without a bus, looking has to do.
        let events = bus.subscribe(&progress::of(source)).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "progress can't be heard; looking at intervals");
            stream::pending().boxed()
        });
        let mut watch = Self {
            catalog,
            source,
            video: video.map(|id| id.to_string()).unwrap_or_default(),
            events,
            upload: None,
            merge: Merge::default(),
            news: VecDeque::new(),
            next_look: Instant::now(),
            ended: false,
        };
        watch.look().await?;
        Ok(watch)
    }

    /// The messages; the stream ends when nothing waits or runs any more.
    pub fn messages(self) -> impl Stream<Item = Result<pb::WatchSourceProgressResponse, Status>> + Send + 'static {
        stream::unfold(self, |mut watch| async {
            let message = watch.next().await?;
            Some((message.map_err(Status::from), watch))
        })
    }

    async fn next(&mut self) -> Option<Result<pb::WatchSourceProgressResponse, Problem>> {
        loop {
            if let Some(progress) = self.news.pop_front() {
                let progress = Some(Progress { video_id: self.video.clone(), ..progress });
                return Some(Ok(pb::WatchSourceProgressResponse { progress }));
            }
            if self.ended {
                return None;
            }
            if let Err(problem) = self.hear().await {
                self.ended = true;
                // A source without a row is one whose deletion has ended.
                return (problem.reason != Reason::NotFound).then_some(Err(problem));
            }
        }
    }

    /// Waits for whatever comes next.
    async fn hear(&mut self) -> Result<(), Problem> {
        let Self { events, upload, next_look, .. } = self;
        tokio::select! {
            event = events.next() => match event {
                Some(Event::Notice { payload, .. }) => self.notice(&payload),
                // The rows say as much.
                Some(Event::Missed) => {}
                None => self.events = stream::pending().boxed(),
            },
            () = arrived(upload) => self.tell_upload(),
            () = sleep_until(*next_look) => self.look().await?,
        }
        Ok(())
    }

    fn notice(&mut self, payload: &[u8]) {
        let heard = pb::WatchAllProgressResponse::decode(payload).ok().and_then(|told| told.progress);
        let Some(progress) = heard else { return };
        if !matches!(progress.state(), PartState::Waiting | PartState::Running) {
            // Perhaps the last one.
            self.next_look = Instant::now();
        }
        self.news.extend(self.merge.heard(progress));
    }

    fn tell_upload(&mut self) {
        let told = self.upload.as_mut().map(Upload::tell);
        self.news.extend(told.and_then(|progress| self.merge.heard(progress)));
    }

    /// Reads the rows.
    async fn look(&mut self) -> Result<(), Problem> {
        let jobs = self.catalog.unfinished_jobs(self.source).await?;
        // After the jobs: a part that is done has no job that we still saw.
        let source = self.catalog.source(self.source).await?;
        self.look_at_upload(&source).await;
        self.news.extend(jobs.iter().filter_map(|job| self.merge.row(job)));
        for (stage, part) in parts(&source) {
            // An end that the bus has told needs no second word; one it did not tell is seen here.
            if !jobs.iter().any(|job| job.kind.stage() == stage) {
                self.news.extend(self.merge.part(stage, &part));
            }
        }
        self.ended = !is_more_to_come(&source, &jobs);
        self.next_look = Instant::now() + LOOK;
        Ok(())
    }

    async fn look_at_upload(&mut self, source: &Source) {
        if source.upload_state != UploadState::Open {
            self.upload = None;
            let state = match source.upload_state {
                UploadState::Complete => Part::ready(""),
                _ => Part::failed("its bytes never came"),
            };
            self.news.extend(self.merge.part(Stage::Upload, &state));
            return;
        }
        let upload = self.upload.get_or_insert_with(|| Upload::new(source.size));
        upload.look(&self.catalog, source).await;
        self.tell_upload();
    }
}

/// The parts whose making people see.
fn parts(source: &Source) -> Vec<(Stage, Part)> {
    let each =
        [(Stage::Index, &source.index), (Stage::Storyboard, &source.storyboard), (Stage::Poster, &source.poster)];
    // What is encoded is at its end with the last track; one that failed is what people have to know.
    let encoded = source.encoded.iter().map(|track| &track.part);
    let encoded = encoded.max_by_key(|part| (part.is_pending(), part.state == PartState::Failed));
    each.into_iter()
        .chain(encoded.map(|part| (Stage::Encode, part)))
        .map(|(stage, part)| (stage, part.clone()))
        .collect()
}

/// Whether something of the source waits or runs, or will.
fn is_more_to_come(source: &Source, jobs: &[Job]) -> bool {
    if !jobs.is_empty() {
        return true;
    }
    // What follows from an index that failed never comes.
    let pictures =
        source.index.state == PartState::Ready && (source.storyboard.is_pending() || source.poster.is_pending());
    let encoded = source.index.state == PartState::Ready && source.encoded.iter().any(|track| track.part.is_pending());
    let coming = encoded || source.upload_state == UploadState::Open || source.index.is_pending() || pictures;
    source.life == SourceLife::Live && source.upload_state != UploadState::Expired && coming
}

/// Waits until an upload is to be told of; for ever without one.
async fn arrived(upload: &mut Option<Upload>) {
    match upload {
        Some(upload) => upload.arrived().await,
        None => std::future::pending().await,
    }
}
