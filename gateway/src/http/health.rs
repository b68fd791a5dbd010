//! `/healthz`: the process answers. `/readyz`: it can do its work.

use crate::Deps;
use crate::http::problem::HttpProblem;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;
use vidstream_backends::objects::{ObjectError, ObjectName};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::pb;

/// A dependency that does not answer a probe for this long is missing.
const PROBE: Duration = Duration::from_secs(2);

/// The routes of health.
pub fn router(deps: Deps) -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready)).with_state(deps)
}

async fn ready(State(deps): State<Deps>) -> Response {
    let mut missing = Vec::new();
    if deps.lifecycle.stopping().is_cancelled() {
        missing.push("the server is stopping".to_owned());
    }
    let (catalog, objects) = tokio::join!(timeout(PROBE, catalog(&deps)), timeout(PROBE, objects(&deps)));
    missing.extend(catalog.unwrap_or_else(|_| Some("the catalog does not answer".to_owned())));
    missing.extend(objects.unwrap_or_else(|_| Some("the object store does not answer".to_owned())));
    if missing.is_empty() {
        return Json(json!({ "ready": true })).into_response();
    }
    HttpProblem::from(Problem::new(Reason::Unavailable, missing.join("; "))).into_response()
}

async fn catalog(deps: &Deps) -> Option<String> {
    let first = pb::ListEntriesRequest { page_size: 1, ..Default::default() };
    let error = deps.catalog.clone().list_entries(first).await.err()?;
    Some(format!("the catalog answers: {}", error.message()))
}

async fn objects(deps: &Deps) -> Option<String> {
    let probe: ObjectName = "readiness-probe".parse().expect("a plain name");
    match deps.objects.head(&probe).await {
        Ok(_) | Err(ObjectError::NotFound { .. }) => None,
        Err(error) => Some(format!("the object store answers: {error}")),
    }
}
