//! What a job's outcome does to its source. The job's row decides, under its fence; the source follows, at once or by the
//! sweep.

use crate::Catalog;
use crate::sources::Follows;
use crate::store::JobRow;
use crate::wanted::{derive, encoded_mut, part_of};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::job::{Job, JobKind, JobState};
use vidstream_proto::pb::finish_job_request::Result as Outcome;
use vidstream_proto::pb::{self, IndexResult, SourceLife};
use vidstream_proto::source::{EncodedTrack, Part, PartState, Source};
use vidstream_proto::time::proto_duration;

/// Why there are no pictures of a file without an index.
const NO_INDEX: &str = "the file could not be read";

impl Catalog {
    /// Brings the outcome of a finished job to its source, if it may not be there yet. Harmless to repeat.
    pub(crate) async fn apply(&self, row: JobRow) -> Result<(), Problem> {
        if !row.unapplied {
            return Ok(());
        }
        let source = row.job.source_id;
        let applied = self.note_in_source(source, |source| Ok(apply_to(source, &row)));
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
            Some(wanted) => self.ensure_job(source.id, wanted, &self.store.jobs_of(source.id).await?).await,
            None => Ok(()),
        }
    }
}

/// Moves the part that the job was to make. A source that does not want the job any more stays as it is.
fn apply_to(source: &mut Source, row: &JobRow) -> Follows {
    let job = &row.job;
    if let Some(Outcome::Encode(encoded)) = &row.result
        && encoded.file.is_none()
    {
        // Its segments were recorded one by one, so nothing of it may be wanted any more.
        span_made(source, job.id.track(), encoded);
        return Follows::Nothing;
    }
    if !derive(source).iter().any(|wanted| wanted.id == job.id) {
        return Follows::Something;
    }
    match (&row.result, job.state) {
        (Some(Outcome::Index(index)), _) => indexed(source, index),
        // The index waits on, for another kind of job.
        (Some(Outcome::Normalisation(reading)), _) => source.normalisation = Some(reading.clone()),
        (Some(Outcome::Encode(encoded)), _) => encoded_track(source, job.id.track(), encoded),
        (Some(Outcome::Storyboard(storyboard)), _) => {
            source.storyboard = Part::ready(storyboard.generation.clone());
            source.storyboard_result = Some(storyboard.clone());
        }
        (Some(Outcome::Poster(poster)), _) => {
            source.poster = Part::ready(poster.generation.clone());
            source.poster_result = Some(poster.clone());
        }
        (Some(Outcome::Delete(_)), _) => source.life = SourceLife::Gone,
        (None, JobState::Done) => without(source, job, Part::not_offered(job.reason.clone())),
        (None, _) => {
            source.tried_by = source.tried_by.max(row.maker);
            without(source, job, Part::failed(job.reason.clone()));
        }
    }
    Follows::Something
}

fn indexed(source: &mut Source, index: &IndexResult) {
    let before = std::mem::take(&mut source.encoded);
    // What was encoded of the same track stays, if it still can be read.
    let kept = |wish: EncodedTrack| {
        let Some(track) = before.iter().find(|track| track.track == wish.track) else { return wish };
        match (&wish.segments, &track.segments) {
            (Some(wished), Some(made)) if wished.plan == made.plan => {
                let mut segments = made.clone();
                segments.object.clone_from(&wished.object);
                segments.format = wished.format;
                let part = if segments.is_whole() { track.part.clone() } else { wish.part };
                EncodedTrack { part, segments: Some(segments), result: track.result.clone(), ..wish }
            }
            (None, None) if track.made().is_some_and(|made| made.format == index.format) => {
                EncodedTrack { part: track.part.clone(), result: track.result.clone(), ..wish }
            }
            _ => wish,
        }
    };
    source.encoded = index.encode.iter().filter_map(wished).map(kept).collect();
    source.index = Part::ready("");
    source.index_result = Some(IndexResult { encode: Vec::new(), ..index.clone() });
    let reasons =
        [(&index.no_storyboard_reason, &mut source.storyboard), (&index.no_poster_reason, &mut source.poster)];
    for (reason, part) in reasons {
        if !reason.is_empty() {
            *part = Part::not_offered(reason.clone());
        }
    }
    pictures_again(source);
}

/// A track that an index asks to have encoded.
fn wished(wish: &pb::EncodedTrack) -> Option<EncodedTrack> {
    let waiting = pb::EncodedTrack { part: Some(Part::waiting().into()), result: None, ..wish.clone() };
    // A name that is none was never a track's.
    EncodedTrack::try_from(waiting).ok()
}

fn encoded_track(source: &mut Source, name: &str, encoded: &pb::EncodeResult) {
    if let Some(track) = encoded_mut(source, name) {
        track.part = Part::ready(encoded.generation.clone());
        track.result = Some(encoded.clone());
    }
    pictures_again(source);
}

/// What a span took is added to what the ones before did.
fn span_made(source: &mut Source, name: &str, span: &pb::EncodeResult) {
    let Some(track) = encoded_mut(source, name).filter(|track| track.segments.is_some()) else { return };
    let before = track.result.take().and_then(|before| before.work).unwrap_or_default();
    let work = span.work.clone().map(|work| pb::Work {
        wall: added(before.wall, work.wall),
        cpu: added(before.cpu, work.cpu),
        bytes_in: before.bytes_in.saturating_add(work.bytes_in),
        bytes_out: before.bytes_out.saturating_add(work.bytes_out),
        ..work
    });
    track.result = Some(pb::EncodeResult { work, ..span.clone() });
}

fn added(one: Option<prost_types::Duration>, other: Option<prost_types::Duration>) -> Option<prost_types::Duration> {
    let times = [one, other].into_iter().flatten().filter_map(|time| std::time::Duration::try_from(time).ok());
    one.or(other).map(|_| proto_duration(times.sum()))
}

/// Pictures that the source's own keyframes do not give are made of the encoded ones.
pub(crate) fn pictures_again(source: &mut Source) {
    let encoded = source.encoded.iter().any(|track| track.is_video() && track.is_made());
    let Some(index) = source.index_result.as_ref().filter(|_| encoded) else { return };
    let parts = [(&index.no_storyboard_reason, &mut source.storyboard), (&index.no_poster_reason, &mut source.poster)];
    for (reason, part) in parts {
        if !reason.is_empty() && part.state == PartState::NotOffered {
            *part = Part::waiting();
        }
    }
}

fn without(source: &mut Source, job: &Job, part: Part) {
    if matches!(job.kind, JobKind::Ingest | JobKind::Normalise) {
        source.storyboard = Part::not_offered(NO_INDEX);
        source.poster = Part::not_offered(NO_INDEX);
    }
    if let Some(made) = part_of(source, &job.id, job.kind) {
        *made = part;
    }
}
