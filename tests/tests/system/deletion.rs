//! Removal: hidden at once, restorable, then everything goes, whatever is killed in between.

use std::path::Path;
use std::time::{Duration, Instant};
use vidstream_tests::clips;
use vidstream_tests::judges::curl;
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

pub(crate) fn files(folder: &Path) -> usize {
    let Ok(entries) = folder.read_dir() else { return 0 };
    let entries = entries.map(|entry| entry.expect("an entry").path());
    // What writers of this moment need is no object.
    let entries = entries.filter(|path| !path.ends_with(".scratch"));
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

/// Asks until it holds; a minute at most.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < patience, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

const NAMES: [&str; 6] = ["master.m3u8", "manifest.mpd", "source", "storyboard.vtt", "storyboard.json", "poster.jpg"];

fn statuses(server: &Server, video: &str) -> Vec<u16> {
    NAMES.iter().map(|name| curl::get(&format!("{}/videos/{video}/{name}", server.address)).status).collect()
}

#[test]
fn a_removed_video_is_hidden_at_once_and_can_be_restored() {
    let server = Server::start();
    let person = Person::of(&server);
    let video = person.upload(&clips::clip("last.mp4"), "--wait=all");
    let video = id(&video);
    assert_eq!(statuses(&server, video), [200; 6]);
    let removed = person.json(&["rm", video]).remove(0);
    assert_eq!(removed["state"], "VIDEO_STATE_REMOVED");
    assert_eq!(statuses(&server, video), [404; 6]);
    assert!(person.json(&["list"]).is_empty());
    assert_eq!(id(&person.json(&["list", "--state", "removed"])[0]), video);
    let restored = person.json(&["restore", video]).remove(0);
    assert_eq!(restored["state"], "VIDEO_STATE_READY");
    assert_eq!(statuses(&server, video), [200; 6]);
    assert_eq!(person.json(&["list"]).len(), 1);
}

#[test]
fn everything_goes_when_its_time_has_come() {
    let flags = ["--write-deadline", "0s"];
    let server = Server::with(&flags);
    let person = Person::of(&server);
    let objects = server.data().join("objects/sources");
    let before = files(&objects);
    let video = person.upload(&clips::clip("first.mp4"), "--wait=all");
    assert!(files(&objects) > before);
    person.json(&["rm", id(&video), "--purge-after", "0s"]);
    eventually("its objects go", || files(&objects) == before);
    eventually("its row goes", || person.run(&["get", id(&video)]).0 == 3);
    assert_eq!(person.run(&["restore", id(&video)]).0, 3);
}

#[test]
fn a_kill_in_mid_deletion_is_made_good() {
    let flags = ["--write-deadline", "1s"];
    let mut server = Server::with(&flags);
    let objects = server.data().join("objects/sources");
    for _ in 0..3 {
        let person = Person::of(&server);
        let video = person.upload(&clips::clip("first.mp4"), "--wait");
        person.json(&["rm", id(&video), "--purge-after", "0s"]);
        server = server.kill_and_restart(&flags);
        let person = Person::of(&server);
        eventually("its row goes", || person.run(&["get", id(&video)]).0 == 3);
        eventually("its objects go", || files(&objects) == 0);
    }
}

#[test]
fn an_unfinished_upload_can_be_removed() {
    let server = Server::with(&["--write-deadline", "0s"]);
    let person = Person::of(&server);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = clips::noise(folder.path(), "big.bin", 40 << 20);
    let mut upload = person.command(&["upload", file.to_str().expect("text")]).spawn().expect("vidctl starts");
    eventually("it is listed", || {
        !person.json(&["list", "--state", "uploading"]).is_empty() || upload.try_wait().expect("asked").is_some()
    });
    drop(upload.kill());
    upload.wait().expect("it ends");
    let video = person.json(&["list"]).remove(0);
    person.json(&["rm", id(&video), "--purge-after", "0s"]);
    eventually("its row goes", || person.run(&["get", id(&video)]).0 == 3);
    eventually("its objects go", || files(&server.data().join("objects/sources")) == 0);
    // The way is free for the same file.
    person.json(&["upload", file.to_str().expect("text")]);
}
