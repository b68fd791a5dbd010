//! Answers over HTTP/2 that their reader has to take.
//!
//! A peer that gives a stream no window blocks no write to the socket, and may answer every ping: nothing but this notices. The
//! body of an answer knows when it was last asked for more, and the task of its stream, which hyper lets wait for the window,
//! ends when that is too long ago. With it goes all that the answer holds, and the peer is told by a reset.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// A body is handed out in such parts, each of which has to be taken in time: less than a slow line takes within a minute.
const PART: usize = 64 << 10;
/// A last part that is longer is waited for like all others; a shorter one may lie with the connection.
const SMALL: usize = 1 << 10;

tokio::task_local! {
    static READER: Reader;
}

/// When the reader of a stream's answer was first waited for, if it is. Only the stream's own task looks at it.
#[derive(Clone, Debug, Default)]
struct Reader(Arc<Mutex<Option<Instant>>>);

impl Reader {
    fn waited_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the streams of a connection, each until its answer is sent, or its reader takes nothing of it for `within`.
#[derive(Clone, Debug)]
pub struct Streams {
    within: Duration,
}

impl Streams {
    /// Those whose readers have so long.
    pub fn new(within: Duration) -> Self {
        Self { within }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let within = self.within;
        tokio::spawn(async move {
            let reader = Reader::default();
            let mut stream = pin!(READER.scope(reader.clone(), stream));
            let mut timer: Option<Pin<Box<Sleep>>> = None;
            poll_fn(|context| {
                if stream.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
                let Some(since) = *reader.waited_since() else { return Poll::Pending };
                let until = since + within;
                let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
                if timer.deadline() != until {
                    timer.as_mut().reset(until);
                }
                ready!(timer.as_mut().poll(context));
                tracing::debug!("a stream's reader takes nothing");
                Poll::Ready(())
            })
            .await;
        });
    }
}

/// `body`, which its reader has to take, if this is called by the service of a stream that [`Streams`] runs; else as it is.
pub fn taken(body: axum::body::Body) -> axum::body::Body {
    let Ok(reader) = READER.try_with(Clone::clone) else { return body };
    if body.is_end_stream() {
        return body;
    }
    *reader.waited_since() = Some(Instant::now());
    axum::body::Body::new(Taken { body, rest: Bytes::new(), is_awaited: false, reader })
}

/// A body that says when it waits for its reader.
struct Taken<B> {
    body: B,
    /// Of what came, what was not handed out yet.
    rest: Bytes,
    /// Whether its end is not to be told before the last part was taken.
    is_awaited: bool,
    reader: Reader,
}

impl<B> Taken<B> {
    fn part(&mut self) -> Frame<Bytes> {
        let part = self.rest.split_to(PART.min(self.rest.len()));
        self.is_awaited = part.len() > SMALL;
        *self.reader.waited_since() = Some(Instant::now());
        Frame::data(part)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Taken<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        *this.reader.waited_since() = None;
        this.is_awaited = false;
        if !this.rest.is_empty() {
            return Poll::Ready(Some(Ok(this.part())));
        }
        let frame = match ready!(Pin::new(&mut this.body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            ended => return Poll::Ready(ended),
        };
        Poll::Ready(Some(Ok(match frame.into_data() {
            Ok(data) => {
                this.rest = data;
                this.part()
            }
            Err(trailers) => trailers,
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && !self.is_awaited && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (mut hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}
