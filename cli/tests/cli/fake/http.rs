//! The original file over HTTP.

use super::Fake;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

pub fn routes(fake: Fake) -> Router {
    Router::new().route("/videos/{id}/source", get(source)).with_state(fake)
}

async fn source(State(fake): State<Fake>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (range, condition) = (text(header::RANGE), text(header::IF_RANGE));
    let mut world = fake.world();
    world.heard.ranges.push(range.clone());
    let Some(bytes) = world.files.get(&id).cloned() else {
        let problem = r#"{"title": "Not Found", "detail": "there is no such video", "reason": "NOT_FOUND"}"#;
        return (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/problem+json")], problem).into_response();
    };
    let etag = format!("\"{}\"", blake3::hash(&bytes));
    let start: Option<usize> = range
        .filter(|_| condition.as_ref() == Some(&etag))
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let body = bytes[start.unwrap_or(0)..].to_vec();
    let length = body.len().to_string();
    let body = match world.faults.cut_download_after.take() {
        None => Body::from(body),
        Some(count) => {
            let parts = [Ok(Bytes::from(body).slice(..count)), Err(std::io::Error::other("cut"))];
            Body::from_stream(futures::stream::iter(parts))
        }
    };
    let headers = [(header::ETAG, etag), (header::CONTENT_LENGTH, length)];
    match start {
        None => (headers, body).into_response(),
        Some(start) => {
            let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
            (StatusCode::PARTIAL_CONTENT, headers, [(header::CONTENT_RANGE, range)], body).into_response()
        }
    }
}
