//! Objects on S3: what is read of them, how often, and whom clients get pictures from.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use vidstream_test_servers::{self as servers, Asked, Kind, Overheard, PASSWORD, USER};
use vidstream_tests::clips;
use vidstream_tests::judges::{curl, ffmpeg};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

const MIB: u64 = 1 << 20;
const BUCKET: &str = "videos";

/// `MinIO` of this test's own, and a relay before it that says what it is asked for.
struct Store {
    objects: String,
    relay: Overheard,
    minio: servers::Server,
    _runtime: Runtime,
}

impl Store {
    fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let (minio, relay) = runtime.block_on(async {
            let minio = servers::Server::start(Kind::Minio).await;
            minio.make_bucket(BUCKET).await;
            let relay = Overheard::start(minio.port()).await;
            (minio, relay)
        });
        let (public, relayed) = (minio.url(), relay.port());
        let place = format!("s3://{USER}:{PASSWORD}@{BUCKET}/far?region=us-east-1&public={public}");
        let objects = format!("{place}&endpoint=http://127.0.0.1:{relayed}");
        Self { objects, relay, minio, _runtime: runtime }
    }

    fn server(&self, flags: &[&str]) -> Server {
        Server::with(&[&["--objects", &self.objects], flags].concat())
    }

    /// The ranges of sources' bytes that were asked for since this was asked last, by object.
    fn read(&self) -> BTreeMap<String, Vec<(u64, u64)>> {
        let mut read: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for Asked { method, path, range } in self.relay.asked() {
            if method == "GET" && path.contains("/bytes/") {
                read.entry(path).or_default().push(range.expect("bytes are read by ranges"));
            }
        }
        for ranges in read.values_mut() {
            ranges.sort_unstable();
        }
        read
    }
}

fn requests(read: &BTreeMap<String, Vec<(u64, u64)>>) -> usize {
    read.values().map(Vec::len).sum()
}

fn bytes(read: &BTreeMap<String, Vec<(u64, u64)>>) -> u64 {
    read.values().flatten().map(|(first, last)| last + 1 - first).sum()
}

/// An upload of noise, which nothing but its bytes follows from.
pub fn noise(server: &Server, folder: &Path, size: u64) -> (String, Vec<u8>) {
    let file = clips::noise(folder, "noise.bin", size);
    let mut uploaded = Person::of(server).json(&["upload", file.to_str().expect("text")]);
    (id(&uploaded.remove(0)).to_owned(), std::fs::read(&file).expect("readable"))
}

/// The addresses of the segments of the pictures.
fn segments(server: &Server, video: &str) -> Vec<String> {
    let base = format!("{}/videos/{video}", server.address);
    let master = curl::get(&format!("{base}/master.m3u8"));
    let playlist = master.text().lines().find(|line| line.ends_with("/v1/playlist.m3u8")).expect("pictures").to_owned();
    let folder = playlist.rsplit_once('/').expect("a folder").0.to_owned();
    let media = curl::get(&format!("{base}/{playlist}"));
    let names = media.text().lines().filter(|line| line.rsplit_once('.').is_some_and(|(_, kind)| kind == "m4s"));
    names.map(|name| format!("{base}/{folder}/{name}")).collect()
}

#[test]
fn a_segment_is_read_once_however_many_watch() {
    let store = Store::start();
    let server = store.server(&[]);
    let video = Person::of(&server).upload(&clips::clip("first.mp4"), "--wait=all");
    let segments = segments(&server, id(&video));
    store.read();
    let watch = || {
        std::thread::scope(|scope| {
            let viewers: Vec<_> = (0..8).map(|_| scope.spawn(|| curl::get(&segments[1]).body)).collect();
            viewers.into_iter().map(|viewer| viewer.join().expect("no panic")).collect::<Vec<_>>()
        })
    };
    let bodies = watch();
    assert!(!bodies[0].is_empty() && bodies.iter().all(|body| *body == bodies[0]));
    let read = store.read();
    assert!(!read.is_empty() && read.values().all(|ranges| ranges.len() == 1), "each extent by one request: {read:?}");
    assert!(watch().iter().all(|body| *body == bodies[0]));
    assert_eq!(store.read(), BTreeMap::new(), "it is here");

    // The same bytes as without a cache, which reads each time.
    let plain = Server::on(server.ended(), &["--objects", &store.objects, "--cache-memory", "0"]);
    let again: Vec<String> = segments_of(&plain, &segments);
    for _ in 0..2 {
        store.read();
        assert_eq!(curl::get(&again[1]).body, bodies[0]);
        assert!(requests(&store.read()) > 0);
    }

    // What is held of a removed video is shown to nobody.
    let cached = Server::on(plain.ended(), &["--objects", &store.objects]);
    let again = segments_of(&cached, &segments);
    assert_eq!(curl::get(&again[1]).status, 200);
    assert_eq!(Person::of(&cached).run(&["rm", id(&video)]).0, 0);
    assert_eq!(curl::get(&again[1]).status, 404);
    assert!(!cached.log().contains(PASSWORD));
}

