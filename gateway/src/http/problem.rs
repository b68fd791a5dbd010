//! Errors as `application/problem+json` (RFC 9457).

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::time::Duration;
use tonic::Status;
use vidstream_proto::error::{Problem, Reason};

/// A [`Problem`] as the answer of an HTTP route: `Result<impl IntoResponse, HttpProblem>` and `?` do the rest.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(transparent)]
pub struct HttpProblem {
    #[from]
    problem: Problem,
}

impl From<Status> for HttpProblem {
    fn from(status: Status) -> Self {
        Problem::from(status).into()
    }
}

#[derive(Serialize)]
struct Body<'a> {
    /// RFC 9457 §4.2.1: the status says what kind of problem it is; `reason` tells kinds of one status apart.
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Field<'a>>,
}

#[derive(Serialize)]
struct Field<'a> {
    field: &'a str,
    description: &'a str,
}

/// `problem` as an answer with `status`, where that is not the one its reason has.
pub fn answer_with(status: StatusCode, problem: &Problem) -> Response {
    let body = Body {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail: &problem.message,
        reason: problem.reason.as_str(),
        fields: problem.fields.iter().map(|f| Field { field: &f.field, description: &f.description }).collect(),
    };
    let json = serde_json::to_vec(&body).expect("texts and numbers map to JSON");
    let mut response = (status, json).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    // A cache may otherwise keep a 404 (RFC 9110 §15.1) beyond the moment the thing is there.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(delay) = problem.retry_after.or_else(|| default_delay(problem.reason)) {
        // Whole seconds: rather later than too early.
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    response
}

/// Clients of these reasons are told when to come back, whoever made the problem.
fn default_delay(reason: Reason) -> Option<Duration> {
    match reason {
        Reason::NotReady | Reason::Unavailable | Reason::ResourceExhausted => Some(Duration::from_secs(1)),
        _ => None,
    }
}

impl IntoResponse for HttpProblem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.reason.http_status()).expect("the table has HTTP statuses");
        if self.problem.reason == Reason::Internal {
            tracing::error!(error = %self.problem, "a request failed by our fault");
        }
        answer_with(status, &self.problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn json(response: Response) -> serde_json::Value {
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 16).await.expect("a whole body");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    #[tokio::test]
    async fn every_reason_has_an_answer() {
        for reason in Reason::ALL {
            let response = HttpProblem::from(Problem::new(*reason, "no luck")).into_response();
            assert_eq!(response.status().as_u16(), reason.http_status());
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
            let body = json(response).await;
            assert_eq!(body["status"], reason.http_status());
            assert_eq!(body["reason"], reason.as_str());
            assert_eq!(body["detail"], "no luck");
            assert_eq!(body["type"], "about:blank");
        }
    }

    #[tokio::test]
    async fn what_is_to_come_says_when_to_ask_again() {
        let answer = |problem: Problem| HttpProblem::from(problem).into_response();
        let soon = answer(Problem::new(Reason::NotReady, "not yet"));
        assert_eq!(soon.headers()[RETRY_AFTER], "1");
        let later = answer(Problem::new(Reason::NotReady, "not yet").retry_after(Duration::from_secs(30)));
        assert_eq!(later.headers()[RETRY_AFTER], "30");
        let between = answer(Problem::new(Reason::NotReady, "not yet").retry_after(Duration::from_millis(1250)));
        assert_eq!(between.headers()[RETRY_AFTER], "2", "not before the time");
        assert!(!answer(Problem::new(Reason::NotFound, "never")).headers().contains_key(RETRY_AFTER));
        let wrong = json(answer(Problem::field("offset", "is missing"))).await;
        assert_eq!(wrong["fields"][0]["field"], "offset");
    }
}
