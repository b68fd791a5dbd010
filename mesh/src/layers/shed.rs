//! Refuses calls that a server has no room for, at once and in a way that sends them elsewhere.

use super::ServerBounds;
use super::contract::rpc_at;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tower::Service;
use vidstream_proto::error::{Problem, Reason};

/// When a refused call may come back.
const LATER: Duration = Duration::from_millis(250);

/// Places for calls and for streams, of one listener.
#[derive(Clone)]
pub(super) struct Slots {
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Slots {
    pub(super) fn new(bounds: &ServerBounds) -> Self {
        let slots = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self { calls: slots(bounds.calls), streams: slots(bounds.streams) }
    }
}

/// A server's layer that takes so many calls at once and no more.
#[derive(Clone)]
pub(super) struct Shed<S> {
    inner: S,
    slots: Slots,
}

impl<S> Shed<S> {
    pub(super) fn new(inner: S, slots: Slots) -> Self {
        Self { inner, slots }
    }
}

impl<S> Service<Request> for Shed<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Some(rpc) = rpc_at(request.uri().path()) else { return Box::pin(self.inner.call(request)) };
        let slots = if rpc.streams { &self.slots.streams } else { &self.slots.calls };
        let Ok(slot) = Arc::clone(slots).try_acquire_owned() else {
            let what = if rpc.streams { "streams" } else { "calls" };
            let full = Problem::new(Reason::Unavailable, format!("this replica has all the {what} it takes at once"));
            return Box::pin(std::future::ready(Ok(Status::from(full.retry_after(LATER)).into_http())));
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            Ok(answer.map(|body| axum::body::Body::new(Slotted { body, _slot: slot })))
        })
    }
}

/// The body of an answer, which has a place as long as it lasts.
struct Slotted {
    body: axum::body::Body,
    _slot: OwnedSemaphorePermit,
}

impl http_body::Body for Slotted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Notify;
    use tower::{ServiceExt, service_fn};

    fn request(rpc: &str) -> Request {
        let path = format!("/vidstream.v1.CatalogService/{rpc}");
        http::Request::post(path).body(axum::body::Body::empty()).expect("a request")
    }

    #[tokio::test]
    async fn what_is_too_much_is_refused_and_streams_count_apart() {
        let gate = Arc::new(Notify::new());
        let waits = Arc::clone(&gate);
        let inner = service_fn(move |_: Request| {
            let waits = Arc::clone(&waits);
            async move {
                waits.notified().await;
                Ok::<_, Infallible>(Response::new(axum::body::Body::empty()))
            }
        });
        let shed = Shed::new(inner, Slots::new(&ServerBounds { calls: 1, streams: 1 }));
        let status = |answer: &Response| Status::from_header_map(answer.headers());
        let first = tokio::spawn(shed.clone().oneshot(request("GetEntry")));
        tokio::task::yield_now().await;
        let refused = status(&shed.clone().oneshot(request("GetEntry")).await.expect("an answer")).expect("refused");
        let problem = Problem::from(refused);
        assert_eq!((problem.reason, problem.retry_after), (Reason::Unavailable, Some(LATER)));
        let stream = tokio::spawn(shed.clone().oneshot(request("WatchSource")));
        tokio::task::yield_now().await;
        assert!(status(&shed.clone().oneshot(request("WatchSource")).await.expect("an answer")).is_some());
        gate.notify_waiters();
        let (first, stream) = (first.await.expect("no panic"), stream.await.expect("no panic"));
        drop(first);
        gate.notify_one();
        assert!(status(&shed.clone().oneshot(request("GetEntry")).await.expect("an answer")).is_none(), "room again");
        // A stream keeps its place until its end.
        assert!(status(&shed.clone().oneshot(request("WatchSource")).await.expect("an answer")).is_some());
        drop(stream);
        gate.notify_one();
        assert!(status(&shed.oneshot(request("WatchSource")).await.expect("an answer")).is_none());
    }
}
