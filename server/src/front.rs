//! What a listener answers before there is anything behind it: that it is there, and what it waits for.

use axum::Router;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tonic::Status;
use tower::ServiceExt;
use vidstream_gateway::http::problem::HttpProblem;
use vidstream_proto::error::{Problem, Reason};

/// What a process that starts still waits for, by its parts. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Awaited {
    parts: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Awaited {
    /// `part` is waited for, because of `why`. Says whether that is news.
    pub(crate) fn waits(&self, part: &str, why: String) -> bool {
        self.lock().insert(part.to_owned(), why.clone()).is_none_or(|before| before != why)
    }

    /// `part` is there. Says whether it had been waited for.
    pub(crate) fn has(&self, part: &str) -> bool {
        self.lock().remove(part).is_some()
    }

    fn words(&self) -> String {
        let parts = self.lock();
        let words: Vec<_> = parts.iter().map(|(part, why)| format!("waiting for {part}: {why}")).collect();
        if words.is_empty() { "starting".to_owned() } else { words.join("; ") }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A listener's answers: its router's, once there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Front {
    behind: Arc<OnceLock<Router>>,
    awaited: Awaited,
}

impl Front {
    /// Waits for `awaited`.
    pub(crate) fn new(awaited: Awaited) -> Self {
        Self { behind: Arc::default(), awaited }
    }

    /// From now on `router` answers.
    pub(crate) fn open(&self, router: Router) {
        // Each listener is opened once.
        drop(self.behind.set(router));
    }

    /// What the listener serves from its first moment on.
    pub(crate) fn router(&self) -> Router {
        let front = self.clone();
        Router::new().fallback(move |request: Request| {
            let front = front.clone();
            async move { front.answer(request).await }
        })
    }

    async fn answer(&self, request: Request) -> Response {
        if let Some(router) = self.behind.get() {
            return router.clone().oneshot(request).await.into_response();
        }
        if request.uri().path() == "/healthz" {
            return "ok\n".into_response();
        }
        let problem = Problem::new(Reason::Unavailable, self.awaited.words());
        let kind = request.headers().get(CONTENT_TYPE).filter(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        if let Some(kind) = kind {
            let mut response: Response = Status::from(problem).into_http();
            response.headers_mut().insert(CONTENT_TYPE, kind.clone());
            return response;
        }
        HttpProblem::from(problem).into_response()
    }
}
