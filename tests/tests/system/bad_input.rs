//! Input that is no video, or half of one: words that a person can act on, never stuck.

use std::path::Path;
use vidstream_tests::clips;
use vidstream_tests::judges::{curl, ffmpeg};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

/// Uploads `file`, which must end as failed, and gives the sentence.
fn failure(server: &Server, file: &Path) -> String {
    let person = Person::of(server);
    let (code, out, errors) = person.run(&["--output", "json", "upload", "--wait", file.to_str().expect("text")]);
    assert_eq!(code, 1, "{file:?}: {out}{errors}");
    let video: serde_json::Value = serde_json::from_str(out.trim()).unwrap_or_else(|e| panic!("{e}: {out}{errors}"));
    assert_eq!(video["state"], "VIDEO_STATE_FAILED", "{file:?}: {video:#}");
    let sentence = video["failure"].as_str().expect("a sentence").to_owned();
    assert!(errors.contains(&sentence), "{errors}");
    // What can't be played can still be fetched; what is derived never comes.
    let base = format!("{}/videos/{}", server.address, vidstream_tests::vidctl::id(&video));
    assert_eq!(curl::get(&format!("{base}/source")).body, std::fs::read(file).expect("readable"));
    for name in ["master.m3u8", "manifest.mpd", "storyboard.vtt", "storyboard.json", "poster.jpg"] {
        let answer = curl::get(&format!("{base}/{name}"));
        assert_eq!((answer.status, answer.header("content-type")), (404, "application/problem+json"), "{name}");
    }
    sentence
}

#[test]
fn what_is_no_video_fails_with_words() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path
    };
    let playlist = failure(&server, &write("playlist.mp4", b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:1,\n../other.ts\n"));
    assert!(playlist.to_lowercase().contains("playlist"), "{playlist}");
    let script = failure(&server, &write("script.mp4", b"#!/bin/sh\nrm -rf /\n"));
    assert!(!script.is_empty());
    let random = failure(&server, &clips::noise(folder.path(), "random.mp4", 100_000));
    assert!(!random.is_empty());

    let whole = std::fs::read(clips::clip("last.mp4")).expect("readable");
    let half = failure(&server, &write("half-last.mp4", &whole[..whole.len() / 2]));
    let whole = std::fs::read(clips::clip("first.mp4")).expect("readable");
    let cut = failure(&server, &write("half-first.mp4", &whole[..whole.len() / 2]));
    for sentence in [half, cut] {
        let words = ["ends", "missing", "truncated", "cut", "incomplete"];
        assert!(words.iter().any(|word| sentence.contains(word)), "{sentence}");
    }

    // A movie whose tracks have no sample: it lasts no time at all.
    let nothing =
        clips::made("nothing.mp4", "-f lavfi -i testsrc2=size=64x64:rate=25:duration=1 -frames:v 0 -c:v libx264");
    let nothing = failure(&server, &nothing);
    assert!(nothing.len() > 15, "{nothing}");
}

/// What a recorder wrote before it lost power plays as far as it goes, and says so.
#[test]
fn a_recording_that_was_cut_off_plays_with_a_warning() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let whole = std::fs::read(clips::clip("fragmented.mp4")).expect("the clip");
    let cut = folder.path().join("cut.mp4");
    std::fs::write(&cut, &whole[..whole.len() * 2 / 3]).expect("written");
    let video = Person::of(&server).upload(&cut, "--wait");
    assert_eq!(video["state"], "VIDEO_STATE_READY", "{video:#}");
    assert_eq!(video["warnings"][0]["code"], "CUT_OFF", "{video:#}");
    let warning = video["warnings"][0]["message"].as_str().expect("a sentence");
    assert!(warning.starts_with("the file is cut off; what came after "), "{warning}");
    let played = format!("{}/videos/{}/master.m3u8", server.address, id(&video));
    let (found, expected) = (ffmpeg::frames(&played, "v:0"), ffmpeg::frames(cut.to_str().expect("text"), "v:0"));
    // ffmpeg gives half a picture for the last one of the file, whose bytes are not all there.
    assert!(found.len() > 100 && found.len() + 1 >= expected.len(), "{} of {}", found.len(), expected.len());
    assert!(found[..found.len() - 1] == expected[..found.len() - 1]);
}

