//! Calls again what was not answered and may be called twice.

use super::contract::rpc_at;
use crate::channel::ChannelError;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tonic::Status;
use tonic::body::Body;
use tower::{Service, ServiceExt};
use vidstream_proto::error::{Problem, Reason};

/// So often is a call sent at the most.
const ATTEMPTS: u32 = 4;
/// Pause before the second attempt, unless the only replica says when to come back; each later one is twice as long, and each
/// is up to a quarter longer or shorter by chance. With a second, which is what a service says that is starting, attempts take
/// longer than clients wait for one to connect.
const PAUSE: Duration = Duration::from_millis(50);
/// Longer requests are not kept to be sent again.
const KEPT: usize = 1 << 20;

/// Where a call was sent already; replicas that failed it are asked last.
#[derive(Clone, Default)]
pub(crate) struct Tried(Arc<Mutex<Attempts>>);

#[derive(Default)]
struct Attempts {
    addresses: Vec<SocketAddr>,
    /// Whether the last one could have gone to another replica as well.
    has_others: bool,
}

impl Tried {
    pub(crate) fn note(&self, address: SocketAddr, has_others: bool) {
        let mut attempts = self.attempts();
        attempts.addresses.push(address);
        attempts.has_others = has_others;
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.attempts().addresses.clone()
    }

