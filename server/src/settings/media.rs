//! Limits of what is read of a file, and believed.

use super::Layers;
use super::values::size;
use std::ops::RangeInclusive;
use vidstream_media::mp4::Limits;

/// Bytes of an index that the smallest films have, and more than anybody's memory should be asked for.
const INDEX_SIZES: RangeInclusive<u64> = 1 << 20..=4 << 30;

impl Layers {
    /// The limits that `max-index`, `max-samples`, `max-tracks`, `max-pixels` and `max-duration` give.
    pub(super) fn media(&mut self) -> Limits {
        let usual = Limits::default();
        Limits {
            movie_bytes: self.read("max-index", usual.movie_bytes, |v| size(v, INDEX_SIZES)),
            samples: self.read("max-samples", usual.samples, |v| number(v, 1..=1 << 31)),
            tracks: self.read("max-tracks", usual.tracks, |v| number(v, 1..=100_000)),
            pixels: self.read("max-pixels", usual.pixels, |v| number(v, 1..=1 << 32)),
            seconds: self.read("max-duration", usual.seconds, |v| super::timeout(v).map(|duration| duration.as_secs())),
            ..usual
        }
    }
}

fn number(value: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
    let wrong = || format!("`{value}` is not a number from {} to {}", range.start(), range.end());
    value.parse().ok().filter(|number| range.contains(number)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::super::{Mistakes, Settings};
    use super::*;

    fn media(flags: &[(&'static str, &str)]) -> Result<Limits, Mistakes> {
        let flags = flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Settings::resolve(None, [], flags).map(|settings| settings.media)
    }

    #[test]
    fn each_limit_is_a_setting() {
        let usual = Limits::default();
        assert_eq!(media(&[]), Ok(usual));
        assert_eq!(media(&[("max-index", "64MiB")]), Ok(Limits { movie_bytes: 64 << 20, ..usual }));
        assert_eq!(media(&[("max-samples", "1000")]), Ok(Limits { samples: 1000, ..usual }));
        assert_eq!(media(&[("max-tracks", "2")]), Ok(Limits { tracks: 2, ..usual }));
        assert_eq!(media(&[("max-pixels", "2073600")]), Ok(Limits { pixels: 1920 * 1080, ..usual }));
        assert_eq!(media(&[("max-duration", "10m")]), Ok(Limits { seconds: 600, ..usual }));
        let wrong = [("max-index", "1KiB"), ("max-samples", "0"), ("max-tracks", "x"), ("max-duration", "0s")];
        assert_eq!(media(&wrong).expect_err("all are wrong").0.len(), 4);
    }
}
