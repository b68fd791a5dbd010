//! Rules about bit rates, by the bytes that were sent and the durations that were said.

use super::variants::{Variant, all};
use crate::judges::playlists::show::{Files, Rendition, Show};
use std::time::Duration;

/// Rounding of `EXTINF`: how far a stretch may be off the borders.
const ROUNDING: Duration = Duration::from_micros(2);

/// Bits a second of `bytes` in `time`, rounded up.
fn per_second(bytes: usize, time: Duration) -> u128 {
    let bits = u128::try_from(bytes).unwrap_or(u128::MAX) * 8;
    (bits * 1_000_000_000).div_ceil(time.as_nanos().max(1))
}

fn average_of(files: &Files, rendition: &Rendition) -> u128 {
    let bytes = rendition.segments.iter().map(|segment| files.bytes(&segment.uri).len()).sum();
    per_second(bytes, rendition.starts().last().copied().unwrap_or_default())
}

/// The largest rate of a contiguous set of segments of 0.5 to 1.5 target durations, borders moved inwards by `margin`, or
/// outwards with `wider`; the average where there is no such set.
fn peak_of(files: &Files, rendition: &Rendition, wider: bool) -> u128 {
    let target = Duration::from_secs(rendition.playlist.number("#EXT-X-TARGETDURATION").unwrap_or(0).min(100_000));
    let (shortest, longest) = if wider {
        ((target / 2).saturating_sub(ROUNDING), target * 3 / 2 + ROUNDING)
    } else {
        (target / 2 + ROUNDING, (target * 3 / 2).saturating_sub(ROUNDING))
    };
    let starts = rendition.starts();
    let sizes: Vec<_> = rendition.segments.iter().map(|segment| files.bytes(&segment.uri).len()).collect();
    let mut peak = 0;
    for first in 0..sizes.len() {
        let mut bytes = 0;
        for last in first..sizes.len() {
            bytes += sizes[last];
            let time = starts[last + 1].saturating_sub(starts[first]);
            if time > longest {
                break;
            }
            if time >= shortest {
                peak = peak.max(per_second(bytes, time));
            }
        }
    }
    if peak == 0 { average_of(files, rendition) } else { peak }
}

/// The largest sum over a variant's playable combinations.
fn sum(variant: &Variant, rate: impl Fn(&Rendition) -> u128) -> u128 {
    // Without pictures the variant's own playlist is one of the group.
    let sounds = variant.sounds.iter().map(|sound| rate(sound)).max().unwrap_or(0);
    let pictures = variant.main.init.as_ref().is_ok_and(super::super::track::Init::is_video);
    if pictures { rate(variant.main) + sounds } else { rate(variant.main).max(sounds) }
}

pub fn peak(show: &Show) -> Vec<String> {
    let mut bad = Vec::new();
    for variant in all(show) {
        let said = u128::from(variant.list.number("BANDWIDTH").unwrap_or(0));
        let least = sum(&variant, |rendition| peak_of(&show.files, rendition, false));
        // Averages may be above the peak where every stretch is short; then they are what was said.
        let most = sum(&variant, |r| peak_of(&show.files, r, true).max(average_of(&show.files, r)));
        // Rounding of EXTINF is below a millionth of a stretch.
        if said + said / 500_000 + 2 < least || said > most * 11 / 10 {
            bad.push(format!("{}: {said}, measured {least} to {most}", variant.name()));
        }
    }
    bad
}

pub fn average(show: &Show) -> Vec<String> {
    let mut bad = Vec::new();
    for variant in all(show) {
        let said = u128::from(variant.list.number("AVERAGE-BANDWIDTH").unwrap_or(0));
        let found = sum(&variant, |rendition| average_of(&show.files, rendition));
        if said.abs_diff(found) > found / 1000 + 2 {
            bad.push(format!("{}: {said}, measured {found}", variant.name()));
        }
    }
    bad
}
