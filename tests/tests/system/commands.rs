//! The commands of `vidctl` against a real server.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use vidstream_tests::clips;
use vidstream_tests::judges::curl;
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

const NOBODY: &str = "01890000-0000-7000-8000-000000000000";

#[test]
fn videos_are_listed_found_and_changed() {
    let server = Server::start();
    let person = Person::of(&server);
    let clip = clips::clip("first.mp4");
    let clip = clip.to_str().expect("text");
    for title in ["Blue Sea", "Çelik Örs", "alpha"] {
        person.json(&["upload", "--title", title, "--wait", clip]);
    }
    let titles = |arguments: &[&str]| -> Vec<String> {
        let videos = person.json(&[&["list"], arguments].concat());
        videos.iter().map(|video| video["title"].as_str().expect("a title").to_owned()).collect()
    };
    assert_eq!(titles(&[]), ["alpha", "Çelik Örs", "Blue Sea"]);
    assert_eq!(titles(&["--order", "title"]), ["alpha", "Blue Sea", "Çelik Örs"]);
    assert_eq!(titles(&["--limit", "1"]), ["alpha"]);
    assert_eq!(titles(&["--search", "se"]), ["Blue Sea"]);
    assert_eq!(titles(&["--search", "sea blu"]), ["Blue Sea"]);
    assert_eq!(titles(&["--search", "ea"]), Vec::<String>::new());
    assert_eq!(titles(&["--state", "ready"]).len(), 3);
    assert_eq!(titles(&["--state", "failed"]).len(), 0);

    let video = person.json(&["list", "--search", "alpha"]).remove(0);
    let revision = video["revision"].as_str().expect("a revision").to_owned();
    let changed = person.json(&[
        "update",
        id(&video),
        "--title",
        "Beta",
        "--tag",
        "x",
        "--tag",
        "deep sea",
        "--description",
        "words",
    ]);
    assert_eq!(changed[0]["tags"], serde_json::json!(["x", "deep sea"]));
    assert_eq!(titles(&["--search", "dee"]), ["Beta"]);
    let (code, _, errors) = person.run(&["update", id(&video), "--title", "Gamma", "--if-revision", &revision]);
    assert_eq!(code, 1, "{errors}");
    assert_eq!(person.get(id(&video))["title"], "Beta");
    assert_eq!(person.json(&["update", id(&video), "--clear-tags"])[0]["tags"], serde_json::json!([]));
    let (code, table, _) = person.run(&["list"]);
    assert_eq!(code, 0);
    assert!(table.contains("Blue Sea") && !table.contains('\u{1b}'), "{table}");
}

#[test]
fn the_highest_exit_code_that_occurred_is_given() {
    let server = Server::start();
    let person = Person::of(&server);
    let video = person.upload(&clips::clip("first.mp4"), "--wait");
    assert_eq!(person.run(&["get", NOBODY]).0, 3);
    assert_eq!(person.run(&["get", "no-id"]).0, 2);
    assert_eq!(person.run(&["frobnicate"]).0, 2);
    let (code, out, _) = person.run(&["--output", "json", "rm", NOBODY, id(&video)]);
    assert_eq!(code, 3);
    assert!(out.contains("VIDEO_STATE_REMOVED"), "the other one was still removed: {out}");
    assert_eq!(person.run(&["upload", "/does/not/exist.mp4"]).0, 3);
    let nowhere = person.run(&["--server", "http://127.0.0.1:9", "list"]);
    assert_eq!(nowhere.0, 4, "{}", nowhere.2);
}

#[test]
fn an_original_is_downloaded_and_resumed() {
    let server = Server::start();
    let person = Person::of(&server);
    let clip = clips::clip("last.mp4");
    let video = person.upload(&clip, "--wait");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("copy.mp4");
    let expected = std::fs::read(&clip).expect("readable");
    std::fs::write(folder.path().join("copy.mp4.part"), &expected[..50_000]).expect("written");
    let (code, _, errors) = person.run(&["download", id(&video), "-o", out.to_str().expect("text")]);
    assert_eq!(code, 0, "{errors}");
    assert!(std::fs::read(&out).expect("readable") == expected);
}

#[test]
fn watching_all_shows_what_happens() {
    let server = Server::start();
    let person = Person::of(&server);
    let mut watch =
        person.command(&["--output", "json", "watch"]).stdout(Stdio::piped()).spawn().expect("vidctl starts");
    let mut lines = BufReader::new(watch.stdout.take().expect("piped")).lines();
    let video = person.upload(&clips::clip("first.mp4"), "--wait");
    let shown = lines
        .find(|line| line.as_ref().is_ok_and(|line| line.contains(id(&video)) && line.contains("VIDEO_STATE_READY")));
    assert!(shown.is_some());
    drop(watch.kill());
    watch.wait().expect("it ends");
}

