//! What rows are made of, for implementations of the store: messages of the contract as bytes, and what is searched by
//! beside them.

use super::{Flush, JobRow, Recorded, Result, StoreError, VideoRow};
use crate::search;
use prost::Message;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vidstream_proto::job::{Fence, Job, JobProgress, JobState};
use vidstream_proto::pb::{self, PartState, SourceLife, VideoState, finish_job_request};
use vidstream_proto::source::Source;
use vidstream_proto::time::system_time;
use vidstream_proto::video::Entry;
use vidstream_source::extents::{Extent, Insertion, PageNumber, RecordPage};

/// Bytes of one flush in a video's row.
const FLUSH: usize = 24;
/// Names whose last number a video remembers.
const NAMES: usize = 16;

/// The error of a row of this kind that is not what we write.
pub fn corrupt(what: &str, error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("{what}: {error}"))
}

/// Nanoseconds since 1970.
pub fn nanos(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The time so many nanoseconds after 1970.
pub fn time(nanos: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanos.max(0).unsigned_abs())
}

/// A video's message. Views are kept beside it.
pub fn video_bytes(video: &pb::Video) -> Vec<u8> {
    pb::Video { views: 0, ..video.clone() }.encode_to_vec()
}

/// Reads a video's message.
pub fn video(bytes: &[u8], views: u64) -> Result<pb::Video> {
    let video = pb::Video::decode(bytes).map_err(|error| corrupt("video", error))?;
    Ok(pb::Video { views, ..video })
}

/// When a video was created, nanoseconds since 1970.
pub fn created(video: &pb::Video) -> Result<i64> {
    Ok(instant("create_time", video.create_time.as_ref())?.unwrap_or_default())
}

/// When a video's purge is due, nanoseconds since 1970; none if it is not removed or its purge has begun.
pub fn purge(row: &VideoRow) -> Result<Option<i64>> {
    let video = &row.entry.video;
    let waits = video.state() == VideoState::Removed && !row.purging;
    if waits { instant("purge_time", video.purge_time.as_ref()) } else { Ok(None) }
}

fn instant(field: &str, stamp: Option<&prost_types::Timestamp>) -> Result<Option<i64>> {
    let time = stamp.map(|stamp| system_time(field, stamp)).transpose().map_err(|error| corrupt("video", error))?;
    Ok(time.map(nanos))
}

/// The words that a video is found by, those of title and tags.
pub fn words(entry: &Entry) -> Vec<String> {
    let mut text = entry.video.title.clone();
    for tag in &entry.video.tags {
        text.push(' ');
        text.push_str(tag);
    }
    search::words(&text)
}

/// What a video's title is sorted by.
pub fn title_key(video: &pb::Video) -> String {
    search::title_key(&video.title)
}

/// The flushes with this one in front, unless it, or a later one of its name, is there.
pub fn with_flush(flushes: &[u8], flush: Flush) -> Option<Vec<u8>> {
    let name = flush.by.as_bytes();
    let mut next = [name.as_slice(), &flush.number.to_be_bytes()].concat();
    for known in flushes.chunks_exact(FLUSH).take(NAMES) {
        let (by, number) = known.split_at(name.len());
        if by != name {
            next.extend(known);
        } else if number >= flush.number.to_be_bytes().as_slice() {
            return None;
        }
    }
    next.truncate(NAMES * FLUSH);
    Some(next)
}

/// A source's message. Which revision is shown is kept beside it, because noting that is no change of the source.
pub fn source_bytes(source: &Source) -> Vec<u8> {
    pb::Source::from(source.clone()).encode_to_vec()
}

/// Reads a source's message.
pub fn source(bytes: &[u8], shown_revision: i64) -> Result<Source> {
    let message = pb::Source::decode(bytes).map_err(|error| corrupt("source", error))?;
    let source = Source::try_from(message).map_err(|error| corrupt("source", error))?;
    Ok(Source { shown_revision, ..source })
}

/// By what a source is found that a newer worker may do better.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Outdated {
    /// Version that tried last what failed; none if nothing failed.
    pub tried_by: Option<u32>,
    /// Form of the index; none if there is none.
    pub format: Option<u32>,
}

/// By what a source is found by [`outdated_sources`](super::Store::outdated_sources).
pub fn outdated(source: &Source) -> Outdated {
    if source.life != SourceLife::Live {
        return Outdated::default();
    }
    let failed = [&source.index, &source.storyboard, &source.poster].iter().any(|part| part.state == PartState::Failed);
    let ready = source.index_result.as_ref().filter(|_| source.index.state == PartState::Ready);
    Outdated { tried_by: failed.then_some(source.tried_by), format: ready.map(|index| index.format.max(1)) }
}

/// A job's message.
pub fn job_bytes(job: Job) -> Vec<u8> {
    pb::Job::from(job).encode_to_vec()
}

/// Reads a job's message.
pub fn job(bytes: &[u8]) -> Result<Job> {
    let message = pb::Job::decode(bytes).map_err(|error| corrupt("job", error))?;
    Job::try_from(message).map_err(|error| corrupt("job", error))
}

/// A job's result.
pub fn result_bytes(result: finish_job_request::Result) -> Vec<u8> {
    pb::FinishJobRequest { result: Some(result), ..pb::FinishJobRequest::default() }.encode_to_vec()
}

/// Reads a job's result.
pub fn result(bytes: &[u8]) -> Result<Option<finish_job_request::Result>> {
    let finish = pb::FinishJobRequest::decode(bytes).map_err(|error| corrupt("job", error))?;
    Ok(finish.result)
}

/// The row of a queued job once it is leased: the next fence, no beat, no progress.
pub fn leased(row: JobRow, worker: &str, maker: u32, now: SystemTime) -> JobRow {
    let job = Job {
        state: JobState::Leased,
        fence: Fence(row.job.fence.0 + 1),
        worker: worker.to_owned(),
        beat: 0,
        progress: JobProgress::default(),
        not_before: None,
        update_time: now,
        ..row.job
    };
    JobRow { job, revision: row.revision + 1, maker, ..row }
}

/// Milliseconds of what a viewer watched: two numbers of 8 bytes an interval, big-endian.
pub fn interval_bytes(intervals: &[Range<Duration>]) -> Vec<u8> {
    let ends = intervals.iter().flat_map(|range| [range.start, range.end]);
    ends.flat_map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX).to_be_bytes()).collect()
}

/// Reads what a viewer watched.
pub fn intervals(bytes: &[u8]) -> Result<Vec<Range<Duration>>> {
    if !bytes.len().is_multiple_of(16) {
        return Err(corrupt("viewer", "its intervals are cut off"));
    }
    let mut at = bytes.chunks_exact(8).map(|bytes| {
        let number: [u8; 8] = bytes.try_into().expect("chunks of 8 bytes");
        Duration::from_millis(u64::from_be_bytes(number))
    });
    Ok(std::iter::from_fn(|| Some(at.next()?..at.next()?)).collect())
}

/// Inserts `extents` into pages of a source, and says what became of each; those of `known` that changed have new extents.
pub fn insert_extents(known: &mut BTreeMap<PageNumber, RecordPage>, extents: Vec<Extent>) -> Recorded {
    let mut recorded = Recorded::default();
    for extent in extents {
        let page = known.entry(extent.page()).or_insert_with(|| RecordPage::new(extent.page()));
        let range = extent.range();
        match page.insert(extent) {
            Insertion::New => recorded.new.push(range),
            Insertion::Repeat => {}
            Insertion::Overlaps => recorded.overlapping.extend(page.overlapping(range).cloned()),
        }
    }
    recorded
}
