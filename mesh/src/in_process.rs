//! The in-process transport: a channel that is the other service itself.
//!
//! Messages are encoded and decoded as over the network, so that one process behaves like many; no socket and no HTTP/2
//! framing is involved. Calls say which trace they are part of, as over the network.

use crate::caller::Caller;
use crate::channel::{Channel, ChannelError};
use crate::trace;
use std::convert::Infallible;
use tonic::body::Body;
use tower::{Service, ServiceExt};

/// A channel to `service`, a generated server such as `CatalogServiceServer` or a whole `tonic::service::Routes`.
pub fn channel<S>(service: S) -> Channel
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    let service = service.map_request(|mut request: http::Request<Body>| {
        // Who calls within a process is the process, unless it calls for somebody.
        if request.extensions().get::<Caller>().is_none() {
            request.extensions_mut().insert(Caller::local());
        }
        trace::inject(request.headers_mut());
        request
    });
    Channel::new(service.map_err(|never: Infallible| -> ChannelError { match never {} }))
}
