//! Encoding and normalising in the midst of something: of the upload itself, of a worker's death, of a removal.

use crate::deletion::{eventually, files};
use crate::distributed::Backends;
use crate::upload::{MIB, chunk, client, complete, create};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use vidstream_proto::pb;
use vidstream_tests::clips;
use vidstream_tests::judges::ffmpeg;
use vidstream_tests::processes::children;
use vidstream_tests::server::{Server, signal};
use vidstream_tests::vidctl::{Person, id};

const SECONDS: usize = 20;
const RATE: usize = 25;

/// Twenty seconds that take an encoder a while, at a rate of bits that makes them large.
fn film(name: &str, coding: &str) -> PathBuf {
    let picture = format!("testsrc2=size=960x540:rate={RATE}:duration={SECONDS},noise=alls=30:allf=t");
    let sound = format!("sine=frequency=440:duration={SECONDS}");
    clips::made(name, &format!("-f lavfi -i {picture} -f lavfi -i {sound} {coding} -c:a aac"))
}

/// What is indexed, and has to be encoded.
fn hevc() -> PathBuf {
    film(
        "long-hevc.mp4",
        "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=50:open-gop=0 -b:v 2M -tag:v hvc1",
    )
}

/// What has to be normalised: three cells of it, so that the first is stored long before the last is there.
fn stream() -> PathBuf {
    film(
        "large.ts",
        "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 50 -b:v 9M -minrate 9M -maxrate 9M -bufsize 9M",
    )
}

/// The children of `server` that were told `word`.
fn at_work(server: &Server, word: &str) -> Vec<u32> {
    let told = |child: &u32| fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
    let word = format!("\0{word}\0");
    children(server.id())
        .into_iter()
        .filter(|child| told(child).windows(word.len()).any(|part| part == word.as_bytes()))
        .collect()
}

fn assert_gone(processes: &[u32]) {
    eventually("no ffmpeg is left", || {
        processes.iter().all(|process| !Path::new(&format!("/proc/{process}")).exists())
    });
}

/// Whether everything of `video` plays from its beginning to its end.
fn assert_plays(server: &Server, video: &str) {
    for manifest in ["master.m3u8", "manifest.mpd"] {
        let played = format!("{}/videos/{video}/{manifest}", server.address);
        assert_eq!(ffmpeg::complaints(&played), "", "{manifest}");
        assert_eq!(ffmpeg::times(&played, "v:0").len(), SECONDS * RATE, "{manifest}");
        let sound = ffmpeg::times(&played, "a:0");
        let last: f64 = sound.last().and_then(|time| time.parse().ok()).expect("sound");
        assert!((last - 20.0).abs() < 0.1, "{manifest}: sound until {last}");
    }
}

