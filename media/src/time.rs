//! Media time: ticks of a track's timescale, and exact conversions between them.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// Ticks per second of one track's timeline (`mdhd` timescale, ISO/IEC 14496-12 §8.4.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timescale(NonZeroU32);

impl Timescale {
    /// A timescale of `ticks_per_second`; none for zero.
    pub fn new(ticks_per_second: u32) -> Option<Self> {
        NonZeroU32::new(ticks_per_second).map(Self)
    }

    /// Ticks per second.
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// `ticks` of `self` in ticks of `other`, rounded to the nearest, saturating.
    pub fn convert(self, ticks: i64, other: Self) -> i64 {
        let from = i128::from(self.get());
        let scaled = i128::from(ticks) * i128::from(other.get()) * 2 + from;
        i64::try_from(scaled.div_euclid(from * 2)).unwrap_or(if ticks < 0 { i64::MIN } else { i64::MAX })
    }

    /// Seconds, for texts and JSON where a float is what readers expect.
    #[expect(clippy::cast_precision_loss, reason = "a display value; 2^53 ticks is centuries")]
    pub fn seconds(self, ticks: i64) -> f64 {
        ticks as f64 / f64::from(self.get())
    }

    /// A duration, nanoseconds rounded down; negative ticks give zero.
    pub fn duration(self, ticks: i64) -> Duration {
        let nanos = i128::from(ticks.max(0)) * 1_000_000_000 / i128::from(self.get());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Timescale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}
