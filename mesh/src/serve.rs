//! Serving: one listener speaks HTTP/1.1 and HTTP/2, and with them gRPC, grpc-web and plain HTTP.

use crate::lifecycle::Lifecycle;
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Bounds of one listener.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// HTTP/2 streams a connection at once.
    pub streams: u32,
    /// Time for an HTTP/1 client to send its request's head.
    pub header_timeout: Duration,
    /// How often a silent HTTP/2 peer is asked whether it lives, and how long it may take to answer.
    pub keepalive: (Duration, Duration),
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            streams: 256,
            header_timeout: Duration::from_secs(30),
            keepalive: (Duration::from_secs(30), Duration::from_secs(20)),
        }
    }
}

/// Flow-control window of an HTTP/2 stream: throughput is at most window / round-trip time, and tonic's default of 1 MiB
/// is 9 MB/s at 100 ms.
const STREAM_WINDOW: u32 = 8 << 20;
/// Window of a connection.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Large frames: a piece of 1 MiB is one frame.
const FRAME: u32 = 1 << 20;

/// Serves `router` on `listener` until the life's stopping token; then no connection is accepted, each open one may
/// finish what it does, and the hard token ends what is left.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, life: Lifecycle) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(limits.connections));
    let builder = builder(&limits);
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let (place, accepted) = tokio::select! {
            () = life.stopping().cancelled() => break,
            next = async { (place.await, listener.accept().await) } => next,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = connection(builder.clone(), stream, router.clone(), life.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(place);
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

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
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

async fn connection(builder: auto::Builder<TokioExecutor>, stream: TcpStream, router: Router, life: Lifecycle) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY");
    }
    let served = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(served);
    let outcome = tokio::select! {
        outcome = served.as_mut() => outcome,
        () = life.stopping().cancelled() => {
            served.as_mut().graceful_shutdown();
            tokio::select! {
                outcome = served => outcome,
                () = life.stopped().cancelled() => Ok(()),
            }
        }
    };
    if let Err(error) = outcome {
        // A client that goes away in mid-answer is everyday life.
        tracing::debug!(error, "a connection ended early");
    }
}
