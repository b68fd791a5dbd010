//! What goes in comes out: ffprobe and ffmpeg see the same in our playlists and manifests as in the file.

use std::path::Path;
use vidstream_tests::clips;
use vidstream_tests::judges::{curl, ffmpeg, playlists};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

/// Compares every stream of `source` with what is played of it. One difference is allowed, where a track starts more than a
/// tenth of a second late: what fills the wait before it, which is silence, or copies of the first picture.
pub fn assert_same(server: &Server, video: &str, source: &Path) {
    let file = source.to_str().expect("text");
    for name in ["master.m3u8", "manifest.mpd"] {
        let played = format!("{}/videos/{video}/{name}", server.address);
        let what = format!("{name} of {file}");
        let (pictures, sounds) = (ffmpeg::streams(file, "v"), ffmpeg::streams(file, "a"));
        assert_eq!((ffmpeg::streams(&played, "v"), ffmpeg::streams(&played, "a")), (pictures, sounds), "{what}");
        let streams = (0..pictures).map(|i| format!("v:{i}")).chain((0..sounds).map(|i| format!("a:{i}")));
        for stream in streams {
            let expected = ffmpeg::times(file, &stream);
            assert!(!expected.is_empty(), "{what}: {stream}");
            let mut times = ffmpeg::times(&played, &stream);
            times.drain(..filling(&times, &expected[0]));
            assert_eq!(times, expected, "{what}: packets of {stream}");
            let (mut expected, mut found) = (ffmpeg::frames(file, &stream), ffmpeg::frames(&played, &stream));
            if stream.starts_with('a') {
                // The first is partly or wholly priming, which ffmpeg trims in a file but not through HLS and DASH.
                expected.remove(0);
                found.retain(|frame| frame.time >= expected[0].time);
            } else {
                let copies = found.iter().take_while(|frame| frame.time < expected[0].time).count();
                let mut copies = found.drain(..copies);
                assert!(copies.all(|copy| copy.hash == expected[0].hash), "{what}: it begins with the first picture");
            }
            assert_eq!(found.len(), expected.len(), "{what}: frames of {stream}");
            assert!(found == expected, "{what}: frames of {stream} differ");
        }
    }
}

/// How many of `times` are before the `first` of the file; only where that is late there are any, and then from zero on.
fn filling(times: &[String], first: &str) -> usize {
    let seconds = |time: &str| time.parse::<f64>().expect("a time");
    let before = times.iter().take_while(|time| seconds(time) < seconds(first)).count();
    assert!(before == 0 || (seconds(first) > 0.1 && seconds(&times[0]) == 0.0), "{times:?} before {first}");
    before
}

/// Uploads `source`, waits until it plays and compares.
fn check(server: &Server, source: &Path) {
    let person = Person::of(server);
    let video = person.upload(source, "--wait");
    assert_eq!(video["state"], "VIDEO_STATE_READY", "{source:?}: {video:#}");
    assert_eq!(video["sourceRendition"]["state"], "PART_STATE_READY", "{source:?}: {video:#}");
    assert_same(server, id(&video), source);
    playlists::check(&format!("{}/videos/{}", server.address, id(&video)));
}

#[test]
fn made_clips_play_as_they_are() {
    let server = Server::with(&["--encode", "none"]);
    for kind in clips::KINDS {
        check(&server, &clips::clip(kind.name));
    }
    check(&server, &clips::rotated());
}

/// The only sound and pictures that are not in the file fill the wait.
#[test]
fn tracks_that_start_late_play_as_they_are() {
    let server = Server::with(&["--encode", "none"]);
    for late in clips::LATE {
        check(&server, &clips::clip(late.name));
    }
}

#[test]
fn good_files_of_the_corpus_play_as_they_are() {
    let server = Server::with(&["--encode", "none"]);
    for file in clips::all_of_corpus("good", ".mp4") {
        check(&server, &file);
    }
}

