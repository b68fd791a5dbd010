//! The channel to a service, whatever carries it.

use std::error::Error;
use std::fmt;
use tonic::body::Body;
use tonic::{Code, Status};
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

    /// What it means for a call: the status that it holds.
    pub(crate) fn status(&self) -> Status {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&*self.0);
        while let Some(error) = cause {
            if let Some(status) = error.downcast_ref::<Status>() {
                return Status::with_details(status.code(), status.message(), status.details().to_vec().into());
            }
            cause = error.source();
        }
        Status::new(Code::Unknown, self.0.to_string())
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
