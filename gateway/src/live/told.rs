//! What watchers are told, encoded once for all who hear it, and the call that sends it so.

use super::{Answers, Live};
use axum::Router;
use axum::extract::Request as HttpRequest;
use axum::routing::any;
use bytes::{BufMut, Bytes};
use futures::future::BoxFuture;
use prost::Message;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, ServerStreamingService};
use tonic::{Request, Response, Status};
use vidstream_proto::pb;

/// The call whose answers are [`Told`].
const WATCH_VIDEOS: &str = "/vidstream.v1.GatewayService/WatchVideos";
/// Bytes that a stream allocates at a time: a few messages. A watcher mostly waits, and there are many.
const BUFFER: usize = 2 << 10;
/// Bytes of messages that go into one frame, if so many are there.
const FRAME: usize = 32 << 10;

/// A [`pb::WatchVideosResponse`] in its encoded form. Clones share it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told(Bytes);

impl Told {
    /// The message again.
    pub fn message(self) -> Result<pb::WatchVideosResponse, Status> {
        pb::WatchVideosResponse::decode(self.0).map_err(|error| Status::internal(error.to_string()))
    }
}

impl From<pb::WatchVideosResponse> for Told {
    fn from(message: pb::WatchVideosResponse) -> Self {
        Self(message.encode_to_vec().into())
    }
}

/// The route of `WatchVideos`. The generated server takes messages and would encode each anew for every watcher.
pub fn rpcs(live: Live) -> Router {
    let answer = |request: HttpRequest| async move { Grpc::new(ToldCodec).server_streaming(live, request).await };
    Router::new().route(WATCH_VIDEOS, any(answer))
}

impl ServerStreamingService<pb::WatchVideosRequest> for Live {
    type Response = Told;
    type ResponseStream = Answers<Told>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<pb::WatchVideosRequest>) -> Self::Future {
        let live = self.clone();
        Box::pin(async move { Ok(Response::new(live.videos(request.into_inner()).await?)) })
    }
}

/// Requests are decoded, answers are sent as they are.
struct ToldCodec;

impl Codec for ToldCodec {
    type Encode = Told;
    type Decode = pb::WatchVideosRequest;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for ToldCodec {
    type Item = Told;
    type Error = Status;

    fn encode(&mut self, told: Told, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(told.0);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER, FRAME)
    }
}

impl Decoder for ToldCodec {
    type Item = pb::WatchVideosRequest;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        let request = pb::WatchVideosRequest::decode(buffer);
        request.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
