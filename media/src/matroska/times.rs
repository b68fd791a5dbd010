//! Times: a file's ticks on the clock of a track, and decode times, which Matroska does not have.
//!
//! Blocks are in decode order and say when they are shown. With `d` the most pictures that any picture is decoded after and
//! shown before, picture `i` is decoded when the picture is shown that is number `i − d` in that order; the first `d` are
//! decoded a frame's time each before. Nothing is decoded later than it is shown, and none of a codec's parameter sets
//! need be believed.

use crate::gathering::{Described, Gathering, Samples};
use crate::time::Timescale;
use crate::track::SampleTable;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Pictures that may wait for an earlier one at the most: as many as decoders of H.264 and HEVC hold.
const DEEPEST: usize = 16;

/// A file's ticks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Clock {
    /// Nanoseconds of a tick.
    nanos: u64,
}

impl Default for Clock {
    /// Milliseconds.
    fn default() -> Self {
        Self { nanos: 1_000_000 }
    }
}

impl Clock {
    /// A clock of ticks of so many nanoseconds; none for zero, and for more than seconds, which no file needs.
    pub fn new(nanos: u64) -> Option<Self> {
        (1..=1_000_000_000).contains(&nanos).then_some(Self { nanos })
    }

    /// The timescale that tracks of pictures have: that of the file where it is one, else microseconds.
    pub fn timescale(self) -> Timescale {
        let second = 1_000_000_000;
        let ticks = if second % self.nanos == 0 { second / self.nanos } else { 1_000_000 };
        u32::try_from(ticks.min(1_000_000)).ok().and_then(Timescale::new).expect("between one and a million")
    }

    /// `ticks` of the file in ticks of `timescale`, to the nearest; none where that is beyond centuries.
    pub fn convert(self, ticks: i64, timescale: Timescale) -> Option<i64> {
        from_nanos(i128::from(ticks) * i128::from(self.nanos), timescale)
    }

    /// `ticks` of the file in nanoseconds.
    pub fn nanos(self, ticks: i64) -> i128 {
        i128::from(ticks) * i128::from(self.nanos)
    }
}

/// Nanoseconds in ticks of `timescale`, to the nearest; none where that is beyond centuries.
pub(super) fn from_nanos(nanos: i128, timescale: Timescale) -> Option<i64> {
    let scaled = nanos * i128::from(timescale.get()) * 2 + 1_000_000_000;
    i64::try_from(scaled.div_euclid(2_000_000_000)).ok().filter(|ticks| ticks.unsigned_abs() < 1 << 58)
}

/// Pictures of a constant rate: every time is a whole number of frames from the first, but for rounding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Grid {
    timescale: Timescale,
    /// Ticks of a frame.
    frame: i64,
    clock: Clock,
}

impl Grid {
    /// The grid of frames that last `nanos`, as a file of ticks of `clock` says rounded; none where that is no common rate, or
    /// where the ticks are too long to tell its frames apart.
    pub fn new(nanos: u64, clock: Clock) -> Option<Self> {
        const NTSC: [u64; 7] = [12, 15, 24, 30, 48, 60, 120];
        let ntsc = NTSC.iter().map(|rate| (rate * 1000, 1001)).find(|(ticks, frame)| {
            // A nanosecond more or less, as it was rounded or cut.
            (nanos * ticks).abs_diff(frame * 1_000_000_000) <= *ticks
        });
        let whole = || {
            let rate = (1_000_000_000 + nanos / 2) / nanos.max(1);
            let exact = (1..=1000).contains(&rate) && (nanos * rate).abs_diff(1_000_000_000) <= rate;
            exact.then_some((rate * 1000, 1000))
        };
        let (ticks, frame) = ntsc.or_else(whole)?;
        let timescale = Timescale::new(u32::try_from(ticks).ok()?)?;
        let frame = i64::try_from(frame).ok()?;
        (nanos > 2 * clock.nanos).then_some(Self { timescale, frame, clock })
    }

    /// Ticks per second.
    pub fn timescale(self) -> Timescale {
        self.timescale
    }

    /// Ticks of the frame that begins `since` ticks of the file after the first; none where none does.
    fn place(self, since: i64) -> Option<i64> {
        let (nanos, second) = (self.clock.nanos(since), 1_000_000_000);
        let (ticks, frame) = (i128::from(self.timescale.get()), i128::from(self.frame));
        let number = (nanos * ticks * 2 + frame * second).div_euclid(frame * second * 2);
        // Both times are rounded, by half a tick of the file each.
        let off = (number * frame * second - nanos * ticks).abs();
        let on_grid = off <= i128::from(self.clock.nanos) * ticks;
        i64::try_from(number * frame).ok().filter(|place| on_grid && *place < 1 << 58)
    }
}

