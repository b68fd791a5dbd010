//! Playback: manifests, segments, the original file, storyboard and poster, below `/videos/{id}/`.

mod conditions;
mod ranges;
mod representation;

use crate::Deps;
use axum::Router;

/// The routes below `/videos/{id}/`.
pub fn router(_deps: Deps) -> Router {
    Router::new()
}
