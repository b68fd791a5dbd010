//! Captions: added by `vidctl`, read back by curl and ffmpeg, shown by players of others at the right time.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use vidstream_tests::clips;
use vidstream_tests::judges::{browser, curl, ffmpeg, playlists};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

const SUBRIP: &str = "1\r\n00:00:01,000 --> 00:00:02,500\r\n<i>Hello</i> there\r\n\r\n\
    2\r\n00:00:05,040 --> 00:00:07,000\r\nTwo lines,\r\none & two\r\n\r\n\
    3\r\n00:00:10,000 --> 00:00:11,000\r\nThe end\r\n";

/// What players are to show of it: start, end, text.
fn expected() -> Value {
    json!([
        { "start": 1, "end": 2.5, "text": "Hello there" },
        { "start": 5.04, "end": 7, "text": "Two lines,\none & two" },
        { "start": 10, "end": 11, "text": "The end" },
    ])
}

fn written(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).expect("written");
    path
}

/// Adds a file of captions, and gives the video.
fn add(person: &Person, video: &str, file: &Path, more: &[&str]) -> Value {
    let file = file.to_str().expect("text");
    person.json(&[&["captions", "add", video, file][..], more].concat()).remove(0)
}

/// The HLS media playlist of `captions`. ffmpeg reads it alone: it does not follow the multivariant one to subtitles.
fn playlist(base: &str, captions: &Value) -> String {
    format!("{base}/captions/{}/playlist.m3u8", captions["id"].as_str().expect("an id"))
}

/// Subtitles of `input` as ffmpeg reads them, in its own WebVTT.
fn subtitles(input: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("read.vtt");
    ffmpeg::ffmpeg(&["-i", input, "-map", "0:s:0", file.to_str().expect("text")]);
    std::fs::read_to_string(file).expect("readable")
}

#[test]
fn captions_are_added_shown_replaced_and_taken_away() {
    let server = Server::start();
    let person = Person::of(&server);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let subrip = written(folder.path(), "en.srt", SUBRIP);
    let video = person.upload(&clips::clip("first.mp4"), "--wait");
    let (video, base) = (id(&video).to_owned(), format!("{}/videos/{}", server.address, id(&video)));
    let before = curl::get(&format!("{base}/master.m3u8"));

    let shown = add(&person, &video, &subrip, &["--language", "eng", "--label", "English"]);
    let first = &shown["captions"][0];
    assert_eq!((&first["language"], &first["label"], &first["cues"]), (&json!("en"), &json!("English"), &json!(3)));
    let units = "WEBVTT\n\n00:01.000 --> 00:02.000 line:0\nGrüße\n".encode_utf16().flat_map(u16::to_le_bytes);
    let german = written(folder.path(), "de.vtt", [0xff, 0xfe].into_iter().chain(units).collect::<Vec<_>>());
    let shown = add(&person, &video, &german, &["--language", "de", "--forced"]);
    assert_eq!(shown["captions"][1]["label"], "de");
    let listed = person.json(&["captions", "list", &video]);
    assert_eq!(json!(listed), shown["captions"]);
    let (_, sheet, _) = person.run(&["get", &video]);
    assert!(sheet.contains("captions      en, English, 3 cues\ncaptions      de, 1 cue, forced\n"), "{sheet}");

    let text = curl::get(&format!("{base}/captions/{}/text.vtt", first["id"].as_str().expect("an id")));
    assert_eq!((text.status, text.header("content-type")), (200, "text/vtt"));
    assert!(text.header("cache-control").contains("immutable"));
    assert!(text.text().ends_with("\n\n00:00:10.000 --> 00:00:11.000\nThe end\n"), "{}", text.text());
    let german = curl::get(&format!("{base}/captions/{}/text.vtt", listed[1]["id"].as_str().expect("an id")));
    assert!(german.text().ends_with("\n\n00:00:01.000 --> 00:00:02.000 line:0\nGrüße\n"), "{}", german.text());

    playlists::check(&base);
    let master = curl::get(&format!("{base}/master.m3u8"));
    assert_ne!(master.header("etag"), before.header("etag"));
    assert_eq!(subtitles(&playlist(&base, first)), subtitles(subrip.to_str().expect("text")));

    // Of the same language and label: in its place, and the old one is at its address no more.
    let better = written(folder.path(), "better.srt", SUBRIP.replace("Hello", "Good day"));
    let replaced = add(&person, &video, &better, &["--language", "en", "--label", "English"]);
    assert_eq!(replaced["captions"].as_array().map(Vec::len), Some(2));
    assert_ne!(replaced["captions"][0]["id"], first["id"]);
    let gone = format!("{base}/captions/{}/text.vtt", first["id"].as_str().expect("an id"));
    assert_eq!(curl::get(&gone).status, 404);
    assert!(subtitles(&playlist(&base, &replaced["captions"][0])).contains("Good day"));

    person.json(&["captions", "rm", &video, "en"]);
    let left = person.json(&["captions", "rm", &video, listed[1]["id"].as_str().expect("an id")]).remove(0);
    assert_eq!(left["captions"], json!([]));
    let again = curl::get(&format!("{base}/master.m3u8"));
    assert_eq!((again.text(), again.header("etag")), (before.text(), before.header("etag")));
    assert_eq!(person.run(&["captions", "rm", &video, "en"]).0, 3);
}

