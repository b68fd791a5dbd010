//! Who calls, and what they may do. One layer makes the caller; handlers receive it and never guess.

use crate::token::MeshToken;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;
use tonic::Status;
use vidstream_proto::error::{Problem, Reason};

/// Who makes a request. Until there are accounts, everyone is `local` and everything is allowed to them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    owner: Arc<str>,
}

impl Caller {
    /// The one owner there is.
    pub fn local() -> Self {
        Self { owner: Arc::from("local") }
    }

    /// What videos of this caller are owned by.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Whether the caller may do what needs `permission`. The table of who may what comes with accounts; every route
    /// already names what it needs, and a test keeps that complete.
    pub fn may(&self, permission: Permission) -> bool {
        match permission {
            Permission::Read
            | Permission::Write
            | Permission::Upload
            | Permission::Admin
            | Permission::Mesh
            | Permission::Public => self.owner() == "local",
        }
    }
}

/// What a route or rpc needs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Permission {
    /// Nothing: health, reflection, the web app's files.
    Public,
    /// See videos and play them.
    Read,
    /// Change, remove and restore videos.
    Write,
    /// Send bytes.
    Upload,
    /// Look after the server as a whole.
    Admin,
    /// Talk to a service behind the gateway.
    Mesh,
}

/// The caller that a layer found out; without such a layer nobody may do anything.
pub fn of<T>(request: &tonic::Request<T>) -> Result<Caller, Problem> {
    let denied = || Problem::new(Reason::PermissionDenied, "it is not known who calls");
    request.extensions().get().cloned().ok_or_else(denied)
}

/// The layer of a mesh listener, for `axum::middleware::from_fn_with_state`: makes the caller and lets through who may talk to
/// the services behind the gateway: with a token who has it, without one everybody. All rpcs there need [`Permission::Mesh`].
pub async fn authorise_mesh(State(token): State<Option<MeshToken>>, mut request: Request, next: Next) -> Response {
    let given = request.headers().get(AUTHORIZATION).map_or(&b""[..], |header| header.as_bytes());
    if token.is_some_and(|token| !token.accepts(given)) {
        let what = if given.is_empty() { "comes without the mesh token" } else { "comes with another mesh token" };
        return Status::unauthenticated(format!("the call {what} (--mesh-token-file)")).into_http();
    }
    let caller = Caller::local();
    if !caller.may(Permission::Mesh) {
        return Status::from(Problem::new(Reason::PermissionDenied, "services only")).into_http();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}
