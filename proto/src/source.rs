//! Typed mirrors of sources and their extents.

use crate::error::Problem;
use crate::ids::{SourceId, UploadId, VideoId};
use crate::segments::EncodedSegments;
use crate::time::{system_time, timestamp};
use crate::{field, pb};
use std::time::SystemTime;

pub use pb::{PartState, SourceLife, UploadState};

/// A part and its state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Where it is in its life.
    pub state: PartState,
    /// Why it failed or is not offered.
    pub reason: String,
    /// Hash of all that its bytes follow from; empty until ready.
    pub generation: String,
}

impl Part {
    /// A part that waits.
    pub fn waiting() -> Self {
        Self { state: PartState::Waiting, reason: String::new(), generation: String::new() }
    }

    /// A part in a worker's hands.
    pub fn running() -> Self {
        Self { state: PartState::Running, ..Self::waiting() }
    }

    /// A part that is there.
    pub fn ready(generation: impl Into<String>) -> Self {
        Self { state: PartState::Ready, generation: generation.into(), ..Self::waiting() }
    }

    /// A part that failed.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self { state: PartState::Failed, reason: reason.into(), ..Self::waiting() }
    }

    /// A part that will not be made.
    pub fn not_offered(reason: impl Into<String>) -> Self {
        Self { state: PartState::NotOffered, reason: reason.into(), ..Self::waiting() }
    }

    /// Waits or runs: something is still to come.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, PartState::Waiting | PartState::Running)
    }
}

impl TryFrom<Option<pb::Part>> for Part {
    type Error = Problem;

    fn try_from(part: Option<pb::Part>) -> Result<Self, Problem> {
        let part = field::present("part", part)?;
        match part.state() {
            PartState::Unspecified => Err(Problem::field("part.state", "is missing")),
            state => Ok(Self { state, reason: part.reason, generation: part.generation }),
        }
    }
}

impl From<Part> for pb::Part {
    fn from(part: Part) -> Self {
        Self { state: part.state.into(), reason: part.reason, generation: part.generation }
    }
}

/// The bytes of an uploaded file and all that follows from them.
#[derive(Clone, PartialEq, Debug)]
pub struct Source {
    /// Its id.
    pub id: SourceId,
    /// Rises with every write of the row.
    pub revision: i64,
    /// Videos that show it.
    pub video_ids: Vec<VideoId>,
    /// Live, dying or gone.
    pub life: SourceLife,
    /// Name of the file.
    pub file_name: String,
    /// Bytes of the file.
    pub size: u64,
    /// The upload that fills it.
    pub upload_id: UploadId,
    /// Where the upload is in its life.
    pub upload_state: UploadState,
    /// Bytes recorded; exact once the upload is complete.
    pub received: u64,
    /// What the client said the checksum would be.
    pub expected_blake3: Option<[u8; 32]>,
    /// The verified checksum.
    pub blake3: Option<[u8; 32]>,
    /// When it was made.
    pub create_time: SystemTime,
    /// When bytes were last recorded.
    pub receive_time: SystemTime,
    /// The ingest part.
    pub index: Part,
    /// What ingest found.
    pub index_result: Option<pb::IndexResult>,
    /// The storyboard part.
    pub storyboard: Part,
    /// What the storyboard job made.
    pub storyboard_result: Option<pb::StoryboardResult>,
    /// The poster part.
    pub poster: Part,
    /// What the poster job made.
    pub poster_result: Option<pb::PosterResult>,
    /// The revision that its videos show.
    pub shown_revision: i64,
    /// Version of the workers' code by which what failed was last tried.
    pub tried_by: u32,
    /// The trace of the call that made it, as `traceparent` has it; may be empty.
    pub trace_parent: String,
    /// How its bytes are read where its own container can't be indexed.
    pub normalisation: Option<pb::Normalisation>,
    /// Tracks that are encoded.
    pub encoded: Vec<EncodedTrack>,
}

/// A track that players shall get in another coding.
#[derive(Clone, PartialEq, Debug)]
pub struct EncodedTrack {
    /// The track of the source rendition, as its address names it.
    pub track: String,
    /// Whether players get nothing of the track without it.
    pub needed: bool,
    /// Whether the track as it is is no longer offered once it is there.
    pub replaces: bool,
    /// Why, a sentence fragment.
    pub reason: String,
    /// Codes of the warnings that are no longer true once it is there.
    pub cures: Vec<String>,
    /// Where it is in its life.
    pub part: Part,
    /// What was made.
    pub result: Option<pb::EncodeResult>,
    /// How pictures are cut and which segments are there; none for sound, which is one file.
    pub segments: Option<EncodedSegments>,
}

impl EncodedTrack {
    /// Whether it has the pictures.
    pub fn is_video(&self) -> bool {
        self.track.starts_with('v')
    }

    /// Whether players are offered the track as it is.
    pub fn leaves_source(&self) -> bool {
        !(self.needed || self.replaces && self.is_offered())
    }

    /// The file that was made of sound, once it is there.
    pub fn made(&self) -> Option<&pb::EncodeResult> {
        self.result.as_ref().filter(|made| self.is_made() && made.file.is_some())
    }

