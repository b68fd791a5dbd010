//! What every HTTP answer has in common: callers, problems, unknown addresses.

pub mod health;
pub mod hosts;
pub mod problem;

use crate::{permissions, web};
use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode, Version};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use problem::{HttpProblem, answer_with};
use tonic::Status;
use vidstream_mesh::caller::Caller;
use vidstream_proto::error::{Problem, Reason};

/// `routes` with what every route of the edge has: a caller who may do it, and answers for what no route takes.
pub fn edge(routes: Router) -> Router {
    routes.fallback(unrouted).method_not_allowed_fallback(wrong_method).layer(middleware::from_fn(authorise))
}

/// Makes the caller and refuses what they may not do. Nothing behind this layer is reached without a permission.
async fn authorise(mut request: Request, next: Next) -> Response {
    let caller = Caller::local();
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    if let Err(problem) = permissions::check(&caller, route, request.uri().path()) {
        return refusal(&request, problem);
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// What no route takes is a file of the web app, or nothing.
async fn unrouted(request: Request) -> Response {
    if grpc_kind(&request).is_some() {
        return unknown(&request);
    }
    let (parts, body) = request.into_parts();
    if let Some(file) = web::answer(&parts).await {
        return file;
    }
    unknown(&Request::from_parts(parts, body))
}

/// The answer where there is nothing: no rpc, no address.
pub fn unknown(request: &Request) -> Response {
    let problem = if grpc_kind(request).is_some() {
        Problem::new(Reason::Unimplemented, format!("there is no rpc {}", request.uri().path()))
    } else {
        Problem::new(Reason::NotFound, "there is nothing at this address")
    };
    refusal(request, problem)
}

/// The answer of an address that knows other methods; the router adds which.
pub(crate) async fn wrong_method(request: Request) -> Response {
    not_by(request.method())
}

/// The answer of an address that only knows the methods `allowed` (RFC 9110 §15.5.6).
pub(crate) fn only_by(allowed: &'static str, method: &Method) -> Response {
    let mut response = not_by(method);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn not_by(method: &Method) -> Response {
    let text = format!("{method} does not work on this address");
    answer_with(StatusCode::METHOD_NOT_ALLOWED, &Problem::new(Reason::Unimplemented, text))
}

/// Refuses what comes to an rpc's address and is no call, in words: a browser, a tool that sends JSON, gRPC over HTTP/1.1.
pub(crate) async fn only_calls(request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return only_by("POST", request.method());
    }
    let is_web = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/grpc-web");
    let problem = match grpc_kind(&request) {
        Some(kind) if is_web(kind) || request.version() == Version::HTTP_2 => return next.run(request).await,
        Some(_) => "gRPC needs HTTP/2; over HTTP/1.1 this address takes `application/grpc-web`",
        None => "this is the address of an rpc, which takes `application/grpc` or `application/grpc-web`",
    };
    // As gRPC's protocol over HTTP/2 has it for other content types.
    answer_with(StatusCode::UNSUPPORTED_MEDIA_TYPE, &Problem::new(Reason::InvalidArgument, problem))
}

/// gRPC and grpc-web clients read problems as statuses, in the kind of message they sent; all others as JSON.
pub(crate) fn refusal(request: &Request, problem: Problem) -> Response {
    let Some(kind) = grpc_kind(request) else { return HttpProblem::from(problem).into_response() };
    let mut response: Response = Status::from(problem).into_http();
    response.headers_mut().insert(CONTENT_TYPE, kind.clone());
    response
}

fn grpc_kind(request: &Request) -> Option<&HeaderValue> {
    request.headers().get(CONTENT_TYPE).filter(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}
