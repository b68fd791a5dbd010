//! What became of a video's file and why, out of what its source and its jobs say.

use crate::{Deps, service};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::VideoId;
use vidstream_proto::job::{Job, JobKind, JobState};
use vidstream_proto::pb::{self, Player, TrackKind, Treatment, UploadState};
use vidstream_proto::source::{EncodedTrack, Part, PartState, Source};
use vidstream_proto::{field, time};

/// Unfinished jobs of a source that are looked at; there is one a part, and of encoded pictures one a span.
const MOST_JOBS: u32 = 500;

/// What became of video `id`.
pub(crate) async fn video(deps: &Deps, id: VideoId) -> Result<pb::Explanation, Problem> {
    let senseless =
        |problem: Problem| Problem::new(Reason::Internal, format!("the catalog's answer makes no sense: {problem}"));
    let source_id = service::entry(deps, id).await?.source_id.to_string();
    // Jobs before the source: a part that is done by then has no job that is believed.
    let request = pb::ListJobsRequest { source_id: source_id.clone(), limit: MOST_JOBS, unfinished_only: true };
    let jobs = deps.ask(deps.catalog.clone().list_jobs(request)).await?.jobs;
    let jobs: Vec<Job> = jobs.into_iter().map(Job::try_from).collect::<Result<_, _>>().map_err(senseless)?;
    let key = Some(pb::get_source_request::Key::SourceId(source_id));
    let answer = deps.ask(deps.catalog.clone().get_source(pb::GetSourceRequest { key })).await?;
    let source: Source = field::present("source", answer.source).and_then(Source::try_from).map_err(senseless)?;
    Ok(explained(id, &source, &jobs))
}

fn explained(id: VideoId, source: &Source, jobs: &[Job]) -> pb::Explanation {
    pb::Explanation {
        video_id: id.to_string(),
        file_name: source.file_name.clone(),
        file: file(source),
        tracks: tracks(source, jobs),
        steps: steps(source, jobs),
    }
}

/// What the file is and how it is read.
fn file(source: &Source) -> String {
    if source.index.state == PartState::Failed {
        return format!("it can't be played: {}", source.index.reason);
    }
    if let Some(reading) = &source.normalisation {
        let what = &reading.what;
        return format!("it is {what}, which ffmpeg reads once, in order, into a file that can be indexed");
    }
    let container = source.index_result.as_ref().and_then(|index| index.media.as_ref()).map(|media| &*media.container);
    let name = match container {
        None => return "what it is is not known yet".to_owned(),
        Some("mp4") => "an MP4 file",
        Some("mov") => "a QuickTime file",
        Some("matroska") => "a Matroska file",
        Some("webm") => "a WebM file",
        Some(_) => "a file",
    };
    format!("it is {name}, whose own tables say where each picture and sound is; its bytes are not rewritten")
}

fn tracks(source: &Source, jobs: &[Job]) -> Vec<pb::ExplainedTrack> {
    let Some(media) = source.index_result.as_ref().and_then(|index| index.media.as_ref()) else { return Vec::new() };
    let mut sounds = 0;
    let played = media.tracks.iter().map(|track| {
        let name = match track.kind() {
            TrackKind::Audio => {
                sounds += 1;
                format!("a{sounds}")
            }
            TrackKind::Video | TrackKind::Unspecified => "v1".to_owned(),
        };
        pb::ExplainedTrack {
            renditions: renditions(source, media, track, &name, jobs),
            id: track.id,
            kind: track.kind,
            codec: track.codec.clone(),
            name,
        }
    });
    let ignored = media.ignored.iter().map(|track| pb::ExplainedTrack {
        id: track.id,
        codec: track.what.clone(),
        renditions: vec![rendition(Treatment::Ignored, Part::not_offered(""), "", track.reason.clone())],
        ..pb::ExplainedTrack::default()
    });
    played.chain(ignored).collect()
}

fn rendition(way: Treatment, part: Part, codec: &str, reason: impl Into<String>) -> pb::ExplainedRendition {
    pb::ExplainedRendition {
        treatment: way.into(),
        part: Some(part.into()),
        codec: codec.to_owned(),
        reason: reason.into(),
    }
}

/// In how many ways a track is treated, in the order in which one follows from the other.
fn renditions(
    source: &Source,
    media: &pb::Media,
    track: &pb::MediaTrack,
    name: &str,
    jobs: &[Job],
) -> Vec<pb::ExplainedRendition> {
    let encoded = source.encoded.iter().find(|encoded| encoded.track == name);
    let mut ways = Vec::new();
    ways.extend(normalised(source, track));
    ways.extend(kept(source, media, track));
    if is_packaged(source, track, encoded) {
        let why = "packaged for HLS and DASH on request, out of the bytes as they are; nothing is stored twice";
        ways.push(rendition(Treatment::Repackaged, Part::ready(""), &track.codec, why));
    }
    if let Some(encoded) = encoded {
        let made = encoded.result.as_ref().and_then(|made| made.track.as_ref());
        let codec = made.map(|made| made.codec.as_str()).unwrap_or_default();
        let part = seen(&encoded.part, job(jobs, JobKind::Encode, name));
        ways.push(rendition(Treatment::Encoded, part, codec, encoded.reason.clone()));
    }
    ways
}

