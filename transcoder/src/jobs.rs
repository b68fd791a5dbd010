//! What jobs do. Each kind is a function from a lease to a result; nothing in here knows of beats or reports.

mod delete;
mod encode;
mod failure;
mod found;
mod ingest;
mod normalise;
mod poster;
mod source;
mod span;
mod storyboard;
mod waveform;

pub(crate) use failure::Failure;

use crate::catalog::{Catalog, Lease};
use crate::config::Config;
use crate::ffmpeg::Program;
use crate::place::Place;
use crate::progress::Gauge;
use std::sync::Arc;
use vidstream_backends::objects::ObjectStore;
use vidstream_proto::job::JobKind;
use vidstream_proto::pb::FailureKind;
use vidstream_proto::pb::finish_job_request::Result as Outcome;

/// What every job may use.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    pub catalog: Catalog,
    pub objects: Arc<dyn ObjectStore>,
    pub program: Program,
    pub config: Arc<Config>,
}

/// One job to do.
pub(crate) struct Task<'a> {
    pub tools: &'a Tools,
    pub lease: &'a Lease,
    pub gauge: &'a Gauge,
    pub place: Place,
}

/// Does a job. Dropping the future stops it: whatever it started is killed.
pub(crate) async fn run(task: Task<'_>) -> Result<Outcome, Failure> {
    match task.lease.job.kind {
        JobKind::Ingest => ingest::run(task).await,
        JobKind::Storyboard => storyboard::run(task).await.map(Outcome::Storyboard),
        JobKind::Poster => poster::run(task).await.map(Outcome::Poster),
        JobKind::Encode => encode::run(task).await.map(Outcome::Encode),
        JobKind::Normalise => normalise::run(task).await.map(Outcome::Index),
        JobKind::Delete => delete::run(task).await.map(Outcome::Delete),
        JobKind::Unspecified => Err(Failure::new(FailureKind::Attempt, "a job of no known kind")),
    }
}

/// Sixteen hexadecimal digits that stand for all of `parts`.
fn generation<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = blake3::Hasher::new();
    for part in parts {
        // Lengths keep neighbours apart.
        hash.update(&part.len().to_be_bytes()).update(part);
    }
    hash.finalize().to_hex()[..16].to_owned()
}
