//! What is said without a server: help, versions, mistakes on the command line.

use crate::binary::{Machine, Ran};

/// Nothing listens there.
const NOWHERE: &str = "http://127.0.0.1:1";
const ID: &str = "01930000-0000-7000-8000-000000000001";

async fn run(arguments: &[&str]) -> Ran {
    Machine::new(NOWHERE).run(arguments).await
}

#[tokio::test]
async fn help_is_written_with_care() {
    let mut text = run(&["--help"]).await.stdout;
    let commands = [
        "upload",
        "list",
        "get",
        "update",
        "captions",
        "captions add",
        "captions rm",
        "captions list",
        "rm",
        "restore",
        "retry",
        "download",
        "export",
        "watch",
        "play",
        "admin",
        "admin gc",
        "doctor",
        "completions",
    ];
    for command in commands {
        let words: Vec<&str> = command.split(' ').chain(["-h"]).collect();
        let ran = run(&words).await;
        assert_eq!(ran.code, 0);
        text.extend(["\n$ vidctl ", command, " -h\n", &ran.stdout]);
    }
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn the_version_goes_to_stdout() {
    let ran = run(&["--version"]).await;
    assert_eq!((ran.code, ran.stdout.trim()), (0, concat!("vidctl ", env!("CARGO_PKG_VERSION"))));
}

#[tokio::test]
async fn mistakes_end_with_2_in_words() {
    let lines: &[&[&str]] = &[
        &[],
        &["frobnicate"],
        &["get"],
        &["get", "../etc/passwd"],
        &["update", ID],
        &["update", ID, "--tag", "a", "--clear-tags"],
        &["rm", ID, "--purge-after", "soon"],
        &["rm", ID, "--purge-after", "91d"],
        &["list", "--limit", "0"],
        &["list", "--state", "lost"],
        &["upload", "a.mp4", "b.mp4", "--title", "both"],
        &["upload", "a.mp4", "--wait=never"],
        &["download", ID],
        &["--server", "ftp://example.org", "list"],
        &["admin"],
        &["captions", "add", ID, "a.srt"],
        &["completions", "tcsh-like"],
    ];
    let mut text = String::new();
    for line in lines {
        let ran = run(line).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{line:?}: {}", ran.stderr);
        let first = ran.stderr.lines().next().unwrap_or_default();
        text.extend(["$ vidctl ", &line.join(" "), "\n", first, "\n"]);
    }
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn a_wrong_server_in_the_environment_is_a_mistake_too() {
    let ran = Machine::new("ftp://example.org").run(&["list"]).await;
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("`ftp://` is not supported"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_server_that_is_not_there_ends_with_4() {
    let machine = Machine::new(NOWHERE);
    machine.file("a.mp4", 10);
    let lines: &[&[&str]] = &[
        &["list"],
        &["get", ID],
        &["update", ID, "--title", "a"],
        &["rm", ID, "not-an-id"],
        &["restore", ID],
        &["retry", ID],
        &["download", ID, "-o", "x.mp4"],
        &["watch"],
        &["watch", ID],
        &["play", ID],
        &["captions", "list", ID],
        &["captions", "rm", ID, "en"],
        &["admin", "gc", "--dry-run"],
        &["upload", "a.mp4", "missing.mp4"],
    ];
    for line in lines {
        let ran = machine.run(line).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (4, ""), "{line:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("no answer from http://127.0.0.1:1: "), "{line:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("VIDCTL_SERVER"), "{line:?}: {}", ran.stderr);
    }
}

#[tokio::test]
async fn a_server_of_another_kind_is_told_from_ours() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async { axum::serve(listener, axum::Router::new()).await });
    let ran = Machine::new(&address).run(&["list"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("is this a VidStream server"), "{}", ran.stderr);
}

#[tokio::test]
async fn completions_are_for_the_shell() {
    for (shell, sign) in [("bash", "complete -F _vidctl"), ("zsh", "#compdef vidctl"), ("fish", "complete -c vidctl")] {
        let ran = run(&["completions", shell]).await;
        assert_eq!(ran.code, 0);
        assert!(ran.stdout.contains(sign), "{shell}");
    }
}
