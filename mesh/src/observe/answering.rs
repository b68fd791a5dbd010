//! One request on its way: what is to be told of it once it has ended.

use super::body::Meter;
use super::routes::{self, Route};
use crate::trace::{self, Active, Span, TRACE_ID, TraceContext};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, response};
use http_body::Frame;
use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Who waits longer for the head of an answer has a reason to look at the log.
const SLOW: Duration = Duration::from_secs(5);
/// What nginx calls a request whose client left before it was answered.
const LEFT: u16 = 499;

/// Names of gRPC's statuses by their numbers (<https://grpc.io/docs/guides/status-codes/>).
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
const OK: &str = CODES[0];
const CANCELLED: &str = CODES[1];
const UNKNOWN: &str = CODES[2];
/// A stream of grpc-web as text: its end is in base64 somewhere, and nobody here looks for it.
const UNSEEN: &str = "UNSEEN";

/// How an answer says its status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Speech {
    Http,
    Grpc,
    GrpcWeb,
    GrpcWebText,
}

/// A request that is being answered. What became of it is told when it is dropped.
#[derive(Debug)]
pub(super) struct Answering {
    route: Arc<Route>,
    method: &'static str,
    began: Instant,
    request: Option<Arc<Meter>>,
    span: Span,
    speech: Speech,
    /// HTTP's; [`LEFT`] until there is one.
    status: u16,
    code: Option<&'static str>,
    /// From the whole request to the answer's head.
    took: Duration,
    /// The status stood in the head: nothing else was answered.
    at_once: bool,
    sent: u64,
    over: bool,
}

impl Answering {
    pub fn begin(route: Arc<Route>, method: &Method, request: Option<Arc<Meter>>, span: Span) -> Self {
        route.figures().begun();
        Self {
            route,
            method: routes::method(method),
            began: Instant::now(),
            request,
            span,
            speech: Speech::Http,
            status: LEFT,
            code: None,
            took: Duration::ZERO,
            at_once: false,
            sent: 0,
            over: false,
        }
    }

    pub fn active(&self) -> &Active {
        self.span.active()
    }

    pub fn context(&self) -> TraceContext {
        self.span.context()
    }

    /// The head of the answer; says whether it is an error.
    pub fn head(&mut self, head: &response::Parts) -> bool {
        let waited = self.request.as_ref().and_then(|body| body.took()).unwrap_or_default();
        self.took = self.began.elapsed().saturating_sub(waited);
        self.route.figures().answered(self.took);
        self.status = head.status.as_u16();
        self.speech = speech(&head.headers);
        self.code = code(&head.headers);
        self.at_once = self.code.is_some() || self.status >= 400;
        if self.route.is_rpc() && self.speech == Speech::Http {
            // No answer of gRPC: it was no call, or never came so far.
            self.code = Some(if self.status < 500 { "INVALID_ARGUMENT" } else { "UNAVAILABLE" });
        }
        self.status >= 400 || self.code.is_some_and(|code| code != OK)
    }

