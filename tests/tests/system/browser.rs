//! The web page in headless Chromium.

use serde_json::{Value, json};
use std::path::PathBuf;
use vidstream_tests::clips;
use vidstream_tests::judges::{browser, curl};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

fn assert_plays(server: &Server, files: &[PathBuf]) {
    let person = Person::of(server);
    let ids: Vec<String> = files.iter().map(|file| id(&person.upload(file, "--wait=all")).to_owned()).collect();
    let seen = browser::run("play", &json!({ "address": server.address, "ids": ids }));
    for (video, file) in ids.iter().zip(files) {
        let played = &seen["results"][video];
        assert!(played["advanced"].as_f64() >= Some(0.5), "{file:?}: {played:#}");
        assert_eq!(played["landed"], json!([true, true, true, true, true]), "{file:?}: {played:#}");
        assert_eq!(played["errors"], json!([]), "{file:?}: {played:#}");
        let ranges = played["ranges"].as_array().expect("ranges");
        assert_eq!(ranges.len(), 1, "{file:?} has a gap: {played:#}");
        assert!(played["frames"].as_u64() > Some(5), "{file:?}: {played:#}");
    }
    assert_eq!(seen["problems"], json!([]), "the console is clean");
}

#[test]
fn made_clips_play() {
    let server = Server::start();
    let mut files: Vec<PathBuf> =
        clips::KINDS.iter().filter(|kind| kind.in_chromium).map(|kind| clips::clip(kind.name)).collect();
    files.push(clips::rotated());
    assert_plays(&server, &files);
}

#[test]
fn good_files_of_the_corpus_play() {
    let mut files = clips::all_of_corpus("good", ".mp4");
    files.retain(|file| !file.ends_with("flower-fragmented.mp4"));
    if !files.is_empty() {
        assert_plays(&Server::start(), &files);
    }
}

#[test]
fn the_page_says_where_a_video_plays_if_not_here() {
    let server = Server::start();
    let video = Person::of(&server).upload(&clips::clip("hevc.mp4"), "--wait=all");
    assert_eq!(video["state"], "VIDEO_STATE_READY");
    let warnings = video["warnings"].as_array().expect("warnings");
    assert!(!warnings.is_empty(), "{video:#}");
    let seen = browser::run("unplayable", &json!({ "address": server.address, "id": id(&video) }));
    let text = seen["text"].as_str().expect("text");
    assert!(text.contains("can't decode"), "{text}");
    assert!(text.contains(warnings[0]["message"].as_str().expect("a sentence")), "{text}");
}

#[test]
fn a_person_uploads_watches_scrubs_and_deletes() {
    let server = Server::start();
    let file = clips::clip("last.mp4");
    let screenshot = std::env::var("SCREENSHOT").unwrap_or_default();
    let seen: Value =
        browser::run("library", &json!({ "address": server.address, "file": file, "screenshot": screenshot }));
    assert_eq!(seen["problems"], json!([]), "{seen:#}");
    assert!(seen["poster"].as_u64() > Some(0), "{seen:#}");
    assert!(seen["preview"]["src"].as_str().is_some_and(|src| src.contains("/storyboard/")), "{seen:#}");
    let video = seen["id"].as_str().expect("an id");
    assert_eq!(curl::get(&format!("{}/videos/{video}/master.m3u8", server.address)).status, 404);
    let listed = Person::of(&server).json(&["list", "--state", "removed"]);
    assert_eq!(listed.len(), 1);
    assert_eq!(id(&listed[0]), video);
}
