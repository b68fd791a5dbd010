use super::*;
use crate::made::{index, samples, sound, video};
use crate::track::{Track, TrackKind};

fn of(tracks: Vec<Track>) -> (Offer, Vec<String>) {
    let playability = Playability::of(&Presentation::new(index(tracks)));
    (playability.offer, playability.warnings.iter().map(ToString::to_string).collect())
}

#[test]
fn ordinary_files_are_packaged_without_a_word() {
    assert_eq!(of(vec![video(500, 50), sound(938)]), (Offer::Packaged, vec![]));
    assert_eq!(of(vec![sound(938)]), (Offer::Packaged, vec![]));
}

#[test]
fn nothing_to_show_is_not_offered() {
    let mut none = video(500, 50);
    none.edit.end = Some(0);
    assert_eq!(of(vec![none]), (Offer::Nothing, vec![]));
}

#[test]
fn long_and_large_segments_are_progressive_only() {
    let (offer, warnings) = of(vec![video(751, 751)]);
    assert_eq!(offer, Offer::Progressive);
    assert!(warnings[0].contains("30 seconds apart"), "{warnings:?}");
    let mut large = video(100, 100);
    large.samples = samples(100, 24, 1 << 20, |i| i == 0);
    let (offer, warnings) = of(vec![large]);
    assert_eq!(offer, Offer::Progressive);
    assert!(warnings[0].contains("100 MiB"), "{warnings:?}");
}

#[test]
fn a_late_start_is_not_a_long_segment() {
    let mut late = video(500, 50);
    late.edit.delay = 600 * 40;
    assert_eq!(of(vec![late]).0, Offer::Packaged);
}

#[test]
fn open_gops_bar_h264_only() {
    let mut open = video(500, 50);
    open.open_gop = true;
    assert_eq!(of(vec![open.clone()]).0, Offer::Progressive);
    open.codec = Codec::Hevc { hvcc: vec![1] };
    let (offer, warnings) = of(vec![open]);
    assert_eq!(offer, Offer::Packaged);
    assert_eq!(warnings, ["HEVC does not play in Chrome, Edge and Firefox without hardware support"]);
}

#[test]
fn marks_that_players_ignore_are_told() {
    let mut turned = video(500, 50);
    let TrackKind::Video(format) = &mut turned.kind else { unreachable!() };
    format.rotation = Rotation::Quarter;
    turned.edit.start = 24 * 20;
    let (offer, warnings) = of(vec![turned]);
    assert_eq!((offer, warnings.len()), (Offer::Packaged, 2), "{warnings:?}");
}

#[test]
fn ten_bits_of_h264_do_not_play_everywhere() {
    let mut deep = video(500, 50);
    deep.codec = Codec::H264 { avcc: vec![1, 110, 0, 31, 255, 224, 0] };
    assert_eq!(of(vec![deep]).1.len(), 2);
}
