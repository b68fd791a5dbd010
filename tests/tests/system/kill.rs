//! kill -9 on either side in mid-upload, then the same command again: the same bytes arrive, and little is sent twice.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use vidstream_tests::clips;
use vidstream_tests::proxy::Proxy;
use vidstream_tests::server::{Server, signal};
use vidstream_tests::vidctl::{Person, id};

const CELL: u64 = 8 << 20;
const FILE: u64 = 9 * CELL + 12_345;

/// Pseudo-random numbers by a seed, so that a failing round can be run again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Bytes of the upload that are durable, by the server's own records.
fn durable(person: &Person) -> u64 {
    let videos = person.json(&["list", "--state", "uploading"]);
    let Some(video) = videos.first() else { return 0 };
    person.get(id(video))["upload"]["received"].as_str().and_then(|bytes| bytes.parse().ok()).expect("a number")
}

fn blake3_of_source(server: &Server, video: &str) -> blake3::Hash {
    let url = format!("{}/videos/{video}/source", server.address);
    let mut curl = Command::new("curl").args(["-sS", &url]).stdout(Stdio::piped()).spawn().expect("curl runs");
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(curl.stdout.take().expect("piped")).expect("readable");
    assert!(curl.wait().expect("it ends").success());
    hasher.finalize()
}

/// Starts an upload, kills one side at a random moment, and finishes it.
fn round(server: Server, seed: u64, client_dies: bool) -> Server {
    let mut dice = Dice(seed);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = clips::noise(folder.path(), &format!("noise-{seed}.bin"), FILE);
    let path = file.to_str().expect("text");
    let proxy = Proxy::before(&server);
    let person = Person::at(&proxy.address);
    let mut upload =
        person.command(&["upload", path]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("vidctl starts");
    // Anything from before the first byte to after the last: the moment is what is tested, not waited for.
    std::thread::sleep(Duration::from_millis(dice.roll(350)));
    let server = if client_dies {
        drop(upload.kill());
        server
    } else {
        signal(server.id(), "KILL");
        let server = server.kill_and_restart(&[]);
        // Half of the clients go with the server, the others find the new one by themselves.
        if seed.is_multiple_of(2) {
            drop(upload.kill());
        }
        proxy.lead_to(&server);
        server
    };
    upload.wait().expect("it ends");
    let before = durable(&person);
    let unfinished = !person.json(&["list", "--state", "uploading"]).is_empty();
    proxy.sent();
    let (code, out, errors) = person.run(&["--output", "json", "upload", path]);
    assert_eq!(code, 0, "seed {seed}: {out}{errors}");
    if unfinished {
        let again = proxy.sent();
        let room = FILE - before + 2 * CELL;
        assert!(again <= room, "seed {seed}: sent {again} again though {before} of {FILE} were durable");
    }
    let video: serde_json::Value = serde_json::from_str(out.trim()).expect("a video");
    assert_eq!(video["upload"]["state"], "UPLOAD_STATE_COMPLETE", "seed {seed}");
    let expected = blake3::hash(&std::fs::read(&file).expect("readable"));
    assert_eq!(blake3_of_source(&server, id(&video)), expected, "seed {seed}");
    assert!(person.json(&["list", "--state", "uploading"]).is_empty(), "seed {seed}: nothing is left half-way");
    server
}

#[test]
fn uploads_survive_kills_of_the_client() {
    let mut server = Server::start();
    for seed in 0..10 {
        server = round(server, seed, true);
    }
}

#[test]
fn uploads_survive_kills_of_the_server() {
    let mut server = Server::start();
    for seed in 100..110 {
        server = round(server, seed, false);
    }
}

#[test]
fn a_kill_in_mid_processing_is_made_good() {
    let mut server = Server::start();
    let clip = clips::clip("last.mp4");
    for _ in 0..3 {
        let video = Person::of(&server).json(&["upload", clip.to_str().expect("text")]).remove(0);
        server = server.kill_and_restart(&[]);
        let person = Person::of(&server);
        wait_for_parts(&person, id(&video));
        let video = person.get(id(&video));
        for part in ["sourceRendition", "storyboard", "poster"] {
            assert_eq!(video[part]["state"], "PART_STATE_READY", "{video:#}");
        }
    }
}

/// Follows a video until nothing of it waits or runs.
fn wait_for_parts(person: &Person, video: &str) {
    let mut watch =
        person.command(&["--output", "json", "watch", video]).stdout(Stdio::piped()).spawn().expect("vidctl starts");
    let lines = BufReader::new(watch.stdout.take().expect("piped")).lines();
    let last = lines.map(|line| line.expect("text")).last();
    assert!(watch.wait().expect("it ends").success(), "{last:?}");
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let server = Server::start();
    let out = Command::new(vidstream_tests::server::binary("vidstream"))
        .args(["--listen", "127.0.0.1:0", "--data-dir"])
        .arg(Path::new(&server.data()))
        .output()
        .expect("vidstream runs");
    assert!(!out.status.success());
    assert!(String::from_utf8_lossy(&out.stderr).contains("in use"));
}
