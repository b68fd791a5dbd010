//! The peer of `watch`: a broadcast as it is written in an afternoon. Every watcher has a channel, every event is put into all
//! of them, each stream encodes it for itself. It stores nothing and answers nothing else. Says its address on stdout.

use std::pin::Pin;
use std::sync::Mutex;
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use vidstream_bench::library;
use vidstream_proto::pb;
use vidstream_proto::pb::gateway_service_server::{GatewayService, GatewayServiceServer};
use vidstream_proto::pb::watch_videos_response::Event;

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[derive(Default)]
struct Broadcast {
    watchers: Mutex<Vec<Sender<pb::WatchVideosResponse>>>,
    changes: Mutex<i64>,
}

impl Broadcast {
    async fn tell(&self, event: Event) {
        let message = pb::WatchVideosResponse { position: "0123456789abcdef.100".into(), event: Some(event) };
        let watchers = self.watchers.lock().expect("no thread panics with it").clone();
        for watcher in watchers {
            // One that has left is told in vain.
            drop(watcher.send(message.clone()).await);
        }
    }
}

macro_rules! service {
    ({ $($used:item)* } $($call:ident: $request:ident -> $response:ident;)*) => {
        #[tonic::async_trait]
        impl GatewayService for Broadcast {
            type WatchVideosStream = Answers<pb::WatchVideosResponse>;
            type WatchProgressStream = Answers<pb::WatchProgressResponse>;
            type CollectGarbageStream = Answers<pb::CollectGarbageResponse>;
            type DiagnoseStream = Answers<pb::DiagnoseResponse>;

            $($used)*
            $(async fn $call(&self, _: Request<pb::$request>) -> Answer<pb::$response> {
                Err(Status::unimplemented("a broadcast only"))
            })*
        }
    };
}

service! {
    {

        async fn watch_videos(&self, _: Request<pb::WatchVideosRequest>) -> Answer<Self::WatchVideosStream> {
            let (sender, events) = channel(16);
            let current = pb::WatchVideosResponse { event: Some(Event::Current(pb::WatchCurrent {})), ..Default::default() };
            sender.send(current).await.map_err(|_| Status::cancelled("gone"))?;
            self.watchers.lock().expect("no thread panics with it").push(sender);
            Ok(Response::new(Box::pin(ReceiverStream::new(events).map(Ok))))
        }

        async fn update_video(&self, request: Request<pb::UpdateVideoRequest>) -> Answer<pb::UpdateVideoResponse> {
            let request = request.into_inner();
            let revision = {
                let mut changes = self.changes.lock().expect("no thread panics with it");
                *changes += 1;
                100 + *changes
            };
            let video = pb::Video { id: request.video_id, title: request.title, revision, ..library::row(1).entry.video };
            self.tell(Event::Changed(video.clone())).await;
            Ok(Response::new(pb::UpdateVideoResponse { video: Some(video) }))
        }

        async fn watch_progress(&self, _: Request<pb::WatchProgressRequest>) -> Answer<Self::WatchProgressStream> {
            Err(Status::unimplemented("a broadcast only"))
        }

        async fn collect_garbage(&self, _: Request<pb::CollectGarbageRequest>) -> Answer<Self::CollectGarbageStream> {
            Err(Status::unimplemented("a broadcast only"))
        }

        async fn diagnose(&self, _: Request<pb::DiagnoseRequest>) -> Answer<Self::DiagnoseStream> {
            Err(Status::unimplemented("a broadcast only"))
        }
    }
    list_videos: ListVideosRequest -> ListVideosResponse;
    get_video: GetVideoRequest -> GetVideoResponse;
    remove_video: RemoveVideoRequest -> RemoveVideoResponse;
    restore_video: RestoreVideoRequest -> RestoreVideoResponse;
    retry_video: RetryVideoRequest -> RetryVideoResponse;
    add_captions: AddCaptionsRequest -> AddCaptionsResponse;
    remove_captions: RemoveCaptionsRequest -> RemoveCaptionsResponse;
    get_playback: GetPlaybackRequest -> GetPlaybackResponse;
    explain_video: ExplainVideoRequest -> ExplainVideoResponse;
    report_watched: ReportWatchedRequest -> ReportWatchedResponse;
}

#[tokio::main]
async fn main() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("http://{}", listener.local_addr().expect("bound"));
    let mut server = Server::builder().max_concurrent_streams(256);
    let server = server.add_service(GatewayServiceServer::new(Broadcast::default()));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    server.serve_with_incoming(incoming).await.expect("it serves");
}
