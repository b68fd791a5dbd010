//! Sends each call to a replica.

use super::pool::{Chosen, Pool};
use super::replica::{Place, Replica, words};
use crate::channel::ChannelError;
use crate::layers::deadline::{self, Due};
use crate::layers::retry::{self, Tried};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use std::error::Error;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::time::{Instant, timeout_at};
use tonic::Status;
use tonic::body::Body;
use tower::Service;
use vidstream_proto::error::{Problem, Reason};

/// The service that is all replicas.
#[derive(Clone)]
pub(super) struct Balance {
    pool: Arc<Pool>,
}

impl Balance {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        Self { pool }
    }

    async fn call(self, mut request: Request<Body>) -> Result<Response<Body>, ChannelError> {
        let due = request.extensions().get().map(|Due(due)| *due);
        let tried: Tried = request.extensions().get().cloned().unwrap_or_default();
        loop {
            let mut chosen = self.chosen(&tried.addresses()).await?;
            let address = chosen.replica.address;
            tried.note(address, chosen.has_others);
            *request.uri_mut() = self.addressed(request.uri(), &chosen.replica).map_err(ChannelError::new)?;
            if let Some(token) = &self.pool.options.token {
                request.headers_mut().insert(AUTHORIZATION, token.header());
            }
            deadline::stamp(&mut request);
            let attempt = Attempt { replica: Some(Arc::clone(&chosen.replica)), due };
            match chosen.sender.try_send_request(request).await {
                Ok(answer) => {
                    attempt.answered(&answer);
                    return Ok(answer.map(|body| Body::new(Counted { body, address, _place: chosen.place })));
                }
                Err(mut error) => {
                    let Some(unsent) = error.take_message() else {
                        attempt.broke();
                        return Err(ChannelError::new(broken(address, &error.into_error())));
                    };
                    attempt.unsent();
                    request = unsent;
                }
            }
        }
    }

    /// The address of what is asked, at `replica`: by the name that people gave it.
    fn addressed(&self, asked: &Uri, replica: &Replica) -> Result<Uri, http::Error> {
        let scheme = if self.pool.options.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
        let authority: Authority = replica.peer.to_string().parse()?;
        let path = asked.path_and_query().map_or("/", |path| path.as_str());
        Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build()
    }

    /// A replica that is connected; waits for one as long as patience lasts.
    async fn chosen(&self, avoided: &[SocketAddr]) -> Result<Chosen, ChannelError> {
        let mut changes = self.pool.changes();
        loop {
            if let Some(chosen) = self.pool.choose(avoided) {
                return Ok(chosen);
            }
            let waited = timeout_at(self.pool.patience_ends(), changes.changed()).await;
            if waited.is_err() || self.pool.is_over() {
                self.pool.lament();
                return Err(ChannelError::new(Status::from(Problem::new(Reason::Unavailable, UNREACHED))));
            }
        }
    }
}

/// A call that a replica was given: how it ends is told to the replica's breaker.
struct Attempt {
    /// Until it is told.
    replica: Option<Arc<Replica>>,
    due: Option<Instant>,
}

impl Attempt {
    fn answered<B>(mut self, answer: &Response<B>) {
        let Some(replica) = self.replica.take() else { return };
        let problem = retry::problem(answer);
        match problem.filter(|it| it.reason == Reason::Unavailable).map(|it| it.retry_after) {
            Some(None) => failed(&replica),
            // Who says when to come back is well.
            Some(Some(after)) => {
                replica.breaker().succeeded();
                replica.come_back_after(after);
            }
            None => replica.breaker().succeeded(),
        }
    }

    fn unsent(mut self) {
        self.replica = None;
    }

    fn broke(mut self) {
        self.replica.take().iter().for_each(|replica| failed(replica));
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        // Nobody waits any more: because it was too late, or for a reason of the caller's own.
        if self.due.is_some_and(|due| due <= Instant::now()) {
            self.replica.iter().for_each(|replica| failed(replica));
        }
    }
}

fn failed(replica: &Replica) {
    if replica.breaker().failed() {
        tracing::warn!(peer = %replica.peer, address = %replica.address, "it fails again and again; it is left in peace");
    }
}

impl Service<Request<Body>> for Balance {
    type Response = Response<Body>;
    type Error = ChannelError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, ChannelError>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), ChannelError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().call(request))
    }
}

/// What callers hear of a service that is away. They may be anybody, so where it was looked for is for the log.
const UNREACHED: &str = "another service can't be reached; try again";

/// What a connection's end, or that of one stream, means for a call. Where it went to is for the log.
fn broken(address: SocketAddr, error: &hyper::Error) -> Status {
    let reset = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>()).filter(|cause| cause.is_reset());
    match reset.and_then(h2::Error::reason) {
        // Of a single call, on a connection that is well: the other side failed, or takes no more.
        Some(reason) if !matches!(reason, h2::Reason::REFUSED_STREAM | h2::Reason::NO_ERROR | h2::Reason::CANCEL) => {
            tracing::warn!(%address, %reason, "another service broke off a call");
            Problem::new(Reason::Internal, "another service broke off a call; its log says more").into()
        }
        _ => {
            tracing::warn!(%address, error = words(error), "the connection to another service broke during a call");
            Problem::new(Reason::Unavailable, UNREACHED).into()
        }
    }
}

/// The body of an answer, which holds its call's place.
struct Counted {
    body: Incoming,
    address: SocketAddr,
    _place: Place,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(polled.map(|frame| frame.map_err(|error| broken(self.address, &error))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