/// Waits until every part of `video` is made, or never will be: encoders share the machine with other tests.
fn settled(server: &Server, video: &str) -> serde_json::Value {
    let patience = Instant::now() + Duration::from_mins(5);
    loop {
        let now = Person::of(server).get(video);
        let state = |part: &str| now[part]["state"].as_str().unwrap_or_default().to_owned();
        let states = ["sourceRendition", "encoded", "storyboard", "poster"].map(state);
        if !states.iter().any(|state| ["PART_STATE_WAITING", "PART_STATE_RUNNING"].contains(&state.as_str())) {
            return now;
        }
        assert!(Instant::now() < patience, "never made: {now:#}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Sends `range` of `data` to `server` in chunks of a megabyte.
async fn send(server: &Server, upload: &pb::Upload, data: &[u8], range: std::ops::Range<usize>) {
    let mut client = client(server).await;
    for start in range.clone().step_by(MIB) {
        let end = range.end.min(start + MIB);
        client.put_chunk(chunk(upload, start, &data[start..end])).await.expect("durable");
    }
}

#[test]
fn a_file_is_normalised_while_it_comes() {
    let runtime = Runtime::new().expect("a runtime");
    let server = Server::start();
    let data = fs::read(stream()).expect("readable");
    assert!(data.len() > 20 * MIB, "{} bytes", data.len());
    let most = data.len() / MIB * MIB - 3 * MIB;
    let upload = runtime.block_on(async {
        let upload = create(&mut client(&server).await, data.len()).await;
        send(&server, &upload, &data, 0..most).await;
        upload
    });
    // What becomes of it is stored while the end of it is nowhere.
    let sources = server.data().join("objects/sources");
    eventually("a cell of what it becomes", || {
        let source = fs::read_dir(&sources).into_iter().flatten().find_map(Result::ok);
        source.is_some_and(|source| files(&source.path().join("normalise")) > 0)
    });
    assert_eq!(at_work(&server, "mpegts").len(), 1);
    let video = &upload.video_id;
    assert_eq!(Person::of(&server).get(video)["state"], "VIDEO_STATE_UPLOADING");
    runtime.block_on(async {
        send(&server, &upload, &data, most..data.len()).await;
        complete(&mut client(&server).await, &upload, Vec::new()).await.expect("complete");
    });
    let made = settled(&server, video);
    assert_eq!((&made["state"], &made["warnings"]), (&"VIDEO_STATE_READY".into(), &serde_json::json!([])), "{made:#}");
    assert_plays(&server, video);
}

#[test]
fn a_video_that_is_removed_in_mid_encode_leaves_nothing() {
    let server = Server::with(&["--write-deadline", "1s"]);
    let person = Person::of(&server);
    let video = person.json(&["upload", hevc().to_str().expect("text")]).remove(0);
    eventually("it is encoded", || !at_work(&server, "libx264").is_empty());
    let encoders = at_work(&server, "libx264");
    person.json(&["rm", id(&video), "--purge-after", "0s"]);
    assert_gone(&encoders);
    let objects = server.data().join("objects/sources");
    eventually("nothing is left of it", || files(&objects) == 0);
    assert_eq!(children(server.id()), Vec::<u32>::new());
}

/// The server of two that has an ffmpeg at work which was told `word`, and the other.
fn busy(mut servers: Vec<Server>, word: &str) -> (Server, Vec<u32>, Server) {
    eventually("one of them works", || servers.iter().any(|server| !at_work(server, word).is_empty()));
    let at = servers.iter().position(|server| !at_work(server, word).is_empty()).expect("it takes a while");
    let worker = servers.remove(at);
    let children = at_work(&worker, word);
    (worker, children, servers.remove(0))
}

const LEASE: [&str; 2] = ["--lease", "3s"];

fn pair(backends: &Backends) -> Vec<Server> {
    let all = ["--listen", "127.0.0.1:0", LEASE[0], LEASE[1]];
    (0..2).map(|_| backends.starting(&all).ready()).collect()
}

#[test]
fn another_worker_encodes_what_a_killed_one_left() {
    let runtime = Runtime::new().expect("a runtime");
    let backends = Backends::start(&runtime);
    let servers = pair(&backends);
    let video = Person::of(&servers[0]).json(&["upload", hevc().to_str().expect("text")]).remove(0);
    let (killed, encoders, other) = busy(servers, "libx264");
    signal(killed.id(), "KILL");
    assert_gone(&encoders);
    let made = settled(&other, id(&video));
    assert_eq!(made["encoded"]["state"], "PART_STATE_READY", "{made:#}");
    assert!(other.log().contains("a lease died"), "{}", other.log());
    assert_plays(&other, id(&video));
    let master = vidstream_tests::judges::curl::get(&format!("{}/videos/{}/master.m3u8", other.address, id(&video)));
    assert_eq!(master.text().matches("avc1.").count(), 1, "{}", master.text());
}

#[test]
fn another_worker_normalises_what_a_killed_one_left() {
    let runtime = Runtime::new().expect("a runtime");
    let backends = Backends::start(&runtime);
    let servers = pair(&backends);
    let data = fs::read(stream()).expect("readable");
    let most = data.len() / MIB * MIB - 3 * MIB;
    let upload = runtime.block_on(async {
        let upload = create(&mut client(&servers[0]).await, data.len()).await;
        send(&servers[0], &upload, &data, 0..most).await;
        upload
    });
    let (killed, normalisers, other) = busy(servers, "mpegts");
    signal(killed.id(), "KILL");
    assert_gone(&normalisers);
    runtime.block_on(async {
        // What was acknowledged is there, whoever took it.
        send(&other, &upload, &data, most..data.len()).await;
        complete(&mut client(&other).await, &upload, Vec::new()).await.expect("complete");
    });
    let made = settled(&other, &upload.video_id);
    assert_eq!((&made["state"], &made["warnings"]), (&"VIDEO_STATE_READY".into(), &serde_json::json!([])), "{made:#}");
    assert!(other.log().contains("a lease died"), "{}", other.log());
    assert_plays(&other, &upload.video_id);
}
