//! `captions/{id}/`: captions as WebVTT, and the media playlist that HLS needs around them.

use super::cache::Generation;
use super::made::Made;
use super::representation::Caching;
use super::{At, Playback, nothing_here, video};
use crate::http::problem::HttpProblem;
use axum::extract::State;
use axum::response::Response;
use http::request::Parts;
use vidstream_media::manifest::{address, hls};
use vidstream_media::presentation::Text;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::{CaptionsId, SourceId};
use vidstream_proto::pb;
use vidstream_proto::time::std_duration;
use vidstream_source::names;

/// The type of captions. WebVTT is UTF-8 by definition.
const WEBVTT: &str = "text/vtt";

/// `GET /videos/{id}/captions/{captions}/{file}`
pub async fn file(
    State(playback): State<Playback>,
    At((id, captions, file)): At<(String, String, String)>,
    request: Parts,
) -> Result<Response, HttpProblem> {
    let captions: CaptionsId = captions.parse().map_err(|_| nothing_here())?;
    let name = captions.to_string();
    let view = playback.views.read(video(&id)?, |view| {
        let there = view.entry.video.captions.iter().any(|captions| captions.id == name);
        there.then(|| view.clone()).ok_or_else(nothing_here)
    });
    let view = view.await?;
    match file.as_str() {
        address::TEXT => {
            let (object, generation) =
                (names::captions(view.source.id, captions), Generation::new(view.source.id, &name));
            // Its bytes never change, and it is small: nobody is sent to the store, which may not let pages of all sites read.
            playback.send_object(&object, &generation, WEBVTT, Caching::Immutable, &request).await
        }
        address::PLAYLIST => {
            let senseless = || Problem::new(Reason::Internal, "the index has no duration");
            let duration = view.segmented()?.media.as_ref().and_then(|media| media.duration).ok_or_else(senseless)?;
            let duration = std_duration("duration", &duration).map_err(|_| senseless())?;
            let made = Made::text(hls::text(duration));
            // How long it is may be known better once the file is indexed anew.
            playback.send(&view, &made, "application/vnd.apple.mpegurl", Caching::Checked, &request).await
        }
        _ => Err(nothing_here().into()),
    }
}

/// What players are offered of the captions that were added to `video`.
pub fn texts(video: &pb::Video) -> Vec<Text> {
    let text = |captions: &pb::Captions| Text {
        language: captions.language.clone(),
        label: captions.label.clone(),
        forced: captions.forced,
        size: captions.size,
        base: format!("captions/{}/", captions.id),
    };
    video.captions.iter().map(text).collect()
}

/// Stands for what `generation` does and for `texts`.
pub fn generation(generation: Generation, source: SourceId, texts: &[Text]) -> Generation {
    if texts.is_empty() {
        return generation;
    }
    let mut hash = blake3::Hasher::new();
    hash.update(generation.hash().as_bytes());
    for text in texts {
        // The base has the id, which stands for the bytes; the others end where no text of theirs can.
        for part in [&text.base, &text.language, &text.label] {
            hash.update(b"\n").update(part.as_bytes());
        }
        hash.update(if text.forced { b"\n!" } else { b"\n-" });
    }
    Generation::new(source, &hash.finalize().to_hex()[..16])
}
