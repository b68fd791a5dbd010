//! Reads a file's own tables into a media index, while the file is still on its way.

use super::{Failure, Task, found, generation};
use crate::config::Encoding;
use bytes::Bytes;
use std::ops::Range;
use std::time::{Duration, Instant};
use vidstream_media::index::{IgnoredCause, IgnoredTrack, MediaIndex};
use vidstream_media::indexer::{IndexError, Indexer, Step};
use vidstream_media::mp4::sniff::{self, SNIFF_BYTES};
use vidstream_media::presentation::Presentation;
use vidstream_media::track::TrackKind;
use vidstream_proto::pb::finish_job_request::Result as Outcome;
use vidstream_proto::pb::{self, FailureKind};
use vidstream_proto::time::proto_duration;
use vidstream_source::names;
use vidstream_source::reader::SourceReader;

/// Tables of a long film take a moment, and a worker's thread serves others: from so many bytes on another does it.
const LONG: usize = 64 << 10;

/// What ffmpeg calls the demuxer of Matroska and WebM.
const MATROSKA: &str = "matroska";

/// Bytes that take longer to come are waited for without a place.
const PROMPT: Duration = Duration::from_millis(500);

pub(super) async fn run(mut task: Task<'_>) -> Result<Outcome, Failure> {
    let begun = Instant::now();
    let head = 0..task.lease.source.size.min(SNIFF_BYTES as u64);
    let reader = task.reader();
    let head = read(&mut task, &reader, head).await?;
    let reading = sniff::demuxer(&head).map(|(demuxer, what)| (demuxer, what.to_owned()));
    let reading = reading.map(|(demuxer, what)| pb::Normalisation { demuxer: demuxer.to_owned(), what });
    let indexed = match reading {
        None => index(&mut task).await?,
        // Of these most can be indexed.
        Some(reading) if reading.demuxer == MATROSKA => match index(&mut task).await {
            Ok(indexed) if !indexed.lacks => indexed,
            Err(failure) if failure.kind != FailureKind::Input => return Err(failure),
            _ => return Ok(Outcome::Normalisation(reading)),
        },
        Some(reading) => return Ok(Outcome::Normalisation(reading)),
    };
    let name = names::media_index(task.lease.source.id, task.lease.job.fence);
    let indexed = indexed.with_plans(&task).await?;
    // No ffmpeg, and on a thread that others share: what it took of processors nobody counts.
    let work = pb::Work {
        wall: Some(proto_duration(begun.elapsed())),
        bytes_in: indexed.read,
        bytes_out: indexed.stored.len() as u64,
        ..pb::Work::default()
    };
    tracing::trace!(name: "index.made", target: "point", "an index is made and not stored");
    task.tools.objects.put(&name, vec![indexed.stored]).await?;
    tracing::trace!(name: "index.stored", target: "point", "an index is stored, which nobody knows");
    Ok(Outcome::Index(pb::IndexResult { object: name.to_string(), work: Some(work), ..indexed.result }))
}

/// What is stored, and what is said of it.
pub(super) struct Indexed {
    /// Whether pictures or all sound of the file are left out that ffmpeg may read.
    pub lacks: bool,
    /// Bytes of the file that were read for it.
    pub read: u64,
    pub stored: Bytes,
    /// Plans of encoded pictures, each with the name of its track.
    plans: Vec<(String, Bytes)>,
    pub result: pb::IndexResult,
}

impl Indexed {
    /// Stores the plans, and says where.
    pub async fn with_plans(mut self, task: &Task<'_>) -> Result<Self, Failure> {
        let job = &task.lease.job;
        for (track, plan) in self.plans.drain(..) {
            let name = names::encode_plan(task.lease.source.id, job.kind, job.fence, &track);
            task.tools.objects.put(&name, vec![plan]).await?;
            let planned = self.result.encode.iter_mut().filter(|encoded| encoded.track == track);
            planned.filter_map(|encoded| encoded.segments.as_mut()).for_each(|plan| plan.object = name.to_string());
        }
        Ok(self)
    }
}

async fn index(task: &mut Task<'_>) -> Result<Indexed, Failure> {
    let (reader, size) = (task.reader(), task.lease.source.size);
    let unhurried = reader.clone().unhurried();
    // How far into the file the walk is: it goes forward, and the file's size is known.
    let mut meter = task.gauge.measure(to_float(size.max(1)));
    let mut indexer = Indexer::new(size, task.tools.config.media);
    let mut bytes = Bytes::new();
    let mut taken = 0;
    loop {
        taken += bytes.len() as u64;
        let step = if bytes.len() < LONG {
            indexer.step(&bytes)
        } else {
            let (back, step) = tokio::task::spawn_blocking(move || {
                let step = indexer.step(&bytes);
                (indexer, step)
            })
            .await?;
            indexer = back;
            step
        };
        match step.map_err(|error| refused(&error))? {
            Step::Need(range) => {
                meter.done(to_float(range.start));
                bytes = read(task, &reader, range).await?;
            }
            Step::Await(range) => {
                meter.done(to_float(range.start));
                bytes = read(task, &unhurried, range).await?;
            }
            Step::Done(index) => {
                let encoding = task.tools.config.encode;
                let described = move || describe(&Presentation::new(*index), encoding);
                return Ok(Indexed { read: taken, ..tokio::task::spawn_blocking(described).await? });
            }
        }
    }
}

/// The bytes of `range`. While they do not come, others work in this place.
pub(super) async fn read(task: &mut Task<'_>, reader: &SourceReader, range: Range<u64>) -> Result<Bytes, Failure> {
    let mut reading = Box::pin(reader.read_exact(range));
    if let Ok(read) = tokio::time::timeout(PROMPT, &mut reading).await {
        return Ok(read?);
    }
    let waited = task.place.lend(reading).await;
    let full =
        |_| Failure::new(pb::FailureKind::Infrastructure, "too many uploads are waited for; it will be tried again");
    Ok(waited.map_err(full)??)
}

pub(super) fn describe(presentation: &Presentation, encoding: Encoding) -> Indexed {
    let stored = presentation.index().encode();
    let generation = generation([stored.as_slice(), &presentation.plan().fingerprint_bytes()]);
    let mut wishes = found::wishes(presentation, encoding);
    let plans = wishes.iter_mut().filter_map(|wish| Some((wish.track.track.clone(), wish.plan.take()?)));
    Indexed {
        lacks: lacks(presentation.index()),
        read: 0,
        stored: stored.into(),
        plans: plans.collect(),
        result: pb::IndexResult { generation, ..found::result(presentation, wishes) },
    }
}

fn lacks(index: &MediaIndex) -> bool {
    let readable =
        |cause| matches!(cause, IgnoredCause::NotCarried | IgnoredCause::Configuration | IgnoredCause::Damaged);
    let sound = index.tracks.iter().any(|track| matches!(track.kind, TrackKind::Audio(_)));
    // Matroska names codings of sound so (RFC 9559 §5.1.4.1.21).
    let lost = |track: &IgnoredTrack| !sound && track.what.starts_with("A_") && readable(track.cause);
    index.lost_pictures().is_some_and(|track| readable(track.cause)) || index.ignored.iter().any(lost)
}

/// The file's fault, in words that begin a sentence of their own.
fn refused(error: &IndexError) -> Failure {
    Failure::input(error.to_string())
}

#[expect(clippy::cast_precision_loss, reason = "a share of a file; 2^53 bytes are exact")]
pub(super) fn to_float(bytes: u64) -> f64 {
    bytes as f64
}
