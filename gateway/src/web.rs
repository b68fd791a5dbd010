//! The web app: files built into the binary.

use crate::http::only_by;
use crate::http::problem::HttpProblem;
use crate::playback::conditions::EntityTag;
use crate::playback::joined;
use crate::playback::representation::{Caching, Representation, Section};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderValue, Method};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::borrow::Cow;

#[derive(RustEmbed)]
#[folder = "../web/dist"]
struct Dist;

/// What `/` answers in a binary that was built before the web app was.
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>VidStream</title>\
    <p>The web page is not part of this build. <code>make web</code> builds it; then build the server again.</html>\n";

/// The file of the web app at the request's address, if there is one.
pub async fn answer(request: &Parts) -> Option<Response> {
    let name = match request.uri.path().strip_prefix('/')? {
        "" => "index.html",
        // The page finds its way by its own address.
        name if name.starts_with("watch/") => "index.html",
        name => name,
    };
    let found = Dist::get(name);
    let is_read = matches!(request.method, Method::GET | Method::HEAD);
    match found {
        Some(_) if !is_read => Some(only_by("GET, HEAD", &request.method)),
        Some(file) => {
            let sum = blake3::Hash::from_bytes(file.metadata.sha256_hash()).to_hex();
            Some(serve(request, name, bytes_of(file), EntityTag::new(&sum[..32])).await)
        }
        None if name == "index.html" => Some(not_built()),
        None => None,
    }
}

async fn serve(request: &Parts, name: &str, bytes: Bytes, tag: EntityTag) -> Response {
    let (validators, len) = (tag.into(), bytes.len() as u64);
    let representation = Representation { validators, len, content_type: content_type(name), caching: caching(name) };
    let read = async |sections: Vec<Section>| {
        let pieces = sections.into_iter().flat_map(|Section { own, range }| {
            let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
            [own, bytes.slice(start..end)]
        });
        Ok(Body::from(joined(&pieces.collect::<Vec<_>>())))
    };
    let mut response = representation.answer(request, read).await.unwrap_or_else(HttpProblem::into_response);
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn bytes_of(file: EmbeddedFile) -> Bytes {
    match file.data {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    }
}

/// The build puts a hash of their bytes into the names below `assets/`; all other names stay.
fn caching(name: &str) -> Caching {
    if name.starts_with("assets/") { Caching::Immutable } else { Caching::Checked }
}

fn content_type(name: &str) -> &'static str {
    match mime_guess::from_path(name).first_raw() {
        Some("text/html") => "text/html; charset=utf-8",
        Some("text/css") => "text/css; charset=utf-8",
        Some("text/javascript") => "text/javascript; charset=utf-8",
        Some(other) => other,
        None => "application/octet-stream",
    }
}

fn not_built() -> Response {
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (headers, NOT_BUILT).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{ALLOW, ETAG, IF_NONE_MATCH};
    use http::{Request, StatusCode};

    fn get(path: &str) -> Parts {
        Request::get(path).body(()).expect("a request").into_parts().0
    }

    #[tokio::test]
    async fn the_front_page_is_always_there() {
        let response = answer(&get("/")).await.expect("a page");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        assert!(answer(&get("/watch/0197a000-0000-7000-8000-000000000001")).await.is_some());
        assert!(answer(&get("/no/such.file")).await.is_none());
        assert!(answer(&get("/../Cargo.toml")).await.is_none());
        let mut post = get("/");
        post.method = Method::POST;
        let refused = answer(&post).await.expect("words");
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused.headers()[ALLOW], "GET, HEAD");
    }

    #[tokio::test]
    async fn a_file_is_typed_and_validated() {
        let serve = async |request: &Parts| {
            serve(request, "assets/a-1.js", Bytes::from_static(b"let x;"), EntityTag::new("a")).await
        };
        let first = serve(&get("/assets/a-1.js")).await;
        assert_eq!(first.headers()[CONTENT_TYPE], "text/javascript; charset=utf-8");
        assert!(first.headers()[CACHE_CONTROL].to_str().expect("text").contains("immutable"));
        let mut again = get("/assets/a-1.js");
        again.headers.insert(IF_NONE_MATCH, first.headers()[ETAG].clone());
        assert_eq!(serve(&again).await.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(caching("index.html"), Caching::Checked);
    }

    #[test]
    fn types_are_those_browsers_want() {
        for (name, kind) in [
            ("index.html", "text/html; charset=utf-8"),
            ("assets/x.css", "text/css; charset=utf-8"),
            ("icon.svg", "image/svg+xml"),
            ("font.woff2", "font/woff2"),
            ("x.wasm", "application/wasm"),
            ("unheard", "application/octet-stream"),
        ] {
            assert_eq!(content_type(name), kind);
        }
    }
}
