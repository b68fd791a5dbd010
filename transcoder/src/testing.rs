//! What tests of several modules need.

use std::time::SystemTime;
use vidstream_proto::ids::SourceId;
use vidstream_proto::job::{Fence, Job, JobId, JobKind, JobProgress, JobState};

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