/// Pictures before an open GOP's keyframe need the GOP before it, so there is none to seek to: the file itself plays, and
/// its previews are made of all that is decoded.
#[test]
fn open_gops_play_as_a_plain_file_with_a_storyboard() {
    let clip = clips::made(
        "open-gop.mp4",
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=8 -c:v libx264 -preset veryfast -pix_fmt yuv420p \
         -x264-params open-gop=1:keyint=25:min-keyint=25:bframes=3:scenecut=0",
    );
    let server = Server::with(&["--encode", "none"]);
    let video = Person::of(&server).upload(&clip, "--wait=all");
    assert_eq!(video["state"], "VIDEO_STATE_READY", "{video:#}");
    let codes: Vec<_> = video["warnings"].as_array().into_iter().flatten().map(|warning| &warning["code"]).collect();
    assert_eq!(codes, ["OPEN_GOP"], "{video:#}");
    let base = format!("{}/videos/{}", server.address, id(&video));
    for (name, status) in [("master.m3u8", 404), ("storyboard.vtt", 200), ("storyboard.json", 200), ("source", 200)] {
        assert_eq!(curl::get(&format!("{base}/{name}")).status, status, "{name}");
    }
}

/// A keyframe that does not decode gives no picture, and nobody can tell which tile is missing.
#[test]
fn a_damaged_keyframe_takes_the_storyboard_with_it_and_nothing_else() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clip = clips::clip("first.mp4");
    let mut bytes = std::fs::read(&clip).expect("the clip");
    let keyframes = ffmpeg::keyframe_ranges(&clip);
    bytes[keyframes[1].clone()].fill(0);
    let damaged = folder.path().join("damaged.mp4");
    std::fs::write(&damaged, &bytes).expect("written");
    let video = Person::of(&server).upload(&damaged, "--wait=all");
    assert_eq!(video["state"], "VIDEO_STATE_READY", "{video:#}");
    assert_eq!(video["warnings"][0]["code"], "NO_STORYBOARD", "{video:#}");
    assert_eq!(video["poster"]["state"], "PART_STATE_READY", "another keyframe is sound: {video:#}");
    let base = format!("{}/videos/{}", server.address, id(&video));
    assert_eq!(curl::get(&format!("{base}/storyboard.vtt")).status, 404);
    assert_eq!(curl::get(&format!("{base}/master.m3u8")).status, 200);
}

#[test]
fn names_are_kept_where_every_system_has_them() {
    let server = Server::start();
    let person = Person::of(&server);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let odd = folder.path().join("a\\b\tc\u{1b}d é.mp4");
    std::fs::copy(clips::clip("first.mp4"), &odd).expect("copied");
    let video = person.upload(&odd, "--wait");
    assert_eq!(video["title"], "a_b_c_d é", "{video:#}");
    let source = curl::get(&format!("{}/videos/{}/source?download", server.address, id(&video)));
    let name = source.header("content-disposition");
    assert!(name.contains("filename*=UTF-8''a_b_c_d%20%C3%A9.mp4"), "{name}");
    // What the server refuses is told with the file it is about.
    let long = folder.path().join(format!("{}.mp4", "é".repeat(120)));
    std::fs::copy(clips::clip("first.mp4"), &long).expect("copied");
    let title = "x".repeat(201);
    let (code, _, errors) = person.run(&["upload", "--title", &title, long.to_str().expect("text")]);
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("ééé.mp4`: ") && errors.contains("title"), "{errors}");
}