    /// A part of the answer's body. Trailers that are an error get the trace's id.
    pub fn frame(&mut self, frame: &mut Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            self.sent += data.len() as u64;
            if self.speech == Speech::GrpcWeb && data.first().is_some_and(|flags| flags & 0x80 != 0) {
                self.code = web_code(data);
            }
        }
        if let Some(trailers) = frame.trailers_mut() {
            self.code = code(trailers).or(self.code);
            if self.code.is_some_and(|code| code != OK) {
                let id = self.context().trace.to_string();
                trailers.insert(TRACE_ID, HeaderValue::try_from(id).expect("hexadecimal digits"));
            }
        }
    }

    /// The answer broke off.
    pub fn broke(&mut self, error: &impl Display) {
        self.code = Some(UNKNOWN);
        self.span.fail(|| error.to_string().into());
    }

    /// The answer was sent.
    pub fn ended(&mut self) {
        self.over = true;
    }

    /// The status of an rpc that has ended.
    fn end(&self) -> &'static str {
        match (self.code, self.over, self.speech) {
            (Some(code), ..) => code,
            (None, true, Speech::GrpcWebText) => UNSEEN,
            (None, true, _) => UNKNOWN,
            (None, false, _) => CANCELLED,
        }
    }

    /// Our fault, a passing state of ours, or everyday life.
    fn weight(&self, code: &str) -> Weight {
        let (fault, passing) = if self.route.is_rpc() {
            let passing = matches!(code, "UNAVAILABLE" | "DEADLINE_EXCEEDED");
            (matches!(code, "UNKNOWN" | "INTERNAL" | "DATA_LOSS"), passing)
        } else {
            (self.status >= 500 && !matches!(self.status, 503 | 504), matches!(self.status, 503 | 504))
        };
        match (fault, passing && self.at_once) {
            (true, _) => Weight::Fault,
            (_, true) => Weight::Passing,
            _ if self.took >= SLOW => Weight::Slow,
            _ => Weight::Usual,
        }
    }

    fn log(&self, weight: Weight, end: &dyn Display) {
        let (request, took, sent) = (self.route.name(), self.took, self.sent);
        let received = self.request.as_ref().map_or(0, |body| body.bytes());
        match weight {
            Weight::Fault => tracing::warn!(request, %end, ?took, received, sent, "a request failed"),
            Weight::Passing => tracing::info!(request, %end, ?took, received, sent, "a request could not be answered"),
            Weight::Slow => tracing::info!(request, %end, ?took, received, sent, "a request was slow"),
            Weight::Usual => tracing::debug!(request, %end, ?took, received, sent, "answered"),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Weight {
    Fault,
    Passing,
    Slow,
    Usual,
}

impl Drop for Answering {
    fn drop(&mut self) {
        let code = self.end();
        let received = self.request.as_ref().map_or(0, |body| body.bytes());
        self.route.figures().ended(received, self.sent);
        self.route.ended(self.method, code, self.status);
        let weight = self.weight(code);
        if self.route.is_rpc() {
            self.span.note("rpc.grpc.status", || code.into());
        } else {
            let status = self.status;
            self.span.note("http.response.status_code", || status.to_string().into());
        }
        if weight == Weight::Fault || weight == Weight::Passing {
            let status = self.status;
            let is_rpc = self.route.is_rpc();
            self.span.fail(|| if is_rpc { code.into() } else { status.to_string().into() });
        }
        trace::at(self.active(), || {
            if self.route.is_rpc() { self.log(weight, &code) } else { self.log(weight, &self.status) }
        });
    }
}

fn speech(headers: &HeaderMap) -> Speech {
    let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    match kind.strip_prefix(b"application/grpc") {
        None => Speech::Http,
        Some(rest) if rest.starts_with(b"-web-text") => Speech::GrpcWebText,
        Some(rest) if rest.starts_with(b"-web") => Speech::GrpcWeb,
        Some(_) => Speech::Grpc,
    }
}

fn code(headers: &HeaderMap) -> Option<&'static str> {
    headers.get("grpc-status").map(|status| named(status.as_bytes()))
}

fn named(status: &[u8]) -> &'static str {
    let number = str::from_utf8(status).ok().and_then(|status| status.trim().parse::<usize>().ok());
    number.and_then(|number| CODES.get(number).copied()).unwrap_or(UNKNOWN)
}

/// The status in a frame of trailers: a flag, four bytes of length, fields as HTTP/1 has them
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md>).
fn web_code(frame: &[u8]) -> Option<&'static str> {
    let fields = frame.get(5..)?.split(|byte| *byte == b'\n');
    fields.into_iter().find_map(|field| field.strip_prefix(b"grpc-status:")).map(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_names() {
        for (status, name) in [(&b"0"[..], "OK"), (b"5", "NOT_FOUND"), (b" 16\r", "UNAUTHENTICATED"), (b"17", UNKNOWN)]
        {
            assert_eq!(named(status), name);
        }
        assert_eq!(web_code(b"\x80\0\0\0\x10grpc-status:14\r\ngrpc-message:x\r\n"), Some("UNAVAILABLE"));
        assert_eq!(web_code(b"\x80"), None);
    }
}
