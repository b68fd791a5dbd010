//! A connection whose peer has spoken.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

const NO_HTTP2: &str = "it does not speak HTTP/2; perhaps it speaks TLS (--mesh-tls-ca)";

/// A socket, encrypted or not.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// A socket that says when the first byte came from its peer.
///
/// A client of HTTP/2 may send at once, and hyper's does. What it sends to a peer that accepts and is silent, or that stops
/// before it looks, is lost or not, nobody knows; so calls wait for the peer's first words, its settings.
pub(super) struct Greeted {
    socket: Box<dyn Socket>,
    greeting: Option<oneshot::Sender<()>>,
}

impl Greeted {
    /// Watches `socket`; the receiver hears of the first byte.
    pub(super) fn new(socket: Box<dyn Socket>) -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Self { socket, greeting: Some(sender) }, receiver)
    }
}

impl AsyncRead for Greeted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut *self.socket).poll_read(context, into);
        if into.filled().len() > before
            && let Some(greeting) = self.greeting.take()
        {
            // The first frame is one of settings, whose length begins with 0; an alert of TLS and a line of HTTP/1.1 do not.
            if into.filled()[before] != 0 {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, NO_HTTP2)));
            }
            // Nobody waits where the time to connect is over.
            let _ = greeting.send(());
        }
        polled
    }
}

impl AsyncWrite for Greeted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.socket).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.socket).poll_shutdown(context)
    }
}
