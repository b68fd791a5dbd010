//! A span of pictures anew, in the coding that plays everywhere: the segments of a plan, each stored and said as it comes out.
//!
//! What is fed is what players get of the source, for exactly the span, so its times are those that players see. Segments that
//! an attempt before has stored are there: the next one begins behind them.

use super::encode::{LEAST_TIME, SLOWEST};
use super::source::fed_segments;
use super::{Failure, Task, found};
use crate::ffmpeg::encode::EncodePictures;
use crate::ffmpeg::filter::{self, Sink};
use crate::progress::Meter;
use bytes::Bytes;
use std::ops::RangeInclusive;
use std::time::Duration;
use vidstream_media::codec::Codec;
use vidstream_media::encoded::{Cut, Misfit, Planned, SpanWriter};
use vidstream_media::index::MediaIndex;
use vidstream_media::presentation::{Presentation, TrackName};
use vidstream_media::stored;
use vidstream_proto::pb::{self, FailureKind};
use vidstream_proto::segments::{EncodedSegments, StoredSegment};
use vidstream_source::names;

/// The largest plan that is read.
const LARGEST_PLAN: u64 = 1 << 30;

pub(super) async fn run(task: &Task<'_>, track: &str, span: u32) -> Result<pb::EncodeResult, Failure> {
    let gone = || Failure::new(FailureKind::Attempt, "the source has no plan of this track");
    let wanted = task.lease.source.encoded.iter().find(|encoded| encoded.track == track);
    let segments = wanted.and_then(|wanted| wanted.segments.as_ref()).ok_or_else(gone)?;
    let numbers = segments.missing(span).ok_or_else(gone)?..=*segments.segments_of(span).end();
    let opened = task.media().await?;
    let planned = planned(task, segments).await?;
    let presentation = tokio::task::spawn_blocking(move || Presentation::new(opened.index)).await?;
    let name: TrackName = track.parse().map_err(|error| Failure::ours(&error))?;
    let rendition = presentation.tracks().find(|rendition| rendition.name == name).ok_or_else(gone)?;
    let plan = EncodePictures::of(&rendition).ok_or_else(|| {
        let codec = rendition.track.codec.name();
        Failure::input(format!("{codec} can't be decoded here"))
    })?;
    let spanned = planned.span(&rendition, numbers.clone());
    let mut described = found::track(&planned.presentation().index().tracks[0]);

    let media = lasts(&planned, numbers.clone());
    let mut meter = task.gauge.measure(f64::from(segments.count)).covering(planned.presentation().index().duration);
    meter.begin(f64::from(segments.there()));
    let feed = fed_segments(&rendition, opened.reader, spanned.feed.clone());
    tracing::trace!(name: "encode.begun", target: "point", "a span is about to be encoded");
    let mut sink = Segments {
        task,
        track: name,
        cut: Cut::default(),
        writer: SpanWriter::new(planned, numbers),
        there: f64::from(segments.there()),
        bytes_out: 0,
        meter,
    };
    let time = LEAST_TIME + media * SLOWEST;
    let ran = filter::pass(&task.tools.program, plan.args(&spanned), time, feed, &mut sink).await;
    let ran = ran.map_err(Failure::of_filter)?;
    sink.writer.finish()?;
    described.codec = Codec::H264 { avcc: sink.writer.configuration().to_vec() }.codec_string();
    described.bit_rate = per_second(sink.bytes_out, media);
    tracing::trace!(name: "encode.stored", target: "point", "a span is encoded, and its job does not know");
    Ok(pb::EncodeResult {
        object: String::new(),
        file: None,
        generation: segments.plan.clone(),
        format: stored::VERSION.into(),
        track: Some(described),
        work: Some(ran.into()),
    })
}

/// The plan of a track, as it is stored.
async fn planned(task: &Task<'_>, segments: &EncodedSegments) -> Result<Planned, Failure> {
    let name = segments.object.parse().map_err(|error| Failure::ours(&error))?;
    let stored = task.tools.objects.read(&name, LARGEST_PLAN).await?;
    let index = tokio::task::spawn_blocking(move || MediaIndex::decode(&stored)).await??;
    let planned = tokio::task::spawn_blocking(move || Planned::new(Presentation::new(index))).await?;
    planned.ok_or_else(|| Failure::new(FailureKind::Attempt, "the plan has no pictures"))
}

/// Time that segments last.
fn lasts(planned: &Planned, numbers: RangeInclusive<u32>) -> Duration {
    let Some(rendition) = planned.presentation().video() else { return Duration::ZERO };
    let position = |number: u32| usize::try_from(number - 1).unwrap_or(usize::MAX);
    let ticks = numbers.map(|number| rendition.plan.ticks(position(number))).sum();
    rendition.plan.timescale.duration(ticks)
}

fn per_second(bytes: u64, media: Duration) -> u64 {
    u64::try_from(u128::from(bytes) * 8_000 / media.as_millis().max(1)).unwrap_or(u64::MAX)
}

/// Stores segments as they come out of ffmpeg, and says so.
struct Segments<'a> {
    task: &'a Task<'a>,
    track: TrackName,
    cut: Cut,
    writer: SpanWriter,
    there: f64,
    bytes_out: u64,
    meter: Meter<'a>,
}

impl Sink for Segments<'_> {
    type Error = Failure;

    async fn take(&mut self, bytes: Bytes) -> Result<(), Failure> {
        for fragment in self.cut.push(&bytes)? {
            let segment = self.writer.segment(&fragment)?;
            let Self { task, track, .. } = *self;
            let (job, number) = (&task.lease.job, segment.number);
            let size = segment.bytes.len() as u64;
            let object = names::segment(task.lease.source.id, job.fence, &track.to_string(), number);
            task.tools.objects.put(&object, vec![segment.bytes.into()]).await?;
            tracing::trace!(name: "encode.made", target: "point", "a segment is stored, which nobody knows");
            let configuration = self.writer.configuration().to_vec();
            let stored = StoredSegment { number, fence: job.fence, size, bit_rate: segment.bit_rate, configuration };
            task.tools.catalog.record_segment(&job.id, stored).await?;
            self.bytes_out += size;
            self.there += 1.0;
            self.meter.done(self.there);
        }
        Ok(())
    }
}

impl From<Misfit> for Failure {
    fn from(misfit: Misfit) -> Self {
        match misfit {
            Misfit::Hole { .. } | Misfit::Index(_) => Self::input(misfit.to_string()),
            Misfit::Other(_) => Self::ours(&misfit),
        }
    }
}
