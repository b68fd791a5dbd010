//! What every request leaves behind: figures, a span, a line in the log, and in answers that are errors the trace's id.
//!
//! One layer for everything that answers: listeners of HTTP and gRPC, and services that are called within the process. What
//! it costs is some tens of nanoseconds and three allocations; a warm segment takes a hundred microseconds.
//!
//! Durations are those of the server: from when the request was there, with its body where it has one, to the head of
//! its answer. How long bodies take is a matter of who reads them. A stream that is still being sent counts from its head.

mod answering;
mod body;
mod figures;
mod routes;

pub use body::Reboxed;

use crate::metrics::Metrics;
use crate::trace::{self, Kind, Span, TRACE_ID, TraceContext, Tracer};
use answering::Answering;
use body::{Counted, Meter, Told};
use http::{HeaderValue, Request, Response};
use routes::Routes;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{Layer, Service};

/// Sees requests for one process, or for one mesh in a test. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Observer {
    routes: Arc<Routes>,
    tracer: Tracer,
}

impl Observer {
    /// Tells `metrics` and `tracer`.
    pub fn new(metrics: &Metrics, tracer: Tracer) -> Self {
        Self { routes: Arc::new(Routes::new(metrics)), tracer }
    }

    /// Who collects spans.
    pub fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// The layer around what answers. What is no rpc of ours is done by `service`, as spans call it.
    pub fn layer(&self, service: &'static str) -> ObserveLayer {
        ObserveLayer { observer: self.clone(), service }
    }
}

/// Puts an [`Observer`] around a service or a whole router.
#[derive(Clone, Debug)]
pub struct ObserveLayer {
    observer: Observer,
    service: &'static str,
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Observe<S> {
        Observe { inner, observer: self.observer.clone(), service: self.service }
    }
}

/// A service that is observed.
#[derive(Clone, Debug)]
pub struct Observe<S> {
    inner: S,
    observer: Observer,
    service: &'static str,
}

impl<S, I, O> Service<Request<I>> for Observe<S>
where
    S: Service<Request<I>, Response = Response<O>>,
    S::Future: Send + 'static,
    I: Reboxed,
    O: Reboxed,
{
    type Response = Response<O>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<O>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<I>) -> Self::Future {
        let route = self.observer.routes.of(&request);
        let parent = TraceContext::of(request.headers());
        // Who only asks whether we live, every few seconds, is nobody's trace.
        let nobody = Tracer::default();
        let tracer = if route.is_probe() { &nobody } else { &self.observer.tracer };
        let service = route.service().unwrap_or(self.service);
        let mut span = Span::begin(tracer, service, Kind::Server, || route.title(request.method()), parent);
        route.describe(&request, &mut span);
        let active = span.active().clone();
        let (request, meter) = counted(request);
        let answering = Answering::begin(route, request.method(), meter, span);
        let answer = trace::at(&active, || self.inner.call(request));
        Box::pin(trace::within(active, async move {
            let answer = answer.await?;
            Ok(told(answering, answer))
        }))
    }
}

/// `request`, its body counted if it has one.
fn counted<B: Reboxed>(request: Request<B>) -> (Request<B>, Option<Arc<Meter>>) {
    if request.body().is_end_stream() {
        return (request, None);
    }
    let meter = Arc::new(Meter::new());
    let counts = Arc::clone(&meter);
    (request.map(|body| B::reboxed(Counted::new(body, counts))), Some(meter))
}

/// `answer`, its body watched, with the trace's id if it is an error.
fn told<B: Reboxed>(mut answering: Answering, answer: Response<B>) -> Response<B> {
    let (mut head, body) = answer.into_parts();
    if answering.head(&head) {
        head.headers.insert(TRACE_ID, id(answering.context()));
    }
    if body.is_end_stream() {
        answering.ended();
        return Response::from_parts(head, body);
    }
    Response::from_parts(head, B::reboxed(Told::new(body, answering)))
}

fn id(context: TraceContext) -> HeaderValue {
    HeaderValue::try_from(context.trace.to_string()).expect("hexadecimal digits")
}