/// Each limit is a setting, and what is beyond it is told with how much it is.
#[test]
fn what_is_beyond_a_limit_fails_with_the_limit() {
    let film = clips::clip("first.mp4");
    for (flags, words) in [
        (["--max-samples", "100"], "samples, more than the limit of 100"),
        (["--max-tracks", "1"], "tracks, more than the limit of 1"),
        (["--max-pixels", "10000"], "pixels a picture, more than the limit of 10000"),
        (["--max-duration", "2s"], "seconds, more than the limit of 2"),
    ] {
        let sentence = failure(&Server::with(&flags), &film);
        assert!(sentence.contains(words), "{flags:?}: {sentence}");
        let place = moov_of(&std::fs::read(&film).expect("the clip"))..;
        let told = sentence.split_once("at byte ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        assert!(told.is_some_and(|told| place.contains(&told)), "{flags:?}: {sentence}");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    // An index of 2 MiB, most of which nobody reads.
    let mut bytes = std::fs::read(clips::clip("last.mp4")).expect("the clip");
    let moov = moov_of(&bytes);
    let size = u32::from_be_bytes(*bytes[moov..].first_chunk().expect("a size"));
    let free = 2_u32 << 20;
    bytes.splice(moov..moov + 4, (size + free).to_be_bytes());
    bytes.extend(free.to_be_bytes().into_iter().chain(*b"free").chain(vec![0; free as usize - 8]));
    let large = folder.path().join("large-index.mp4");
    std::fs::write(&large, bytes).expect("written");
    let sentence = failure(&Server::with(&["--max-index", "1MiB"]), &large);
    assert!(sentence.contains("bytes, more than the limit of 1048576"), "{sentence}");
    let video = Person::of(&Server::start()).upload(&large, "--wait");
    assert_eq!(video["state"], "VIDEO_STATE_READY", "{video:#}");
}

fn moov_of(bytes: &[u8]) -> usize {
    bytes.windows(4).rposition(|kind| kind == b"moov").expect("an index") - 4
}

/// Pictures that nobody plays are not just left out: who uploaded them is told.
#[test]
fn lost_pictures_are_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("old.mov");
    let film = clips::clip("first.mp4");
    let [from, to] = [&film, &path].map(|path| path.to_str().expect("text"));
    ffmpeg::ffmpeg(&["-i", from, "-c:v", "qtrle", "-c:a", "copy", to]);
    let video = Person::of(&Server::start()).upload(&path, "--wait");
    assert_eq!(video["state"], "VIDEO_STATE_READY", "{video:#}");
    let warning = &video["warnings"][0];
    assert_eq!(warning["code"], "NO_PICTURES", "{video:#}");
    assert!(warning["message"].as_str().is_some_and(|text| text.starts_with("only the sound plays: ")), "{video:#}");
}

#[test]
fn an_empty_file_is_refused_at_once() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("empty.mp4");
    std::fs::write(&path, b"").expect("written");
    let (code, _, errors) = Person::of(&server).run(&["upload", path.to_str().expect("text")]);
    assert_eq!(code, 1);
    assert!(errors.contains("empty"), "{errors}");
}

#[test]
fn hostile_and_bad_files_of_the_corpus_end() {
    let server = Server::start();
    let person = Person::of(&server);
    for folder in ["bad", "attack", "quirk"] {
        for file in clips::all_of_corpus(folder, "") {
            let (code, out, errors) =
                person.run(&["--output", "json", "upload", "--wait=all", file.to_str().expect("text")]);
            let empty = std::fs::metadata(&file).expect("a file").len() == 0;
            if empty {
                assert_eq!(code, 1, "{file:?}");
                continue;
            }
            let video: serde_json::Value =
                serde_json::from_str(out.trim()).unwrap_or_else(|e| panic!("{file:?}: {e}: {out}{errors}"));
            let state = video["state"].as_str().expect("a state");
            assert!(["VIDEO_STATE_READY", "VIDEO_STATE_FAILED"].contains(&state), "{file:?}: {video:#}");
            if state == "VIDEO_STATE_FAILED" {
                assert!(video["failure"].as_str().is_some_and(|sentence| sentence.len() > 15), "{file:?}: {video:#}");
            }
        }
    }
    assert!(!server.log().contains("panicked"), "{}", server.log());
}
