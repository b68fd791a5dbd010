//! What a listener answers before there is anything behind it: that it is there, and what it waits for.

use axum::Router;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tonic::Status;
use tower::ServiceExt;
use vidstream_gateway::http::problem::HttpProblem;
use vidstream_proto::error::{Problem, Reason};

/// When callers may come back: starting rarely takes longer. Who says so is asked again and does not count as unwell.
const AGAIN: Duration = Duration::from_secs(1);

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
        // What is waited for has addresses that are for those who run this.
        let asks_why = request.uri().path() == "/readyz";
        let words = if asks_why { self.awaited.words() } else { "starting; try again".to_owned() };
        let problem = Problem::new(Reason::Unavailable, words).retry_after(AGAIN);
        let kind = request.headers().get(CONTENT_TYPE).filter(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        if let Some(kind) = kind {
            let mut response: Response = Status::from(problem).into_http();
            response.headers_mut().insert(CONTENT_TYPE, kind.clone());
            return response;
        }
        HttpProblem::from(problem).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;
    use vidstream_mesh::client::{ClientOptions, connect};
    use vidstream_mesh::lifecycle::Lifecycle;
    use vidstream_mesh::serve::{Limits, serve};
    use vidstream_proto::pb::catalog_service_client::CatalogServiceClient;
    use vidstream_proto::pb::{GetEntryRequest, TakeJobRequest};

    /// A front that listens, and a client of what will be behind it.
    async fn waiting() -> (Front, Awaited, CatalogServiceClient<vidstream_mesh::channel::Channel>, Lifecycle) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (awaited, life) = (Awaited::default(), Lifecycle::new());
        let front = Front::new(awaited.clone());
        tokio::spawn(serve(listener, front.router(), Limits::mesh(), life.clone()));
        let service = connect(address.to_string().parse().expect("a peer"), ClientOptions::default(), &life);
        (front, awaited, CatalogServiceClient::new(service.channel), life)
    }

    #[tokio::test]
    async fn calls_wait_for_the_only_replica_while_it_opens() {
        let (front, _, mut client, _life) = waiting().await;
        let mut asking = client.clone();
        let call = tokio::spawn(async move { asking.get_entry(GetEntryRequest::default()).await });
        // Answered in one way while it starts, and not repeated; often enough for a breaker.
        for _ in 0..10 {
            let refused = client.take_job(TakeJobRequest::default()).await.expect_err("not yet");
            assert_eq!(Problem::from(refused).retry_after, Some(AGAIN));
        }
        // Later than an attempt, or two at short intervals.
        tokio::time::sleep(AGAIN).await;
        let behind =
            Router::new().fallback(async || Status::not_found("no such entry").into_http::<axum::body::Body>());
        front.open(behind);
        let answer = call.await.expect("no panic").expect_err("what is behind answers");
        assert_eq!(answer.code(), tonic::Code::NotFound, "{answer}");
    }

    #[tokio::test]
    async fn only_who_asks_why_hears_of_addresses() {
        let (front, awaited, mut client, _life) = waiting().await;
        awaited.waits("the catalog at 10.0.3.4:7070", "connection refused".to_owned());
        let refused = client.take_job(TakeJobRequest::default()).await.expect_err("not yet");
        assert_eq!(refused.message(), "starting; try again");
        for (path, says) in [("/readyz", true), ("/", false)] {
            let request = Request::get(path).body(axum::body::Body::empty()).expect("a request");
            let body = front.answer(request).await.into_body();
            let text = axum::body::to_bytes(body, 1 << 16).await.expect("a body");
            assert_eq!(String::from_utf8_lossy(&text).contains("10.0.3.4:7070"), says, "{path}");
        }
    }
}
