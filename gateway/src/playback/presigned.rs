//! Sending clients to the store itself, for stored pictures.

use super::representation::Caching;
use super::{PICTURE, Playback};
use axum::body::Body;
use axum::response::Response;
use http::header::{
    CACHE_CONTROL, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LOCATION,
};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use vidstream_backends::objects::ObjectName;

/// What only who has bytes of ours asks.
const CONDITIONS: [http::HeaderName; 5] = [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE];

impl Playback {
    /// Where the client reads the picture itself, if it is to. A signature is of one method, and the store knows other tags than
    /// ours: `HEAD` and conditions are answered here.
    pub(super) async fn elsewhere(&self, name: &ObjectName, caching: Caching, request: &Parts) -> Option<Response> {
        let life = self.deps.config.presign?;
        if request.method != Method::GET || CONDITIONS.iter().any(|field| request.headers.contains_key(field)) {
            return None;
        }
        let address = match self.deps.objects.presigned(name, PICTURE, life).await {
            Ok(address) => HeaderValue::try_from(address?).ok()?,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the bytes are sent instead of an address");
                return None;
            }
        };
        let cached = match caching {
            // Whoever goes there with the last of it still has half of the address's life to be answered in.
            Caching::Immutable => format!("private, max-age={}", life.as_secs() / 2),
            // Another picture may come under this name, and none once the video is removed.
            Caching::Checked => "private, no-cache".to_owned(),
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        response.headers_mut().insert(LOCATION, address);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::try_from(cached).ok()?);
        Some(response)
    }
}