#[test]
fn progress_never_falls_within_a_stage() {
    let server = Server::start();
    let person = Person::of(&server);
    let clip = clips::made(
        "minute.mp4",
        "-f lavfi -i testsrc2=size=1280x720:rate=25:duration=60 -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p",
    );
    // Watched from before it begins: a storyboard is made sooner than another command starts.
    let mut watch =
        person.command(&["--output", "json", "watch"]).stdout(Stdio::piped()).spawn().expect("vidctl starts");
    let mut lines = BufReader::new(watch.stdout.take().expect("piped")).lines();
    let before = person.upload(&clips::clip("first.mp4"), "--wait=all");
    assert!(lines.any(|line| line.is_ok_and(|line| line.contains(id(&before)))), "it watches");
    let video = person.upload(&clip, "--wait=all");
    drop(watch.kill());
    watch.wait().expect("it ends");
    let events = lines.map_while(Result::ok).filter_map(|line| serde_json::from_str::<serde_json::Value>(&line).ok());
    let events: Vec<_> = events.filter(|event| event["progress"]["videoId"] == video["id"]).collect();
    let mut highest = std::collections::HashMap::<String, f64>::new();
    let mut stages = std::collections::HashSet::new();
    for progress in events.iter().filter_map(|event| event.get("progress")) {
        let stage = progress["stage"].as_str().expect("a stage").to_owned();
        stages.insert(stage.clone());
        let percent = progress["percent"].as_f64().expect("a number");
        assert!((0.0..=100.0).contains(&percent));
        let highest = highest.entry(stage).or_default();
        assert!(percent >= *highest, "{events:#?}");
        *highest = percent;
    }
    assert!(stages.contains("STAGE_STORYBOARD"), "{stages:?}");
    assert_eq!(person.get(id(&video))["storyboard"]["state"], "PART_STATE_READY");
}

#[test]
fn a_changed_file_is_not_mixed_with_what_was_sent() {
    let server = Server::start();
    let person = Person::of(&server);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = clips::noise(folder.path(), "file.bin", 200 << 20);
    let path = file.to_str().expect("text");
    let mut upload = person.command(&["upload", path]).stderr(Stdio::piped()).spawn().expect("vidctl starts");
    let mut lines = BufReader::new(upload.stderr.take().expect("piped")).lines();
    let under_way = lines.any(|line| line.is_ok_and(|line| line.contains(" 10 %") || line.contains(" 20 %")));
    assert!(under_way, "it says how far it is");
    drop(upload.kill());
    upload.wait().expect("it ends");
    let video = person.json(&["list"]).remove(0);
    assert_eq!(video["state"], "VIDEO_STATE_UPLOADING");
    let mut bytes = std::fs::read(&file).expect("readable");
    bytes[100] ^= 1;
    std::fs::write(&file, &bytes).expect("written");
    let (code, _, errors) = person.run(&["upload", path]);
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains(&format!("rm {}", id(&video))), "{errors}");
    person.json(&["rm", id(&video)]);
    person.json(&["upload", path]);
}

#[test]
fn play_prints_the_address_and_completions_complete() {
    let server = Server::start();
    let person = Person::of(&server);
    let video = person.upload(&clips::clip("first.mp4"), "--wait");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = person.command(&["play", id(&video)]).env("PATH", folder.path()).output().expect("vidctl runs");
    let address = String::from_utf8(out.stdout).expect("text");
    assert_eq!(curl::get(address.trim()).status, 200, "{address}");
    let (code, script, _) = person.run(&["completions", "bash"]);
    assert_eq!(code, 0);
    assert!(script.contains("vidctl"));
}

/// Whether a decoder is killed or gives up without a word about the file, it is not the file's fault: the parts fail, and
/// can be run again.
#[test]
fn failed_parts_can_be_run_again() {
    for end in ["kill -9 $$", "exit 1", "echo 'Cannot allocate memory' >&2; exit 1"] {
        failed_parts_run_again_after(end);
    }
}

fn failed_parts_run_again_after(end: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // An ffmpeg that says its version, and ends like this whenever it should work.
    let broken = folder.path().join("ffmpeg");
    let script = format!("#!/bin/sh\ncase \"$*\" in *-version*) exec ffmpeg -version;; esac\n{end}\n");
    std::fs::write(&broken, script).expect("written");
    std::fs::set_permissions(&broken, std::fs::Permissions::from_mode(0o755)).expect("allowed");
    let server = Server::with(&["--ffmpeg", broken.to_str().expect("text")]);
    let person = Person::of(&server);
    let clip = clips::clip("first.mp4");
    let (code, out, errors) = person.run(&["--output", "json", "upload", "--wait=all", clip.to_str().expect("text")]);
    assert_eq!(code, 1, "previews failed after {end}: {out}{errors}");
    let video: serde_json::Value = serde_json::from_str(out.trim()).expect("a video");
    assert_eq!(video["state"], "VIDEO_STATE_READY", "it plays all the same: {video:#}");
    assert_eq!(video["storyboard"]["state"], "PART_STATE_FAILED", "{video:#}");
    assert!(video["storyboard"]["reason"].as_str().is_some_and(|reason| !reason.is_empty()));

    let server = server.kill_and_restart(&[]);
    let person = Person::of(&server);
    let again = person.json(&["retry", id(&video)]).remove(0);
    assert_ne!(again["storyboard"]["state"], "PART_STATE_FAILED", "{again:#}");
    person.json(&["watch", id(&video)]);
    let mended = person.get(id(&video));
    for part in ["storyboard", "poster"] {
        assert_eq!(mended[part]["state"], "PART_STATE_READY", "{mended:#}");
    }
    assert_eq!(curl::get(&format!("{}/videos/{}/storyboard.vtt", server.address, id(&video))).status, 200);
}
