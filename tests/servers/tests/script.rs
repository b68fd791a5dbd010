//! `scripts/backends` by itself: the set in the background, and what it says when something is missing.

use std::process::{Command, Output};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/backends");

/// Runs it: whether it succeeded, and all that it said.
fn backends(arguments: &[&str]) -> (bool, String) {
    said(Command::new(SCRIPT).args(arguments))
}

fn said(command: &mut Command) -> (bool, String) {
    let Output { status, stdout, stderr } = command.output().expect("it can be started");
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

/// A set of this test's own, which goes with it.
struct Set(String);

impl Set {
    fn does(&self, command: &str) -> (bool, String) {
        backends(&[command, &self.0])
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        self.does("down");
    }
}

#[test]
fn a_set_goes_up_and_down() {
    let set = Set(format!("test-{}", std::process::id()));
    assert!(!set.does("status").0);
    let (up, addresses) = set.does("up");
    assert!(up, "{addresses}");
    let names: Vec<_> = addresses.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    assert_eq!(&names[names.len() - 4..], ["MONGODB_URL", "S3_URL", "AMQP_URL", "REDIS_URL"], "{addresses}");
    let (answers, status) = set.does("status");
    assert!(
        answers && status.lines().count() == 4 && status.lines().all(|line| line.ends_with(" answers")),
        "{status}"
    );

    let addresses = set.does("env");
    assert_eq!(set.does("up"), addresses, "a second `up` changes nothing");

    let (down, text) = set.does("down");
    assert!(down, "{text}");
    assert!(!set.does("env").0);
    assert!(set.does("down").0, "a second `down` is fine");
    for line in status.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let (answers, text) = backends(&["ready", words[0], words[1]]);
        assert!(!answers, "{line} after `down`: {text}");
    }
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let empty = tempfile::tempdir().expect("a folder");
    let folder = empty.path().to_str().expect("a plain name");
    for kind in ["minio", "versitygw", "mongodb"] {
        let mut command = Command::new(SCRIPT);
        let (runs, text) = said(command.args(["run", kind, folder, "9"]).env("XDG_CACHE_HOME", folder));
        assert!(!runs && text.contains(&format!("scripts/backends setup {kind}")), "{text}");
    }
    let (runs, text) = backends(&["setup", "oracle"]);
    assert!(!runs && text.contains("there is no kind oracle: mongodb minio versitygw rabbitmq redis"), "{text}");
    let (runs, text) = backends(&["up", "../else"]);
    assert!(!runs && text.contains("not ../else"), "{text}");
    let (runs, text) = backends(&["ready", "redis", "9"]);
    assert!(!runs && text.contains("redis on port 9 does not answer: ") && text.contains("refused"), "{text}");
}
