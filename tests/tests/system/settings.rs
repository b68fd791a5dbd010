//! What `vidstream` says of settings it can't work with, and how it starts and stops.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use vidstream_tests::clips;
use vidstream_tests::judges::curl;
use vidstream_tests::processes;
use vidstream_tests::server::{Server, Starting, binary, signal};
use vidstream_tests::vidctl::{Person, id};

#[test]
fn all_mistakes_are_said_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, "speed = 9\n").expect("written");
    let out = Command::new(binary("vidstream"))
        .args([
            "--listen",
            "0.0.0.0:0",
            "--roles",
            "gateway,transcoder",
            "--objects",
            "ftp://bucket",
            "--ffmpeg",
            "no-such-ffmpeg",
            "--speling",
            "x",
            "--config",
        ])
        .arg(&file)
        .env("VIDSTREAM_NONSENSE", "1")
        .env("VIDSTREAM_MESH_LISTEN", "192.0.2.1:1")
        .output()
        .expect("vidstream runs");
    assert_eq!(out.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&out.stderr);
    for part in
        ["speed", "--speling", "insecure-public", "roles", "ftp", "no-such-ffmpeg", "VIDSTREAM_NONSENSE", "192.0.2.1:1"]
    {
        assert!(errors.contains(part), "{part} in {errors}");
    }
    assert!(out.stdout.is_empty());
}

/// Whoever starts on SQLite frees all leases, which are its former self's.
#[test]
fn a_catalog_on_sqlite_has_one_process() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let catalog = format!("sqlite:{}", folder.path().join("catalog.db").display());
    let first = Server::with(&["--catalog", &catalog]);
    let said = Starting::of(&["--listen", "127.0.0.1:0", "--catalog", &catalog]).fails();
    assert!(said.contains("is in use by another vidstream") && said.contains("--to-catalog"), "{said}");
    assert!(Person::of(&first).json(&["list"]).is_empty());
    // However it ends.
    drop(first);
    assert!(Server::with(&["--catalog", &catalog]).stop().success());
}

/// Before the server says that it is ready, and as any other mistake in the settings.
#[test]
fn an_ffmpeg_that_can_not_be_used_is_refused_in_words() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let old = folder.path().join("old");
    std::fs::write(&old, "#!/bin/sh\necho ffmpeg version 4.4.2-0ubuntu0 by nobody\n").expect("written");
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o755)).expect("allowed");
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "x").expect("written");
    for (ffmpeg, words) in [
        (Path::new("true"), "true does not answer as ffmpeg does"),
        (&old, "is ffmpeg 4.4.2-0ubuntu0; 5.1 or newer is needed"),
        (&plain, "is not executable"),
        (folder.path(), "there is no file"),
    ] {
        let mut command = Command::new(binary("vidstream"));
        command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path().join("data"));
        let out = command.arg("--ffmpeg").arg(ffmpeg).output().expect("vidstream runs");
        let errors = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{errors}");
        assert!(errors.contains(words), "{errors}");
        assert!(out.stdout.is_empty(), "it said that it is ready");
    }
}

#[test]
fn it_can_be_stopped_while_ffmpeg_is_asked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // In its cage it leaves no trace but itself: it is known by what it sleeps.
    let (silent, number) = (folder.path().join("silent"), "86310.5");
    std::fs::write(&silent, format!("#!/bin/sh\nexec sleep {number}\n")).expect("written");
    std::fs::set_permissions(&silent, std::fs::Permissions::from_mode(0o755)).expect("allowed");
    let mut command = Command::new(binary("vidstream"));
    command
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path().join("data"))
        .arg("--ffmpeg")
        .arg(&silent);
    let mut server = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("vidstream starts");
    let began = Instant::now();
    while processes::with_last_argument(number) == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "it asks");
        std::thread::sleep(Duration::from_millis(5));
    }
    let began = Instant::now();
    signal(server.id(), "TERM");
    assert!(server.wait().expect("it ends").success());
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn it_stops_soon_and_in_order() {
    let server = Server::start();
    let began = Instant::now();
    let status = server.stop();
    assert!(status.success(), "{status}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// Puts a pipe that nobody writes to in the place of every file below `folder`: who opens one waits for ever.
fn hang(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        let path = entry.path();
        if path.is_dir() {
            hang(&path);
        } else {
            std::fs::remove_file(&path).expect("removed");
            assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo runs").success());
        }
    }
}

#[test]
fn told_twice_it_ends_though_a_disk_hangs() {
    let mut server = Server::start();
    let video = Person::of(&server).upload(&clips::clip("first.mp4"), "--wait=all");
    hang(&server.data().join("objects"));
    let source = format!("{}/videos/{}/source", server.address, id(&video));
    let mut reader = Command::new("curl").args(["-s", "-o", "/dev/null", &source]).spawn().expect("curl runs");
    let reads = r#"vidstream_http_in_flight{route="/videos/{id}/source"} 1"#;
    while !curl::get(&format!("{}/metrics", server.address)).text().contains(reads) {
        std::thread::yield_now();
    }
    signal(server.id(), "TERM");
    while !server.log().contains("stopping") {
        std::thread::yield_now();
    }
    signal(server.id(), "TERM");
    let ended = server.wait(Duration::from_secs(30));
    reader.kill().expect("it can be ended");
    reader.wait().expect("it ends");
    assert!(ended.expect("it ends").success());
}

#[test]
fn addresses_begin_with_the_public_one() {
    let server = Server::with(&["--public-url", "https://videos.example.org/"]);
    let person = Person::of(&server);
    let video = person.upload(&clips::clip("first.mp4"), "--wait");
    let nothing = tempfile::tempdir().expect("a temporary folder");
    let out = person.command(&["play", id(&video)]).env("PATH", nothing.path()).output().expect("vidctl runs");
    let address = String::from_utf8(out.stdout).expect("text");
    assert_eq!(address.trim(), format!("https://videos.example.org/videos/{}/master.m3u8", id(&video)));
}

#[test]
fn settings_come_from_a_file_too() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, "log-format = \"json\"\n").expect("written");
    let server = Server::with(&["--config", file.to_str().expect("text")]);
    let id = server.id();
    vidstream_tests::server::signal(id, "TERM");
    let log = loop {
        let log = server.log();
        if log.contains("stopping") {
            break log;
        }
        std::thread::yield_now();
    };
    assert!(log.lines().all(|line| line.starts_with('{')), "{log}");
}
