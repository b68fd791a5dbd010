//! Work that has to wait says how much is before it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use vidstream_test_servers::{self as servers, Kind, PASSWORD};
use vidstream_tests::clips;
use vidstream_tests::server::{Server, Starting};
use vidstream_tests::vidctl::{Person, id};

/// An ffmpeg that makes no tiles until the file `go` is beside it.
fn held_ffmpeg(folder: &Path) -> PathBuf {
    let program = folder.join("ffmpeg");
    let go = folder.join("go");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *scale=320:180:*) until [ -e '{}' ]; do sleep 0.05; done;; esac\nexec ffmpeg \"$@\"\n",
        go.display()
    );
    fs::write(&program, script).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("ours");
    program
}

/// RabbitMQ's client would tell it before us, in its own structures and as several errors.
#[test]
fn a_wrong_password_of_the_queue_is_said_in_our_words_alone() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let rabbit = runtime.block_on(servers::Server::start(Kind::RabbitMq));
    let url = rabbit.url().replace(PASSWORD, "another-one");
    let log = Starting::of(&["--listen", "127.0.0.1:0", "--queue", &url]).fails();
    assert!(
        log.contains("refuses the user, the password or the virtual host") && !log.contains("another-one"),
        "{log}"
    );
    assert!(!log.contains("lapin"), "{log}");
}

#[test]
fn a_storyboard_that_waits_says_how_many_are_before_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ffmpeg = held_ffmpeg(folder.path());
    let server = Server::with(&["--ffmpeg", &ffmpeg.to_string_lossy()]);
    let person = Person::of(&server);
    let clip = clips::made(
        "minute.mp4",
        "-f lavfi -i testsrc2=size=1280x720:rate=25:duration=60 -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p",
    );
    // As many storyboards as are made at once, one that waits before ours, and ours.
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let videos: Vec<_> = (0..at_once + 2).map(|_| person.upload(&clip, "--wait")).collect();
    let last = id(videos.last().expect("some"));

    let mut json =
        person.command(&["--output", "json", "watch", last]).stdout(Stdio::piped()).spawn().expect("vidctl starts");
    let mut lines = BufReader::new(json.stdout.take().expect("piped")).lines().map(|line| line.expect("text"));
    let storyboard = lines
        .by_ref()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(&line).ok())
        .find(|event| event["progress"]["stage"] == "STAGE_STORYBOARD")
        .expect("it waits for its storyboard");
    assert_eq!(storyboard["progress"]["state"], "PART_STATE_WAITING", "{storyboard:#}");
    assert_eq!(storyboard["progress"]["queuePosition"], 1, "{storyboard:#}");

    let mut table = person.command(&["watch", last]).stdout(Stdio::piped()).spawn().expect("vidctl starts");
    let mut rows = BufReader::new(table.stdout.take().expect("piped")).lines().map(|line| line.expect("text"));
    let row = rows.find(|row| row.contains("storyboard") && row.contains("before it")).expect("a row for people");
    assert!(row.ends_with("waiting, 1 before it"), "{row}");

    fs::write(folder.path().join("go"), "").expect("written");
    assert!(lines.any(|line| line.contains("PART_STATE_RUNNING")), "its turn comes");
    let end = lines.filter(|line| line.contains("STAGE_STORYBOARD")).last().expect("more of it");
    assert!(end.contains("PART_STATE_READY"), "a stage that was seen to run is seen to end: {end}");
    rows.for_each(drop);
    for mut watch in [json, table] {
        assert!(watch.wait().expect("it ends").success());
    }
    assert_eq!(person.get(last)["storyboard"]["state"], "PART_STATE_READY");
}