/// Times in Matroska are rounded to a millisecond, and the presentation begins with the first track: every picture and all
/// sound but its ends (priming and padding, which ffmpeg trims in a file only) are the same, and as far apart as in the file.
pub fn assert_same_but_rounded(server: &Server, video: &str, source: &Path) {
    const ROUNDING: f64 = 0.0016;
    let file = source.to_str().expect("text");
    let seconds = |time: &String| time.parse::<f64>().expect("a time");
    for name in ["master.m3u8", "manifest.mpd"] {
        let played = format!("{}/videos/{video}/{name}", server.address);
        let mut shift = None;
        for stream in ["v:0", "a:0"] {
            let what = format!("{name} of {file}: {stream}");
            let (expected, found) = (ffmpeg::times(file, stream), ffmpeg::times(&played, stream));
            assert_eq!(found.len(), expected.len(), "{what}: packets");
            for (found, expected) in found.iter().map(seconds).zip(expected.iter().map(seconds)) {
                let apart = expected - found;
                let off = apart - *shift.get_or_insert(apart);
                assert!(off.abs() < ROUNDING, "{what}: {found} is {off} s off");
            }
            let hashes = |input: &str| ffmpeg::frames(input, stream).into_iter().map(|frame| frame.hash);
            let (mut expected, mut found): (Vec<_>, Vec<_>) = (hashes(file).collect(), hashes(&played).collect());
            if stream == "a:0" {
                expected.drain(..2);
                let _ = (expected.pop(), found.pop());
                found.drain(..found.len() - expected.len());
            }
            assert!(found == expected, "{what}: frames");
        }
    }
}

#[test]
fn matroska_and_webm_play_as_they_are() {
    let server = Server::with(&["--encode", "none"]);
    let film = clips::made("film.mkv", "P S H A");
    let live = "P S -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 50 -c:a libopus -live 1";
    for (file, kind) in [(film, "video/x-matroska"), (clips::made("live.webm", live), "video/webm")] {
        let video = Person::of(&server).upload(&file, "--wait=all");
        assert_eq!(video["state"], "VIDEO_STATE_READY", "{file:?}: {video:#}");
        for part in ["sourceRendition", "storyboard", "poster"] {
            assert_eq!(video[part]["state"], "PART_STATE_READY", "{file:?}: {part} of {video:#}");
        }
        assert_same_but_rounded(&server, id(&video), &file);
        let base = format!("{}/videos/{}", server.address, id(&video));
        playlists::check(&base);
        let original = curl::get(&format!("{base}/source"));
        assert_eq!((original.status, original.header("content-type")), (200, kind));
        assert_eq!(original.body, std::fs::read(&file).expect("readable"));
    }
}

#[test]
fn playlists_and_manifests_are_what_players_expect() {
    let server = Server::start();
    let video = Person::of(&server).upload(&clips::clip("several.mp4"), "--wait");
    let base = format!("{}/videos/{}", server.address, id(&video));
    let master = curl::get(&format!("{base}/master.m3u8"));
    assert_eq!(master.status, 200);
    assert_eq!(master.header("content-type"), "application/vnd.apple.mpegurl");
    assert_eq!(master.header("cache-control"), "no-cache");
    for part in [
        "#EXT-X-INDEPENDENT-SEGMENTS",
        "CODECS=\"avc1.",
        "RESOLUTION=320x180",
        "FRAME-RATE=25",
        "LANGUAGE=\"en\"",
        "LANGUAGE=\"de\"",
        "CLOSED-CAPTIONS=NONE",
        "VIDEO-RANGE=SDR",
    ] {
        assert!(master.text().contains(part), "{part} in {}", master.text());
    }
    let tag = format!("If-None-Match: {}", master.header("etag"));
    assert_eq!(curl::curl(&["-H", &tag, &format!("{base}/master.m3u8")]).status, 304);

    // Every address in it is relative; derived ones carry a generation and never change.
    let media = master.text().lines().find(|line| !line.starts_with('#') && !line.is_empty()).expect("a variant");
    let media = format!("{base}/{media}");
    let playlist = curl::get(&media);
    assert!(playlist.header("cache-control").contains("immutable"), "{playlist:?}");
    assert!(playlist.text().ends_with("#EXT-X-ENDLIST\n"));
    let segment = playlist.text().lines().find(|line| !line.starts_with('#') && !line.is_empty()).expect("a segment");
    let segment = format!("{}/{segment}", media.rsplit_once('/').expect("a folder").0);
    let answer = curl::get(&segment);
    assert_eq!((answer.status, answer.header("content-type")), (200, "video/mp4"));
    assert!(answer.header("cache-control").contains("immutable"));
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    // Another generation is another video, as far as caches know.
    let generation = segment.split("/g/").nth(1).and_then(|rest| rest.split('/').next()).expect("a generation");
    assert_eq!(curl::get(&segment.replace(generation, "0123456789abcdef")).status, 404);

    let manifest = curl::get(&format!("{base}/manifest.mpd"));
    assert_eq!(manifest.header("content-type"), "application/dash+xml");
    assert!(manifest.text().contains("SegmentTimeline"));
}
