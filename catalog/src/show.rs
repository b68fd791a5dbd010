//! What people see of a source: the computed part of a video.

use vidstream_proto::pb::{self, PartState, Player, SourceLife, UploadState, VideoState};
use vidstream_proto::source::{EncodedTrack, Part, Source};

/// Writes into `video` all that follows from its source, and the state that follows from both.
pub(crate) fn show(video: &mut pb::Video, source: &Source) {
    let index = source.index_result.as_ref();
    video.file_name.clone_from(&source.file_name);
    video.upload = Some(upload(source));
    video.media = index.and_then(|index| index.media.clone());
    if let Some(media) = video.media.as_mut().filter(|_| plays_everywhere(source)) {
        media.plays_in = [Player::Mse, Player::Progressive, Player::Avplayer]
            .into_iter()
            .filter(|player| *player != Player::Progressive || media.plays_in.contains(&(*player).into()))
            .map(Into::into)
            .collect();
    }
    video.source_rendition = Some(rendition(source).into());
    video.storyboard = Some(source.storyboard.clone().into());
    video.poster = Some(source.poster.clone().into());
    video.encoded = Some(encoded(source).into());
    video.segmented = source.is_segmented();
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

/// Whether all that players do not take was encoded for them.
fn plays_everywhere(source: &Source) -> bool {
    !source.encoded.is_empty() && source.encoded.iter().all(EncodedTrack::is_offered)
}

/// All encoded tracks as one part.
fn encoded(source: &Source) -> Part {
    let with = |state: PartState| source.encoded.iter().find(|track| track.part.state == state);
    match source.index.state {
        PartState::Ready => {}
        PartState::Failed | PartState::NotOffered => return Part::not_offered("the file could not be read"),
        PartState::Waiting | PartState::Running | PartState::Unspecified => return Part::waiting(),
    }
    if source.encoded.is_empty() {
        return Part::not_offered("it is played as it is");
    }
    for state in [PartState::Running, PartState::Waiting, PartState::Failed, PartState::NotOffered] {
        if let Some(track) = with(state) {
            return track.part.clone();
        }
    }
    let generations = source.encoded.iter().map(|track| track.part.generation.as_str());
    Part::ready(generations.collect::<Vec<_>>().join("-"))
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
        PartState::Ready if source.encoded.iter().any(|track| track.part.is_pending()) => {
            (VideoState::Processing, String::new())
        }
        PartState::Ready => nothing("no player we know of plays what is in this file"),
    }
}

fn plays(source: &Source) -> bool {
    let index = source.index_result.as_ref();
    source.is_segmented()
        || index.is_some_and(|index| index.media.as_ref().is_some_and(|media| !media.plays_in.is_empty()))
}

/// What ingest found, and which previews are missing where there are pictures.
fn warnings(source: &Source) -> Vec<pb::Warning> {
    let Some(index) = source.index_result.as_ref().filter(|_| source.life == SourceLife::Live) else {
        return Vec::new();
    };
    let mut warnings = index.warnings.clone();
    warnings.retain(|warning| !is_cured(&warning.code, &source.encoded));
    let failed = source.encoded.iter().filter(|track| track.part.state == PartState::Failed);
    warnings.extend(failed.map(|track| pb::Warning {
        code: "NOT_ENCODED".to_owned(),
        message: format!("track {} could not be encoded: {}", track.track, track.part.reason),
    }));
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

/// Whether what a warning says is no longer true, because every track that it is about is there in another coding.
fn is_cured(code: &str, encoded: &[EncodedTrack]) -> bool {
    let mut about = encoded.iter().filter(|track| track.cures.iter().any(|cured| cured == code)).peekable();
    about.peek().is_some() && about.all(EncodedTrack::is_offered)
}
