//! Bodies of requests that have to keep coming.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes that have to come within the time. With the usual minute that is less than Apache asks for at the least (500 bytes a
/// second, `mod_reqtimeout`), and the slowest modem sends more.
const LEAST: u64 = 16 << 10;

/// A body that fails with [`Stalled`] when fewer than 16 KiB come within its time, unless it ends. Only time spent waiting for
/// bytes counts: a reader may let the body wait as long as it likes.
pub struct Paced<B> {
    body: B,
    /// None where the body may rest.
    pace: Option<Pace>,
}

struct Pace {
    within: Duration,
    /// Bytes since the time began to run.
    came: u64,
    /// Time spent waiting for them.
    waited: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

/// The bytes of a request stopped coming.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stalled(Duration);

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fewer than {LEAST} bytes came within {:?}", self.0)
    }
}

impl Error for Stalled {}

impl Stalled {
    /// Whether `error` says, or was caused by, a stalled body.
    pub fn caused(error: &(dyn Error + 'static)) -> bool {
        error.is::<Self>() || error.source().is_some_and(Self::caused)
    }
}

impl<B> Paced<B> {
    /// `body`, of which 16 KiB have to come `within` a time again and again; none lets it rest.
    pub fn new(body: B, within: Option<Duration>) -> Self {
        let pace = within.map(|within| Pace { within, came: 0, waited: Duration::ZERO, waiting: None });
        Self { body, pace }
    }
}

impl Pace {
    /// Bytes came.
    fn count(&mut self, bytes: u64) {
        self.came += bytes;
        if let Some((since, _)) = self.waiting.take() {
            self.waited += since.elapsed();
        }
        if self.came >= LEAST {
            (self.came, self.waited) = (0, Duration::ZERO);
        }
    }

    /// Ready when the waiting took too long.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let left = self.within.saturating_sub(self.waited);
        let (_, sleep) = self.waiting.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now + left)))
        });
        sleep.as_mut().poll(context)
    }
}

impl<B> Body for Paced<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        match (Pin::new(&mut this.body).poll_frame(context), &mut this.pace) {
            (Poll::Ready(Some(Ok(frame))), Some(pace)) => {
                pace.count(frame.data_ref().map_or(0, |data| data.len() as u64));
                Poll::Ready(Some(Ok(frame)))
            }
            (Poll::Pending, Some(pace)) => {
                ready!(pace.poll(context));
                Poll::Ready(Some(Err(Stalled(pace.within).into())))
            }
            (polled, _) => polled.map_err(Into::into),
        }
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
    use http_body_util::{BodyExt, StreamBody};
    use tokio::sync::mpsc;
    use tokio::time::sleep;
    use tokio_stream::StreamExt;
    use tokio_stream::wrappers::ReceiverStream;

    const TIME: Duration = Duration::from_secs(10);

    /// A paced body, and where its bytes come from.
    fn body() -> (mpsc::Sender<usize>, Paced<impl Body<Data = Bytes, Error = std::io::Error> + Unpin>) {
        let (sender, lengths) = mpsc::channel(100);
        let frames = ReceiverStream::new(lengths).map(|len| Ok(Frame::data(Bytes::from(vec![0; len]))));
        (sender, Paced::new(StreamBody::new(frames), Some(TIME)))
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_body() {
        let (_sender, mut body) = body();
        let began = Instant::now();
        let error = body.frame().await.expect("a frame").expect_err("stalled");
        assert!(Stalled::caused(&*error), "{error}");
        assert_eq!(began.elapsed(), TIME);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_ends_a_body() {
        let (sender, mut body) = body();
        tokio::spawn(async move {
            // It may be closed before all is sent.
            while sender.send(100).await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let began = Instant::now();
        while body.frame().await.expect("no end").is_ok() {}
        assert!(began.elapsed() <= TIME + Duration::from_secs(1), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_keeps_coming_may_take_as_long_as_it_likes() {
        let (sender, mut body) = body();
        tokio::spawn(async move {
            for _ in 0..100 {
                sleep(Duration::from_secs(4)).await;
                sender.send(8 << 10).await.expect("it reads");
            }
        });
        let mut came = 0;
        while let Some(frame) = body.frame().await {
            came += frame.expect("no stall").data_ref().map_or(0, Bytes::len);
        }
        assert_eq!(came, 100 * (8 << 10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_not_the_sender_s_fault() {
        let (sender, mut body) = body();
        for _ in 0..5 {
            sender.send(10).await.expect("room");
            body.frame().await.expect("a frame").expect("no stall");
            sleep(TIME * 3).await;
        }
        drop(sender);
        assert!(body.frame().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn some_bodies_may_rest() {
        let (sender, body) = body();
        let mut body = Paced::new(body, None);
        tokio::spawn(async move {
            sleep(TIME / 2).await;
            drop(sender);
        });
        assert!(body.frame().await.is_none());
    }
}
