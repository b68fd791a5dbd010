//! `/healthz`: the process answers. `/readyz`: it can do its work.

use crate::http::problem::HttpProblem;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use vidstream_backends::objects::{ObjectError, ObjectName, ObjectStore};
use vidstream_mesh::channel::Channel;
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::pb;
use vidstream_proto::pb::catalog_service_client::CatalogServiceClient;

/// A dependency that does not answer a probe for this long is missing.
const PROBE: Duration = Duration::from_secs(2);

/// What a process has to reach to do its work: a gateway, and any other service.
#[derive(Clone, Debug)]
pub struct Needs {
    /// The truth about videos and sources.
    pub catalog: CatalogServiceClient<Channel>,
    /// The bytes.
    pub objects: Arc<dyn ObjectStore>,
    /// When to stop.
    pub lifecycle: Lifecycle,
    /// What else the process says of itself where it is ready, by names of its own.
    pub about: Map<String, Value>,
}

/// The routes of health.
pub fn router(needs: Needs) -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready)).with_state(needs)
}

async fn ready(State(needs): State<Needs>) -> Response {
    // Said at once: whoever asks has as long as the drain lasts to send nothing more here.
    if needs.lifecycle.draining().is_cancelled() {
        return unavailable("the server is draining: it still answers, and stops soon");
    }
    let mut missing = Vec::new();
    let (catalog, objects) = tokio::join!(timeout(PROBE, catalog(&needs)), timeout(PROBE, objects(&needs)));
    missing.extend(catalog.unwrap_or_else(|_| Some("the catalog does not answer".to_owned())));
    missing.extend(objects.unwrap_or_else(|_| Some("the object store does not answer".to_owned())));
    if missing.is_empty() {
        let ready = ("ready".to_owned(), Value::Bool(true));
        return Json(std::iter::once(ready).chain(needs.about).collect::<Map<_, _>>()).into_response();
    }
    unavailable(missing.join("; "))
}

fn unavailable(why: impl Into<String>) -> Response {
    HttpProblem::from(Problem::new(Reason::Unavailable, why)).into_response()
}

async fn catalog(needs: &Needs) -> Option<String> {
    let first = pb::ListEntriesRequest { page_size: 1, ..Default::default() };
    let error = needs.catalog.clone().list_entries(first).await.err()?;
    Some(format!("the catalog answers: {}", error.message()))
}

async fn objects(needs: &Needs) -> Option<String> {
    let probe: ObjectName = "readiness-probe".parse().expect("a plain name");
    match needs.objects.head(&probe).await {
        Ok(_) | Err(ObjectError::NotFound { .. }) => None,
        Err(error) => Some(format!("the object store answers: {error}")),
    }
}