    /// Whether there is a replica that need not be waited for.
    fn has_others(&self) -> bool {
        self.attempts().has_others
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much is repeated of what a client calls: when everything fails, repeating everything makes it worse.
#[derive(Debug)]
struct Budget {
    tokens: f64,
    earned: Instant,
}

impl Budget {
    /// A fifth of all calls may be repeated,
    const PER_CALL: f64 = 0.2;
    /// and ten a second besides,
    const PER_SECOND: f64 = 10.0;
    /// and so many after a time in which none was.
    const MOST: f64 = 100.0;

    fn new() -> Self {
        Self { tokens: Self::MOST / 2.0, earned: Instant::now() }
    }

    fn call(&mut self) {
        self.tokens = (self.tokens + Self::PER_CALL).min(Self::MOST);
    }

    fn repeat(&mut self) -> bool {
        let earned = self.earned.elapsed().as_secs_f64() * Self::PER_SECOND;
        self.earned = Instant::now();
        self.tokens = (self.tokens + earned).min(Self::MOST);
        let may = self.tokens >= 1.0;
        if may {
            self.tokens -= 1.0;
        }
        may
    }
}

/// A client's layer that repeats unary calls which the contract says may be repeated, if a replica was lost or says that
/// it is unavailable.
#[derive(Clone)]
pub(crate) struct Retry<S> {
    inner: S,
    budget: Arc<Mutex<Budget>>,
}

impl<S> Retry<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner, budget: Arc::new(Mutex::new(Budget::new())) }
    }

    fn budget<T>(&self, with: impl FnOnce(&mut Budget) -> T) -> T {
        with(&mut self.budget.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S> Retry<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = ChannelError> + Clone,
{
    async fn repeat(self, request: Request<Body>) -> Result<Response<Body>, ChannelError> {
        self.budget(Budget::call);
        let (mut head, body) = request.into_parts();
        let tried = Tried::default();
        head.extensions.insert(tried.clone());
        let body = match kept(body).await.map_err(ChannelError::new)? {
            Kept::All(bytes) => bytes,
            Kept::TooLong(body) => return self.inner.clone().oneshot(Request::from_parts(head, body)).await,
        };
        let mut attempt = 1;
        loop {
            let request = Request::from_parts(head.clone(), Body::new(Full::new(body.clone())));
            let outcome = self.inner.clone().oneshot(request).await;
            let Some(after) = again(&outcome) else { return outcome };
            if attempt == ATTEMPTS || !self.budget(Budget::repeat) {
                return outcome;
            }
            let least = if tried.has_others() { PAUSE } else { PAUSE.max(after) };
            sleep(least.saturating_mul(1 << (attempt - 1)).mul_f64(0.75 + fastrand::f64() / 2.0)).await;
            attempt += 1;
        }
    }
}

/// Whether an outcome is worth another attempt, and the least pause before it.
fn again(outcome: &Result<Response<Body>, ChannelError>) -> Option<Duration> {
    let problem = match outcome {
        Ok(answer) => problem(answer)?,
        Err(error) => Problem::from(error.status()),
    };
    (problem.reason == Reason::Unavailable).then(|| problem.retry_after.unwrap_or_default())
}

/// What an answer without a message says.
pub(crate) fn problem<B>(answer: &Response<B>) -> Option<Problem> {
    Status::from_header_map(answer.headers()).filter(|status| status.code() != tonic::Code::Ok).map(Problem::from)
}

enum Kept {
    All(Bytes),
    /// What came so far, and the rest.
    TooLong(Body),
}

async fn kept(mut body: Body) -> Result<Kept, Status> {
    let mut came: Vec<Bytes> = Vec::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        // A request has no trailers.
        let Ok(data) = frame?.into_data() else { continue };
        length += data.len();
        came.push(data);
        if length > KEPT {
            let came = stream::iter(came).map(|data| Ok(Frame::data(data)));
            let rest = stream::unfold(body, |mut body| async move { Some((body.frame().await?, body)) });
            return Ok(Kept::TooLong(Body::new(StreamBody::new(came.chain(rest)))));
        }
    }
    Ok(Kept::All(if came.len() == 1 { came.remove(0) } else { came.concat().into() }))
}

impl<S> Service<Request<Body>> for Retry<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = ChannelError> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = ChannelError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, ChannelError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ChannelError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match rpc_at(request.uri().path()) {
            Some(rpc) if rpc.repeatable && !rpc.streams => Box::pin(self.clone().repeat(request)),
            _ => Box::pin(self.inner.call(request)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tower::service_fn;

    const READS: &str = "GetEntry";

    fn request(rpc: &str, body: Body) -> Request<Body> {
        Request::post(format!("/vidstream.v1.CatalogService/{rpc}")).body(body).expect("a request")
    }

    /// Fails so often, by `problem`, then answers with what it was sent; counts calls.
    fn failing(
        times: u32,
        problem: Problem,
    ) -> (
        Arc<AtomicU32>,
        impl Service<Request<Body>, Response = Response<Body>, Error = ChannelError, Future: Send + 'static>
        + Clone
        + Send
        + Sync
        + 'static,
    ) {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let service = service_fn(move |request: Request<Body>| {
            let (fails, problem) = (counted.fetch_add(1, Ordering::SeqCst) < times, problem.clone());
            async move {
                // By an answer, then by a lost connection.
                if fails && times.is_multiple_of(2) {
                    return Ok(Status::from(problem).into_http());
                }
                if fails {
                    return Err(ChannelError::new(Status::from(problem)));
                }
                Ok(Response::new(request.into_body()))
            }
        });
        (calls, service)
    }

    fn away() -> Problem {
        Problem::new(Reason::Unavailable, "away")
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_unavailable_is_asked_again() {
        for times in 0..ATTEMPTS {
            let (calls, inner) = failing(times, away());
            let answer =
                Retry::new(inner).oneshot(request(READS, Body::new(Full::from("hello")))).await.expect("answered");
            assert!(problem(&answer).is_none());
            assert_eq!(answer.into_body().collect().await.expect("a body").to_bytes(), "hello");
            assert_eq!(calls.load(Ordering::SeqCst), times + 1);
        }
        let (calls, inner) = failing(ATTEMPTS, away());
        let answer = Retry::new(inner).oneshot(request(READS, Body::empty())).await.expect("an answer");
        assert_eq!(problem(&answer).expect("away"), away());
        assert_eq!(calls.load(Ordering::SeqCst), ATTEMPTS);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_else_is() {
        let not_ready = Problem::new(Reason::NotReady, "later");
        let full = || Body::new(Full::from(vec![0; KEPT + 1]));
        for (rpc, problem, body) in [
            ("TakeJob", away(), Body::empty()),
            ("WatchSource", away(), Body::empty()),
            ("Unknown", away(), Body::empty()),
            (READS, not_ready, Body::empty()),
            (READS, away(), full()),
        ] {
            let (calls, inner) = failing(2, problem);
            let answer = Retry::new(inner).oneshot(request(rpc, body)).await.expect("an answer");
            assert!(super::problem(&answer).is_some());
            assert_eq!(calls.load(Ordering::SeqCst), 1, "{rpc}");
        }
        // A long one arrives whole.
        let (_, inner) = failing(0, away());
        let answer = Retry::new(inner).oneshot(request(READS, full())).await.expect("an answer");
        assert_eq!(answer.into_body().collect().await.expect("a body").to_bytes().len(), KEPT + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_repeats_a_part_of_its_calls_at_the_most() {
        let (calls, inner) = failing(u32::MAX - 1, away());
        let retry = Retry::new(inner);
        let all = (0..1000).map(|_| retry.clone().oneshot(request(READS, Body::empty())));
        let answers = futures::future::join_all(all).await;
        assert!(answers.iter().all(|answer| again(answer).is_some()));
        let most = 1000.0 * (1.0 + Budget::PER_CALL) + Budget::MOST + Budget::PER_SECOND;
        let calls = calls.load(Ordering::SeqCst);
        assert!(f64::from(calls) < most && calls > 1200, "{calls} calls, at most {most}");
    }
}
