//! The files of renditions: `g/{generation}/{track}/` holds a media playlist, an init segment and segments.

use super::cache::File;
use super::conditions::EntityTag;
use super::made::Made;
use super::offered::{Choice, Indexed};
use super::representation::Caching;
use super::{At, Playback, nothing_here, video};
use crate::http::problem::HttpProblem;
use axum::extract::State;
use axum::response::Response;
use http::Method;
use http::request::Parts;
use vidstream_media::manifest::{address, hls};
use vidstream_media::presentation::{Presentation, TrackName};
use vidstream_proto::error::Problem;

/// `GET /videos/{id}/g/{generation}/{track}/{file}`
pub async fn file(
    State(playback): State<Playback>,
    At((id, generation, track, file)): At<(String, String, String, String)>,
    request: Parts,
) -> Result<Response, HttpProblem> {
    let file = parse(&track, &file).ok_or_else(nothing_here)?;
    let choice = playback.choice(video(&id)?).await?;
    let indexed = choice.all().find(|indexed| indexed.generation.hash() == generation).ok_or_else(nothing_here)?;
    if let (File::Segment(track, number), Some(_)) = (file, &indexed.segments) {
        return playback.encoded_segment(&choice, indexed, track, number, &request).await;
    }
    let making = async {
        let opened = indexed.open(&playback.presentations).await?;
        let least = match file {
            File::Playlist(_) => playback.least_target(&choice, indexed).await?,
            _ => 0,
        };
        make(&opened.presentation, file, indexed, least).ok_or_else(nothing_here)
    };
    let mut made = playback.cache.file(&indexed.generation, file, making).await?;
    if request.method == Method::GET {
        made = playback.cache.gathered(&choice.view, &indexed.generation, file, made).await?;
    }
    playback.send(&choice.view, &made, content_type(file), Caching::Immutable, &request).await
}

impl Playback {
    /// The target duration that the playlists of an encoded track have at the least: that of the source's.
    async fn least_target(&self, choice: &Choice, indexed: &Indexed) -> Result<u64, Problem> {
        if indexed.generation == choice.source.generation {
            return Ok(0);
        }
        let source = choice.source.open(&self.presentations).await?;
        Ok(hls::target_duration(source.presentation.renditions()))
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

fn make(presentation: &Presentation, file: File, indexed: &Indexed, least_target: u64) -> Option<Made> {
    let tag = EntityTag::new(indexed.generation.hash());
    match file {
        File::Playlist(track) => hls::media(presentation, track, least_target).map(|text| Made::own(tag, text)),
        File::Init(track) => presentation.rendition(track).map(|rendition| Made::own(tag, rendition.init())),
        File::Segment(track, number) => presentation
            .rendition(track)?
            .segment(number)
            .map(|layout| Made::segment(tag, layout, indexed.file.clone())),
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