/// What is encoded, and what is read into a file that is indexed, lie there too, and come from there for whoever plays them.
#[test]
fn made_files_play_from_the_store() {
    let store = Store::start();
    let server = store.server(&[]);
    let coded = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=8 -f lavfi -i sine=duration=8";
    for (name, coding, kind) in [
        ("far.mp4", "-c:v libx265 -preset ultrafast -x265-params log-level=none -tag:v hvc1 -c:a ac3", "encode"),
        ("far.ts", "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 25 -c:a aac", "normalise"),
    ] {
        let file = clips::made(name, &format!("{coded} {coding}"));
        let video = Person::of(&server).upload(&file, "--wait=all");
        assert_eq!(
            (&video["state"], &video["warnings"]),
            (&"VIDEO_STATE_READY".into(), &serde_json::json!([])),
            "{video:#}"
        );
        // Nothing of them is on this machine.
        assert!(!server.data().join("objects").exists());
        store.relay.asked();
        for manifest in ["master.m3u8", "manifest.mpd"] {
            let played = format!("{}/videos/{}/{manifest}", server.address, id(&video));
            assert_eq!(ffmpeg::complaints(&played), "", "{manifest} of {name}");
            assert_eq!(ffmpeg::times(&played, "v:0").len(), 200, "{manifest} of {name}");
        }
        let read = store.relay.asked();
        let made = read.iter().filter(|asked| asked.method == "GET" && asked.path.contains(&format!("/{kind}/")));
        assert!(made.count() > 0, "{name}: {read:?}");
    }
}

/// The same addresses at another server.
fn segments_of(server: &Server, segments: &[String]) -> Vec<String> {
    let paths = segments.iter().map(|address| address.split_once("/videos/").expect("an address").1);
    paths.map(|path| format!("{}/videos/{path}", server.address)).collect()
}

#[test]
fn the_original_is_read_in_a_few_requests() {
    let store = Store::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = store.server(&[]);
    let (video, content) = noise(&server, folder.path(), 40 * MIB + 12_345);
    let mut server = server;
    for flags in [&["--cache-memory", "0"][..], &[]] {
        server = Server::on(server.ended(), &[&["--objects", &store.objects], flags].concat());
        let address = format!("{}/videos/{video}/source", server.address);
        store.read();
        assert!(curl::get(&address).body == content);
        let read = store.read();
        assert_eq!(bytes(&read), 40 * MIB + 12_345, "{flags:?}");
        assert!(read.values().all(|ranges| ranges.len() == 1), "{flags:?}: each extent by one request: {read:?}");
        // Six cells; the first may be of some runs, because its begin was waited for.
        assert!((6..12).contains(&requests(&read)), "{flags:?}: {read:?}");
        let part = curl::curl(&["-H", "range: bytes=10000000-18000000", &address]).body;
        assert!(part == content[10_000_000..=18_000_000], "{flags:?}");
    }
}

