use super::{dash, hls, vtt};
use crate::codec::Codec;
use crate::made::{index, samples, sound, video};
use crate::playable::Playability;
use crate::presentation::{Offered, Presentation, Text, TrackName};
use crate::storyboard::Storyboard;
use crate::track::{Colour, Edit, Rotation, Track, TrackKind};
use std::time::Duration;

fn named(mut track: Track, name: &str, language: &str) -> Track {
    track.name = Some(name.to_owned());
    track.language = Some(language.to_owned());
    track
}

fn opus(mut track: Track) -> Track {
    track.codec = Codec::Opus { dops: vec![0, 6, 1, 56, 0, 0, 0xbb, 0x80, 0, 0, 0] };
    let TrackKind::Audio(format) = &mut track.kind else { unreachable!() };
    format.channels = 6;
    track
}

/// A turned HDR film with hostile names, two AAC tracks of the same name and one of Opus.
fn film() -> Presentation {
    let mut picture = video(500, 50);
    let TrackKind::Video(format) = &mut picture.kind else { unreachable!() };
    format.rotation = Rotation::Quarter;
    format.sample_aspect = (4, 3);
    format.colour = Some(Colour { primaries: 9, transfer: 16, matrix: 9, full_range: false });
    let hostile = "a\",URI=\"x\"\n#EXT-X-<b>&amp;\u{0}";
    let mut plain = named(sound(938), hostile, "en");
    plain.samples = samples(938, 1024, 300, |_| true);
    Presentation::new(index(vec![
        picture,
        plain,
        named(sound(938), hostile, "en"),
        named(opus(sound(900)), "", "\"><x"),
        sound(938),
    ]))
}

#[test]
fn multivariant_of_a_film() {
    insta::assert_snapshot!("film.m3u8", hls::multivariant(&Offered::all_of(&film(), "g/0f3a/")));
}

#[test]
fn media_of_a_film() {
    insta::assert_snapshot!("film-a1.m3u8", hls::media(&film(), TrackName::Audio(1), 0).unwrap());
    assert_eq!(hls::media(&film(), TrackName::Audio(9), 0), None);
}

#[test]
fn dash_of_a_film() {
    insta::assert_snapshot!("film.mpd", dash::manifest(&Offered::all_of(&film(), "g/0f3a/")));
}

#[test]
fn sound_alone_is_its_own_variant() {
    let one = Presentation::new(index(vec![sound(938)]));
    insta::assert_snapshot!("one-sound.m3u8", hls::multivariant(&Offered::all_of(&one, "")));
    let two = Presentation::new(index(vec![sound(938), named(sound(938), "Comments", "de")]));
    insta::assert_snapshot!("two-sounds.m3u8", hls::multivariant(&Offered::all_of(&two, "")));
}

#[test]
fn pictures_alone_have_no_group() {
    let mut open = video(500, 50);
    open.open_gop = true;
    insta::assert_snapshot!(
        "pictures.m3u8",
        hls::multivariant(&Offered::all_of(&Presentation::new(index(vec![open])), ""))
    );
}

#[test]
fn durations_never_drift() {
    let mut picture = video(1, 1);
    // 29.97 frames a second in a timescale in which no boundary is a whole microsecond.
    picture.timescale = crate::time::Timescale::new(30_000).unwrap();
    picture.samples = samples(50_000, 1001, 100, |i| i % 45 == 0);
    let presentation = Presentation::new(index(vec![picture]));
    let playlist = hls::media(&presentation, TrackName::Video, 0).unwrap();
    let micros = playlist.lines().filter_map(|l| l.strip_prefix("#EXTINF:")?.strip_suffix(',')).map(|l| {
        let (seconds, fraction) = l.split_once('.').unwrap();
        seconds.parse::<u64>().unwrap() * 1_000_000 + fraction.parse::<u64>().unwrap()
    });
    assert_eq!(micros.sum::<u64>(), 50_000 * 1_001_000_000 / 30_000, "rounded once");
}

#[test]
fn storyboard_files() {
    let board = Storyboard::plan(&index(vec![video(100, 30)])).unwrap();
    insta::assert_snapshot!("storyboard.vtt", vtt::vtt(&board, |n| format!("g/0f3a/s{n}.jpg")));
    insta::assert_snapshot!("storyboard.json", vtt::json(&board, |n| format!("g/0f3a/s{n}.jpg")));
}

#[test]
fn absurd_edits_do_no_harm() {
    let far = [i64::MIN, -1, 0, 1 << 40, i64::MAX];
    let edits = far.iter().flat_map(|start| far.iter().map(move |delay| (*start, *delay)));
    for (start, delay) in edits {
        for end in [None, Some(i64::MIN), Some(100), Some(i64::MAX)] {
            let mut tracks = vec![video(200, 50), sound(400)];
            for track in &mut tracks {
                track.edit = Edit { delay, start, end, ..Edit::default() };
            }
            let presentation = Presentation::new(index(tracks));
            hls::multivariant(&Offered::all_of(&presentation, ""));
            dash::manifest(&Offered::all_of(&presentation, ""));
            for rendition in presentation.renditions() {
                assert!(hls::media(&presentation, rendition.name, 0).is_some());
                assert!(rendition.segment(1).is_some());
            }
            let _ = Playability::of(&presentation);
            if let Ok(board) = Storyboard::plan(presentation.index()) {
                vtt::vtt(&board, |n| n.to_string());
            }
        }
    }
}

#[test]
fn captions_are_offered_beside_every_variant() {
    let text = |language: &str, label: &str, forced, number: u8| Text {
        language: language.into(),
        label: label.into(),
        forced,
        size: 81_920,
        base: format!("captions/{number}/"),
    };
    let texts = vec![
        text("en", "English \"UK\"", false, 1),
        text("en", "English \"UK\"", false, 2),
        text("en", "Signs & songs", true, 3),
        text("und", "Notes", false, 4),
    ];
    let film = film();
    let offered = Offered { texts, ..Offered::all_of(&film, "g/0f3a/") };
    insta::assert_snapshot!("captions.m3u8", hls::multivariant(&offered));
    insta::assert_snapshot!("captions.mpd", dash::manifest(&offered));
    insta::assert_snapshot!("text.m3u8", hls::text(Duration::from_millis(61_500)));
}
