//! The segment plan: where the source's own samples are cut into segments, a pure function of the media index.
//!
//! Video is cut at sync samples near a target. Sound is cut at the first access unit at or after each cut of the video,
//! so that both playlists keep step. All times are whole ticks, so sums never drift.

use crate::cmaf::segment::{Entry, Run, SegmentLayout};
use crate::index::MediaIndex;
use crate::time::Timescale;
use crate::timeline::Timeline;
use crate::track::{Track, TrackKind};
use std::time::Duration;

/// Changes whenever the same index would be planned or packaged to other bytes, and with it every derived address.
pub const PACKAGER_VERSION: u32 = 1;

/// Duration that segments aim at.
pub const TARGET: Duration = Duration::from_secs(4);
/// Sound is cut on its own where the video has no cut for longer than this.
const LONG: Duration = Duration::from_secs(10);
/// A cut that would leave less than this to the end of the track is not made.
const SHORTEST_END: Duration = Duration::from_secs(1);
/// A video segment is cut before the target where another GOP would make it larger than this.
const LARGE: u64 = 32 << 20;

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
    segments: Vec<Segment>,
    /// Decode time at the end of the last sample.
    end: i64,
}

/// One segment of a track, without its samples.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Index of its first sample in decode order.
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
        let plan = |track: &Track| match (&track.kind, &video) {
            (TrackKind::Video(_), Some(video)) => video.clone(),
            _ => TrackPlan::of_audio(track, video.as_ref()),
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
            bytes.extend_from_slice(&track.segments.len().to_be_bytes());
            for segment in &track.segments {
                bytes.extend_from_slice(&segment.first.to_be_bytes());
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
        let starts = video_cuts(track, &timeline);
        Self::cut(track, timeline, &starts)
    }

    fn of_audio(track: &Track, video: Option<&Self>) -> Self {
        let timeline = Timeline::of(track);
        let starts = audio_cuts(track, &timeline, video);
        Self::cut(track, timeline, &starts)
    }

    /// The track cut at the samples `starts`, ascending.
    fn cut(track: &Track, timeline: Timeline, starts: &[usize]) -> Self {
        let ends = starts.iter().skip(1).copied().chain([timeline.kept().end]);
        let mut end = 0;
        let segments = starts
            .iter()
            .zip(ends)
            .map(|(&first, next)| {
                let mut run = Run::default();
                let mut head = None;
                for (i, sample) in (first..next).zip(track.samples.range(first..next)) {
                    let entry = Entry { sample, written: timeline.written(i, sample) };
                    run.push(&entry);
                    end = entry.written.time + i64::from(entry.written.duration);
                    head.get_or_insert(entry);
                }
                let (time, sync) = head.map_or((0, false), |e| (e.written.time, e.sample.sync));
                Segment { first, time, len: run.payload.saturating_add(run.header_len()), sync }
            })
            .collect();
        Self { timeline, timescale: track.timescale, segments, end }
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

    /// Ticks of media in segment `position`, without the wait of a track that starts late.
    pub fn media_ticks(&self, position: usize) -> i64 {
        let wait = if position == 0 { self.timeline.lateness() } else { 0 };
        self.ticks(position) - wait
    }

    /// Decode time at the end of the track.
    pub fn end(&self) -> i64 {
        self.end
    }

    /// The bytes of segment `number`, counted from 1; none beyond the last.
    pub fn layout(&self, track: &Track, number: u32) -> Option<SegmentLayout> {
        let position = usize::try_from(number).ok()?.checked_sub(1)?;
        let first = self.segments.get(position)?.first;
        let next = self.segments.get(position + 1).map_or(self.timeline.kept().end, |s| s.first);
        let entries: Vec<_> = (first..next)
            .zip(track.samples.range(first..next))
            .map(|(i, sample)| Entry { sample, written: self.timeline.written(i, sample) })
            .collect();
        Some(SegmentLayout::new(number, &entries))
    }
}

/// `duration` in ticks, at least one.
fn ticks(timescale: Timescale, duration: Duration) -> i64 {
    let ticks = duration.as_millis() * u128::from(timescale.get()) / 1000;
    i64::try_from(ticks).expect("seconds of a 32-bit timescale").max(1)
}

/// A run of samples that starts where decoding can.
#[derive(Clone, Copy)]
struct Gop {
    first: usize,
    time: i64,
    bytes: u64,
}

/// First samples of the video's segments: at the sync samples nearest to the target after each other.
fn video_cuts(track: &Track, timeline: &Timeline) -> Vec<usize> {
    let gops = gops(track, timeline);
    let Some(mut start) = gops.first().copied() else { return Vec::new() };
    let target = ticks(track.timescale, TARGET);
    let end = track_end(track, timeline);
    let last_cut = end.saturating_sub(ticks(track.timescale, SHORTEST_END));
    let mut cuts = vec![start.first];
    let mut bytes = start.bytes;
    for (gop, next) in gops.iter().skip(1).zip(gops.iter().skip(2).map(Some).chain([None])) {
        let elapsed = gop.time - start.time;
        let with_next = next.map_or(end, |next| next.time) - start.time;
        let near = elapsed >= target || with_next - target >= target - elapsed;
        let too_large = bytes.saturating_add(gop.bytes) > LARGE;
        if too_large || (near && gop.time <= last_cut) {
            cuts.push(gop.first);
            start = *gop;
            bytes = 0;
        }
        bytes = bytes.saturating_add(gop.bytes);
    }
    cuts
}

/// The GOPs of what is kept. Samples before the first sync sample, if any, count as one.
fn gops(track: &Track, timeline: &Timeline) -> Vec<Gop> {
    let kept = timeline.kept();
    let mut gops: Vec<Gop> = Vec::new();
    for (i, sample) in kept.clone().zip(track.samples.range(kept)) {
        match gops.last_mut() {
            Some(gop) if !sample.sync => gop.bytes = gop.bytes.saturating_add(u64::from(sample.size)),
            // The first time is 0 in the playlist, whatever a late first picture says.
            last => {
                let time = if last.is_some() { timeline.written(i, sample).time } else { 0 };
                gops.push(Gop { first: i, time, bytes: u64::from(sample.size) });
            }
        }
    }
    gops
}

/// Decode time at the end of what is kept.
fn track_end(track: &Track, timeline: &Timeline) -> i64 {
    let last = timeline.kept().end.checked_sub(1);
    let written = last.and_then(|i| track.samples.get(i).map(|s| timeline.written(i, s)));
    written.map_or(0, |w| w.time + i64::from(w.duration))
}

/// First samples of a sound track's segments: at or after each cut of the video, and on a grid of its own where the
/// video has none for long.
fn audio_cuts(track: &Track, timeline: &Timeline, video: Option<&TrackPlan>) -> Vec<usize> {
    let kept = timeline.kept();
    let mut boundaries = Boundaries::new(track.timescale, video);
    let last_cut = track_end(track, timeline).saturating_sub(ticks(track.timescale, SHORTEST_END));
    let mut cuts = Vec::new();
    for (i, sample) in kept.clone().zip(track.samples.range(kept)) {
        let time = timeline.written(i, sample).time;
        let reached = boundaries.reach(time);
        if cuts.is_empty() || (reached && time <= last_cut) {
            cuts.push(i);
        }
    }
    cuts
}

/// Times at which sound is cut, in its own ticks.
struct Boundaries {
    /// Cuts of the video and its end, descending, so that the next one is popped.
    video: Vec<i64>,
    current: i64,
    target: i64,
    long: i64,
}

impl Boundaries {
    fn new(timescale: Timescale, video: Option<&TrackPlan>) -> Self {
        let cuts = video.filter(|v| !v.segments.is_empty()).into_iter().flat_map(|video| {
            let last = video.segments.len();
            (1..=last).rev().map(|position| rounded_up(video.start(position), video.timescale, timescale))
        });
        Self { video: cuts.collect(), current: 0, target: ticks(timescale, TARGET), long: ticks(timescale, LONG) }
    }

    /// Whether a boundary lies after the last one reached and not after `time`. All that do are behind then.
    fn reach(&mut self, time: i64) -> bool {
        let before = self.current;
        while let Some(next) = self.next_reached(time) {
            self.current = next;
        }
        self.current > before
    }

    fn next_reached(&mut self, time: i64) -> Option<i64> {
        while self.video.pop_if(|cut| *cut <= self.current).is_some() {}
        match self.video.last() {
            Some(&cut) if cut - self.current <= self.long => Some(cut).filter(|cut| *cut <= time),
            // Jumps over what holds no sample, however far.
            nearest => {
                let limit = nearest.map_or(time, |cut| time.min(*cut - 1));
                let steps = (limit - self.current) / self.target;
                (steps > 0).then(|| self.current + steps * self.target)
            }
        }
    }
}

/// `time` of one timescale as the first tick of another that is not before it.
fn rounded_up(time: i64, from: Timescale, to: Timescale) -> i64 {
    let (from, to) = (i128::from(from.get()), i128::from(to.get()));
    let up = (i128::from(time) * to + from - 1).div_euclid(from);
    i64::try_from(up).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
