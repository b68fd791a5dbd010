//! Playback: manifests, segments, the original file, storyboard and poster, below `/videos/{id}/`.
//!
//! A request is parsed into ids and a generation, finds its [`view`] and its file in the [`cache`], and streams ranges of
//! the source. When both are warm, no other service is called and no media byte is copied.

pub mod addresses;
mod body;
mod cache;
mod captions;
pub(crate) mod conditions;
mod encoded;
mod feed;
mod made;
mod manifests;
mod offered;
mod poster;
mod presentations;
mod presigned;
mod ranges;
mod records;
pub(crate) mod representation;
mod segments;
mod source;
mod storyboard;
mod view;
mod views;

use crate::Deps;
use crate::http::problem::HttpProblem;
use crate::http::wrong_method;
use axum::extract::{FromRequestParts, Path};
use axum::response::Response;
use axum::routing::get;
use axum::{Router, body::Body};
use bytes::Bytes;
use cache::{Cache, Generation};
use conditions::EntityTag;
use futures::{StreamExt, stream};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, ETAG, HeaderName, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderValue, Method};
use made::Made;
use presentations::Presentations;
use representation::{Caching, Representation, Section};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceBuilder;
use tower_http::cors::{Any, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use vidstream_backends::objects::{ObjectName, ObjectStore};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::VideoId;
use vidstream_proto::video::Entry;
use view::View;
use views::Views;

/// The type of stored pictures.
const PICTURE: &str = "image/jpeg";

/// Serves videos. Cheap to clone; clones share one cache.
#[derive(Clone, Debug)]
pub struct Playback {
    deps: Deps,
    views: Views,
    cache: Cache,
    presentations: Presentations,
}

impl Playback {
    /// Playback over `deps`, which follows the change feed from now until the process stops.
    pub fn new(deps: Deps) -> Self {
        Self::reading_through(Arc::clone(&deps.objects), deps)
    }

    /// The same, but one that reads what it sends through `near`, which has what the store has.
    pub fn reading_through(near: Arc<dyn ObjectStore>, deps: Deps) -> Self {
        let views = Views::new(deps.clone());
        let follow = feed::follow(views.clone(), deps.catalog.clone(), deps.lifecycle.clone());
        deps.lifecycle.spawn("change feed of playback", async {
            follow.await;
            Ok(())
        });
        // Half for indexes, half for all else.
        let half = deps.config.cache_bytes / 2;
        // Indexes are read once and kept as what they say.
        let presentations = Presentations::new(Arc::clone(&deps.objects), half);
        let deps = Deps { objects: near, ..deps };
        Self { views, cache: Cache::new(deps.clone(), half), presentations, deps }
    }

    /// The routes below `/videos/{id}/`.
    pub fn router(&self) -> Router {
        let fixed = |name: HeaderName, value| SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value));
        let unsaid =
            |name: HeaderName, value| SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value));
        Router::new()
            .route("/videos/{id}/master.m3u8", get(manifests::multivariant))
            .route("/videos/{id}/manifest.mpd", get(manifests::manifest))
            .route("/videos/{id}/g/{generation}/{track}/{file}", get(segments::file))
            .route("/videos/{id}/source", get(source::file))
            .route("/videos/{id}/storyboard.vtt", get(storyboard::vtt))
            .route("/videos/{id}/storyboard.json", get(storyboard::json))
            .route("/videos/{id}/storyboard/{generation}/{sheet}", get(storyboard::sheet))
            .route("/videos/{id}/captions/{captions}/{file}", get(captions::file))
            .route("/videos/{id}/poster.jpg", get(poster::file))
            // Before the layers, which are then around it too.
            .method_not_allowed_fallback(wrong_method)
            .layer(
                ServiceBuilder::new()
                    .layer(fixed(X_CONTENT_TYPE_OPTIONS, "nosniff"))
                    // Whatever somebody uploaded: opened as a page, it is nobody's, runs nothing and loads nothing.
                    .layer(fixed(CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"))
                    .layer(every_site())
                    // Problems: caches may keep a 404 unless told otherwise (RFC 9111 §4.2.2).
                    .layer(unsaid(CACHE_CONTROL, "no-store")),
            )
            .with_state(self.clone())
    }

    /// A video was changed through this gateway: its views do not wait for the feed to say so.
    pub fn changed(&self, entry: &Entry) {
        self.views.changed(entry);
    }

    /// Sends a file made on request.
    async fn send(
        &self,
        view: &View,
        made: &Made,
        content_type: &'static str,
        caching: Caching,
        request: &Parts,
    ) -> Result<Response, HttpProblem> {
        let validators = made.tag.clone().into();
        let representation = Representation { validators, len: made.len(), content_type, caching };
        let read = async |sections: Vec<Section>| {
            let parts: Vec<body::Part> = sections.into_iter().map(|section| of_made(made, section)).collect();
            if parts.iter().all(|(_, ranges)| ranges.is_empty()) {
                let own: Vec<Bytes> = parts.into_iter().map(|(own, _)| own).collect();
                return Ok(Body::from(joined(&own)));
            }
            body::of_source(self.cache.reader(view, made.file()).await, parts).await
        };
        representation.answer(request, read).await
    }

    /// Sends a stored object as it is.
    async fn send_object(
        &self,
        name: &ObjectName,
        generation: &Generation,
        content_type: &'static str,
        caching: Caching,
        request: &Parts,
    ) -> Result<Response, HttpProblem> {
        if let Some(elsewhere) = self.elsewhere(name, caching, request).await {
            return Ok(elsewhere);
        }
        let len = self.deps.objects.head(name).await.map_err(cache::unreadable)?.size;
        let validators = EntityTag::new(generation.hash()).into();
        let representation = Representation { validators, len, content_type, caching };
        let read = async |sections: Vec<Section>| {
            let mut pieces = Vec::new();
            for Section { own, range } in sections {
                let stream = self.deps.objects.get_range(name, range).await.map_err(cache::unreadable)?;
                pieces.push(stream::iter((!own.is_empty()).then_some(Ok(own))).chain(stream));
            }
            Ok(Body::from_stream(stream::iter(pieces).flatten()))
        };
        representation.answer(request, read).await
    }
}

/// What `section` of a made file consists of.
fn of_made(made: &Made, section: Section) -> body::Part {
    let (own, ranges) = made.part(section.range);
    (joined(&[section.own, own]), ranges)
}

/// `pieces` in one, copied only where there are several.
pub(crate) fn joined(pieces: &[Bytes]) -> Bytes {
    let mut there = pieces.iter().filter(|piece| !piece.is_empty());
    match (there.next(), there.next()) {
        (None, _) => Bytes::new(),
        (Some(only), None) => only.clone(),
        _ => pieces.concat().into(),
    }
}

/// Players on every site may read what is played, and nobody's credentials go with it.
fn every_site() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers([RANGE, IF_RANGE, IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE])
        .expose_headers([ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG])
        // What Chromium keeps at the most.
        .max_age(Duration::from_hours(2))
        // The same for all, so that caches keep one answer.
        .vary([])
}

/// What the address says, in its places. What does not parse is no address.
struct At<T>(T);

impl<T, S> FromRequestParts<S> for At<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = HttpProblem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpProblem> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(places)| Self(places)).map_err(|_| nothing_here().into())
    }
}

/// The video that an address names.
fn video(id: &str) -> Result<VideoId, Problem> {
    id.parse().map_err(|_| nothing_here())
}

/// Nothing is, and nothing will be, at this address.
fn nothing_here() -> Problem {
    Problem::new(Reason::NotFound, "there is nothing at this address")
}