/// In which order pictures are shown, as far as decode order needs it.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    /// The latest times so far, latest first, one more than may be deep.
    latest: Vec<i64>,
    depth: usize,
    pub first: Option<i64>,
    pub last: Option<i64>,
}

impl Order {
    /// The next picture in decode order is shown at `time`; what is wrong with that, otherwise.
    pub fn push(&mut self, time: i64) -> Result<(), String> {
        let later = self.latest.partition_point(|latest| *latest > time);
        if later > DEEPEST {
            return Err(format!("more than {DEEPEST} pictures that are shown later come before one"));
        }
        self.latest.insert(later, time);
        self.latest.truncate(DEEPEST + 1);
        self.depth = self.depth.max(later);
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        self.last = self.last.max(Some(time));
        Ok(())
    }

    /// Pictures that are decoded before one and shown after it, at the most.
    pub fn depth(&self) -> usize {
        self.depth
    }
}

/// Pictures with decode times, the first decoded at zero.
#[derive(Debug)]
pub(super) struct Decoded {
    pub samples: Samples,
    /// Media time at which the first picture in order of presentation is shown.
    pub start: i64,
}

/// Gives pictures decode times: `shown` has them in decode order, each with the time at which it is shown as its decode
/// time, in ticks of `clock`. They get times of `timescale`; `step` is what a picture lasts where nothing else says it.
pub(super) fn decoded(
    shown: &SampleTable,
    order: &Order,
    clock: Clock,
    timescale: Timescale,
    step: i64,
) -> Result<Decoded, String> {
    let place = |since: i64| clock.convert(since, timescale);
    placed(shown, order, place, step).map_err(|problem| problem.unwrap_or("a time beyond all others").to_owned())
}

/// The same on a grid; none where one picture is not on it, or two are at one place.
pub(super) fn decoded_on(grid: Grid, shown: &SampleTable, order: &Order) -> Option<Decoded> {
    let decoded = placed(shown, order, |since| grid.place(since), grid.frame).ok()?;
    let frame = u32::try_from(grid.frame).ok()?;
    let table = &decoded.samples.table;
    table.range(0..table.len()).all(|sample| sample.duration >= frame).then_some(decoded)
}

