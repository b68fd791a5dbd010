use super::*;
use crate::index::{IgnoredCause, IgnoredTrack};
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
    open.codec = Codec::Hevc { hvcc: hevc() };
    let (offer, warnings) = of(vec![open]);
    assert_eq!(offer, Offer::Packaged);
    assert_eq!(warnings, ["HEVC does not play in Chrome, Edge and Firefox without hardware support"]);
}

#[test]
fn marks_that_players_ignore_are_told() {
    let mut turned = video(500, 50);
    let TrackKind::Video(format) = &mut turned.kind else { unreachable!() };
    format.rotation = Rotation::Quarter;
    let (offer, warnings) = of(vec![turned.clone()]);
    assert_eq!((offer, warnings.len()), (Offer::Packaged, 1), "{warnings:?}");
    // An edit within a GOP is squeezed, where its clock can be made finer.
    turned.edit.start = 24 * 20;
    assert_eq!(of(vec![turned.clone()]).1, warnings);
    turned.timescale = crate::time::Timescale::new(1_000_000_000).unwrap();
    assert_eq!(of(vec![turned]).1.len(), 2);
}

/// A record with one set of each kind.
fn hevc() -> Vec<u8> {
    let sets = [32_u8, 33, 34].map(|kind| [kind, 0, 1, 0, 1, 7]).concat();
    [&[1; 22][..], &[3], &sets].concat()
}

#[test]
fn parameter_sets_between_the_pictures_bar_fragments() {
    let mut bare = video(500, 50);
    bare.codec = Codec::H264 { avcc: vec![1, 0x64, 0, 0x1f, 0xff, 0xe0, 0] };
    let (offer, warnings) = of(vec![bare]);
    assert_eq!((offer, warnings.len()), (Offer::Progressive, 1), "{warnings:?}");
}

#[test]
fn edits_that_one_edit_cannot_say_bar_fragments() {
    for parts in [Parts::Several, Parts::Speed] {
        let mut edited = video(500, 50);
        edited.edit = crate::track::Edit { end: Some(6000), parts, ..Default::default() };
        let (offer, warnings) = of(vec![edited, sound(938)]);
        assert_eq!((offer, warnings.len()), (Offer::Progressive, 1), "{warnings:?}");
    }
}

/// Sound whose pictures can't be played is packaged; a thumbnail that is left out is no loss.
#[test]
fn lost_pictures_are_told() {
    let ignored = |cause, is_video| {
        let mut index = index(vec![sound(938)]);
        let reason = "MPEG-4 Part 2 is not played".to_owned();
        index.ignored.push(IgnoredTrack { id: 7, what: "mp4v".to_owned(), is_video, cause, reason });
        Playability::of(&Presentation::new(index))
    };
    let lost = ignored(IgnoredCause::NotCarried, true);
    assert_eq!(lost.offer, Offer::Packaged);
    assert_eq!(lost.warnings[0].to_string(), "only the sound plays: MPEG-4 Part 2 is not played");
    assert_eq!(ignored(IgnoredCause::Auxiliary, true).warnings, []);
    assert_eq!(ignored(IgnoredCause::NotCarried, false).warnings, []);
}

/// What browsers take in no fragment: the plain file where there is no other sound, and beside other sound a word.
#[test]
fn sound_that_is_not_packaged() {
    for codec in [Codec::Mp3, Codec::Ac3 { dac3: Vec::new() }, Codec::Pcm { coding: b"sowt\x10".to_vec() }] {
        let name = codec.name();
        let mut other = sound(938);
        other.codec = codec;
        let (offer, warnings) = of(vec![video(500, 50), other.clone()]);
        assert_eq!((offer, &warnings[0]), (Offer::Progressive, &format!("{name} plays from the plain file only")));
        let presentation = Presentation::new(index(vec![video(500, 50), other.clone(), sound(938)]));
        assert_eq!(Playability::of(&presentation).offer, Offer::Packaged);
        assert_eq!(presentation.audio().map(|sound| sound.track.codec.name()).collect::<Vec<_>>(), ["AAC"]);
        assert_eq!(of(vec![other]).0, Offer::Progressive);
    }
}

#[test]
fn ten_bits_of_h264_do_not_play_everywhere() {
    let mut deep = video(500, 50);
    deep.codec = Codec::H264 { avcc: vec![1, 110, 0, 31, 255, 225, 0, 1, 0x67, 1, 0, 1, 0x68] };
    assert_eq!(of(vec![deep]).1.len(), 2);
}
