//! Deadlines: of a client's call by its kind, or what is left of the caller's own; a server stops working for who has gone.

use super::contract::{Rpc, rpc_at};
use crate::channel::ChannelError;
use axum::extract::Request as ServerRequest;
use axum::response::Response as ServerResponse;
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tonic::Status;
use tonic::body::Body;
use tower::Service;
use vidstream_proto::error::{Problem, Reason};

/// How long a unary call may take: one that reads, one that writes. A call of a store takes up to 20 s before it gives up.
const READ: Duration = Duration::from_secs(15);
const WRITE: Duration = Duration::from_secs(30);
/// How a deadline travels: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>
const HEADER: HeaderName = HeaderName::from_static("grpc-timeout");

tokio::task_local! {
    /// Until when the caller waits, for whom this task works.
    static CALLER_WAITS: Instant;
}

/// Until when an answer is waited for; travels with a request within the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Due(pub(crate) Instant);

/// Writes into `request` how long its answer is waited for from now on.
pub(crate) fn stamp(request: &mut Request<Body>) {
    if let Some(Due(due)) = request.extensions().get().copied() {
        request.headers_mut().insert(HEADER, written(due.saturating_duration_since(Instant::now())));
    }
}

/// A client's layer: gives each unary call a deadline, and fails it when that is over. Streams have none.
#[derive(Clone)]
pub(crate) struct Deadline<S> {
    inner: S,
}

impl<S> Deadline<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S> Service<Request<Body>> for Deadline<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = ChannelError>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = ChannelError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, ChannelError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ChannelError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let Some(due) = due(rpc_at(request.uri().path()), request.headers()) else {
            return Box::pin(self.inner.call(request));
        };
        request.extensions_mut().insert(Due(due));
        stamp(&mut request);
        let answer = self.inner.call(request);
        Box::pin(async move {
            match timeout_at(due, answer).await {
                Ok(answered) => Ok(answered?.map(|body| Body::new(Timed { body, over: Box::pin(sleep_until(due)) }))),
                Err(_) => Err(ChannelError::new(late())),
            }
        })
    }
}

/// The deadline of a client's call; none for streams, and for what the contract does not know unless its caller set one.
fn due(rpc: Option<Rpc>, headers: &HeaderMap) -> Option<Instant> {
    let asked = read(headers);
    let usual = match rpc {
        Some(rpc) if rpc.streams => return None,
        Some(rpc) => Some(if rpc.reads { READ } else { WRITE }),
        None => None,
    };
    let own = asked.or(usual).map(|time| Instant::now() + time)?;
    Some(CALLER_WAITS.try_with(|caller| own.min(*caller)).unwrap_or(own))
}

/// A server's layer: ends a unary call by its caller's deadline, which calls made for it take over.
#[derive(Clone)]
pub(crate) struct EnforceDeadline<S> {
    inner: S,
}

impl<S> EnforceDeadline<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S> Service<ServerRequest> for EnforceDeadline<S>
where
    S: Service<ServerRequest, Response = ServerResponse, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = ServerResponse;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<ServerResponse, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: ServerRequest) -> Self::Future {
        let streams = rpc_at(request.uri().path()).is_some_and(|rpc| rpc.streams);
        let due = read(request.headers()).filter(|_| !streams).map(|time| Instant::now() + time);
        let answer = self.inner.call(request);
        let Some(due) = due else { return Box::pin(answer) };
        Box::pin(
            CALLER_WAITS
                .scope(due, async move { timeout_at(due, answer).await.unwrap_or_else(|_| Ok(late().into_http())) }),
        )
    }
}

fn late() -> Status {
    Problem::new(Reason::DeadlineExceeded, "there was no answer in time").into()
}

/// An answer of which each byte has to come in time.
struct Timed {
    body: Body,
    over: Pin<Box<Sleep>>,
}

