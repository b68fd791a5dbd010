//! What tests of several modules need.

use crate::catalog::Lease;
use std::time::SystemTime;
use vidstream_proto::ids::{SourceId, UploadId, VideoId};
use vidstream_proto::job::{Fence, Job, JobId, JobKind, JobProgress, JobState};
use vidstream_proto::source::{Part, Source, SourceLife, UploadState};

/// A lease of a job of `kind`.
pub(crate) fn lease(kind: JobKind) -> Lease {
    let job = job(kind);
    let now = SystemTime::UNIX_EPOCH;
    let source = Source {
        id: job.source_id,
        revision: 1,
        video_ids: vec![VideoId::generate()],
        life: SourceLife::Live,
        file_name: "clip.mp4".into(),
        size: 1,
        upload_id: UploadId::generate(),
        upload_state: UploadState::Open,
        received: 0,
        expected_blake3: None,
        blake3: None,
        create_time: now,
        receive_time: now,
        index: Part::waiting(),
        index_result: None,
        storyboard: Part::waiting(),
        storyboard_result: None,
        poster: Part::waiting(),
        poster_result: None,
        shown_revision: 1,
        tried_by: 0,
        trace_parent: String::new(),
        normalisation: None,
        encoded: Vec::new(),
    };
    Lease { job, source }
}

/// A queued job of `kind` for some source.
pub(crate) fn job(kind: JobKind) -> Job {
    let source_id = SourceId::generate();
    Job {
        id: JobId::new(source_id, kind, "source", "0"),
        source_id,
        kind,
        priority: 0,
        state: JobState::Queued,
        attempts: 0,
        fence: Fence(0),
        worker: String::new(),
        beat: 0,
        progress: JobProgress::default(),
        reason: String::new(),
        create_time: SystemTime::UNIX_EPOCH,
        update_time: SystemTime::UNIX_EPOCH,
        not_before: None,
        queue_position: 0,
    }
}
