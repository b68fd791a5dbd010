//! What a job's outcome does to its source. The job's row decides, under its fence; the source follows, at once or by the
//! sweep.

use crate::Catalog;
use crate::jobs::{derive, part_of};
use crate::store::JobRow;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::job::{JobKind, JobState};
use vidstream_proto::pb::finish_job_request::Result as Outcome;
use vidstream_proto::pb::{IndexResult, SourceLife};
use vidstream_proto::source::{Part, Source};

/// Why there are no pictures of a file without an index.
const NO_INDEX: &str = "the file could not be read";

impl Catalog {
    /// Brings the outcome of a finished job to its source, if it may not be there yet. Harmless to repeat.
    pub(crate) async fn apply(&self, row: JobRow) -> Result<(), Problem> {
        if !row.unapplied {
            return Ok(());
        }
        let source = row.job.source_id;
        let applied = self.update_source(source, |source| {
            apply_to(source, &row);
            Ok(())
        });
        match applied.await {
            Ok(source) if source.life == SourceLife::Gone => self.bury_source(source.id).await?,
            Ok(_) => {}
            Err(problem) if problem.reason == Reason::NotFound => {}
            Err(problem) => return Err(problem),
        }
        tracing::trace!(name: "job.applied", target: "point", "a source has an outcome, and its job does not know");
        let noted = self.change_job(&row.job.id, |now| {
            if now.job.fence == row.job.fence {
                now.unapplied = false;
            }
            Ok(())
        });
        noted.await?;
        // A retry that came between the two writes found an outcome under way and left the job alone: it is seen to now.
        let Some(source) = self.store.source(source).await? else { return Ok(()) };
        match derive(&source).into_iter().find(|wanted| wanted.id == row.job.id) {
            Some(wanted) => self.ensure_job(source.id, wanted).await,
            None => Ok(()),
        }
    }
}

/// Moves the part that the job was to make. A source that does not want the job any more stays as it is.
fn apply_to(source: &mut Source, row: &JobRow) {
    let job = &row.job;
    if !derive(source).iter().any(|wanted| wanted.id == job.id) {
        return;
    }
    match (&row.result, job.state) {
        (Some(Outcome::Index(index)), _) => indexed(source, index),
        (Some(Outcome::Storyboard(storyboard)), _) => {
            source.storyboard = Part::ready(storyboard.generation.clone());
            source.storyboard_result = Some(storyboard.clone());
        }
        (Some(Outcome::Poster(poster)), _) => {
            source.poster = Part::ready(poster.generation.clone());
            source.poster_result = Some(poster.clone());
        }
        (Some(Outcome::Delete(_)), _) => source.life = SourceLife::Gone,
        (None, JobState::Done) => without(source, job.kind, Part::not_offered(job.reason.clone())),
        (None, _) => {
            source.tried_by = source.tried_by.max(row.maker);
            without(source, job.kind, Part::failed(job.reason.clone()));
        }
    }
}

fn indexed(source: &mut Source, index: &IndexResult) {
    source.index = Part::ready("");
    source.index_result = Some(index.clone());
    let reasons =
        [(&index.no_storyboard_reason, &mut source.storyboard), (&index.no_poster_reason, &mut source.poster)];
    for (reason, part) in reasons {
        if !reason.is_empty() {
            *part = Part::not_offered(reason.clone());
        }
    }
}

fn without(source: &mut Source, kind: JobKind, part: Part) {
    if kind == JobKind::Ingest {
        source.storyboard = Part::not_offered(NO_INDEX);
        source.poster = Part::not_offered(NO_INDEX);
    }
    if let Some(made) = part_of(source, kind) {
        *made = part;
    }
}
