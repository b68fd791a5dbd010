//! Captions that people send: made clean, stored, and only then told to the catalog.

use crate::Deps;
use crate::service::entry;
use vidstream_backends::objects::ObjectError;
use vidstream_media::captions::{Captions, CaptionsError, shortest_tag};
use vidstream_proto::captions::AddCaptions;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::{CaptionsId, VideoId};
use vidstream_proto::pb;
use vidstream_source::names;

/// Stores what of `add` is to be shown; what to tell the catalog of it.
///
/// The name follows from the request and the bytes: a repeat writes the same object anew, which makes it too young to be
/// garbage, and nobody writes over other captions.
pub async fn stored(deps: &Deps, add: AddCaptions) -> Result<pb::AddEntryCaptionsRequest, Problem> {
    let source = entry(deps, add.video_id).await?.source_id;
    let file = add.file;
    // Megabytes take some milliseconds.
    let read = tokio::task::spawn_blocking(move || {
        let captions = Captions::read(&file)?;
        Ok((captions.len(), captions.webvtt()))
    });
    let read: Result<_, CaptionsError> =
        read.await.map_err(|_| Problem::new(Reason::Internal, "reading the captions broke off"))?;
    let (cues, webvtt) = read.map_err(|error| Problem::field("file", error.to_string()))?;
    let id = id_of(&add.request_id.to_string(), add.video_id, &webvtt);
    let captions = pb::Captions {
        id: id.to_string(),
        language: shortest_tag(&add.language),
        label: add.label,
        forced: add.forced,
        cues: u32::try_from(cues).unwrap_or(u32::MAX),
        size: webvtt.len() as u64,
    };
    deps.objects.put(&names::captions(source, id), vec![webvtt.into()]).await.map_err(unstored)?;
    Ok(pb::AddEntryCaptionsRequest {
        request_id: add.request_id.to_string(),
        video_id: add.video_id.to_string(),
        captions: Some(captions),
        expected_revision: add.expected_revision,
    })
}

fn id_of(request: &str, video: VideoId, webvtt: &str) -> CaptionsId {
    let mut hash = blake3::Hasher::new();
    for part in [request.as_bytes(), video.as_uuid().as_bytes(), webvtt.as_bytes()] {
        hash.update(part).update(b"/");
    }
    let mut bytes = [0; 16];
    hash.finalize_xof().fill(&mut bytes);
    CaptionsId::of_hash(bytes)
}

fn unstored(error: ObjectError) -> Problem {
    match error {
        ObjectError::NoSpace { .. } => Problem::new(Reason::NoSpace, "there is no room for the captions"),
        error => {
            tracing::warn!(error = &error as &dyn std::error::Error, "captions could not be stored");
            Problem::new(Reason::Unavailable, "the object store does not answer; try again")
        }
    }
}
