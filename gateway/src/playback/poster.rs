//! `poster.jpg`.

use super::cache::{Generation, name};
use super::representation::Caching;
use super::{At, PICTURE, Playback, video};
use crate::http::problem::HttpProblem;
use axum::extract::State;
use axum::response::Response;
use http::request::Parts;

/// `GET /videos/{id}/poster.jpg`
pub async fn file(
    State(playback): State<Playback>,
    At(id): At<String>,
    request: Parts,
) -> Result<Response, HttpProblem> {
    let found = playback.views.read(video(&id)?, |view| {
        let poster = view.poster()?;
        Ok((poster.object.clone(), Generation::new(view.source.id, &poster.generation)))
    });
    let (object, generation) = found.await?;
    playback.send_object(&name(&object)?, &generation, PICTURE, Caching::Checked, &request).await
}
