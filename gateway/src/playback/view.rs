//! What the gateway knows of a video: its row and its source's, as of a moment.

use std::sync::Arc;
use std::time::Duration;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb::{self, SourceLife, VideoState};
use vidstream_proto::source::{Part, PartState, Source, UploadState};
use vidstream_proto::video::Entry;

/// When to ask again for what an upload in progress holds back.
const UPLOAD_DELAY: Duration = Duration::from_secs(2);

/// When to ask again for what is being encoded.
const ENCODE_DELAY: Duration = Duration::from_secs(5);

/// A video that is shown, and its source.
#[derive(Clone, PartialEq, Debug)]
pub struct View {
    /// The video.
    pub entry: Entry,
    /// Its bytes and all that follows from them.
    pub source: Source,
}

/// A video as the catalog told, shared; none where there is nothing to show: unknown, removed or purged.
pub type Known = Option<Arc<View>>;

impl View {
    /// The view, unless it is one of nothing.
    pub fn shown(entry: Entry, source: Source) -> Known {
        let removed = entry.video.state() == VideoState::Removed || source.life != SourceLife::Live;
        (!removed).then(|| Arc::new(Self { entry, source }))
    }

    /// BLAKE3 of the whole file, once every byte of it is there.
    pub fn complete(&self) -> Result<[u8; 32], Problem> {
        match (self.source.upload_state, self.source.blake3) {
            (UploadState::Complete, Some(blake3)) => Ok(blake3),
            (UploadState::Complete, None) => Err(Problem::new(Reason::Internal, "a complete upload has no checksum")),
            (UploadState::Expired, _) => Err(Problem::new(Reason::NotFound, "its upload was given up")),
            _ => Err(Problem::new(Reason::NotReady, "the upload is not complete").retry_after(UPLOAD_DELAY)),
        }
    }

    /// What ingest found.
    pub fn index(&self) -> Result<&pb::IndexResult, Problem> {
        self.complete()?;
        result_of("index", &self.source.index, self.source.index_result.as_ref())
    }

    /// What ingest found, where HLS and DASH are offered.
    pub fn segmented(&self) -> Result<&pb::IndexResult, Problem> {
        let index = self.index()?;
        if self.source.is_segmented() {
            return Ok(index);
        }
        if self.source.encoded.iter().any(|track| track.needed && track.part.is_pending()) {
            return Err(Problem::new(Reason::NotReady, "it is being encoded for players").retry_after(ENCODE_DELAY));
        }
        Err(Problem::new(Reason::NotFound, "HLS and DASH are not offered for this video"))
    }

    /// The storyboard.
    pub fn storyboard(&self) -> Result<&pb::StoryboardResult, Problem> {
        // Where no index came, no picture will.
        self.index()?;
        result_of("storyboard", &self.source.storyboard, self.source.storyboard_result.as_ref())
    }

    /// The poster.
    pub fn poster(&self) -> Result<&pb::PosterResult, Problem> {
        // Where no index came, no picture will.
        self.index()?;
        result_of("poster", &self.source.poster, self.source.poster_result.as_ref())
    }
}

/// There is no such video, or none to show: nobody learns which.
pub fn nothing_at(id: VideoId) -> Problem {
    Problem::not_found("video", id)
}

fn result_of<'a, T>(name: &str, part: &Part, result: Option<&'a T>) -> Result<&'a T, Problem> {
    match (part.state, result) {
        (PartState::Ready, Some(result)) => Ok(result),
        (PartState::Waiting | PartState::Running, _) => {
            Err(Problem::new(Reason::NotReady, format!("the {name} is not made yet")))
        }
        (PartState::Failed | PartState::NotOffered, _) => {
            Err(Problem::new(Reason::NotFound, format!("there will be no {name}: {}", part.reason)))
        }
        _ => Err(Problem::new(Reason::Internal, format!("the {name} has no result"))),
    }
}
