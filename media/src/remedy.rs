//! Which tracks are encoded, so that a video plays everywhere, and why.
//!
//! A track that all players take as it is is never touched. What is encoded is H.264 of 8 bits and 4:2:0 with a keyframe
//! every few seconds, upright, at most 1920×1080, and AAC.

use crate::codec::Codec;
use crate::picture::display_size;
use crate::playable::{Support, Warning, Way, codec_warnings, is_packaged, obstacles, support};
use crate::presentation::{Presentation, Rendition, TrackName};
use crate::track::{Parts, Rotation, VideoFormat};
use std::time::Duration;

/// The longer and the shorter side of a picture that players on phones and televisions take.
pub const LARGEST_PICTURE: (u32, u32) = (1920, 1080);
/// Bits a second that every player and most connections keep up with, over a few seconds.
pub const FASTEST: u64 = 12_000_000;
/// What a stretch of [`FASTEST`] lasts at the least: shorter ones are a player's buffer to bear.
const STRETCH: Duration = Duration::from_secs(4);

/// A track that is to be encoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remedy {
    /// Which one.
    pub track: TrackName,
    /// Whether players get nothing of it without.
    pub needed: bool,
    /// Why, a sentence fragment such as `HEVC does not play in some browsers`.
    pub reason: String,
    /// What is no longer true of the video once it is there.
    pub cures: Vec<Warning>,
}

/// What of a source is encoded, the pictures first. Nothing of a file whose times are not known.
pub fn remedies(presentation: &Presentation) -> Vec<Remedy> {
    if presentation.index().tracks.iter().any(|track| track.edit.parts != Parts::One) {
        return Vec::new();
    }
    presentation.tracks().filter_map(|rendition| remedy(&rendition)).collect()
}

fn remedy(rendition: &Rendition) -> Option<Remedy> {
    let codec = &rendition.track.codec;
    let mut cures = obstacles(rendition);
    let needed = !cures.is_empty() || !is_packaged(codec);
    if !plays_everywhere(codec) {
        if !is_packaged(codec) {
            cures.push(match rendition.video_format() {
                Some(_) => Warning::NotPlayed(codec.name()),
                None => Warning::SoundNotPackaged(codec.name()),
            });
        }
        cures.extend(codec_warnings(codec));
    }
    let mut reason = cures.first().map(ToString::to_string);
    if let Some(format) = rendition.video_format() {
        if format.rotation != Rotation::None {
            cures.push(Warning::Turned);
            reason.get_or_insert_with(|| Warning::Turned.to_string());
        }
        reason = reason.or_else(|| too_much(rendition, format));
    }
    Some(Remedy { track: rendition.name, needed, reason: reason?, cures })
}

/// By the table of codecs and players.
fn plays_everywhere(codec: &Codec) -> bool {
    [Way::MseInMp4, Way::AvPlayer].into_iter().all(|way| support(codec, way) == Support::Everywhere)
}

/// Why pictures that players could decode are more than some of them keep up with.
fn too_much(rendition: &Rendition, format: &VideoFormat) -> Option<String> {
    let (width, height) = display_size(format);
    let (long, short) = LARGEST_PICTURE;
    if width.max(height) > long || width.min(height) > short {
        return Some(format!("pictures of {width}×{height} are more than some players decode"));
    }
    let peak = fastest(rendition);
    (peak > FASTEST).then(|| format!("up to {} Mb/s are more than some connections bring", peak / 1_000_000))
}

/// Bits a second of the fastest stretch of whole segments.
fn fastest(rendition: &Rendition) -> u64 {
    let plan = rendition.plan;
    let segments = plan.segments();
    let mut most = 0;
    let mut first = 0;
    let mut bytes = 0_u64;
    for (last, segment) in segments.iter().enumerate() {
        bytes = bytes.saturating_add(segment.len);
        let time = |from: usize| plan.timescale.duration(plan.start(last + 1) - plan.start(from));
        while first < last && time(first + 1) >= STRETCH {
            bytes = bytes.saturating_sub(segments[first].len);
            first += 1;
        }
        // All there is, where the whole video is shorter.
        let millis = time(first).max(Duration::from_secs(1)).as_millis();
        most = most.max(u64::try_from(u128::from(bytes) * 8000 / millis.max(1)).unwrap_or(u64::MAX));
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made::{index, samples, sound, video};
    use crate::track::TrackKind;

    fn of(tracks: Vec<crate::track::Track>) -> Vec<(String, bool, String)> {
        let found = remedies(&Presentation::new(index(tracks)));
        found.into_iter().map(|r| (r.track.to_string(), r.needed, r.reason)).collect()
    }

    #[test]
    fn what_plays_everywhere_is_left_alone() {
        assert_eq!(of(vec![video(500, 50), sound(938)]), []);
    }

    #[test]
    fn each_track_has_its_own_reason() {
        let mut open = video(500, 50);
        open.open_gop = true;
        let mut opus = sound(938);
        opus.codec = Codec::Opus { dops: vec![0, 2, 1, 56, 0, 0, 0xbb, 0x80, 0, 0, 0] };
        let mut loud = sound(938);
        loud.codec = Codec::Mp3;
        let found = of(vec![open, sound(938), opus, loud]);
        let short: Vec<_> = found.iter().map(|(name, needed, _)| (name.as_str(), *needed)).collect();
        assert_eq!(short, [("v1", true), ("a2", false), ("a3", true)]);
        assert!(found[0].2.contains("open GOPs"), "{found:?}");
        assert!(found[1].2.contains("Opus does not play in"), "{found:?}");
    }

    #[test]
    fn pictures_that_lie_on_their_side_or_are_too_large() {
        let shaped = |change: fn(&mut VideoFormat)| {
            let mut track = video(500, 50);
            let TrackKind::Video(format) = &mut track.kind else { unreachable!() };
            change(format);
            of(vec![track]).pop()
        };
        let (_, needed, reason) = shaped(|format| format.rotation = Rotation::Quarter).expect("turned");
        assert!(!needed && reason.contains("on its side"), "{reason}");
        let (_, _, reason) = shaped(|format| (format.width, format.height) = (3840, 2160)).expect("large");
        assert!(reason.contains("3840×2160"), "{reason}");
        assert_eq!(shaped(|format| (format.width, format.height) = (1080, 1920)), None, "upright on a phone");
    }

    #[test]
    fn the_fastest_seconds_decide() {
        let mut track = video(2500, 50);
        track.samples = samples(2500, 24, 4000, |i| i % 50 == 0);
        assert_eq!(of(vec![track.clone()]), []);
        track.samples = samples(2500, 24, 70_000, |i| i % 50 == 0);
        let found = of(vec![track]);
        assert!(found[0].2.contains("14 Mb/s") && !found[0].1, "{found:?}");
    }
}
