//! Figures of a process as text for Prometheus: whoever has some registers them; `/metrics` shows them all.
//!
//! There is no global registry: two meshes in one process have a page each. Names begin with `vidstream_`, those of the
//! process itself are what Prometheus' own clients call them. Labels have few values, known beforehand: never an id, an
//! address or a title.

mod process;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::{BoxFuture, join_all};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// What a page is waited for at the most: figures that take longer keep their last values.
const PATIENCE: Duration = Duration::from_secs(3);
/// As `prometheus-client` writes it: the text format that Prometheus asks for first.
const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Looks at something before a page is made.
type Look = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// The figures of a process. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
}

struct Shared {
    registry: Mutex<Registry>,
    looks: Mutex<Vec<Look>>,
    /// One page at a time: looks cost something, and may not be had at will.
    making: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Those of the process itself, and which program it is.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("vidstream_build", "Which program this is", build);
        registry.register_collector(Box::new(process::Process));
        let (registry, looks) = (Mutex::new(registry), Mutex::default());
        Self { shared: Arc::new(Shared { registry, looks, making: tokio::sync::Mutex::default() }) }
    }

    /// Adds a figure. Its name is `vidstream_` and `name`, and `_total` if it is a counter; `help` is a sentence without a
    /// full stop.
    pub fn register<M: Metric>(&self, name: &str, help: &str, metric: M) {
        self.registry().register(format!("vidstream_{name}"), help, metric);
    }

    /// `look` is called before each page, to bring figures up to date that somebody has to be asked for.
    pub fn look_before<F>(&self, look: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let look: Look = Box::new(move || Box::pin(look()));
        self.shared.looks.lock().unwrap_or_else(PoisonError::into_inner).push(look);
    }

    /// All figures as they are now.
    pub async fn page(&self) -> String {
        let _one = self.shared.making.lock().await;
        let looks: Vec<_> = {
            let looks = self.shared.looks.lock().unwrap_or_else(PoisonError::into_inner);
            looks.iter().map(|look| timeout(PATIENCE, look())).collect()
        };
        if join_all(looks).await.iter().any(Result::is_err) {
            tracing::warn!(waited = ?PATIENCE, "some figures are old: who has them does not answer");
        }
        let mut page = String::new();
        encode(&mut page, &self.registry()).expect("a text takes all that is written");
        page
    }

    /// The route `/metrics`.
    pub fn router(&self) -> Router {
        let metrics = self.clone();
        Router::new().route("/metrics", get(async move || answer(metrics.page().await)))
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.shared.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer(page: String) -> Response {
    ([(CONTENT_TYPE, TEXT), (CACHE_CONTROL, "no-store")], page).into_response()
}
