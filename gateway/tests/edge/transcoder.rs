//! A transcoder that says what tests tell it.

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use std::sync::Mutex;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tonic::{Request, Response, Status};
use vidstream_proto::pb;
use vidstream_proto::pb::transcoder_service_server::TranscoderService;

#[derive(Debug)]
pub struct Transcoder {
    /// What watchers of all progress hear; an error ends their stream.
    pub all: broadcast::Sender<Result<pb::WatchAllProgressResponse, Status>>,
    /// All that is heard of one source.
    pub stages: Mutex<Vec<pb::Progress>>,
}

impl Default for Transcoder {
    fn default() -> Self {
        Self { all: broadcast::Sender::new(64), stages: Mutex::default() }
    }
}

#[tonic::async_trait]
impl TranscoderService for Transcoder {
    type WatchSourceProgressStream = BoxStream<'static, Result<pb::WatchSourceProgressResponse, Status>>;
    type WatchAllProgressStream = BoxStream<'static, Result<pb::WatchAllProgressResponse, Status>>;

    async fn watch_source_progress(
        &self,
        request: Request<pb::WatchSourceProgressRequest>,
    ) -> Result<Response<Self::WatchSourceProgressStream>, Status> {
        let video_id = request.into_inner().video_id;
        let stages = self.stages.lock().expect("not poisoned").clone();
        let answer = move |stage| {
            let progress = Some(pb::Progress { video_id: video_id.clone(), ..stage });
            Ok(pb::WatchSourceProgressResponse { progress })
        };
        Ok(Response::new(stream::iter(stages).map(answer).boxed()))
    }

    async fn watch_all_progress(
        &self,
        _: Request<pb::WatchAllProgressRequest>,
    ) -> Result<Response<Self::WatchAllProgressStream>, Status> {
        let all = BroadcastStream::new(self.all.subscribe()).map(|item| item.expect("tests do not lag"));
        Ok(Response::new(all.boxed()))
    }

    async fn examine_transcoder(
        &self,
        _: Request<pb::ExamineTranscoderRequest>,
    ) -> Result<Response<pb::ExamineTranscoderResponse>, Status> {
        Err(Status::unavailable("no transcoder here"))
    }
}
