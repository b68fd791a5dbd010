//! `master.m3u8` and `manifest.mpd`: what players open first.

use super::cache::File;
use super::made::Made;
use super::representation::Caching;
use super::{At, Playback, video};
use crate::http::problem::HttpProblem;
use axum::extract::State;
use axum::response::Response;
use http::request::Parts;
use vidstream_media::manifest::{dash, hls};
use vidstream_media::presentation::Presentation;
use vidstream_proto::ids::VideoId;

/// `GET /videos/{id}/master.m3u8`
pub async fn multivariant(
    State(playback): State<Playback>,
    At(id): At<String>,
    request: Parts,
) -> Result<Response, HttpProblem> {
    playback
        .manifest(video(&id)?, &request, File::Multivariant, "application/vnd.apple.mpegurl", hls::multivariant)
        .await
}

/// `GET /videos/{id}/manifest.mpd`
pub async fn manifest(
    State(playback): State<Playback>,
    At(id): At<String>,
    request: Parts,
) -> Result<Response, HttpProblem> {
    playback.manifest(video(&id)?, &request, File::Manifest, "application/dash+xml", dash::manifest).await
}

impl Playback {
    async fn manifest(
        &self,
        id: VideoId,
        request: &Parts,
        file: File,
        content_type: &'static str,
        write: fn(&Presentation, &str) -> String,
    ) -> Result<Response, HttpProblem> {
        let rendition = self.rendition(id).await?;
        let generation = &rendition.generation;
        let base = format!("g/{}/", generation.hash());
        let making = async {
            let text = self.presentations.read(generation, &rendition.object, |p| write(p, &base)).await?;
            Ok(Made::text(text))
        };
        let made = self.cache.file(generation, file, making).await?;
        self.send(&rendition.view, &made, content_type, Caching::Checked, request).await
    }
}