    /// Whether all of it is there.
    pub fn is_made(&self) -> bool {
        self.part.state == PartState::Ready
    }

    /// Whether players can begin: pictures have their first segment, and sound is there.
    pub fn is_offered(&self) -> bool {
        self.made().is_some() || self.playable().is_some()
    }

    /// The segments of pictures, once players can begin. All are listed; those that are not there yet are waited for.
    pub fn playable(&self) -> Option<&EncodedSegments> {
        let fails = matches!(self.part.state, PartState::Failed | PartState::NotOffered);
        self.segments.as_ref().filter(|segments| !fails && segments.has(1))
    }
}

impl Source {
    /// Whether HLS and DASH are offered: every track is packaged as it is, or encoded.
    pub fn is_segmented(&self) -> bool {
        let Some(index) = self.index_result.as_ref() else { return false };
        let needed = || self.encoded.iter().filter(|track| track.needed);
        let settled = needed().all(|track| track.is_offered() || !track.part.is_pending());
        // Pictures without their sound are better than nothing; the warnings say so. Sound alone is not what was uploaded.
        let pictures = needed().filter(|track| track.is_video()).all(EncodedTrack::is_offered);
        index.segmented || (settled && pictures && needed().any(EncodedTrack::is_offered))
    }
}

impl TryFrom<pb::EncodedTrack> for EncodedTrack {
    type Error = Problem;

    fn try_from(e: pb::EncodedTrack) -> Result<Self, Problem> {
        let pb::EncodedTrack { track, needed, replaces, reason, cures, part, result, segments } = e;
        // It becomes part of a job's id and of names of objects.
        if track.is_empty() || track.len() > 8 || !track.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(Problem::field("encoded.track", "is not the name of a track"));
        }
        let segments = segments.map(EncodedSegments::try_from).transpose()?;
        Ok(Self { track, needed, replaces, reason, cures, part: part.try_into()?, result, segments })
    }
}

impl From<EncodedTrack> for pb::EncodedTrack {
    fn from(e: EncodedTrack) -> Self {
        let EncodedTrack { track, needed, replaces, reason, cures, part, result, segments } = e;
        Self {
            track,
            needed,
            replaces,
            reason,
            cures,
            part: Some(part.into()),
            result,
            segments: segments.map(Into::into),
        }
    }
}

impl TryFrom<pb::Source> for Source {
    type Error = Problem;

    fn try_from(s: pb::Source) -> Result<Self, Problem> {
        let (life, upload_state) = (s.life(), s.upload_state());
        if life == SourceLife::Unspecified || upload_state == UploadState::Unspecified {
            return Err(Problem::field("source", "has no known life or upload state"));
        }
        Ok(Self {
            id: field::id("source.id", &s.id)?,
            revision: s.revision,
            video_ids: s.video_ids.iter().map(|id| field::id("video_ids", id)).collect::<Result<_, _>>()?,
            life,
            size: s.size,
            upload_id: field::id("upload_id", &s.upload_id)?,
            upload_state,
            received: s.received,
            expected_blake3: field::blake3("expected_blake3", &s.expected_blake3)?,
            blake3: field::blake3("blake3", &s.blake3)?,
            create_time: system_time("create_time", &field::present("create_time", s.create_time)?)?,
            receive_time: system_time("receive_time", &field::present("receive_time", s.receive_time)?)?,
            index: s.index.try_into()?,
            storyboard: s.storyboard.try_into()?,
            poster: s.poster.try_into()?,
            file_name: s.file_name,
            index_result: s.index_result,
            storyboard_result: s.storyboard_result,
            poster_result: s.poster_result,
            shown_revision: s.shown_revision,
            tried_by: s.tried_by,
            trace_parent: s.trace_parent,
            normalisation: s.normalisation,
            encoded: s.encoded.into_iter().map(EncodedTrack::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl From<Source> for pb::Source {
    fn from(s: Source) -> Self {
        let sum = |sum: Option<[u8; 32]>| sum.map_or_else(Vec::new, |sum| sum.to_vec());
        Self {
            id: s.id.to_string(),
            revision: s.revision,
            video_ids: s.video_ids.iter().map(ToString::to_string).collect(),
            life: s.life.into(),
            file_name: s.file_name,
            size: s.size,
            upload_id: s.upload_id.to_string(),
            upload_state: s.upload_state.into(),
            received: s.received,
            expected_blake3: sum(s.expected_blake3),
            blake3: sum(s.blake3),
            create_time: Some(timestamp(s.create_time)),
            receive_time: Some(timestamp(s.receive_time)),
            index: Some(s.index.into()),
            index_result: s.index_result,
            storyboard: Some(s.storyboard.into()),
            storyboard_result: s.storyboard_result,
            poster: Some(s.poster.into()),
            poster_result: s.poster_result,
            shown_revision: s.shown_revision,
            tried_by: s.tried_by,
            trace_parent: s.trace_parent,
            normalisation: s.normalisation,
            encoded: s.encoded.into_iter().map(Into::into).collect(),
        }
    }
}
