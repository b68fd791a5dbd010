//! The source rendition's files: `g/{generation}/{track}/` holds a media playlist, an init segment and segments.

use super::cache::{File, Generation};
use super::conditions::EntityTag;
use super::made::Made;
use super::representation::Caching;
use super::view::View;
use super::{At, Playback, nothing_here, video};
use crate::http::problem::HttpProblem;
use axum::extract::State;
use axum::response::Response;
use http::Method;
use http::request::Parts;
use std::sync::Arc;
use vidstream_media::manifest::{address, hls};
use vidstream_media::plan::PACKAGER_VERSION;
use vidstream_media::presentation::{Presentation, TrackName};
use vidstream_proto::error::Problem;
use vidstream_proto::ids::VideoId;

/// A source rendition, as a view shows it.
pub struct SourceRendition {
    /// The view that showed it.
    pub view: Arc<View>,
    /// Its version.
    pub generation: Generation,
    /// Where its index is stored.
    pub object: String,
}

/// `GET /videos/{id}/g/{generation}/{track}/{file}`
pub async fn file(
    State(playback): State<Playback>,
    At((id, generation, track, file)): At<(String, String, String, String)>,
    request: Parts,
) -> Result<Response, HttpProblem> {
    let file = parse(&track, &file).ok_or_else(nothing_here)?;
    let rendition = playback.rendition(video(&id)?).await?;
    if rendition.generation.hash() != generation {
        return Err(nothing_here().into());
    }
    let generation = &rendition.generation;
    let making = async {
        let made = playback.presentations.read(generation, &rendition.object, |p| make(p, file, generation)).await?;
        made.ok_or_else(nothing_here)
    };
    let mut made = playback.cache.file(generation, file, making).await?;
    if request.method == Method::GET {
        made = playback.cache.gathered(&rendition.view, generation, file, made).await?;
    }
    playback.send(&rendition.view, &made, content_type(file), Caching::Immutable, &request).await
}

impl Playback {
    /// The source rendition of video `id`.
    pub(super) async fn rendition(&self, id: VideoId) -> Result<SourceRendition, Problem> {
        self.views
            .read(id, |view| {
                let index = view.rendition()?;
                // Files are made here, whoever planned them first: another packager's files have other addresses.
                let generation = format!("{}-{PACKAGER_VERSION}", index.generation);
                Ok(SourceRendition {
                    view: Arc::clone(view),
                    generation: Generation::new(view.source.id, &generation),
                    object: index.object.clone(),
                })
            })
            .await
    }
}

/// The file that `track` and `file` name, if there can be one.
fn parse(track: &str, file: &str) -> Option<File> {
    let track: TrackName = track.parse().ok()?;
    match file {
        address::PLAYLIST => Some(File::Playlist(track)),
        address::INIT => Some(File::Init(track)),
        segment => address::segment_number(segment).map(|number| File::Segment(track, number)),
    }
}

fn make(presentation: &Presentation, file: File, generation: &Generation) -> Option<Made> {
    let tag = EntityTag::new(generation.hash());
    match file {
        File::Playlist(track) => hls::media(presentation, track).map(|text| Made::own(tag, text)),
        File::Init(track) => presentation.rendition(track).map(|rendition| Made::own(tag, rendition.init())),
        File::Segment(track, number) => {
            presentation.rendition(track)?.segment(number).map(|layout| Made::segment(tag, layout))
        }
        _ => None,
    }
}

fn content_type(file: File) -> &'static str {
    match file {
        File::Init(TrackName::Video) | File::Segment(TrackName::Video, _) => "video/mp4",
        File::Init(_) | File::Segment(..) => "audio/mp4",
        _ => "application/vnd.apple.mpegurl",
    }
}
