//! Clients of the gateway.

use crate::errors::{CallError, Failure};
use crate::secure::{Spoken, Trust};
use crate::settings::Server;
use http::Uri;
use hyper_util::rt::TokioIo;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use tower::service_fn;
use vidstream_proto::ids::{RequestId, VideoId};
use vidstream_proto::pb;
use vidstream_proto::pb::gateway_service_client::GatewayServiceClient;
use vidstream_proto::pb::upload_service_client::UploadServiceClient;

/// A server that does not accept within this time is not there.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest a unary call may take.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);
/// Connections that are cut without a word are noticed after these two.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// HTTP/2 windows: what a link of 100 ms holds at a gigabit.
const STREAM_WINDOW: u32 = 8 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
const FRAME: u32 = 1 << 20;

/// A connection, encrypted or not.
pub trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// A server and its clients. They connect with the first call and again when the connection was lost.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Where it is.
    pub server: Server,
    /// Videos, live updates, playback addresses.
    pub videos: GatewayServiceClient<Channel>,
    /// Uploads.
    pub uploads: UploadServiceClient<Channel>,
    /// Only where it is encrypted.
    trust: Option<Trust>,
}

impl Gateway {
    /// Clients of `server`, whose certificate is signed by an authority in `ca_file`, or one that this machine believes.
    /// Connects nowhere yet.
    pub fn new(server: Server, ca_file: Option<&Path>) -> Result<Self, Failure> {
        let trust = server.is_encrypted().then(|| Trust::read(ca_file)).transpose()?;
        let endpoint = Endpoint::from_shared(server.to_string())
            .and_then(|endpoint| endpoint.user_agent(concat!("vidctl/", env!("CARGO_PKG_VERSION"))))
            .map_err(|error| Failure::failed(format!("{server} can't be connected to: {error}")))?;
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME);
        let channel = match &trust {
            None => endpoint.connect_lazy(),
            Some(trust) => endpoint.connect_with_connector_lazy(encrypted(server.clone(), trust.clone())),
        };
        let videos = GatewayServiceClient::new(channel.clone());
        Ok(Self { server, videos, uploads: UploadServiceClient::new(channel), trust })
    }

    /// A new connection to the server, for HTTP/1.1.
    pub async fn socket(&self) -> io::Result<Box<dyn Socket>> {
        let stream = TcpStream::connect(self.server.authority()).await?;
        match &self.trust {
            None => Ok(Box::new(stream)),
            Some(trust) => Ok(Box::new(trust.connect(self.server.host(), stream, Spoken::Http1).await?)),
        }
    }

    /// As it is told to people.
    pub fn told(&self, error: CallError) -> Failure {
        error.told(&self.server)
    }

    /// One video.
    pub async fn video(&self, id: VideoId) -> Result<pb::Video, CallError> {
        let request = unary(pb::GetVideoRequest { video_id: id.to_string() });
        video(self.videos.clone().get_video(request).await.map(|r| r.into_inner().video))
    }
}

/// Connects to `server` for gRPC.
fn encrypted(
    server: Server,
    trust: Trust,
) -> impl tower::Service<Uri, Response = TokioIo<impl Socket>, Error = io::Error, Future: Send> + Send + 'static {
    service_fn(move |_: Uri| {
        let (server, trust) = (server.clone(), trust.clone());
        async move {
            let stream = TcpStream::connect(server.authority()).await?;
            stream.set_nodelay(true)?;
            trust.connect(server.host(), stream, Spoken::Http2).await.map(TokioIo::new)
        }
    })
}

/// The request of a unary call, with its deadline.
pub fn unary<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}

/// What a call answered.
pub fn answer<T>(result: Result<Response<T>, Status>) -> Result<T, CallError> {
    result.map(Response::into_inner).map_err(CallError::from)
}

/// The video of an answer.
pub fn video(result: Result<Option<pb::Video>, Status>) -> Result<pb::Video, CallError> {
    result?.ok_or_else(|| Status::internal("the server's answer has no video").into())
}

/// The id of a new request.
pub fn request_id() -> String {
    RequestId::generate().to_string()
}