/// The track in a file that ffmpeg read.
fn normalised(source: &Source, track: &pb::MediaTrack) -> Option<pb::ExplainedRendition> {
    let (reading, index) = (source.normalisation.as_ref()?, source.index_result.as_ref()?);
    let before = usize::try_from(track.id).ok().and_then(|id| index.normalised.get(id.checked_sub(1)?));
    let became = match before {
        Some(before) if before.copied => format!("its {} is kept as it is", before.codec),
        Some(before) => format!("its {} is encoded", before.codec),
        None => "its tracks are copied where they can be, else encoded".to_owned(),
    };
    let why = format!("{} can't be indexed; {became}", reading.what);
    Some(rendition(Treatment::Normalised, Part::ready(""), &track.codec, why))
}

/// The track as the uploaded file has it.
fn kept(source: &Source, media: &pb::Media, track: &pb::MediaTrack) -> Option<pb::ExplainedRendition> {
    // No player opens a file that had to be normalised.
    if source.normalisation.is_some() {
        return None;
    }
    let plays = media.plays_in.contains(&Player::Progressive.into());
    let why = match (&*track.not_packaged_reason, plays) {
        ("", true) => "players that open the file itself play it as it was uploaded".to_owned(),
        ("", false) => return None,
        (why, _) => format!("as it was uploaded it is in the file itself only: {why}"),
    };
    Some(rendition(Treatment::Kept, Part::ready(""), &track.codec, why))
}

/// Whether players are offered the track's own bytes by HLS and DASH.
fn is_packaged(source: &Source, track: &pb::MediaTrack, encoded: Option<&EncodedTrack>) -> bool {
    source.is_segmented() && track.not_packaged_reason.is_empty() && encoded.is_none_or(EncodedTrack::leaves_source)
}

fn job<'a>(jobs: &'a [Job], kind: JobKind, part: &str) -> Option<&'a Job> {
    let of = |job: &&Job| job.kind == kind && (kind != JobKind::Encode || job.id.track() == part);
    // Of the spans of a track one that is at work, else the one that comes first.
    jobs.iter().filter(of).min_by_key(|job| (job.state != JobState::Leased, job.queue_position))
}

/// A part that is not done as its job shows it, which knows first.
fn seen(part: &Part, job: Option<&Job>) -> Part {
    match job.filter(|_| part.is_pending()).map(|job| job.state) {
        Some(JobState::Leased) => Part { state: PartState::Running, ..part.clone() },
        Some(JobState::Queued) => Part { state: PartState::Waiting, ..part.clone() },
        _ => part.clone(),
    }
}

fn steps(source: &Source, jobs: &[Job]) -> Vec<pb::ExplainedStep> {
    let index = source.index_result.as_ref();
    let work = index.and_then(|index| index.work.clone());
    let mut steps = Vec::new();
    match &source.normalisation {
        None => steps.push(step(source, &source.index, jobs, JobKind::Ingest, "", work)),
        Some(reading) => {
            let found = Part { reason: format!("it is {}", reading.what), ..Part::ready("") };
            steps.push(step(source, &found, &[], JobKind::Ingest, "", None));
            steps.push(step(source, &source.index, jobs, JobKind::Normalise, "", work));
        }
    }
    for track in &source.encoded {
        let work = track.result.as_ref().and_then(|made| made.work.clone());
        steps.push(step(source, &track.part, jobs, JobKind::Encode, &track.track, work));
    }
    let poster = source.poster_result.as_ref().and_then(|poster| poster.work.clone());
    steps.push(step(source, &source.poster, jobs, JobKind::Poster, "", poster));
    let storyboard = source.storyboard_result.as_ref().and_then(|storyboard| storyboard.work.clone());
    steps.push(step(source, &source.storyboard, jobs, JobKind::Storyboard, "", storyboard));
    steps
}

fn step(
    source: &Source,
    part: &Part,
    jobs: &[Job],
    kind: JobKind,
    track: &str,
    work: Option<pb::Work>,
) -> pb::ExplainedStep {
    let job = job(jobs, kind, track).filter(|_| part.is_pending());
    let mut part = seen(part, job);
    if part.state == PartState::Waiting && part.reason.is_empty() {
        waits_for(source, kind, job).clone_into(&mut part.reason);
    }
    let told = pb::ExplainedStep {
        stage: kind.stage().into(),
        track: track.to_owned(),
        // What an earlier run took says nothing of one that is under way.
        work: work.filter(|_| part.state == PartState::Ready),
        part: Some(part.clone().into()),
        ..pb::ExplainedStep::default()
    };
    let Some(job) = job else { return told };
    let told = pb::ExplainedStep { attempts: job.attempts, last_failure: job.reason.clone(), ..told };
    if part.state == PartState::Waiting {
        return pb::ExplainedStep { queue_position: job.queue_position, ..told };
    }
    pb::ExplainedStep {
        percent: job.progress.percent,
        speed: job.progress.speed,
        left_at_least: job.progress.left.map(|(least, _)| time::proto_duration(least)),
        left_at_most: job.progress.left.map(|(_, most)| time::proto_duration(most)),
        ..told
    }
}

/// What has to come before a step.
fn waits_for(source: &Source, kind: JobKind, job: Option<&Job>) -> &'static str {
    let indexes = matches!(kind, JobKind::Ingest | JobKind::Normalise);
    match (job, source.upload_state) {
        (Some(_), _) => "it waits for a worker",
        (None, UploadState::Open) if !indexes => "it waits for the last byte of the upload",
        (None, _) if !indexes && source.index.state != PartState::Ready => "it waits for the index",
        (None, _) => "it is about to be queued",
    }
}

#[cfg(test)]
mod tests;
