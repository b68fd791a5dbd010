//! Bodies that are counted as they pass.

use super::answering::Answering;
use crate::trace;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::error::Error;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// A body that any other may be put into, as axum's and tonic's.
pub trait Reboxed: Body<Data = Bytes, Error: Error> + Send + Unpin + Sized + 'static {
    /// `body` in a box of this kind.
    fn reboxed<B>(body: B) -> Self
    where
        B: Body<Data = Bytes, Error = Self::Error> + Send + 'static;
}

impl Reboxed for axum::body::Body {
    fn reboxed<B>(body: B) -> Self
    where
        B: Body<Data = Bytes, Error = Self::Error> + Send + 'static,
    {
        Self::new(body)
    }
}

impl Reboxed for tonic::body::Body {
    fn reboxed<B>(body: B) -> Self
    where
        B: Body<Data = Bytes, Error = Self::Error> + Send + 'static,
    {
        Self::new(body)
    }
}

/// What came of a request's body.
#[derive(Debug)]
pub(super) struct Meter {
    began: Instant,
    bytes: AtomicU64,
    /// Nanoseconds from `began`; 0: not yet.
    ended: AtomicU64,
}

impl Meter {
    pub fn new() -> Self {
        Self { began: Instant::now(), bytes: AtomicU64::new(0), ended: AtomicU64::new(0) }
    }

    /// Bytes that came.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How long the body took, if all of it is here.
    pub fn took(&self) -> Option<Duration> {
        Some(self.ended.load(Ordering::Relaxed)).filter(|nanos| *nanos > 0).map(Duration::from_nanos)
    }

    fn end(&self) {
        let nanos = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.ended.store(nanos.max(1), Ordering::Relaxed);
    }
}

/// A request's body.
#[derive(Debug)]
pub(super) struct Counted<B> {
    body: B,
    meter: std::sync::Arc<Meter>,
}

impl<B> Counted<B> {
    pub fn new(body: B, meter: std::sync::Arc<Meter>) -> Self {
        Self { body, meter }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Counted<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.meter.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        }
        if frame.is_none() || self.body.is_end_stream() {
            self.meter.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body.
#[derive(Debug)]
pub(super) struct Told<B> {
    body: B,
    answering: Answering,
}

impl<B> Told<B> {
    pub fn new(body: B, answering: Answering) -> Self {
        Self { body, answering }
    }
}

impl<B> Body for Told<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Error,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Self { body, answering } = &mut *self;
        // What makes the bytes may call other services.
        let active = answering.active().clone();
        let mut frame = ready!(trace::at(&active, || Pin::new(&mut *body).poll_frame(context)));
        match &mut frame {
            Some(Ok(frame)) => answering.frame(frame),
            Some(Err(error)) => answering.broke(error),
            None => answering.ended(),
        }
        if body.is_end_stream() {
            answering.ended();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
