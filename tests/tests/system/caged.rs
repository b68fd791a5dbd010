//! What ffmpeg is caged in: found out at the start, said in the log and by `/readyz`, and refused where there is nothing.
//!
//! Machines that lack a layer are made by a filter of system calls on the thread that starts the server: to it they look as
//! such machines do.

use libc::c_long;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use vidstream_tests::clips;
use vidstream_tests::judges::curl;
use vidstream_tests::processes::with_last_argument;
use vidstream_tests::server::{Server, binary};
use vidstream_tests::vidctl::{Person, id};

/// Does `work` on a machine whose kernel does not know these system calls.
fn without<T: Send>(calls: &[c_long], work: impl FnOnce() -> T + Send) -> T {
    let rules: BTreeMap<_, _> = calls.iter().map(|call| (*call, Vec::new())).collect();
    let machine = std::env::consts::ARCH.try_into().expect("a machine that has filters");
    let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, unknown, machine).expect("a filter");
    let program: BpfProgram = filter.try_into().expect("a program");
    let work = move || {
        seccompiler::apply_filter(&program).expect("it is put on");
        work()
    };
    thread::scope(|scope| scope.spawn(work).join().expect("it does not panic"))
}

const LANDLOCK: c_long = libc::SYS_landlock_create_ruleset;
const SECCOMP: c_long = libc::SYS_seccomp;

/// What `/readyz` says of ffmpeg.
fn readiness(server: &Server) -> Value {
    let answer = curl::get(&format!("{}/readyz", server.address));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let said: Value = serde_json::from_str(answer.text()).expect("JSON");
    assert_eq!(said["ready"], true, "{said}");
    said["ffmpeg"].clone()
}

/// The line of the log about ffmpeg.
fn line(server: &Server) -> String {
    let log = server.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("ffmpeg found")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    lines[0].to_owned()
}

/// Starts a server that must refuse to, and gives what it says.
fn refused(flags: &[&str], path: Option<&TempDir>) -> String {
    let data = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(binary("vidstream"));
    command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(data.path().join("data")).args(flags);
    if let Some(path) = path {
        command.env("PATH", path.path());
    }
    let Output { status, stdout, stderr } = command.output().expect("vidstream runs");
    let errors = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(2), "as any other mistake in the settings: {errors}");
    assert!(stdout.is_empty(), "it said that it is ready");
    errors
}

fn makes_pictures(server: &Server) {
    let video = Person::of(server).upload(&clips::clip("first.mp4"), "--wait=all");
    for part in ["storyboard", "poster"] {
        assert_eq!(video[part]["state"], "PART_STATE_READY", "{video:#}");
    }
}

#[test]
fn what_holds_is_said() {
    let server = Server::start();
    let said = readiness(&server);
    assert!(said["landlock"].as_u64().is_some_and(|abi| abi >= 1), "{said}");
    let flags = ["caged", "seccomp", "leashed", "bubblewrap"].map(|flag| said[flag].as_bool());
    assert_eq!(flags, [Some(true), Some(true), Some(true), Some(false)], "{said}");
    assert!(said["version"].as_str().is_some_and(|version| !version.is_empty()), "{said}");
    let line = line(&server);
    assert!(line.contains(&format!("landlock {}, seccomp", said["landlock"])), "{line}");
    let doctor = Person::of(&server).run(&["doctor"]).1;
    assert!(doctor.contains(&format!("its cage: landlock {}, seccomp", said["landlock"])), "{doctor}");
}

#[test]
fn one_layer_is_enough_and_is_told() {
    let server = without(&[SECCOMP], Server::start);
    let said = readiness(&server);
    assert_eq!((&said["caged"], &said["seccomp"]), (&Value::Bool(true), &Value::Bool(false)), "{said}");
    makes_pictures(&server);

    let server = without(&[LANDLOCK], Server::start);
    let said = readiness(&server);
    assert_eq!((&said["caged"], &said["landlock"]), (&Value::Bool(true), &Value::Null), "{said}");
    assert!(server.log().contains("this kernel has no Landlock"), "{}", server.log());
    makes_pictures(&server);
}

#[test]
fn without_a_layer_it_runs_only_where_that_is_meant() {
    let words = without(&[LANDLOCK, SECCOMP], || refused(&[], None));
    assert!(words.contains("neither Landlock") && words.contains("--insecure-ffmpeg"), "{words}");
    let server = without(&[LANDLOCK, SECCOMP], || Server::with(&["--insecure-ffmpeg"]));
    assert_eq!(readiness(&server)["caged"], false);
    assert!(line(&server).contains("none"));
    assert!(server.log().contains("ffmpeg runs without a cage"), "{}", server.log());
    makes_pictures(&server);
    let doctor = Person::of(&server).run(&["doctor"]).1;
    assert!(doctor.contains("its cage: none"), "{doctor}");
    // Whoever runs none needs no cage.
    let gateway = ["--roles", "gateway", "--objects", "file:/tmp", "--to-catalog", "127.0.0.1:1"];
    let gateway = [&gateway[..], &["--to-transcoder", "127.0.0.1:1", "--listen", "127.0.0.1:0"]].concat();
    let gateway = without(&[LANDLOCK, SECCOMP], || vidstream_tests::server::Starting::of(&gateway));
    drop(gateway);
}

#[test]
fn bubblewrap_is_taken_where_it_is_asked_for() {
    let server = Server::with(&["--ffmpeg-cage", "bubblewrap"]);
    let said = readiness(&server);
    assert_eq!((&said["bubblewrap"], &said["landlock"]), (&Value::Bool(true), &Value::Null), "{said}");
    makes_pictures(&server);
    let path = tempfile::tempdir().expect("a temporary folder");
    for name in ["ffmpeg", "setpriv"] {
        symlink(format!("/usr/bin/{name}"), path.path().join(name)).expect("a link");
    }
    let words = refused(&["--ffmpeg-cage", "bubblewrap"], Some(&path));
    assert!(words.contains("bubblewrap (bwrap) does not work here"), "{words}");
}

/// An ffmpeg that does nothing at all, and is known by a number.
fn stuck(folder: &TempDir, number: &str) -> String {
    let path = folder.path().join("ffmpeg");
    let script = format!("#!/bin/sh\ncase \"$*\" in *-version*) exec ffmpeg -version;; esac\nexec sleep {number}\n");
    std::fs::write(&path, script).expect("written");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("allowed");
    path.to_str().expect("text").to_owned()
}

fn until(what: impl Fn() -> bool) {
    while !what() {
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_server_that_is_killed_leaves_no_ffmpeg() {
    for (cage, number) in [("kernel", "86311.5"), ("bubblewrap", "86312.5")] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = Server::with(&["--ffmpeg", &stuck(&folder, number), "--ffmpeg-cage", cage]);
        Person::of(&server).upload(&clips::clip("first.mp4"), "--wait");
        until(|| with_last_argument(number) > 0);
        drop(server);
        until(|| with_last_argument(number) == 0);
    }
}

#[test]
fn a_video_that_is_removed_leaves_no_ffmpeg() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let number = "86313.5";
    let server = Server::with(&["--ffmpeg", &stuck(&folder, number), "--purge-after", "0s"]);
    let person = Person::of(&server);
    let video = person.upload(&clips::clip("first.mp4"), "--wait");
    until(|| with_last_argument(number) > 0);
    person.run(&["rm", id(&video)]);
    until(|| with_last_argument(number) == 0);
}
