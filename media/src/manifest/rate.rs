//! Frame rates.

use crate::presentation::Rendition;

/// Frames and the seconds they take, as a fraction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FrameRate {
    frames: u64,
    seconds: u64,
}

impl FrameRate {
    /// Of the pictures of `video`: exact where they are evenly spaced, else the mean. None for less than two pictures.
    pub fn of(video: &Rendition<'_>) -> Option<Self> {
        let kept = video.plan.timeline.paced();
        // Up to the start of the last sample, whose duration is often only a guess.
        let pictures = kept.len().checked_sub(1)?;
        let first = video.track.samples.get(kept.start)?.dts;
        let last = video.track.samples.get(kept.end.checked_sub(1)?)?.dts;
        let ticks = u64::try_from(last - first).ok().filter(|t| *t > 0)?;
        let frames = u64::try_from(pictures).ok()?.checked_mul(u64::from(video.track.timescale.get()))?;
        let divisor = gcd(frames, ticks);
        Some(Self { frames: frames / divisor, seconds: ticks / divisor }).filter(|r| r.frames > 0)
    }

    /// With three decimals, as HLS wants it.
    pub fn decimal(self) -> String {
        let thousandths = self.thousandths();
        format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
    }

    fn thousandths(self) -> u128 {
        (u128::from(self.frames) * 1000 + u128::from(self.seconds) / 2) / u128::from(self.seconds)
    }

    /// As a whole number or a fraction (DASH `FrameRateType`); a mean that is no common rate is rounded. Coarse timescales
    /// can't hold the rates of NTSC exactly: what is one to three decimals is one.
    pub fn fraction(self) -> String {
        let ntsc = [24, 30, 48, 60, 120].into_iter().find(|rate| (rate * 1_000_000 + 500) / 1001 == self.thousandths());
        if let Some(rate) = ntsc {
            return format!("{}/1001", rate * 1000);
        }
        match self.seconds {
            1 => self.frames.to_string(),
            1001 => format!("{}/1001", self.frames),
            _ => ((self.frames + self.seconds / 2) / self.seconds).max(1).to_string(),
        }
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_rates_are_exact() {
        for (frames, seconds, decimal, fraction) in [
            (30_000, 1001, "29.970", "30000/1001"),
            (25, 1, "25.000", "25"),
            (1234, 51, "24.196", "24"),
            (22_500, 751, "29.960", "30"),
            (2997, 100, "29.970", "30000/1001"),
            (60_000, 1001, "59.940", "60000/1001"),
            (1, 60, "0.017", "1"),
        ] {
            let rate = FrameRate { frames, seconds };
            assert_eq!((rate.decimal().as_str(), rate.fraction().as_str()), (decimal, fraction));
        }
    }
}
