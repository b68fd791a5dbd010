//! Serving: one listener speaks HTTP/1.1 and HTTP/2, and with them gRPC, grpc-web and plain HTTP.
//!
//! Who connects may be slow, silent or hostile: every wait for a peer is bounded, and so is what one peer can hold.

mod pace;
mod peers;
mod taking;
mod watched;

pub use pace::Stalled;

use crate::lifecycle::Lifecycle;
use crate::tls::ServerTls;
use axum::Router;
use axum::http::header::{CONNECTION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Request, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use pace::Paced;
use peers::Peers;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use taking::{Streams, taken};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use watched::Watched;

/// Bounds of one listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// Connections at once from one address, or one /64 network of IPv6; more are closed.
    pub peer_connections: usize,
    /// HTTP/2 streams a connection at once.
    pub streams: u32,
    /// Time for the whole head of a request: of a connection's first, from when it was accepted; over HTTP/1 of each later
    /// one, from when the one before was answered.
    pub head_timeout: Duration,
    /// Whether a peer that speaks HTTP/2 may ask for nothing as long as it answers when it is asked whether it lives: services
    /// connect before anybody needs them.
    pub may_be_idle: bool,
    /// Time in which a request's body has to go on, and a peer has to take of what is sent: of what its socket gets, and over
    /// HTTP/2 of each answer that is not gRPC.
    pub stall_timeout: Duration,
    /// How often a silent HTTP/2 peer is asked whether it lives, and how long it may take to answer.
    pub keepalive: (Duration, Duration),
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            // A reverse proxy is one address, too.
            peer_connections: 1024,
            streams: 256,
            head_timeout: Duration::from_secs(30),
            may_be_idle: false,
            stall_timeout: Duration::from_mins(1),
            keepalive: (Duration::from_secs(30), Duration::from_secs(20)),
        }
    }
}

impl Limits {
    /// Those of a mesh listener: a service that calls keeps all its streams, one for each that people wait for, on one
    /// connection, and the connection whether it calls or not.
    pub fn mesh() -> Self {
        Self { streams: 16 << 10, may_be_idle: true, ..Self::default() }
    }
}

/// Flow-control window of an HTTP/2 stream, bytes: what a peer may send that nobody reads yet. Throughput is at most window /
/// round-trip time: 20 MB/s at 100 ms. What takes much from peers counts a window a stream against its memory.
pub const STREAM_WINDOW: u32 = 2 << 20;
/// Window of a connection.
pub(crate) const CONNECTION_WINDOW: u32 = 16 << 20;
/// Large frames: a piece of 1 MiB is one frame.
pub(crate) const FRAME: u32 = 1 << 20;

/// Serves `router` on `listener` until the life's stopping token; while it drains, clients of HTTP/1.1 are told not to keep
/// their connections. Then no connection is accepted, each open one may
/// finish what it does, and the hard token ends what is left.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, life: Lifecycle) -> io::Result<()> {
    serve_by(listener, router, limits, None, life).await
}

/// As [`serve`], encrypted if there is `tls`: a handshake may take as long as a request's head, and holds up nobody else.
pub async fn serve_by(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    tls: Option<ServerTls>,
    life: Lifecycle,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(limits.connections));
    let peers = Peers::new(limits.peer_connections);
    let server = Server { builder: builder(&limits), router, limits: limits.clone(), tls, life: life.clone() };
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let (place, accepted) = tokio::select! {
            () = life.stopping().cancelled() => break,
            next = async { (place.await, listener.accept().await) } => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(its_place) = peers.enter(peer.ip()) else {
                    tracing::debug!(%peer, "it has all the connections that one address gets");
                    continue;
                };
                let server = server.clone();
                tokio::spawn(async move {
                    server.connection(stream).await;
                    drop((place, its_place));
                });
            }
            // The peer left, or file descriptors ran out: neither ends the listener.
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    // Every connection holds a place: all are back when the last one ended.
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    tokio::select! {
        _ = places.acquire_many(all) => {}
        () = life.stopped().cancelled() => {}
    }
    Ok(())
}

fn builder(limits: &Limits) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(Streams::new(limits.stall_timeout));
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.head_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_send_buf_size(1 << 20)
        .max_concurrent_streams(limits.streams)
        .keep_alive_interval(limits.keepalive.0)
        .keep_alive_timeout(limits.keepalive.1);
    builder
}

/// What every connection needs.
#[derive(Clone)]
struct Server {
    builder: auto::Builder<Streams>,
    router: Router,
    limits: Limits,
    tls: Option<ServerTls>,
    life: Lifecycle,
}

impl Server {
    async fn connection(self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not set TCP_NODELAY");
        }
        let Some(tls) = self.tls.clone() else { return self.speak(stream).await };
        let shaken = tokio::select! {
            shaken = timeout(self.limits.head_timeout, tls.accept(stream)) => shaken,
            () = self.life.stopping().cancelled() => return,
        };
        match shaken {
            Ok(Ok(stream)) => self.speak(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, "a handshake failed"),
            Err(_) => tracing::debug!("a handshake took too long"),
        }
    }

    async fn speak(self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let stall = self.limits.stall_timeout;
        let asked = CancellationToken::new();
        let first = asked.clone();
        let (router, draining) = (self.router, self.life.draining().clone());
        let answer = service_fn(move |request: Request<Incoming>| {
            first.cancel();
            let within = (!may_rest(request.headers())).then_some(stall);
            let (is_http2, draining) = (request.version() == Version::HTTP_2, draining.clone());
            let answer = router.clone().oneshot(request.map(|body| Paced::new(body, within)));
            async move {
                let mut answer = answer.await?;
                // Who keeps connections for later requests would meet one that closes. HTTP/2 has a farewell of its own.
                if draining.is_cancelled() && !is_http2 {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                let may_rest = may_rest(answer.headers());
                Ok::<_, Infallible>(if may_rest { answer } else { answer.map(taken) })
            }
        });
        let mut watched = Watched::new(stream, stall);
        if self.limits.may_be_idle {
            watched = watched.telling(asked.clone());
        }
        let served = self.builder.serve_connection(TokioIo::new(watched), answer);
        tokio::pin!(served);
        // hyper bounds the head of HTTP/1 once it knows that it is one. Before that, and over HTTP/2, nothing does.
        let silent = async {
            if timeout(self.limits.head_timeout, asked.cancelled()).await.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        let outcome = tokio::select! {
            outcome = served.as_mut() => outcome,
            () = silent => return tracing::debug!("a connection asked for nothing in time"),
            () = self.life.stopping().cancelled() => {
                served.as_mut().graceful_shutdown();
                tokio::select! {
                    outcome = served => outcome,
                    () = self.life.stopped().cancelled() => Ok(()),
                }
            }
        };
        if let Err(error) = outcome {
            // A client that goes away in mid-answer is everyday life.
            tracing::debug!(error, "a connection ended early");
        }
    }
}

/// Whether the body may pause at will: a stream of gRPC may have nothing to say for long, and HTTP/2 asks its peer whether it
/// lives. A message of grpc-web is sent in one go.
fn may_rest(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    kind.strip_prefix(b"application/grpc").is_some_and(|rest| !rest.starts_with(b"-web"))
}
