//! Pictures that are encoded in spans: they play before they are all there, what somebody waits for comes first, and what is there
//! stays whoever dies.

use crate::deletion::eventually;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vidstream_tests::clips;
use vidstream_tests::judges::{curl, ffmpeg};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

const SECONDS: usize = 56;
const RATE: usize = 10;
/// Four seconds each.
const SEGMENTS: usize = 14;

/// Pictures of a coding that is not packaged, so nothing of them plays before it is encoded; keyframes every four seconds.
fn film() -> PathBuf {
    let picture = format!("testsrc2=size=320x180:rate={RATE}:duration={SECONDS}");
    let sound = format!("sine=frequency=440:duration={SECONDS}");
    clips::made("spans.mp4", &format!("-f lavfi -i {picture} -f lavfi -i {sound} -c:v mpeg4 -g 40 -bf 0 -c:a aac"))
}

/// ffmpeg that begins late, so that each span takes a while, however fast the machine is.
fn slow(folder: &Path, seconds: f64) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = std::env::var_os("PATH").expect("a path");
    let real = std::env::split_paths(&path).map(|folder| folder.join("ffmpeg")).find(|path| path.is_file());
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *libx264*) /bin/sleep {seconds};; esac\nexec {} \"$@\"\n",
        real.expect("ffmpeg").display()
    );
    let program = folder.join("ffmpeg");
    std::fs::write(&program, script).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("allowed");
    program.to_str().expect("text").to_owned()
}

/// The address of the folder of the encoded pictures, once they are offered.
fn offered(server: &Server, video: &str) -> String {
    let mut found = None;
    eventually("the first segment is there", || {
        let master = curl::get(&format!("{}/videos/{video}/master.m3u8", server.address));
        let text = master.text().to_owned();
        found = text.lines().find(|line| line.ends_with("v1/playlist.m3u8")).map(str::to_owned);
        found.is_some()
    });
    let playlist = found.expect("seen");
    format!("{}/videos/{video}/{}", server.address, playlist.trim_end_matches("playlist.m3u8"))
}

/// The segments that are there, in the order in which they came.
fn there(server: &Server) -> Vec<u32> {
    let objects = server.data().join("objects/sources");
    let mut found = Vec::new();
    let mut folders = vec![objects];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if let Some(number) = name.strip_prefix("v1-").and_then(|name| name.strip_suffix(".m4s")) {
                let written = entry.metadata().and_then(|about| about.modified()).expect("a time");
                found.push((written, number.parse().expect("a number")));
            }
        }
    }
    found.sort_unstable();
    found.into_iter().map(|(_, number)| number).collect()
}

fn made(server: &Server, video: &str) -> Value {
    let person = Person::of(server);
    eventually("all of it is encoded", || person.get(video)["encoded"]["state"] == "PART_STATE_READY");
    person.get(video)
}

fn assert_plays(server: &Server, video: &str) {
    for manifest in ["master.m3u8", "manifest.mpd"] {
        let played = format!("{}/videos/{video}/{manifest}", server.address);
        assert_eq!(ffmpeg::complaints(&played), "", "{manifest}");
        let times = ffmpeg::times(&played, "v:0");
        let mut times: Vec<f64> = times.iter().map(|time| time.parse().expect("a time")).collect();
        // They come as they are decoded.
        times.sort_by(f64::total_cmp);
        assert_eq!(times.len(), SECONDS * RATE, "{manifest}");
        for (place, time) in times.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "hundreds")]
            let planned = place as f64 / RATE as f64;
            assert!((time - planned).abs() < 0.001, "{manifest}: picture {place} at {time}");
        }
    }
}

#[test]
fn pictures_play_while_they_are_encoded_and_what_is_asked_for_comes_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::with(&["--ffmpeg", &slow(folder.path(), 2.5), "--ffmpeg-jobs", "1"]);
    let video = Person::of(&server).json(&["upload", film().to_str().expect("text")]).remove(0);
    let base = offered(&server, id(&video));
    // All are listed, whatever is there.
    let listed = curl::get(&format!("{base}playlist.m3u8"));
    assert_eq!(listed.text().matches(".m4s").count(), SEGMENTS, "{}", listed.text());
    assert!(listed.text().contains("#EXT-X-ENDLIST"));
    let first = curl::get(&format!("{base}1.m4s"));
    assert_eq!((first.status, Person::of(&server).get(id(&video))["state"].as_str()), (200, Some("VIDEO_STATE_READY")));
    // Of the last span, while nobody has begun with the second one, or hardly.
    let begun = Instant::now();
    let last = curl::get(&format!("{base}{SEGMENTS}.m4s"));
    assert_eq!(last.status, 200, "after {:?}", begun.elapsed());
    let came = there(&server);
    assert!(came.len() < SEGMENTS, "all were there by then: {came:?}");
    assert_eq!(Person::of(&server).get(id(&video))["encoded"]["state"], "PART_STATE_RUNNING");
    // None that is not planned is waited for.
    let begun = Instant::now();
    assert_eq!(curl::get(&format!("{base}{}.m4s", SEGMENTS + 1)).status, 404);
    assert!(begun.elapsed() < Duration::from_secs(5));
    made(&server, id(&video));
    let came = there(&server);
    let position = |number: u32| came.iter().position(|other| *other == number).expect("all are there");
    assert!(position(14) < position(9) || position(14) < position(5), "in the order of their numbers: {came:?}");
    let mut each = came.clone();
    each.sort_unstable();
    assert_eq!(each, (1..=14).collect::<Vec<_>>(), "none is encoded twice");
    assert_eq!(curl::get(&format!("{base}{SEGMENTS}.m4s")).body, last.body);
    assert_plays(&server, id(&video));
}

#[test]
fn what_does_not_come_in_time_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::with(&["--ffmpeg", &slow(folder.path(), 14.0), "--ffmpeg-jobs", "1"]);
    let video = Person::of(&server).json(&["upload", film().to_str().expect("text")]).remove(0);
    let base = offered(&server, id(&video));
    let begun = Instant::now();
    let answer = curl::get(&format!("{base}{SEGMENTS}.m4s"));
    assert_eq!((answer.status, answer.header("retry-after")), (503, "2"));
    assert!(answer.text().contains("not encoded yet"), "{}", answer.text());
    assert!(begun.elapsed() >= Duration::from_secs(10));
}

#[test]
fn an_encode_goes_on_where_a_killed_one_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let flags = ["--ffmpeg", &slow(folder.path(), 2.0), "--ffmpeg-jobs", "1", "--lease", "3s"];
    let server = Server::with(&flags);
    let video = Person::of(&server).json(&["upload", film().to_str().expect("text")]).remove(0);
    let base = offered(&server, id(&video));
    let path = base.trim_start_matches(&server.address).to_owned();
    let (before, first) = (there(&server), curl::get(&format!("{base}1.m4s")).body);
    assert!(before.contains(&1) && before.len() < SEGMENTS, "{before:?}");
    let server = server.kill_and_restart(&flags);
    made(&server, id(&video));
    assert_eq!(curl::get(&format!("{}{path}1.m4s", server.address)).body, first, "an address has other bytes");
    assert_plays(&server, id(&video));
}