#[test]
fn what_is_no_captions_is_refused_in_words() {
    let server = Server::start();
    let person = Person::of(&server);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let video = person.upload(&clips::clip("first.mp4"), "--wait");
    let refused = |name: &str, content: &[u8], words: &str| {
        let file = written(folder.path(), name, content);
        let file = file.to_str().expect("text");
        let (code, _, errors) = person.run(&["captions", "add", id(&video), file, "--language", "en"]);
        assert_eq!(code, 1, "{errors}");
        assert!(errors.contains(words), "{errors}");
    };
    refused("x.srt", b"#EXTM3U\nfile:///etc/passwd\n", "neither WebVTT nor SubRip");
    refused("x.srt", b"1\n00:00:01,000 --> 00:00:02,000\n\xe9t\xe9\n", "not text in UTF-8");
    refused("x.srt", b"1\n00:00:02,000 --> 00:00:01,000\nx\n", "has no cue");
    refused("x.srt", b"", "must have 1 to");
    refused("x.srt", &vec![b'x'; (2 << 20) + 1], "more than 2.0 MiB");
    let (code, _, errors) = person.run(&["captions", "add", id(&video), "missing.srt", "--language", "en"]);
    assert!(code == 1 && errors.contains("missing.srt can't be read"), "{errors}");
    let (_, _, errors) = person.run(&["captions", "add", id(&video), "/dev/null", "--language", "en_US"]);
    assert!(errors.contains("language"), "{errors}");
    // What somebody means for a page is text to it.
    let file = written(folder.path(), "x.vtt", "WEBVTT\n\n0:01.000 --> 0:02.000\n<img src=x onerror=alert(1)>a<b\n");
    add(&person, id(&video), &file, &["--language", "en", "--label", "\"><script>"]);
    playlists::check(&format!("{}/videos/{}", server.address, id(&video)));
}

/// Captions are there after a kill, and what was removed with its video leaves nothing.
#[test]
fn captions_live_as_long_as_their_video() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let subrip = written(folder.path(), "en.srt", SUBRIP);
    let video = Person::of(&server).upload(&clips::clip("first.mp4"), "--wait");
    let shown = add(&Person::of(&server), id(&video), &subrip, &["--language", "en"]);
    let server = server.kill_and_restart(&[]);
    let person = Person::of(&server);
    assert_eq!(person.get(id(&video))["captions"], shown["captions"]);
    let captions = shown["captions"][0]["id"].as_str().expect("an id");
    let address = format!("{}/videos/{}/captions/{captions}/text.vtt", server.address, id(&video));
    assert_eq!(curl::get(&address).status, 200);
    assert_eq!(objects(&server, captions), 1);
    person.json(&["rm", id(&video), "--purge-after", "0s"]);
    assert_eq!(curl::get(&address).status, 404);
}

/// How many files below the server's data have `name` in theirs.
fn objects(server: &Server, name: &str) -> usize {
    let found =
        Command::new("find").arg(server.data()).args(["-name", &format!("*{name}*")]).output().expect("find runs");
    String::from_utf8(found.stdout).expect("text").lines().count()
}

/// Plays with `player` and judges what it says that it shows.
fn assert_shown(browser: &str, players: &[&str]) {
    let server = Server::with(&["--encode", "none"]);
    let person = Person::of(&server);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let subrip = written(folder.path(), "en.srt", SUBRIP);
    // With pictures out of order and an edit, and sound that starts before the pictures do.
    let bases = ["several.mp4", "video-late-1.mp4"].map(|clip| {
        let video = person.upload(&clips::clip(clip), "--wait");
        add(&person, id(&video), &subrip, &["--language", "en", "--label", "English"]);
        format!("{}/videos/{}", server.address, id(&video))
    });
    let runs: Vec<_> = players.iter().flat_map(|player| bases.iter().map(move |base| (player, base))).collect();
    let at = json!([6.0, 1.5, 8.0, 10.5]);
    let input: Vec<_> = runs
        .iter()
        .map(|(player, base)| json!({ "call": "captions", "player": player, "base": base, "at": at }))
        .collect();
    let told = browser::run("players", &json!({ "browser": browser, "runs": input }));
    for ((player, base), told) in runs.iter().zip(told["results"].as_array().expect("results")) {
        assert_eq!(told["errors"], json!([]), "{player} on {base}: {told:#}");
        assert_eq!(told["languages"], json!(["en"]), "{player}: {told:#}");
        assert_eq!(told["cues"], expected(), "{player}: {told:#}");
        let shown = json!([["Two lines,\none & two"], ["Hello there"], [], ["The end"]]);
        assert_eq!(told["shown"], shown, "{player}: {told:#}");
    }
    assert_eq!(told["problems"], json!([]), "the console is clean");
}

#[test]
fn hls_js_shows_captions_in_chromium() {
    assert_shown("chromium", &["hls.js"]);
}

#[test]
fn shaka_player_shows_captions_of_hls_and_dash() {
    assert_shown("chromium", &["shaka-player HLS", "shaka-player DASH"]);
}

#[test]
fn dash_js_shows_captions() {
    assert_shown("chromium", &["dash.js"]);
}
