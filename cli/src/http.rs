//! HTTP for media bytes: one `GET`, one connection.

use crate::connect::{CONNECT_TIMEOUT, Gateway};
use crate::errors::CallError;
use bytes::Bytes;
use http::header::{HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::fmt::Display;
use std::time::Duration;
use tokio::time::timeout;
use vidstream_proto::error::{Problem, Reason};

/// A body of which nothing comes for so long has stopped.
const STALL: Duration = Duration::from_mins(1);
/// The longest text of an error that is read.
const MAX_ERROR: usize = 64 * 1024;

/// Asks for `path` with further `headers`. Answers that are no success are errors.
pub async fn get(gateway: &Gateway, path: &str, headers: HeaderMap) -> Result<Response<Incoming>, CallError> {
    let connecting = timeout(CONNECT_TIMEOUT, gateway.socket());
    let socket = connecting.await.map_err(|_| broken("it does not accept connections"))?.map_err(broken)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.map_err(broken)?;
    // Its errors arrive with the answer or its body too.
    tokio::spawn(connection);
    let mut request = Request::get(path)
        .header(HOST, gateway.server.authority())
        .header(USER_AGENT, concat!("vidctl/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(broken)?;
    request.headers_mut().extend(headers);
    let response = timeout(STALL, sender.send_request(request)).await.map_err(|_| CallError::silent())?;
    let response = response.map_err(broken)?;
    if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
}

/// The next bytes of a body; none at its end.
pub async fn chunk(body: &mut Incoming) -> Result<Option<Bytes>, CallError> {
    loop {
        let frame = timeout(STALL, body.frame()).await.map_err(|_| CallError::silent())?;
        match frame.transpose().map_err(broken)? {
            None => return Ok(None),
            Some(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

fn broken(error: impl Display) -> CallError {
    CallError { problem: Problem::new(Reason::Unavailable, error.to_string()), broken: true }
}

/// What is read of `application/problem+json` (RFC 9457).
#[derive(Default, Deserialize)]
#[serde(default)]
struct ProblemJson {
    title: String,
    detail: String,
    reason: String,
}

async fn refusal(response: Response<Incoming>) -> CallError {
    let status = response.status();
    let seconds = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
    let body = timeout(STALL, Limited::new(response.into_body(), MAX_ERROR).collect()).await;
    let body = body.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let told: ProblemJson = serde_json::from_slice(&body).unwrap_or_default();
    let reason = Reason::ALL.iter().copied().find(|reason| reason.as_str() == told.reason);
    let message = [told.detail, told.title].into_iter().find(|text| !text.is_empty());
    let mut problem = Problem::new(
        reason.unwrap_or_else(|| nearest(status)),
        message.map_or_else(|| format!("the server answered {status}"), |text| crate::text::clean(&text)),
    );
    problem.retry_after = seconds.map(Duration::from_secs);
    problem.into()
}

fn nearest(status: StatusCode) -> Reason {
    match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Reason::NotFound,
        StatusCode::TOO_MANY_REQUESTS => Reason::ResourceExhausted,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => Reason::Unavailable,
        StatusCode::GATEWAY_TIMEOUT => Reason::DeadlineExceeded,
        status if status.is_client_error() => Reason::InvalidArgument,
        _ => Reason::Internal,
    }
}
