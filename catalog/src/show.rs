//! What people see of a source: the computed part of a video.

use vidstream_proto::pb::{self, PartState, SourceLife, UploadState, VideoState};
use vidstream_proto::source::{Part, Source};

/// Writes into `video` all that follows from its source, and the state that follows from both.
pub(crate) fn show(video: &mut pb::Video, source: &Source) {
    let index = source.index_result.as_ref();
    video.file_name.clone_from(&source.file_name);
    video.upload = Some(upload(source));
    video.media = index.and_then(|index| index.media.clone());
    video.source_rendition = Some(rendition(source).into());
    video.storyboard = Some(source.storyboard.clone().into());
    video.poster = Some(source.poster.clone().into());
    video.warnings = warnings(source);
    let (state, failure) = match state(source) {
        _ if video.remove_time.is_some() => (VideoState::Removed, String::new()),
        shown => shown,
    };
    video.set_state(state);
    video.failure = failure;
}

fn upload(source: &Source) -> pb::UploadPart {
    pb::UploadPart {
        state: source.upload_state.into(),
        size: source.size,
        received: source.received,
        blake3: source.blake3.map_or_else(Vec::new, |sum| sum.to_vec()),
        reason: if source.upload_state == UploadState::Expired { NEVER_CAME.to_owned() } else { String::new() },
    }
}

const NEVER_CAME: &str = "its bytes never came";

/// The source rendition is there as soon as the index is.
fn rendition(source: &Source) -> Part {
    match (&source.index, &source.index_result) {
        (Part { state: PartState::Ready, .. }, Some(index)) if index.segmented => Part::ready(index.generation.clone()),
        (Part { state: PartState::Ready, .. }, _) => Part::not_offered("it is offered as a file only"),
        (part, _) => part.clone(),
    }
}

fn state(source: &Source) -> (VideoState, String) {
    let nothing = |reason: &str| (VideoState::Failed, reason.to_owned());
    match source.upload_state {
        UploadState::Expired => return nothing(NEVER_CAME),
        UploadState::Open | UploadState::Unspecified => return (VideoState::Uploading, String::new()),
        UploadState::Complete => {}
    }
    match source.index.state {
        PartState::Waiting | PartState::Running | PartState::Unspecified => (VideoState::Processing, String::new()),
        PartState::Failed | PartState::NotOffered => nothing(&source.index.reason),
        PartState::Ready if plays(source) => (VideoState::Ready, String::new()),
        PartState::Ready => nothing("no player we know of plays what is in this file"),
    }
}

fn plays(source: &Source) -> bool {
    let index = source.index_result.as_ref();
    index.is_some_and(|index| index.segmented || index.media.as_ref().is_some_and(|media| !media.plays_in.is_empty()))
}

/// What ingest found, and which previews are missing where there are pictures.
fn warnings(source: &Source) -> Vec<pb::Warning> {
    let Some(index) = source.index_result.as_ref().filter(|_| source.life == SourceLife::Live) else {
        return Vec::new();
    };
    let mut warnings = index.warnings.clone();
    let has_pictures = index.media.iter().flat_map(|media| &media.tracks).any(|t| t.kind() == pb::TrackKind::Video);
    for (code, part) in [("NO_STORYBOARD", &source.storyboard), ("NO_POSTER", &source.poster)] {
        let missing = matches!(part.state, PartState::Failed | PartState::NotOffered);
        let known = warnings.iter().any(|warning| warning.code == code);
        if missing && has_pictures && !known {
            warnings.push(pb::Warning { code: code.to_owned(), message: part.reason.clone() });
        }
    }
    warnings
}
