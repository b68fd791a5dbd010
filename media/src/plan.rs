//! The segment plan: where the source's own samples are cut into segments, a pure function of the media index.
//!
//! Video is cut at sync samples near a target. Sound is cut at the first access unit at or after each cut of the video,
//! so that both playlists keep step. All times are whole ticks, so sums never drift.

mod cut;

use crate::cmaf::segment::{Entry, SegmentLayout};
use crate::fill::Fill;
use crate::index::MediaIndex;
use crate::playable::LONGEST_SEGMENT;
use crate::time::Timescale;
use crate::timeline::Timeline;
use crate::track::{Track, TrackKind};
use std::ops::Range;
use std::time::Duration;

/// Changes whenever the same index would be planned or packaged to other bytes, and with it every derived address.
pub const PACKAGER_VERSION: u32 = 3;

/// Duration that segments aim at.
pub const TARGET: Duration = Duration::from_secs(4);
/// How every track of an index is cut.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    tracks: Vec<TrackPlan>,
}

/// How one track is cut.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackPlan {
    /// The track's times.
    pub timeline: Timeline,
    /// Ticks per second of the times below.
    pub timescale: Timescale,
    fill: Option<Fill>,
    segments: Vec<Segment>,
    /// Decode time at the end of the last sample.
    end: i64,
}

/// One segment of a track, without its samples.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Place of its first sample in decode order: the sample's index, and as much more as others fill the wait before.
    first: usize,
    /// Decode time at which it starts, as written in its `tfdt`.
    pub time: i64,
    /// Bytes, header included.
    pub len: u64,
    /// Whether decoding can start with it.
    pub sync: bool,
}

impl Plan {
    /// The plan of `index`.
    pub fn new(index: &MediaIndex) -> Self {
        let video = index.tracks.iter().find(|t| matches!(t.kind, TrackKind::Video(_))).map(TrackPlan::of_video);
        // Pictures that are too far apart to be cut are encoded, with cuts of their own: sound keeps step with those.
        let steps = video.as_ref().filter(|video| video.longest() <= LONGEST_SEGMENT);
        let plan = |track: &Track| match (&track.kind, &video) {
            (TrackKind::Video(_), Some(video)) => video.clone(),
            _ => TrackPlan::of_audio(track, video.as_ref(), steps),
        };
        Self { tracks: index.tracks.iter().map(plan).collect() }
    }

    /// The plans of the index's tracks, in its order.
    pub fn tracks(&self) -> &[TrackPlan] {
        &self.tracks
    }

    /// What the plan adds to the index for a generation's hash: equal bytes mean equal segments of the same index.
    pub fn fingerprint_bytes(&self) -> Vec<u8> {
        let mut bytes = PACKAGER_VERSION.to_be_bytes().to_vec();
        for track in &self.tracks {
            bytes.extend_from_slice(&track.timescale.get().to_be_bytes());
            bytes.extend_from_slice(&track.end.to_be_bytes());
            bytes.extend_from_slice(&(track.segments.len() as u64).to_be_bytes());
            for segment in &track.segments {
                bytes.extend_from_slice(&(segment.first as u64).to_be_bytes());
                bytes.extend_from_slice(&segment.time.to_be_bytes());
                bytes.extend_from_slice(&segment.len.to_be_bytes());
            }
        }
        bytes
    }
}

impl TrackPlan {
    fn of_video(track: &Track) -> Self {
        let timeline = Timeline::of(track);
        let fill = Fill::before(track, &timeline);
        let segments = cut::video(track, &timeline, fill);
        Self::new(track, timeline, fill, segments)
    }

    fn of_audio(track: &Track, video: Option<&Self>, steps: Option<&Self>) -> Self {
        let timeline = Timeline::shifted(track, video.and_then(|video| video.timeline.shift()));
        let fill = Fill::before(track, &timeline);
        let segments = cut::audio(track, &timeline, fill, steps);
        Self::new(track, timeline, fill, segments)
    }

    fn new(track: &Track, timeline: Timeline, fill: Option<Fill>, segments: Vec<Segment>) -> Self {
        let end = track_end(track, &timeline);
        Self { timescale: timeline.timescale(), timeline, fill, segments, end }
    }

