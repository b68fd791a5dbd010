//! `vidstream.v1.TranscoderService`: progress as streams.

mod source;
mod upload;

use crate::catalog::Catalog;
use crate::examine::Condition;
use crate::progress;
use futures::future::ready;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use prost::Message as _;
use source::SourceProgress;
use std::sync::Arc;
use tonic::{Request, Response, Status};
use vidstream_backends::bus::{Event, EventBus};
use vidstream_backends::objects::ObjectStore;
use vidstream_backends::queue::JobQueue;
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::{SourceId, VideoId};
use vidstream_proto::pb::transcoder_service_server::TranscoderService;
use vidstream_proto::{field, pb};

/// Serves progress, from the bus and from the catalog's rows. Any replica can serve any source.
#[derive(Clone, Debug)]
pub struct Service {
    pub(crate) catalog: Catalog,
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) queue: Arc<dyn JobQueue>,
    pub(crate) bus: Arc<dyn EventBus>,
    pub(crate) life: Lifecycle,
    pub(crate) condition: Condition,
}

type Answer<T> = Result<Response<T>, Status>;
type Streaming<T> = BoxStream<'static, Result<T, Status>>;

impl Service {
    /// `answers`, ended with `UNAVAILABLE` once the server is to stop.
    fn until_stopping<T: Send + 'static>(
        &self,
        answers: impl Stream<Item = Result<T, Status>> + Send + 'static,
    ) -> Streaming<T> {
        let stopping = self.life.stopping().clone();
        let farewell = stopping.clone();
        let last = stream::once(ready(()))
            .filter_map(move |()| ready(farewell.is_cancelled().then(|| Err(stopped("is stopping").into()))));
        answers.take_until(stopping.cancelled_owned()).chain(last).boxed()
    }
}

fn stopped(why: &str) -> Problem {
    Problem::new(Reason::Unavailable, format!("the transcoder {why}; open the stream again"))
}

#[tonic::async_trait]
impl TranscoderService for Service {
    type WatchSourceProgressStream = Streaming<pb::WatchSourceProgressResponse>;
    type WatchAllProgressStream = Streaming<pb::WatchAllProgressResponse>;

    async fn watch_source_progress(
        &self,
        request: Request<pb::WatchSourceProgressRequest>,
    ) -> Answer<Self::WatchSourceProgressStream> {
        let request = request.into_inner();
        let source: SourceId = field::id("source_id", &request.source_id)?;
        let video: Option<VideoId> = field::optional_id("video_id", &request.video_id)?;
        let progress = SourceProgress::open(self.catalog.clone(), &*self.bus, source, video).await?;
        Ok(Response::new(self.until_stopping(progress.messages())))
    }

    async fn watch_all_progress(
        &self,
        _: Request<pb::WatchAllProgressRequest>,
    ) -> Answer<Self::WatchAllProgressStream> {
        let unavailable = |error| Problem::new(Reason::Unavailable, format!("progress can't be heard: {error}"));
        let events = self.bus.subscribe(&progress::all()).await.map_err(unavailable)?;
        // What was missed is old news: the next step of each job tells as much.
        let heard = events.filter_map(|event| {
            ready(match event {
                Event::Notice { payload, .. } => pb::WatchAllProgressResponse::decode(payload).ok().map(Ok),
                Event::Missed => None,
            })
        });
        let ended = stream::once(ready(Err(stopped("can't hear progress any more").into())));
        Ok(Response::new(self.until_stopping(heard.chain(ended))))
    }

    async fn examine_transcoder(
        &self,
        _: Request<pb::ExamineTranscoderRequest>,
    ) -> Answer<pb::ExamineTranscoderResponse> {
        let examination = Some(self.condition.examine(&*self.objects, &*self.queue, &*self.bus).await);
        Ok(Response::new(pb::ExamineTranscoderResponse { examination }))
    }
}
