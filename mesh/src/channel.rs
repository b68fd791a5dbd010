//! The channel to a service, whatever carries it.

use std::error::Error;
use std::fmt;
use tonic::body::Body;
use tower::util::BoxCloneSyncService;

/// What went wrong below gRPC, such as a refused connection.
///
/// A type of its own: with a bare box, futures that call a client inside an axum handler are not seen to be `Send`
/// (<https://github.com/rust-lang/rust/issues/102211>).
#[derive(Debug)]
pub struct ChannelError(Box<dyn Error + Send + Sync>);

impl ChannelError {
    /// Wraps the transport's error.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for ChannelError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

/// A channel to a service of the mesh: give it to a generated client, `CatalogServiceClient::new(channel)`.
///
/// It is the same type in one process and over the network, so that no service can tell the difference.
pub type Channel = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, ChannelError>;
