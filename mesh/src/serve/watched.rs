//! A socket whose peer has to read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::CancellationToken;

/// A socket that fails with [`io::ErrorKind::TimedOut`] when its peer takes nothing of what is sent for `within`. A player that
/// paused asks again for the rest, as browsers do; nginx's `send_timeout` is the same, and a minute too.
pub struct Watched<S> {
    socket: S,
    within: Duration,
    stuck: bool,
    timer: Option<Pin<Box<Sleep>>>,
    /// Bytes that have yet to come until somebody is told.
    greeting: Option<(usize, CancellationToken)>,
}

/// What HTTP/2 begins with (RFC 9113, section 3.4): with so many bytes it is known what the peer speaks.
const PREFACE: usize = 24;

impl<S> Watched<S> {
    /// Watches `socket`.
    pub fn new(socket: S, within: Duration) -> Self {
        Self { socket, within, stuck: false, timer: None, greeting: None }
    }

    /// Cancels `known` when enough came to know what the peer speaks; from then on either HTTP bounds how long it may be silent.
    pub fn telling(self, known: CancellationToken) -> Self {
        Self { greeting: Some((PREFACE, known)), ..self }
    }

    fn heard(&mut self, bytes: usize) {
        let Some((missing, known)) = &mut self.greeting else { return };
        *missing = missing.saturating_sub(bytes);
        if *missing == 0 {
            known.cancel();
            self.greeting = None;
        }
    }

    /// The outcome of a write, unless nothing was taken for too long.
    fn judged<T>(&mut self, outcome: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stuck = false;
            return outcome;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.within)));
        if !self.stuck {
            self.stuck = true;
            timer.as_mut().reset(Instant::now() + self.within);
        }
        timer.as_mut().poll(context).map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let outcome = Pin::new(&mut self.socket).poll_read(context, into);
        self.heard(into.filled().len() - before);
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.judged(outcome, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.judged(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
