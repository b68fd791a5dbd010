//! Playback: manifests, segments, the original file, storyboard and poster, below `/videos/{id}/`.

pub(crate) mod conditions;
mod ranges;
pub(crate) mod representation;

pub mod addresses;

use crate::Deps;
use axum::Router;

/// The routes below `/videos/{id}/`.
pub fn router(_deps: Deps) -> Router {
    Router::new()
}
