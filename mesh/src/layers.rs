//! What every call between services goes through, written once.
//!
//! A client's call: deadline, retry, then the choice of a replica with its breaker ([`crate::client`]). A server's:
//! who calls, shedding, deadline ([`server_stack`]).

pub(crate) mod breaker;
pub(crate) mod contract;
pub(crate) mod deadline;
pub(crate) mod retry;
mod shed;

use crate::caller;
use crate::token::MeshToken;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::Route;
use deadline::EnforceDeadline;
use shed::{Shed, Slots};
use tower::layer::layer_fn;

/// Bounds of a mesh listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerBounds {
    /// Unary calls at once; more are told to go elsewhere.
    pub calls: usize,
    /// Open streams; more are told to go elsewhere.
    pub streams: usize,
}

impl Default for ServerBounds {
    fn default() -> Self {
        Self { calls: 1024, streams: 16 << 10 }
    }
}

/// The services in `router` for a mesh listener: only callers with the token are heard (everybody, without one), no more
/// calls are taken than the bounds allow, and each ends by its caller's deadline. Merge health and reflection afterwards:
/// they are for everybody.
pub fn server_stack(router: Router, token: Option<MeshToken>, bounds: &ServerBounds) -> Router {
    let slots = Slots::new(bounds);
    router
        .layer(layer_fn(|inner: Route| EnforceDeadline::new(inner)))
        .layer(layer_fn(move |inner: Route| Shed::new(inner, slots.clone())))
        .layer(from_fn_with_state(token, caller::authorise_mesh))
}
