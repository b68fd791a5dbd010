//! What every address has in common.

use crate::world::World;
use axum::body::Body;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{Request, Response, StatusCode};
use tower::ServiceExt;
use vidstream_gateway::http::hosts::{Hosts, only};
use vidstream_proto::error::{Problem, Reason};

async fn get(world: &World, path: &str) -> (Response<()>, String) {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let (parts, body) = world.router().oneshot(request).await.expect("infallible").into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    (Response::from_parts(parts, ()), String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn health_is_one_word() {
    let world = World::new().await;
    let (response, body) = get(&world, "/healthz").await;
    assert_eq!((response.status(), body.as_str()), (StatusCode::OK, "ok\n"));
}

#[tokio::test]
async fn readiness_names_what_is_missing() {
    let world = World::new().await;
    let ready = async || {
        let (response, body) = get(&world, "/readyz").await;
        let kind = response.headers()[CONTENT_TYPE].to_str().expect("text").to_owned();
        (response.status(), kind, serde_json::from_str::<serde_json::Value>(&body).expect("JSON"))
    };
    assert_eq!(ready().await, (StatusCode::OK, "application/json".into(), serde_json::json!({"ready": true})));
    *world.catalog.failure.lock().expect("not poisoned") = Some(Problem::new(Reason::Unavailable, "the disk is gone"));
    let (status, kind, body) = ready().await;
    assert_eq!((status, kind.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "application/problem+json"));
    assert_eq!(body["reason"], "UNAVAILABLE");
    assert_eq!(body["detail"], "the catalog answers: the disk is gone");
    *world.catalog.failure.lock().expect("not poisoned") = None;
    world.deps.lifecycle.drain();
    assert_eq!(ready().await.2["detail"], "the server is draining: it still answers, and stops soon");
}

#[tokio::test]
async fn unknown_addresses_are_problems() {
    let world = World::new().await;
    for path in ["/nothing", "/videos", "/uploads/x", "/assets/none.js", "/healthz/", "/videos/%FF/source"] {
        let (response, body) = get(&world, path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(json["reason"], "NOT_FOUND");
    }
}

#[tokio::test]
async fn what_is_no_call_is_told_so_at_an_rpcs_address() {
    let world = World::new().await;
    let path = "/vidstream.v1.GatewayService/ListVideos";
    for (method, kind, status, word) in [
        ("POST", "application/json", StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/grpc"),
        ("POST", "application/grpc", StatusCode::UNSUPPORTED_MEDIA_TYPE, "HTTP/2"),
        ("GET", "text/html", StatusCode::METHOD_NOT_ALLOWED, "GET"),
    ] {
        let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, kind).body(Body::from("{}"));
        let response = world.router().oneshot(request.expect("a request")).await.expect("infallible");
        assert_eq!(response.status(), status, "{method} {kind}");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
        let json: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert!(json["detail"].as_str().is_some_and(|detail| detail.contains(word)), "{json}");
    }
}

/// RFC 9110 §15.5.6: the answer says which methods there are.
#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    let world = World::new().await;
    let rpc = "/vidstream.v1.GatewayService/ListVideos";
    for (method, path, allowed) in [("DELETE", "/", "GET"), ("POST", "/healthz", "GET"), ("GET", rpc, "POST")] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
        let response = world.router().oneshot(request).await.expect("infallible");
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        let allow = response.headers()[ALLOW].to_str().expect("text");
        assert!(allow.split(',').any(|method| method.trim() == allowed), "{method} {path}: {allow}");
    }
}

#[tokio::test]
async fn unknown_rpcs_are_unimplemented() {
    let world = World::new().await;
    for path in ["/vidstream.v1.GatewayService/Unheard", "/vidstream.v1.CatalogService/TakeJob", "/x.Y/Z"] {
        for kind in ["application/grpc", "application/grpc-web+proto"] {
            let request = Request::post(path).header(CONTENT_TYPE, kind).body(Body::empty());
            let response = world.router().oneshot(request.expect("a request")).await.expect("infallible");
            assert_eq!(response.status(), StatusCode::OK, "gRPC says it in its own status");
            assert_eq!(response.headers()["grpc-status"], "12", "{path}");
            assert_eq!(response.headers()[CONTENT_TYPE], kind);
        }
    }
}

#[tokio::test]
async fn the_front_page_is_html() {
    let world = World::new().await;
    let (response, body) = get(&world, "/").await;
    assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    assert!(body.contains("VidStream"));
}

/// A request to the edge as a public listener that only answers to `videos.example.org` serves it.
async fn guarded(world: &World, request: Request<Body>) -> Response<Body> {
    let hosts = Hosts::loopback().with("videos.example.org").expect("a name");
    only(hosts, world.router()).oneshot(request).await.expect("infallible")
}

#[tokio::test]
async fn other_hosts_and_origins_are_refused_in_the_kind_of_message_asked() {
    let world = World::new().await;
    let ask = async |method: &str, fields: &[(&str, &str)]| {
        let path = "/vidstream.v1.GatewayService/ListVideos";
        let request = Request::builder().method(method).uri(if method == "POST" { path } else { "/healthz" });
        let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        guarded(&world, request.body(Body::empty()).expect("a request")).await
    };
    let foreign = [("host", "evil.example")];
    let from_elsewhere = [("host", "videos.example.org"), ("origin", "https://evil.example")];
    for (method, fields, status) in [("GET", &foreign[..], 421), ("PUT", &foreign, 421), ("PUT", &from_elsewhere, 403)]
    {
        let refused = ask(method, fields).await;
        assert_eq!(refused.status(), status, "{method} {fields:?}");
        assert_eq!(refused.headers()[CONTENT_TYPE], "application/problem+json");
        assert!(!refused.headers().contains_key("access-control-allow-origin"));
    }
    assert_eq!(ask("GET", &from_elsewhere).await.status(), StatusCode::OK);
    for kind in ["application/grpc", "application/grpc-web+proto"] {
        for fields in [&foreign[..], &from_elsewhere] {
            let refused = ask("POST", &[fields, &[("content-type", kind)]].concat()).await;
            assert_eq!(
                (refused.status(), &refused.headers()["grpc-status"]),
                (StatusCode::OK, &"7".parse().expect("text"))
            );
            assert_eq!(refused.headers()[CONTENT_TYPE], kind);
        }
    }
    let own = [("host", "videos.example.org"), ("origin", "https://videos.example.org")];
    let answered = ask("POST", &[&own[..], &[("content-type", "application/grpc-web+proto")]].concat()).await;
    assert_ne!(answered.headers().get("grpc-status"), Some(&"7".parse().expect("text")));
}

#[tokio::test]
async fn players_of_other_sites_may_ask_before_and_pages_of_theirs_for_nothing_else() {
    let world = World::new().await;
    let preflight = async |path: &str, method: &str| {
        let request = Request::options(path)
            .header("host", "localhost")
            .header("origin", "https://player.example")
            .header("access-control-request-method", method)
            .header("access-control-request-headers", "range");
        let answer = guarded(&world, request.body(Body::empty()).expect("a request")).await;
        let field = |name: &str| {
            let value = answer.headers().get(name).map(|value| value.to_str().expect("text").to_ascii_lowercase());
            value.unwrap_or_default()
        };
        (answer.status(), field("access-control-allow-origin"), field("access-control-allow-headers"))
    };
    for path in ["source", "master.m3u8", "g/x/v1/1.m4s", "storyboard.vtt"] {
        let path = format!("/videos/0197a000-0000-7000-8000-000000000001/{path}");
        let (status, origin, headers) = preflight(&path, "GET").await;
        assert_eq!((status, origin.as_str()), (StatusCode::OK, "*"), "{path}");
        assert!(headers.split(',').any(|name| name == "range"), "{headers}");
    }
    for (path, method) in [
        ("/vidstream.v1.GatewayService/RemoveVideo", "POST"),
        ("/uploads/0197a000-0000-7000-8000-000000000001/bytes", "PUT"),
        ("/healthz", "GET"),
        ("/", "GET"),
    ] {
        let (_, origin, headers) = preflight(path, method).await;
        assert_eq!((origin.as_str(), headers.as_str()), ("", ""), "{path}");
    }
}
