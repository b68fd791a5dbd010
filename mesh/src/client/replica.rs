//! One replica: its connection, made again whenever it ends.

use super::greeted::{Greeted, Socket};
use super::pool::News;
use super::{ClientOptions, Peer};
use crate::layers::breaker::Breaker;
use crate::serve;
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::error::Error;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tonic::body::Body;

/// First and longest pause between attempts to connect.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// Whatever a replica says, it is tried again by then.
const LATEST: Duration = Duration::from_secs(30);
/// A connection that ends sooner counts as an attempt that failed.
const SHORT_LIFE: Duration = Duration::from_secs(1);

/// An address of a service.
#[derive(Debug)]
pub(super) struct Replica {
    /// Whose address it is.
    pub(super) peer: Peer,
    pub(super) address: SocketAddr,
    line: Mutex<Line>,
    /// Calls that wait for an answer, or whose answer is still coming.
    open: Arc<AtomicUsize>,
    breaker: Mutex<Breaker>,
    /// When it wants to be called again, if it said so.
    later: Mutex<Option<Instant>>,
}

/// The connection.
#[derive(Debug)]
struct Line {
    sender: Option<SendRequest<Body>>,
    /// Why there is none.
    why: String,
    /// When there was one for the last time, or when the address came up.
    since: Instant,
}

/// A call's place at a replica, for as long as it lasts.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Replica {
    pub(super) fn new(peer: Peer, address: SocketAddr) -> Self {
        let line = Line { sender: None, why: "it is being connected to".to_owned(), since: Instant::now() };
        let breaker = Mutex::new(Breaker::Closed(0));
        Self { peer, address, line: Mutex::new(line), open: Arc::default(), breaker, later: Mutex::default() }
    }

    /// What calls are sent by, if they can be.
    pub(super) fn sender(&self) -> Option<SendRequest<Body>> {
        self.line().sender.as_ref().filter(|sender| !sender.is_closed()).cloned()
    }

    /// Why calls can't be sent, and since when.
    pub(super) fn why_not(&self) -> (String, Instant) {
        let line = self.line();
        (line.why.clone(), line.since)
    }

    /// How many calls are open.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// A place for one call more.
    pub(super) fn enter(&self) -> Place {
        self.open.fetch_add(1, Ordering::Relaxed);
        Place(Arc::clone(&self.open))
    }

    /// Its breaker.
    pub(super) fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is left in peace as long as others are there: it failed again and again, or said when to come back.
    pub(super) fn rests(&self) -> bool {
        !self.breaker().lets_pass() || self.later().is_some_and(|until| until > Instant::now())
    }

    /// It said when to come back.
    pub(super) fn come_back_after(&self, time: Duration) {
        *self.later() = Some(Instant::now() + time.min(LATEST));
    }

    fn later(&self) -> MutexGuard<'_, Option<Instant>> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a connection up, forever.
    pub(super) async fn drive(self: Arc<Self>, options: ClientOptions, news: Arc<News>) {
        let mut failures = 0;
        loop {
            match timeout(options.connect_timeout, self.dial(&options)).await {
                Ok(Ok((sender, connection))) => {
                    let began = Instant::now();
                    self.up(sender, &news);
                    // It ends when no call can be sent any more; answers may still come.
                    let ended = connection.await;
                    let why = ended.err().map_or_else(|| "it closed the connection".to_owned(), |error| words(&error));
                    self.down(why, &news);
                    failures = if began.elapsed() < SHORT_LIFE { failures + 1 } else { 0 };
                    if failures == 0 {
                        continue;
                    }
                }
                Ok(Err(why)) => {
                    self.line().why = why;
                    failures += 1;
                }
                Err(_) => {
                    self.line().why = format!("it did not answer within {:?}", options.connect_timeout);
                    failures += 1;
                }
            }
            news.tell();
            news.resolve.notify_one();
            sleep(pause(failures)).await;
        }
    }

    fn up(&self, sender: SendRequest<Body>, news: &News) {
        // What was there before says nothing about who answers now.
        *self.breaker() = Breaker::Closed(0);
        *self.later() = None;
        self.line().sender = Some(sender);
        tracing::debug!(peer = %self.peer, address = %self.address, "connected");
        news.tell();
    }

    fn down(&self, why: String, news: &News) {
        tracing::debug!(peer = %self.peer, address = %self.address, why, "a connection ended");
        let mut line = self.line();
        *line = Line { sender: None, why, since: Instant::now() };
        drop(line);
        news.tell();
        // It may have left for good, and another may have come.
        news.resolve.notify_one();
    }

    /// A connection whose peer has spoken, or why there is none.
    async fn dial(&self, options: &ClientOptions) -> Result<(SendRequest<Body>, Wire), String> {
        let stream = TcpStream::connect(self.address).await.map_err(|error| words(&error))?;
        stream.set_nodelay(true).map_err(|error| words(&error))?;
        let socket: Box<dyn Socket> = match &options.tls {
            Some(tls) => Box::new(tls.connect(self.peer.host(), stream).await?),
            None => Box::new(stream),
        };
        let (socket, greeted) = Greeted::new(socket);
        let shaken = builder(options).handshake(TokioIo::new(socket)).await;
        let (sender, mut connection) = shaken.map_err(|error| words(&error))?;
        tokio::select! {
            biased;
            Ok(()) = greeted => Ok((sender, connection)),
            ended = &mut connection => {
                let why = ended.err().map_or_else(|| "it closed the connection".to_owned(), |error| words(&error));
                // A listener of TLS 1.3 judges a client's certificate when the client is through with its own part.
                let hint = if options.tls.is_some() { "; perhaps it does not take our certificate" } else { "" };
                Err(format!("{why}{hint}"))
            }
        }
    }
}

/// What has to be polled for a connection to live.
type Wire = Connection<TokioIo<Greeted>, Body, TokioExecutor>;

fn builder(options: &ClientOptions) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(serve::STREAM_WINDOW)
        .initial_connection_window_size(serve::CONNECTION_WINDOW)
        .max_frame_size(serve::FRAME)
        .max_send_buf_size(1 << 20)
        .keep_alive_interval(options.keepalive.0)
        .keep_alive_timeout(options.keepalive.1)
        // A peer that is frozen or gone without a word shall be noticed before somebody calls it.
        .keep_alive_while_idle(true);
    builder
}

/// How long to wait after so many failures in a row, with jitter: those that lost a peer together do not come back together.
fn pause(failures: u32) -> Duration {
    let longest = PAUSES.0.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(PAUSES.1);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// An error and its causes.
pub(super) fn words(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !words.ends_with(&said) {
            let _ = write!(words, ": {said}");
        }
        cause = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_util::task::AbortOnDropHandle;

    #[tokio::test]
    async fn whoever_comes_back_begins_anew() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let replica = Arc::new(Replica::new(address.to_string().parse().expect("a peer"), address));
        assert!((0..100).any(|_| replica.breaker().failed()));
        replica.come_back_after(Duration::from_hours(1));
        assert!(replica.rests());
        let driven = Arc::clone(&replica).drive(ClientOptions::default(), Arc::default());
        let _driver = AbortOnDropHandle::new(tokio::spawn(driven));
        let (mut socket, _) = listener.accept().await.expect("it connects");
        socket.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.expect("its settings");
        while replica.sender().is_none() {
            assert_ne!(socket.read(&mut [0; 64]).await.expect("open"), 0);
            tokio::task::yield_now().await;
        }
        assert!(!replica.rests());
    }
}