/// Gives pictures decode times, where `place` says when one is shown that is shown so long after the first in ticks of the
/// file. What is wrong, otherwise; nothing where a picture has no place.
fn placed(
    shown: &SampleTable,
    order: &Order,
    place: impl Fn(i64) -> Option<i64>,
    step: i64,
) -> Result<Decoded, Option<&'static str>> {
    const GAP: &str = "nothing is there for weeks";
    let step = step.max(1);
    let depth = order.depth();
    let before = i64::try_from(depth).unwrap_or(0) * step;
    let first = order.first.unwrap_or(0);
    // From the first picture decoded.
    let media_time = |time: i64| time.checked_sub(first).and_then(&place).map(|since| since + before).ok_or(None);
    let mut gathering = Gathering::default();
    let mut waiting = BinaryHeap::with_capacity(depth + 1);
    let mut early = 0;
    for sample in shown.range(0..shown.len()) {
        let time = media_time(sample.dts)?;
        waiting.push(Reverse(time));
        let dts = if waiting.len() > depth {
            waiting.pop().map_or(time, |Reverse(earliest)| earliest)
        } else {
            early += step;
            early - step
        };
        gathering.go_on_at(dts).map_err(|_| GAP)?;
        let cts = i32::try_from(time - dts).map_err(|_| "a picture is shown hours after its decoding")?;
        let described = Described { offset: sample.offset, size: sample.size, duration: 0, cts, sync: sample.sync };
        gathering.push(described).map_err(|_| GAP)?;
    }
    let end = if depth == 0 { None } else { waiting.pop().map(|Reverse(time)| time) };
    gathering.go_on_at(end.unwrap_or(gathering.next() + step)).map_err(|_| GAP)?;
    Ok(Decoded { samples: gathering.finish(), start: before })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::Sample;
    use proptest::prelude::*;

    fn decode(times: &[i64], step: i64) -> Option<Vec<(i64, i32, u32)>> {
        let mut order = Order::default();
        for time in times {
            order.push(*time).ok()?;
        }
        let sample = |time: &i64| Sample { dts: *time, size: 1, sync: true, ..Sample::default() };
        let table = SampleTable::from_samples(times.iter().map(sample).collect());
        let clock = Clock::new(1_000_000).unwrap();
        let decoded = decoded(&table, &order, clock, clock.timescale(), step).ok()?;
        let all = decoded.samples.table.range(0..times.len());
        Some(all.map(|sample| (sample.dts, sample.cts, sample.duration)).collect())
    }

    #[test]
    fn without_and_with_pictures_out_of_order() {
        assert_eq!(decode(&[7, 47, 87], 40), Some(vec![(0, 0, 40), (40, 0, 40), (80, 0, 40)]));
        // I P B B P B B, as shown: 0 3 1 2 6 4 5.
        let found = decode(&[0, 120, 40, 80, 240, 160, 200], 40).unwrap();
        assert_eq!(found.iter().map(|f| f.0).collect::<Vec<_>>(), [0, 40, 80, 120, 160, 200, 240]);
        assert_eq!(found.iter().map(|f| f.1).collect::<Vec<_>>(), [40, 120, 0, 0, 120, 0, 0]);
        assert_eq!(decode(&[5], 40), Some(vec![(0, 0, 40)]));
        // A pyramid of two.
        let found = decode(&[0, 160, 80, 40, 120], 40).unwrap();
        assert_eq!(found.iter().map(|f| i64::from(f.1) + f.0).collect::<Vec<_>>(), [80, 240, 160, 120, 200]);
    }

    #[test]
    fn times_that_go_back_are_no_order() {
        let again: Vec<i64> = (0..40).chain(0..40).collect();
        assert_eq!(decode(&again, 1), None);
    }

    #[test]
    fn grids_of_common_rates() {
        let milliseconds = Clock::default();
        let of = |nanos| Grid::new(nanos, milliseconds).map(|grid| (grid.timescale.get(), grid.frame));
        assert_eq!(of(40_000_000), Some((25_000, 1000)));
        assert_eq!(of(41_708_333), Some((24_000, 1001)));
        assert_eq!(of(33_366_666), Some((30_000, 1001)));
        assert_eq!(of(33_366_667), Some((30_000, 1001)));
        assert_eq!(of(33_333_333), Some((30_000, 1000)));
        assert_eq!((of(33_333_000), of(1_000_000), of(1), of(100_000_000_000)), (None, None, None, None));
        let grid = Grid::new(33_366_667, milliseconds).unwrap();
        let at = |millis| grid.place(millis).map(|place| place / 1001);
        assert_eq!(
            [at(0), at(33), at(34), at(67), at(66), at(3_603_600)].map(Option::unwrap),
            [0, 1, 1, 2, 2, 108_000]
        );
        assert_eq!((at(17), at(36), at(i64::MAX)), (None, None, None));
    }

    #[test]
    fn pictures_that_are_not_on_their_grid() {
        let grid = Grid::new(40_000_000, Clock::default()).unwrap();
        let of = |times: &[i64]| {
            let mut order = Order::default();
            for time in times {
                order.push(*time).unwrap();
            }
            let sample = |time: &i64| Sample { dts: *time, size: 1, sync: true, ..Sample::default() };
            decoded_on(grid, &SampleTable::from_samples(times.iter().map(sample).collect()), &order).is_some()
        };
        assert!(of(&[3, 43, 123, 82, 324]));
        assert!(!of(&[0, 40, 60, 80]), "between two");
        assert!(!of(&[0, 40, 41, 80]), "twice");
    }

    #[test]
    fn clocks() {
        let clock = Clock::new(1_000_000).unwrap();
        let sound = Timescale::new(44_100).unwrap();
        assert_eq!((clock.timescale().get(), clock.convert(1500, sound)), (1000, Some(66_150)));
        assert_eq!(Clock::new(22_675).unwrap().timescale().get(), 1_000_000);
        assert_eq!(Clock::new(1).unwrap().timescale().get(), 1_000_000);
        assert_eq!(Clock::new(1).unwrap().convert(1501, Clock::new(1).unwrap().timescale()), Some(2));
        assert_eq!((Clock::new(0), Clock::new(1_000_000_000).unwrap().convert(i64::MAX, sound)), (None, None));
    }

    proptest! {
        /// Whatever the order and the times: shown as said, decoded in order, never after it is shown.
        #[test]
        fn nothing_is_decoded_after_it_is_shown(
            gaps in prop::collection::vec(0_i64..100, 1..80), keys: Vec<u8>, step in 1_i64..50,
        ) {
            let mut at = 1000;
            let mut times: Vec<i64> = gaps.iter().map(|gap| { at += gap; at }).collect();
            // Pictures change places with near ones.
            for (i, key) in keys.iter().enumerate().take(times.len()) {
                let other = (i + usize::from(key % 5)).min(times.len() - 1);
                times.swap(i, other);
            }
            let Some(found) = decode(&times, step) else { return Ok(()) };
            let first = i64::from(found[0].1) + found[0].0 - times[0];
            let mut expected = 0;
            for (time, (dts, cts, duration)) in times.iter().zip(&found) {
                prop_assert_eq!(*dts, expected);
                prop_assert!(*cts >= 0);
                prop_assert_eq!(dts + i64::from(*cts), time + first);
                expected += i64::from(*duration);
            }
        }
    }
}
