//! Answering a request for one representation: conditions, ranges, and the fields that every answer has.

use super::conditions::{self, EntityTag, Verdict};
use super::ranges::{content_range, unsatisfied_range};
use crate::http::problem::{HttpProblem, answer_with};
use axum::body::Body;
use axum::response::Response;
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use std::future::Future;
use std::ops::Range;
use vidstream_proto::error::{Problem, Reason};

/// What is known of the bytes at an address before any is read.
#[derive(Clone, Debug)]
pub struct Representation {
    /// Tells versions of the address apart.
    pub tag: EntityTag,
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

impl Representation {
    /// The answer to `request`. `read` opens the bytes of a range of the representation; it is called only if they are
    /// sent.
    pub async fn answer<F>(&self, request: &Parts, read: impl FnOnce(Range<u64>) -> F) -> Result<Response, HttpProblem>
    where
        F: Future<Output = Result<Body, Problem>>,
    {
        let mut response = match conditions::judge(&request.method, &request.headers, &self.tag, self.len) {
            Verdict::NotModified => {
                let mut response = status_only(StatusCode::NOT_MODIFIED);
                // Else the server writes 0, which only a 200 of that length would allow (RFC 9110 §8.6).
                response.headers_mut().insert(CONTENT_LENGTH, self.len.into());
                response
            }
            Verdict::PreconditionFailed => {
                let problem = Problem::new(Reason::RevisionMismatch, "it is not what If-Match names");
                return Ok(answer_with(StatusCode::PRECONDITION_FAILED, &problem));
            }
            Verdict::Unsatisfiable => return Ok(self.outside()),
            Verdict::Whole => self.bytes(request, 0..self.len, read).await?,
            Verdict::Part(part) => {
                let range = field(content_range(&part, self.len));
                let mut response = self.bytes(request, part, read).await?;
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                response.headers_mut().insert(CONTENT_RANGE, range);
                response
            }
        };
        let headers = response.headers_mut();
        headers.insert(ETAG, self.tag.to_header());
        headers.insert(CACHE_CONTROL, self.caching.to_header());
        Ok(response)
    }

    async fn bytes<F>(
        &self,
        request: &Parts,
        range: Range<u64>,
        read: impl FnOnce(Range<u64>) -> F,
    ) -> Result<Response, Problem>
    where
        F: Future<Output = Result<Body, Problem>>,
    {
        let len = range.end - range.start;
        let body = if request.method == Method::HEAD { Body::empty() } else { read(range).await? };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(len));
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        Ok(response)
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