impl http_body::Body for Timed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Pending => self.over.as_mut().poll(context).map(|()| Some(Err(late()))),
            polled @ Poll::Ready(_) => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// At most eight digits and a unit; rounded up, so that what is left is never nothing.
fn written(time: Duration) -> HeaderValue {
    let micros = time.as_micros().max(1);
    let (number, unit) = if micros < 100_000_000 { (micros, 'u') } else { (micros.div_ceil(1_000_000), 'S') };
    // Of digits and a letter; eight digits of seconds are three years.
    HeaderValue::from_str(&format!("{}{unit}", number.min(99_999_999))).expect("it is ASCII")
}

fn read(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u32 = number.parse().ok().filter(|_| number.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_hours(1) * number,
        "M" => Duration::from_mins(1) * number,
        "S" => Duration::from_secs(number.into()),
        "m" => Duration::from_millis(number.into()),
        "u" => Duration::from_micros(number.into()),
        "n" => Duration::from_nanos(number.into()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower::{ServiceExt, service_fn};

    const READS: &str = "/vidstream.v1.CatalogService/GetEntry";
    const WATCHES: &str = "/vidstream.v1.CatalogService/WatchSource";

    fn request(path: &str) -> Request<Body> {
        Request::post(path).body(Body::empty()).expect("a request")
    }

    #[test]
    fn times_are_written_and_read() {
        for (time, text) in [
            (Duration::ZERO, "1u"),
            (Duration::from_millis(1500), "1500000u"),
            (Duration::from_secs(100), "100S"),
            (Duration::from_millis(100_001), "101S"),
            (Duration::MAX, "99999999S"),
        ] {
            assert_eq!(written(time), text);
        }
        let read = |text: &'static str| read(&HeaderMap::from_iter([(HEADER, HeaderValue::from_static(text))]));
        assert_eq!(read("2H"), Some(Duration::from_hours(2)));
        assert_eq!(read("100m"), Some(Duration::from_millis(100)));
        for wrong in ["", "S", "1", "1s", "-1S", "123456789S", "1.5S"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_is_not_answered_ends_in_time() {
        let silent = service_fn(|request: Request<Body>| async move {
            assert_eq!(request.headers()[HEADER], "15000000u");
            std::future::pending::<Result<Response<Body>, ChannelError>>().await
        });
        let began = Instant::now();
        let error = Deadline::new(silent).oneshot(request(READS)).await.expect_err("late");
        assert_eq!(began.elapsed(), READ);
        assert_eq!(Status::from_error(Box::new(error)).code(), tonic::Code::DeadlineExceeded);
    }

    #[tokio::test(start_paused = true)]
    async fn streams_may_last() {
        let slow = service_fn(|request: Request<Body>| async move {
            assert!(!request.headers().contains_key(HEADER));
            tokio::time::sleep(READ * 100).await;
            Ok::<_, ChannelError>(Response::new(Body::empty()))
        });
        Deadline::new(slow).oneshot(request(WATCHES)).await.expect("answered");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_made_for_a_call_has_what_is_left() {
        let inner = service_fn(|request: Request<Body>| async move {
            assert_eq!(request.headers()[HEADER], "2000000u");
            std::future::pending::<Result<Response<Body>, ChannelError>>().await
        });
        let outer = service_fn(move |_: ServerRequest| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Deadline::new(inner).oneshot(request(READS)).await.expect_err("late");
            std::future::pending::<Result<ServerResponse, Infallible>>().await
        });
        let mut asked = http::Request::post(READS).body(axum::body::Body::empty()).expect("a request");
        asked.headers_mut().insert(HEADER, HeaderValue::from_static("3S"));
        let began = Instant::now();
        let answer = EnforceDeadline::new(outer).oneshot(asked).await.expect("an answer");
        assert_eq!(
            (began.elapsed(), &answer.headers()["grpc-status"]),
            (Duration::from_secs(3), &"4".parse().expect("ASCII"))
        );
    }
}
