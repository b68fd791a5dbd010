//! Answering a request for one representation: conditions, ranges, and the fields that every answer has.

use super::conditions::{Validators, Verdict};
use super::ranges::{content_range, unsatisfied_range};
use crate::http::problem::{HttpProblem, answer_with};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use std::future::Future;
use std::ops::Range;
use vidstream_proto::error::{Problem, Reason};

/// What is known of the bytes at an address before any is read.
#[derive(Clone, Debug)]
pub struct Representation {
    /// Tells versions of the address apart.
    pub validators: Validators,
    /// All its bytes.
    pub len: u64,
    /// Its media type.
    pub content_type: &'static str,
    /// How caches may keep it.
    pub caching: Caching,
}

/// How caches may keep what an address answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caching {
    /// A fixed name: what is behind it changes, so each use is checked by its tag.
    Checked,
    /// A derived address: its generation stands for exactly these bytes.
    Immutable,
}

impl Caching {
    fn to_header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Checked => "no-cache",
            Self::Immutable => "public, max-age=31536000, immutable",
        })
    }
}

/// A stretch of an answer's body: bytes of its own, then a range of the representation, which may be empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// What is around the parts of an answer with several; else nothing.
    pub own: Bytes,
    /// Bytes of the representation.
    pub range: Range<u64>,
}

impl Section {
    fn of(range: Range<u64>) -> Self {
        Self { own: Bytes::new(), range }
    }

    fn len(&self) -> u64 {
        self.own.len() as u64 + (self.range.end - self.range.start)
    }
}

impl Representation {
    /// The answer to `request`. `read` opens the bytes of sections; it is called only if they are sent.
    pub async fn answer<F>(
        &self,
        request: &Parts,
        read: impl FnOnce(Vec<Section>) -> F,
    ) -> Result<Response, HttpProblem>
    where
        F: Future<Output = Result<Body, Problem>>,
    {
        let mut response = match self.validators.judge(&request.method, &request.headers, self.len) {
            Verdict::NotModified => {
                let mut response = status_only(StatusCode::NOT_MODIFIED);
                // Else the server writes 0, which only a 200 of that length would allow (RFC 9110 §8.6).
                response.headers_mut().insert(CONTENT_LENGTH, self.len.into());
                response
            }
            Verdict::PreconditionFailed => {
                let problem = Problem::new(Reason::RevisionMismatch, "it is not what the request's conditions expect");
                return Ok(answer_with(StatusCode::PRECONDITION_FAILED, &problem));
            }
            Verdict::Unsatisfiable => return Ok(self.outside()),
            Verdict::Whole => self.bytes(request, vec![Section::of(0..self.len)], read).await?,
            Verdict::Part(part) => {
                let range = field(content_range(&part, self.len));
                let mut response = self.bytes(request, vec![Section::of(part)], read).await?;
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                response.headers_mut().insert(CONTENT_RANGE, range);
                response
            }
            Verdict::Parts(parts) => {
                let boundary = self.boundary(&parts);
                let mut response = self.bytes(request, self.sections(parts, &boundary), read).await?;
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                let kind = field(format!("multipart/byteranges; boundary={boundary}"));
                response.headers_mut().insert(CONTENT_TYPE, kind);
                response
            }
        };
        let headers = response.headers_mut();
        headers.insert(ETAG, self.validators.tag.to_header());
        if let Some(modified) = self.validators.modified {
            headers.insert(LAST_MODIFIED, modified.to_header());
        }
        headers.insert(CACHE_CONTROL, self.caching.to_header());
        Ok(response)
    }

    async fn bytes<F>(
        &self,
        request: &Parts,
        sections: Vec<Section>,
        read: impl FnOnce(Vec<Section>) -> F,
    ) -> Result<Response, Problem>
    where
        F: Future<Output = Result<Body, Problem>>,
    {
        let len: u64 = sections.iter().map(Section::len).sum();
        let body = if request.method == Method::HEAD { Body::empty() } else { read(sections).await? };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(len));
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        Ok(response)
    }

    /// The body of `multipart/byteranges` (RFC 9110 §14.6, RFC 2046 §5.1.1).
    fn sections(&self, parts: Vec<Range<u64>>, boundary: &str) -> Vec<Section> {
        let mut line_end = "";
        let mut sections: Vec<Section> = Vec::with_capacity(parts.len() + 1);
        for range in parts {
            let (kind, position) = (self.content_type, content_range(&range, self.len));
            let own = format!("{line_end}--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: {position}\r\n\r\n");
            sections.push(Section { own: own.into(), range });
            line_end = "\r\n";
        }
        sections.push(Section { own: format!("\r\n--{boundary}--\r\n").into(), range: 0..0 });
        sections
    }

    /// What no bytes of the representation hold: it follows from them all, by a hash, so nobody can have written it into them.
    fn boundary(&self, parts: &[Range<u64>]) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.validators.tag.to_header().as_bytes());
        for part in parts {
            hasher.update(&part.start.to_le_bytes()).update(&part.end.to_le_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }

    fn outside(&self) -> Response {
        let text = format!("the range is outside of its {} bytes", self.len);
        let problem = Problem::new(Reason::InvalidArgument, text);
        let mut response = answer_with(StatusCode::RANGE_NOT_SATISFIABLE, &problem);
        response.headers_mut().insert(CONTENT_RANGE, field(unsatisfied_range(self.len)));
        response
    }
}

fn status_only(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn field(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("words and numbers make a field")
}
