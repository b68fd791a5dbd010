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
        // hls.js says that it stalls also where a busy machine decodes slower than time goes; what is missing is a gap, below.
        let mut errors = played["errors"].as_array().expect("errors").clone();
        errors.retain(|error| error != "bufferStalledError");
        assert!(errors.is_empty(), "{file:?}: {played:#}");
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
    let files = clips::all_of_corpus("good", ".mp4");
    if !files.is_empty() {
        assert_plays(&Server::start(), &files);
    }
}

#[test]
fn the_page_says_where_a_video_plays_if_not_here() {
    let server = Server::with(&["--encode", "none"]);
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

#[test]
fn playing_counts_a_view_and_seeking_pausing_and_looping_do_not() {
    let server = Server::start();
    let person = Person::of(&server);
    let file = clips::made("watched.mp4", "-f lavfi -i testsrc2=size=320x180:rate=25:duration=24 H");
    let video = person.upload(&file, "--wait=all");
    assert_eq!(video["views"], "0");
    // A view is 3.6 s of it.
    let input = json!({ "address": server.address, "id": id(&video), "less": 1.0, "times": 5, "enough": 4.2 });
    let seen = browser::run("views", &input);
    assert_eq!(seen["problems"], json!([]), "{seen:#}");
    assert_eq!(seen["repeated"], json!([200, 200, 200, 200, 200]), "{seen:#}");
    assert!(seen["reports"].as_u64() > Some(1), "{seen:#}");
    let after = person.get(id(&video));
    assert_eq!((&after["views"], &after["revision"]), (&json!("3"), &video["revision"]));
    assert_eq!(person.json(&["list"])[0]["views"], "3");
    let (_, sheet, _) = person.run(&["get", id(&video)]);
    assert!(sheet.contains("views         3"), "{sheet}");
    // What was counted is there after a power cut.
    let server = server.kill_and_restart(&[]);
    assert_eq!(Person::of(&server).get(id(&video))["views"], "3");
}

#[test]
fn a_player_of_another_site_plays_and_its_page_can_do_nothing_else() {
    let server = Server::start();
    let person = Person::of(&server);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let named = folder.path().join("Grüße aus \"Rom\" 50%.mp4");
    std::fs::copy(clips::clip("last.mp4"), &named).expect("copied");
    let size = std::fs::metadata(&named).expect("copied").len();
    let video = person.upload(&named, "--wait");
    let page = folder.path().join("page.mp4");
    std::fs::write(&page, "<!doctype html><title>broken in</title><script>document.title = 'ran'</script>")
        .expect("written");
    person.run(&["upload", "--wait", page.to_str().expect("text")]);
    let listed = person.json(&["list"]);
    let pretender = listed.iter().find(|video| video["fileName"] == "page.mp4").expect("it is listed");
    let input = json!({ "address": server.address, "id": id(&video), "pretender": id(pretender) });
    let seen = browser::run("elsewhere", &input);
    assert_eq!(seen["played"], json!({ "errors": [], "width": 320 }), "{seen:#}");
    let reading = &seen["reading"];
    assert_eq!((&reading["whole"], &reading["part"]), (&json!(200), &json!(206)), "{seen:#}");
    assert_eq!(reading["seen"][0], format!("bytes 5-14/{size}"), "{seen:#}");
    assert_eq!(reading["seen"][1], "10", "{seen:#}");
    assert!(reading["seen"][2].as_str().is_some_and(|tag| tag.starts_with('"')), "{seen:#}");
    for refused in ["credentials", "list", "health"] {
        assert_eq!(reading[refused], "refused", "{refused}: {seen:#}");
    }
    assert_eq!(seen["rebound"], 421, "{seen:#}");
    // Chromium puts its own character where file systems take none.
    let name = seen["name"].as_str().expect("a name");
    assert!(name.starts_with("Grüße aus ") && name.ends_with(" 50%.mp4") && name.contains("Rom"), "{seen:#}");
    assert_eq!(seen["pretender"], "saved", "a page that was uploaded is no page: {seen:#}");
    assert_eq!(seen["title"].as_str().map(|title| title.contains("ran")), Some(false), "{seen:#}");
}
