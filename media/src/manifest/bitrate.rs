//! True bit rates of a rendition, headers included.

use crate::plan::TrackPlan;
use crate::presentation::{Placed, Rates};
use crate::time::Timescale;

/// Segments looked at from each start: a stretch has about ten, but times in a file can be anything.
const MOST_IN_STRETCH: usize = 256;

/// Bits per second of a rendition or of several played together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Bitrate {
    /// Of the largest stretch of segments that takes between 0.5 and 1.5 target durations (RFC 8216 §4.3.4.2).
    pub peak: u64,
    /// Over everything.
    pub average: u64,
}

impl Bitrate {
    /// The rates of what is placed somewhere, in playlists with a target duration of `target` seconds.
    pub fn placed(placed: &Placed, target: u64) -> Self {
        match placed.rates {
            Some(Rates { peak, average }) => Self { peak, average },
            None => Self::of(placed.rendition.plan, target),
        }
    }

    /// The rates of `plan` in playlists with a target duration of `target` seconds.
    pub fn of(plan: &TrackPlan, target: u64) -> Self {
        let segments = plan.segments();
        let total = segments.iter().fold(0_u64, |sum, s| sum.saturating_add(s.len));
        let average = per_second(total, plan.end(), plan.timescale);
        let (shortest, longest) = stretch(target, plan.timescale);
        let mut peak = average;
        for first in 0..segments.len() {
            let mut bytes = 0_u64;
            for (last, segment) in segments.iter().enumerate().skip(first).take(MOST_IN_STRETCH) {
                bytes = bytes.saturating_add(segment.len);
                let ticks = plan.start(last + 1) - plan.start(first);
                if ticks > longest {
                    break;
                }
                if ticks >= shortest {
                    peak = peak.max(per_second(bytes, ticks, plan.timescale));
                }
            }
        }
        Self { peak, average }
    }

    /// Played together with `other`.
    pub fn with(self, other: Self) -> Self {
        Self { peak: self.peak.saturating_add(other.peak), average: self.average.saturating_add(other.average) }
    }

    /// The larger of both, one by one.
    pub fn max(self, other: Self) -> Self {
        Self { peak: self.peak.max(other.peak), average: self.average.max(other.average) }
    }
}

/// Bits a second that feed a player which begins at any segment after waiting `wait` seconds: every segment is whole when
/// its first sample is due (ISO/IEC 23009-1 §5.3.5.2, `@bandwidth` with `@minBufferTime`).
pub(super) fn sustained(plan: &TrackPlan, wait: u64) -> u64 {
    let total = plan.segments().iter().fold(0_u64, |sum, s| sum.saturating_add(s.len));
    // All of it within the first wait is surely enough; in between it is one or the other.
    let (mut low, mut high) = (0, per_second(total, i64::from(plan.timescale.get()), plan.timescale));
    while low < high {
        let middle = low + (high - low) / 2;
        if feeds(plan, wait, middle) { high = middle } else { low = middle + 1 }
    }
    high
}

/// Whether `rate` bits a second feed such a player. From a segment that starts at `t` with `b` bits before it to the end of
/// one that starts at `u` with `c` bits up to its end: `c − b ≤ rate · (wait + u − t)`; so only the least `b − rate · t` up
/// to each segment counts.
fn feeds(plan: &TrackPlan, wait: u64, rate: u64) -> bool {
    let (timescale, rate) = (i128::from(plan.timescale.get()), i128::from(rate));
    let (mut bits, mut least) = (0_i128, i128::MAX);
    plan.segments().iter().all(|segment| {
        let delivered = rate * i128::from(segment.time);
        least = least.min(bits * timescale - delivered);
        bits += i128::from(segment.len) * 8;
        bits * timescale - delivered - least <= rate * i128::from(wait) * timescale
    })
}

/// Shortest and longest stretch, in ticks: 0.5 and 1.5 of `target` seconds.
fn stretch(target: u64, timescale: Timescale) -> (i64, i64) {
    let ticks = i64::try_from(target.saturating_mul(timescale.get().into())).unwrap_or(i64::MAX);
    (ticks / 2, ticks.saturating_add(ticks / 2))
}

/// `bytes` in `ticks` as bits per second, rounded up.
fn per_second(bytes: u64, ticks: i64, timescale: Timescale) -> u64 {
    let Ok(ticks) = u128::try_from(ticks) else { return 0 };
    let bits = u128::from(bytes) * 8 * u128::from(timescale.get());
    u64::try_from(bits.div_ceil(ticks.max(1))).unwrap_or(u64::MAX)
}