    /// The segments, in order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// When segment `position` (from 0) starts in the playlist, in ticks: the first at zero, so that a track that starts
    /// late keeps its place.
    pub fn start(&self, position: usize) -> i64 {
        match position {
            0 => 0,
            _ => self.segments.get(position).map_or(self.end, |s| s.time),
        }
    }

    /// Ticks that segment `position` (from 0) takes in the playlist.
    pub fn ticks(&self, position: usize) -> i64 {
        self.start(position + 1) - self.start(position)
    }

    /// Ticks of media in segment `position`, without the wait of a track that starts late and that nothing fills.
    pub fn media_ticks(&self, position: usize) -> i64 {
        let wait = if position == 0 && self.fill.is_none() { self.timeline.lateness() } else { 0 };
        self.ticks(position) - wait
    }

    /// The place of the first sample of segment `position` (from 0), of a track whose wait nothing fills.
    pub(crate) fn first_sample(&self, position: usize) -> Option<usize> {
        self.segments.get(position).map(|segment| segment.first)
    }

    /// When each picture of segment `position` (from 0) is shown, in ticks from the start of the presentation, in decode order.
    pub(crate) fn shown<'a>(&'a self, track: &'a Track, position: usize) -> impl Iterator<Item = i64> + 'a {
        let edit = self.timeline.edit_start().and_then(|start| i64::try_from(start).ok()).unwrap_or(0);
        let all = self.entries_of(track, position);
        all.map(move |entry| entry.written.time + i64::from(entry.written.composition) - edit)
    }

    /// The longest segment.
    pub fn longest(&self) -> Duration {
        let longest = (0..self.segments.len()).map(|position| self.media_ticks(position)).max().unwrap_or(0);
        self.timescale.duration(longest)
    }

    /// Decode time at the end of the track.
    pub fn end(&self) -> i64 {
        self.end
    }

    /// The bytes of segment `number`, counted from 1; none beyond the last.
    pub fn layout(&self, track: &Track, number: u32) -> Option<SegmentLayout> {
        let position = usize::try_from(number).ok()?.checked_sub(1)?;
        self.segments.get(position)?;
        let entries: Vec<_> = self.entries_of(track, position).collect();
        Some(SegmentLayout::new(number, &entries))
    }

    /// What segment `position` (from 0) has; nothing beyond the last.
    fn entries_of<'a>(&'a self, track: &'a Track, position: usize) -> impl Iterator<Item = Entry> + 'a {
        let end = places(&self.timeline, self.fill).end;
        let first = self.segments.get(position).map_or(end, |segment| segment.first);
        let next = self.segments.get(position + 1).map_or(end, |segment| segment.first);
        entries(track, &self.timeline, self.fill, first..next).map(|(_, entry)| entry)
    }
}

/// The places of all that is packaged: what fills the wait first, then the samples kept.
fn places(timeline: &Timeline, fill: Option<Fill>) -> Range<usize> {
    let kept = timeline.kept();
    kept.start..kept.end + fill.map_or(0, Fill::len)
}

/// What is at the places of `range` as fragments describe it.
fn entries<'a>(
    track: &'a Track,
    timeline: &'a Timeline,
    fill: Option<Fill>,
    range: Range<usize>,
) -> impl Iterator<Item = (usize, Entry)> + 'a {
    let first = timeline.kept().start;
    let before = fill.map_or(0, Fill::len);
    let filled = range.start..range.end.min(first + before);
    let filled = fill.into_iter().flat_map(move |f| filled.clone().map(move |place| (place, f.entry(place - first))));
    let kept = range.start.max(first + before) - before..range.end.max(first + before) - before;
    let samples = kept.clone().zip(track.samples.range(kept));
    filled.chain(
        samples.map(move |(i, sample)| {
            (i + before, Entry { sample, written: timeline.written(i, sample), silence: None })
        }),
    )
}

/// Decode time at the end of what is kept.
fn track_end(track: &Track, timeline: &Timeline) -> i64 {
    let last = timeline.kept().end.checked_sub(1);
    let written = last.and_then(|i| track.samples.get(i).map(|s| timeline.written(i, s)));
    written.map_or(0, |w| w.time + i64::from(w.duration))
}

#[cfg(test)]
mod tests;
