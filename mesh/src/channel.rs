//! The channel to a service, whatever carries it.

use tonic::body::Body;
use tower::util::BoxCloneSyncService;

/// What went wrong below gRPC.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A channel to a service of the mesh: give it to a generated client, `CatalogServiceClient::new(channel)`.
///
/// It is the same type in one process and over the network, so that no service can tell the difference.
pub type Channel = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, BoxError>;
