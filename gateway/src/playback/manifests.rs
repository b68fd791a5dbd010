//! `master.m3u8` and `manifest.mpd`: what players open first.

use super::cache::File;
use super::made::Made;
use super::representation::Caching;
use super::{At, Playback, captions, video};
use crate::http::problem::HttpProblem;
use axum::extract::State;
use axum::response::Response;
use http::request::Parts;
use vidstream_media::manifest::{dash, hls};
use vidstream_media::presentation::Offered;
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
        write: fn(&Offered) -> String,
    ) -> Result<Response, HttpProblem> {
        let choice = self.choice(id).await?;
        let texts = captions::texts(&choice.view.entry.video);
        let generation = captions::generation(choice.generation(), choice.view.source.id, &texts);
        let making = async {
            let open = choice.open(&self.presentations).await?;
            Ok(Made::text(write(&Offered { texts, ..choice.offered(&open) })))
        };
        let made = self.cache.file(&generation, file, making).await?;
        self.send(&choice.view, &made, content_type, Caching::Checked, request).await
    }
}
