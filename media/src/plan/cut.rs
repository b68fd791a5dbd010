//! Where tracks are cut, in one pass over their samples.

use super::{Segment, TARGET, TrackPlan, entries, places, track_end};
use crate::cmaf::segment::{Entry, Run};
use crate::fill::Fill;
use crate::time::Timescale;
use crate::timeline::Timeline;
use crate::track::Track;
use std::time::Duration;

/// Sound is cut on its own where the video has no cut for longer than this.
const LONG: Duration = Duration::from_secs(10);
/// A cut that would leave less than this to the end of the track is not made.
const SHORTEST_END: Duration = Duration::from_secs(1);
/// A video segment is cut before the target where another GOP would make it larger than this.
const LARGE: u64 = 32 << 20;

/// Samples in a row that become a segment, or part of one.
#[derive(Clone, Copy)]
struct Part {
    first: usize,
    time: i64,
    sync: bool,
    run: Run,
}

impl Part {
    fn new(first: usize, entry: &Entry) -> Self {
        let mut run = Run::default();
        run.push(entry);
        Self { first, time: entry.written.time, sync: entry.sample.sync, run }
    }

    fn segment(self) -> Segment {
        let len = self.run.payload.saturating_add(self.run.header_len());
        Segment { first: self.first, time: self.time, len, sync: self.sync }
    }
}

/// The video's segments: cut at the sync samples nearest to the target after each other. Samples before the first sync
/// sample, if any, count as a GOP, and so does each picture of a still.
pub(super) fn video(track: &Track, timeline: &Timeline, fill: Option<Fill>) -> Vec<Segment> {
    let end = track_end(track, timeline);
    let mut cutter = VideoCutter {
        segments: Vec::new(),
        current: None,
        target: ticks(timeline.timescale(), TARGET),
        last_cut: end.saturating_sub(ticks(timeline.timescale(), SHORTEST_END)),
    };
    let mut gop: Option<Part> = None;
    for (i, entry) in entries(track, timeline, fill, places(timeline, fill)) {
        match &mut gop {
            Some(gop) if !entry.sample.sync => gop.run.push(&entry),
            _ => {
                let next = Part::new(i, &entry);
                if let Some(ended) = gop.replace(next) {
                    cutter.add(ended, next.time);
                }
            }
        }
    }
    if let Some(last) = gop {
        cutter.add(last, end);
    }
    cutter.segments.extend(cutter.current.map(Part::segment));
    cutter.segments
}

struct VideoCutter {
    segments: Vec<Segment>,
    current: Option<Part>,
    target: i64,
    last_cut: i64,
}

impl VideoCutter {
    /// Adds a GOP, whose successor starts at `next`, to the current segment or to a new one.
    fn add(&mut self, gop: Part, next: i64) {
        match &mut self.current {
            Some(current) if !cuts(current, &gop, next, self.target, self.last_cut) => current.run.append(&gop.run),
            current => self.segments.extend(current.replace(gop).map(Part::segment)),
        }
    }
}

/// Whether a segment ends where `gop` begins.
fn cuts(current: &Part, gop: &Part, next: i64, target: i64, last_cut: i64) -> bool {
    let elapsed = gop.time - current.time;
    let with_gop = next - current.time;
    let near = elapsed >= target || with_gop - target >= target - elapsed;
    let too_large = current.run.payload.saturating_add(gop.run.payload) > LARGE;
    too_large || (near && gop.time <= last_cut)
}

/// A sound track's segments: cut at or after each cut of the video, and on a grid of its own where the video has none
/// for long.
pub(super) fn audio(track: &Track, timeline: &Timeline, fill: Option<Fill>, video: Option<&TrackPlan>) -> Vec<Segment> {
    let mut boundaries = Boundaries::new(track.timescale, video);
    let last_cut = track_end(track, timeline).saturating_sub(ticks(timeline.timescale(), SHORTEST_END));
    let mut segments = Vec::new();
    let mut current: Option<Part> = None;
    for (i, entry) in entries(track, timeline, fill, places(timeline, fill)) {
        let reached = boundaries.reach(entry.written.time);
        match &mut current {
            Some(current) if !reached || entry.written.time > last_cut => current.run.push(&entry),
            current => segments.extend(current.replace(Part::new(i, &entry)).map(Part::segment)),
        }
    }
    segments.extend(current.map(Part::segment));
    segments
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

/// `duration` in ticks, at least one.
fn ticks(timescale: Timescale, duration: Duration) -> i64 {
    let ticks = duration.as_millis() * u128::from(timescale.get()) / 1000;
    i64::try_from(ticks).expect("seconds of a 32-bit timescale").max(1)
}
