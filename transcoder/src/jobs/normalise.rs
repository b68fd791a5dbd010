//! A file that can't be indexed, read by ffmpeg in order, while it comes, into one that can.

use super::ingest::{Indexed, describe, read, to_float};
use super::{Failure, Task};
use crate::ffmpeg::filter::{self, FilterError, Sink};
use crate::ffmpeg::normalise::{Normalise, probe_args, streams};
use crate::made::{RecordError, Recording};
use bytes::{Bytes, BytesMut};
use futures::{Stream, stream};
use std::convert::Infallible;
use std::time::Duration;
use vidstream_media::presentation::Presentation;
use vidstream_proto::job::JobKind;
use vidstream_proto::pb::{self, FailureKind};
use vidstream_source::made::MadeWriter;
use vidstream_source::names;

/// Bytes that are read at once.
const PIECE: u64 = 1 << 20;
/// Bytes in which streams are looked for.
const PROBED: u64 = 10 << 20;
/// Time in which ffmpeg has said what is in them.
const PROBE_TIME: Duration = Duration::from_secs(30);
/// Bytes of what it says.
const SAID: usize = 1 << 20;
/// Time that may pass for a file, of whatever size.
const LEAST_TIME: Duration = Duration::from_hours(1);
/// Bytes a second that are got through at the least, beyond that.
const SLOWEST: u64 = 100_000;

pub(super) async fn run(mut task: Task<'_>) -> Result<pb::IndexResult, Failure> {
    let missing = || Failure::new(FailureKind::Attempt, "nobody said how the file is read");
    let reading = task.lease.source.normalisation.clone().ok_or_else(missing)?;
    let plan = plan(&mut task, &reading).await?;
    let (id, fence) = (task.lease.source.id, task.lease.job.fence);
    let prefix = names::made(id, JobKind::Normalise, fence, "file");
    let mut recording = Recording::new(MadeWriter::new(task.tools.objects.clone(), &prefix), task.tools.config.media)?;
    let time = LEAST_TIME + Duration::from_secs(task.lease.source.size / SLOWEST);
    let program = task.tools.program.clone();
    let passed = filter::pass(&program, plan.args(), time, fed(&mut task), &mut recording).await;
    let ran = passed.map_err(|error| told(&reading, error))?;
    let (file, index) = recording.finish().await?;
    let encoding = task.tools.config.encode;
    let described = move || describe(&Presentation::new(index), encoding);
    let indexed = tokio::task::spawn_blocking(described).await?;
    let Indexed { stored, result, .. } = indexed.with_plans(&task).await?;
    let name = names::made_index(id, JobKind::Normalise, fence, "file");
    tracing::trace!(name: "normalise.made", target: "point", "a file is normalised and its index not stored");
    task.tools.objects.put(&name, vec![stored]).await?;
    tracing::trace!(name: "normalise.stored", target: "point", "a file is normalised, which nobody knows");
    let media = result.media.map(|mut media| {
        media.container.clone_from(&reading.demuxer);
        // That is the file as it was uploaded, which no player was asked about.
        media.plays_in.retain(|player| *player != i32::from(pb::Player::Progressive));
        media
    });
    Ok(pb::IndexResult {
        object: name.to_string(),
        media,
        file: Some((&file).into()),
        work: Some(ran.into()),
        normalised: plan.tracks(),
        ..result
    })
}

/// What is in the file, by its first bytes, and what becomes of it.
async fn plan(task: &mut Task<'_>, reading: &pb::Normalisation) -> Result<Normalise, Failure> {
    let reader = task.reader().unhurried();
    let (size, mut at) = (task.lease.source.size, 0);
    let mut pieces = Vec::new();
    while at < size.min(PROBED) {
        let end = size.min(PROBED).min(at + PIECE);
        pieces.push(Ok::<_, Infallible>(read(task, &reader, at..end).await?));
        at = end;
    }
    let mut said = Said(BytesMut::new());
    let args = probe_args(&reading.demuxer);
    let probed = filter::pass(&task.tools.program, args, PROBE_TIME, stream::iter(pieces), &mut said).await;
    let found = streams(&String::from_utf8_lossy(&said.0));
    if found.is_empty() {
        // Its own words say more than that there is nothing.
        probed.map_err(|error| match error {
            FilterError::Child(error) => told(reading, FilterError::Child(error)),
            FilterError::Read(never) | FilterError::Kept(never) => match never {},
        })?;
    }
    Normalise::of(&reading.demuxer, found).map_err(|why| Failure::input(format!("it is {}; {why}", reading.what)))
}

/// Why ffmpeg could not read the file, with what the file is.
fn told(reading: &pb::Normalisation, error: FilterError<Failure, RecordError>) -> Failure {
    let failure = Failure::of_filter(error);
    match failure.kind {
        FailureKind::Input => Failure::input(format!("it is {}, and {}", reading.what, failure.reason)),
        _ => failure,
    }
}

/// The source from its beginning to its end, as it comes. While it does not come, others work in this place.
fn fed<'t, 'task>(task: &'t mut Task<'task>) -> impl Stream<Item = Result<Bytes, Failure>> + use<'t, 'task> {
    let (reader, size) = (task.reader().unhurried(), task.lease.source.size);
    let meter = task.gauge.measure(to_float(size.max(1)));
    stream::try_unfold((task, meter, 0), move |(task, mut meter, at)| {
        let reader = reader.clone();
        async move {
            if at >= size {
                return Ok(None);
            }
            let end = size.min(at + PIECE);
            let bytes = read(task, &reader, at..end).await?;
            meter.done(to_float(end));
            Ok(Some((bytes, (task, meter, end))))
        }
    })
}

/// What a probe says, bounded.
struct Said(BytesMut);

impl Sink for Said {
    type Error = Infallible;

    async fn take(&mut self, bytes: Bytes) -> Result<(), Infallible> {
        let room = SAID.saturating_sub(self.0.len()).min(bytes.len());
        self.0.extend_from_slice(&bytes[..room]);
        Ok(())
    }
}