/// Of a file of ten cells a client takes a little and leaves: what was read for it stays a little.
#[test]
fn who_leaves_has_nothing_more_read() {
    let store = Store::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = store.server(&[]);
    let (video, content) = noise(&server, folder.path(), 80 * MIB);
    let (host, path) = (server.address.trim_start_matches("http://"), format!("/videos/{video}/source"));
    store.relay.answered();
    let mut client = TcpStream::connect(host).expect("it answers");
    write!(client, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").expect("sent");
    let mut some = vec![0; 1 << 20];
    client.read_exact(&mut some).expect("a megabyte");
    drop(client);
    // Whoever comes later is served, and finds no connection or memory taken by who left.
    let part = curl::curl(&["-H", "range: bytes=70000000-70000099", &format!("{}{path}", server.address)]).body;
    assert!(part == content[70_000_000..70_000_100]);
    let mut read = store.relay.answered();
    loop {
        std::thread::sleep(Duration::from_millis(300));
        match store.relay.answered() {
            0 => break,
            more => read += more,
        }
    }
    assert!(read < 40 * MIB, "{read} bytes were read");
}

#[test]
fn a_cache_on_disk_serves_what_memory_has_no_room_for() {
    let store = Store::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cache = folder.path().join("cache");
    let cache = cache.to_str().expect("text");
    let server = store.server(&["--cache-memory", "16MiB", "--cache-dir", cache, "--cache-size", "128MiB"]);
    let (video, content) = noise(&server, folder.path(), 40 * MIB);
    let address = format!("{}/videos/{video}/source", server.address);
    let read_whole = || {
        store.read();
        assert!(curl::get(&address).body == content);
        bytes(&store.read())
    };
    assert_eq!(read_whole(), 40 * MIB);
    let come_near = |what: &str| {
        // Blocks that come faster than the disk takes them are written the next time.
        let begun = Instant::now();
        while read_whole() > 10 * MIB {
            assert!(begun.elapsed() < Duration::from_mins(1), "{what}");
        }
    };
    come_near("it is on the disk");

    // Somebody writes over all of it: it is noticed, and comes from the store again.
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", server.id())).expect("it runs");
    let paths = descriptors.map(|entry| entry.expect("an entry").path());
    let ours: Vec<_> = paths.filter(|path| std::fs::read_link(path).is_ok_and(|to| to.starts_with(cache))).collect();
    assert_eq!(ours.len(), 1, "one file without a name");
    let file = std::fs::File::options().write(true).open(&ours[0]).expect("it is ours");
    let length = file.metadata().expect("a file").len();
    assert!(length <= 128 * MIB);
    file.write_all_at(&vec![0x55; usize::try_from(length).expect("small")], 0).expect("room");
    assert!(read_whole() > 10 * MIB);
    assert!(server.log().contains("is not what was written"), "{}", server.log());
    come_near("it is written again");
    server.ended();
    assert_eq!(std::fs::read_dir(cache).expect("it stays").count(), 0, "nothing is left behind");
}

#[test]
fn clients_are_sent_to_the_store_for_pictures() {
    let store = Store::start();
    let server = store.server(&[]);
    let video = Person::of(&server).upload(&clips::clip("first.mp4"), "--wait=all");
    let address = |server: &Server, rest: &str| format!("{}/videos/{}/{rest}", server.address, id(&video));
    let vtt = curl::get(&address(&server, "storyboard.vtt"));
    let sheet = vtt.text().lines().find_map(|line| line.split_once(".jpg#")).expect("a sheet").0.to_owned() + ".jpg";
    let pictures = [(sheet.as_str(), "private, max-age=300"), ("poster.jpg", "private, no-cache")];
    let plain = pictures.map(|(picture, _)| curl::get(&address(&server, picture)));
    assert!(plain.iter().all(|answer| answer.status == 200 && answer.body.starts_with(&[0xFF, 0xD8])));

    let server = Server::on(server.ended(), &["--objects", &store.objects, "--presign", "10m"]);
    for ((picture, caching), plain) in pictures.into_iter().zip(plain) {
        let own = address(&server, picture);
        let sent = curl::get(&own);
        assert_eq!((sent.status, sent.header("cache-control")), (307, caching), "{picture}");
        assert!(sent.header("location").starts_with(&format!("{}/{BUCKET}/far/sources/", store.minio.url())));
        assert_eq!(sent.header("access-control-allow-origin"), "*");
        let followed = curl::curl(&["-L", &own]);
        assert_eq!((followed.status, followed.header("content-type")), (200, "image/jpeg"), "{picture}");
        assert!(followed.body == plain.body, "{picture}");
        let part = curl::curl(&["-L", "-H", "range: bytes=2-9", &own]);
        assert_eq!((part.status, part.body.as_slice()), (206, &plain.body[2..10]), "{picture}");
        // What a signature is not for is answered here.
        assert_eq!(curl::curl(&["-I", &own]).status, 200, "{picture}");
        let tag = format!("if-none-match: {}", plain.header("etag"));
        assert_eq!(curl::curl(&["-H", &tag, &own]).status, 304, "{picture}");
    }
    // Everything else comes from here.
    assert_eq!(curl::get(&address(&server, "source")).status, 200);
    assert_eq!(curl::get(&segments(&server, id(&video))[0]).status, 200);
    assert_eq!(Person::of(&server).run(&["rm", id(&video)]).0, 0);
    assert_eq!(curl::get(&address(&server, "poster.jpg")).status, 404);
}
