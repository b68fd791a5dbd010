//! What every address has in common.

use crate::world::World;
use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use tower::ServiceExt;
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
        (response.status(), serde_json::from_str::<serde_json::Value>(&body).expect("JSON"))
    };
    assert_eq!(ready().await, (StatusCode::OK, serde_json::json!({"ready": true, "missing": []})));
    *world.catalog.failure.lock().expect("not poisoned") = Some(Problem::new(Reason::Unavailable, "the disk is gone"));
    let (status, body) = ready().await;
    assert_eq!((status, &body["ready"]), (StatusCode::SERVICE_UNAVAILABLE, &false.into()));
    assert_eq!(body["missing"][0], "the catalog answers: the disk is gone");
    *world.catalog.failure.lock().expect("not poisoned") = None;
    world.deps.lifecycle.stopping().cancel();
    assert_eq!(ready().await.1["missing"][0], "the server is stopping");
}

#[tokio::test]
async fn unknown_addresses_are_problems() {
    let world = World::new().await;
    for path in ["/nothing", "/videos", "/uploads/x", "/assets/none.js", "/healthz/"] {
        let (response, body) = get(&world, path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let json: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(json["reason"], "NOT_FOUND");
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
