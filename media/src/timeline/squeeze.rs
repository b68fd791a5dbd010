//! The squeeze: how a video says that it starts between keyframes.
//!
//! Pictures before the start are needed for decoding and must not be seen. Players drop what is shown before zero, and with
//! it everything up to the next keyframe; what is shown at zero or later they show. So those pictures are shown one after
//! the other, one tick each on a clock of finer ticks, and everything else so many ticks later: less than a millisecond in
//! all. Chromium counts them as dropped and keeps every seek exact.

use super::media_time;
use crate::time::Timescale;
use crate::track::{Sample, Track};
use std::ops::Range;

/// Ticks of the finer clock to a tick of the track, at least.
const FINER: i64 = 8;

/// All hidden pictures together are shown for less than a second divided by this.
const SHORTER: i64 = 1000;

/// Samples on a finer clock on which the edit starts at zero, the pictures before it squeezed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Squeeze {
    factor: i64,
    /// Media time at which the edit starts, in ticks of the track.
    start: i64,
    /// The first sample that is shown, in decode order, and its decode time on the finer clock.
    first: usize,
    first_dts: i64,
    /// The picture that is on the screen when the edit starts.
    straddler: usize,
    /// Indexes of the hidden pictures in decode order, and when each is shown, counted from the first.
    hidden: Vec<(usize, i64)>,
}

impl Squeeze {
    /// The squeeze of the samples `kept` of `track`, whose edit starts at `start`. None where nothing is hidden, or where
    /// the finer clock has too many ticks for the fields of a fragment.
    pub fn of(track: &Track, kept: Range<usize>, start: i64) -> Option<Self> {
        let samples = kept.clone().zip(track.samples.range(kept.clone()));
        // Pictures are shown out of order within a GOP only, so what is hidden is before the second keyframe shown.
        let mut early: Vec<(i64, usize)> = samples
            .take_while(|(_, s)| s.dts <= start - i64::from(track.samples.min_cts()))
            .filter(|(_, s)| media_time(*s) <= start)
            .map(|(i, s)| (media_time(s), i))
            .collect();
        early.sort_unstable();
        let (_, straddler) = early.pop()?;
        let count = i64::try_from(early.len()).ok().filter(|count| *count > 0)?;
        let mut hidden: Vec<(usize, i64)> = (0..).zip(&early).map(|(rank, &(_, i))| (i, rank)).collect();
        hidden.sort_unstable();
        let is_hidden = |i: usize| hidden.binary_search_by_key(&i, |(hidden, _)| *hidden).is_ok();
        let first = kept.clone().find(|&i| !is_hidden(i))?;
        let factor = FINER.max(count * SHORTER / i64::from(track.timescale.get()) + 1);
        let finer = i64::from(track.timescale.get()) * factor;
        let fits = |s: Sample| i64::from(s.duration.max(s.cts.unsigned_abs())) * factor < i64::from(i32::MAX);
        // So far from each other only numbers are that nobody means: products of them would overflow.
        let times = [start, track.samples.end_pts(), track.samples.end_dts()];
        if times.iter().any(|time| time.unsigned_abs() > 1 << 60 >> factor.ilog2()) {
            return None;
        }
        if finer > i64::from(u32::MAX) || !track.samples.range(kept).all(fits) {
            return None;
        }
        let first_dts = count + factor * (track.samples.get(first)?.dts - start);
        Some(Self { factor, start, first, first_dts, straddler, hidden })
    }

    /// The finer clock.
    pub fn timescale(&self, track: Timescale) -> Timescale {
        let finer = i64::from(track.get()) * self.factor;
        u32::try_from(finer).ok().and_then(Timescale::new).unwrap_or(track)
    }

    /// Ticks of the finer clock to a tick of the track.
    pub fn factor(&self) -> i64 {
        self.factor
    }

    /// The first sample that is shown, in decode order.
    pub fn first(&self) -> usize {
        self.first
    }

    /// Ticks of the finer clock by which everything is shown later.
    pub fn shift(&self) -> i64 {
        i64::try_from(self.hidden.len()).unwrap_or(i64::MAX)
    }

    /// The sample at `index` on the finer clock.
    pub fn sample(&self, index: usize, sample: Sample) -> Sample {
        let on_clock = |time: i64| self.shift() + self.factor * (time - self.start);
        let hidden = self.hidden.binary_search_by_key(&index, |(hidden, _)| *hidden);
        let shown = match hidden {
            Ok(at) => self.hidden[at].1,
            Err(_) if index == self.straddler => self.shift(),
            Err(_) => on_clock(media_time(sample)),
        };
        let (dts, duration) = match self.first.checked_sub(index) {
            Some(before @ 1..) => (self.first_dts - i64::try_from(before).unwrap_or(i64::MAX), 1),
            _ => (on_clock(sample.dts), i64::from(sample.duration) * self.factor),
        };
        let cts = i32::try_from(shown - dts).unwrap_or(0);
        Sample { dts, cts, duration: u32::try_from(duration).unwrap_or(u32::MAX), ..sample }
    }

    /// The smallest composition offset on the finer clock of the samples `kept`.
    pub fn min_cts(&self, track: &Track, kept: Range<usize>) -> i64 {
        // Far from the start, offsets are as they were.
        let near = kept.start..self.hidden.last().map_or(kept.start, |(last, _)| last + 1).max(self.straddler + 1);
        let near = near.clone().zip(track.samples.range(near)).map(|(i, s)| i64::from(self.sample(i, s).cts));
        near.chain([i64::from(track.samples.min_cts()) * self.factor]).min().unwrap_or(0)
    }
}
