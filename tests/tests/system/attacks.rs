//! Files that would make ffmpeg open other files and addresses: playlists and scripts under every ending and after every magic
//! number, data references, and those of the corpus. Judged by canaries that nobody may read, a listener to which nobody may
//! connect, processes that may not be left, and the words of the failure.

use serde_json::Value;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use vidstream_tests::clips;
use vidstream_tests::judges::curl;
use vidstream_tests::processes::children;
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

/// What the canary says: nobody but who opens it knows.
const SONG: &str = "yellow-feathers-3f9c27aa51";

/// What is near the server and must not be touched.
pub(crate) struct Surroundings {
    folder: TempDir,
    listener: TcpListener,
    datagrams: UdpSocket,
}

impl Surroundings {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("canary.txt"), SONG.repeat(100)).expect("written");
        let film =
            clips::made("canary.ts", "-f lavfi -i testsrc2=size=320x180:rate=25:duration=2 -c:v libx264 -f mpegts");
        std::fs::copy(film, folder.path().join("canary.ts")).expect("copied");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let datagrams = UdpSocket::bind(listener.local_addr().expect("bound")).expect("the same port");
        listener.set_nonblocking(true).expect("it can be asked");
        datagrams.set_nonblocking(true).expect("it can be asked");
        Self { folder, listener, datagrams }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("text").to_owned()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path
    }

    /// Texts that name the canaries and the listener, each with the name of what it is.
    pub(crate) fn scripts(&self) -> Vec<(&'static str, String)> {
        let port = self.listener.local_addr().expect("bound").port();
        let (text, film, web) = (self.path("canary.txt"), self.path("canary.ts"), format!("http://127.0.0.1:{port}/x"));
        let hls =
            |lines: &str| format!("#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:10\n{lines}\n#EXT-X-ENDLIST\n");
        let mpd = |base: &str| {
            format!(
                "<?xml version=\"1.0\"?>\n<!DOCTYPE MPD [<!ENTITY x SYSTEM \"file://{text}\">]>\n\
                 <MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" mediaPresentationDuration=\"PT2S\" \
                 profiles=\"urn:mpeg:dash:profile:isoff-on-demand:2011\"><Period><AdaptationSet mimeType=\"video/mp4\">\
                 <Representation id=\"1\" bandwidth=\"1\"><BaseURL>{base}</BaseURL></Representation></AdaptationSet>\
                 </Period>&x;</MPD>\n"
            )
        };
        vec![
            ("hls-file", hls(&format!("#EXTINF:10,\nfile://{film}"))),
            ("hls-path", hls(&format!("#EXTINF:10,\n{film}"))),
            ("hls-beside", hls("#EXTINF:10,\ncanary.ts")),
            ("hls-web", hls(&format!("#EXTINF:10,\n{web}.ts"))),
            ("hls-key", hls(&format!("#EXT-X-KEY:METHOD=AES-128,URI=\"{web}\"\n#EXTINF:10,\n{film}"))),
            ("hls-map", hls(&format!("#EXT-X-MAP:URI=\"file://{text}\"\n#EXTINF:10,\n{film}"))),
            ("hls-concat", hls(&format!("#EXTINF:10,\nconcat:{web}?|file:{text}"))),
            ("hls-subfile", hls(&format!("#EXTINF:10,\nsubfile,,start,0,end,64,,:{text}"))),
            ("hls-master", format!("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{web}.m3u8\n")),
            ("hls-self", "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhls-self.mp4\n".to_owned()),
            ("concat-file", format!("ffconcat version 1.0\nfile '{film}'\nfile '{text}'\n")),
            ("concat-beside", "ffconcat version 1.0\nfile canary.ts\nduration 1\n".to_owned()),
            ("concat-web", format!("ffconcat version 1.0\nfile '{web}'\noption safe 0\n")),
            ("dash-web", mpd(&web)),
            ("dash-file", mpd(&format!("file://{film}"))),
            (
                "sdp",
                format!(
                    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
                ),
            ),
            ("rtsp", format!("RTSPtext\nrtsp://127.0.0.1:{port}/x\n")),
            (
                "asx",
                format!(
                    "<asx version=\"3.0\"><entry><ref href=\"{web}\"/><ref href=\"file://{text}\"/></entry></asx>\n"
                ),
            ),
            ("references", format!("[Reference]\nRef1={web}\nRef2=file://{text}\n")),
            (
                "svg",
                format!(
                    "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"9\" height=\"9\"><image width=\"9\" height=\"9\" xlink:href=\"{web}\"/><image xlink:href=\"file://{text}\"/></svg>\n"
                ),
            ),
            (
                "imf",
                format!(
                    "<?xml version=\"1.0\"?><CompositionPlaylist xmlns=\"http://www.smpte-ra.org/schemas/2067-3/2016\"><Id>urn:uuid:0</Id><SegmentList/><Path>{text}</Path></CompositionPlaylist>\n"
                ),
            ),
        ]
    }

    /// Whether anybody was here: how often, and who, in words.
    fn visitors(&self) -> Vec<String> {
        let mut visitors: Vec<String> = std::iter::from_fn(|| self.listener.accept().ok())
            .map(|(_, peer)| format!("a connection from {peer}"))
            .collect();
        let mut bytes = [0; 64];
        visitors.extend(self.datagrams.recv_from(&mut bytes).ok().map(|(_, peer)| format!("a datagram from {peer}")));
        visitors
    }
}

/// Endings that players, sites and ffmpeg go by.
const ENDINGS: &[&str] = &[
    "mp4", "mov", "m4v", "mkv", "webm", "avi", "ts", "mpg", "flv", "wmv", "ogv", "mxf", "gif", "mp3", "wav", "m3u8",
    "mpd", "ffconcat", "sdp", "txt", "jpg",
];

/// What files of a kind begin with.
const MAGIC: &[(&str, &[u8])] = &[
    ("mp4", b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2"),
    ("mp4-free", b"\0\0\0\x14ftypisom\0\0\x02\0isom\0\0\0\0mdat"),
    ("matroska", b"\x1a\x45\xdf\xa3\x8b\x42\x82\x88matroska"),
    ("webm", b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm"),
    ("avi", b"RIFF\xff\xff\0\0AVI LIST\xff\xff\0\0movi00txGAB2\0\x02\0\0"),
    ("wav", b"RIFF\xff\xff\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x44\xac\0\0\x88\x58\x01\0\x02\0\x10\0data\xff\xff\0\0"),
    ("ts", b"\x47\x40\0\x10\0\0\xb0\x0d\0\x01\xc1\0\0\0\x01\xf0\0\x2a\xb1\x04\xb2"),
    ("ps", b"\0\0\x01\xba\x44\0\x04\0\x04\x01\0\0\x03\xf8"),
    ("flv", b"FLV\x01\x05\0\0\0\x09\0\0\0\0"),
    ("asf", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c"),
    ("ogg", b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0"),
    ("mxf", b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02\x04\0\x83\0\0\x10"),
    ("gif", b"GIF89a\x01\0\x01\0\0\0\0"),
    ("mp3", b"ID3\x03\0\0\0\0\0\0\xff\xfb\x90\0"),
    ("flac", b"fLaC\0\0\0\x22"),
    ("h264", b"\0\0\0\x01\x67\x42\0\x0a\xf8\x41\xa2\0\0\0\x01\x68"),
    ("bom", b"\xef\xbb\xbf"),
    ("empty-line", b"\r\n\r\n"),
];

/// Uploads `files`, four at once, and gives what became of each.
pub(crate) fn verdicts(server: &Server, files: &[PathBuf]) -> Vec<Value> {
    let share = files.len().div_ceil(4);
    thread::scope(|scope| {
        let uploads = files.chunks(share).map(|files| {
            scope.spawn(move || {
                let names = files.iter().map(|file| file.to_str().expect("text"));
                let line: Vec<_> = ["--output", "json", "upload", "--wait=all"].into_iter().chain(names).collect();
                let (_, out, errors) = Person::of(server).run(&line);
                let videos: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
                assert_eq!(videos.len(), files.len(), "{errors}");
                videos
            })
        });
        let uploads: Vec<_> = uploads.collect();
        uploads.into_iter().flat_map(|upload| upload.join().expect("it does not panic")).collect()
    })
}

/// Whether each of `videos` failed with words that say why, and nothing was made of it.
fn assert_failed(server: &Server, videos: &[Value]) {
    for video in videos {
        assert_eq!(video["state"], "VIDEO_STATE_FAILED", "{video:#}");
        let sentence = video["failure"].as_str().expect("a sentence");
        assert!(sentence.len() > 15 && !sentence.contains(SONG), "{video:#}");
    }
    // What is derived is never there; one of each kind is asked for.
    for video in videos.iter().step_by(37) {
        for name in ["master.m3u8", "storyboard.vtt", "poster.jpg"] {
            assert_eq!(curl::get(&format!("{}/videos/{}/{name}", server.address, id(video))).status, 404, "{name}");
        }
    }
}

/// Whether nothing of `surroundings` was touched, and no process of `server` is left.
pub(crate) fn assert_untouched(surroundings: &Surroundings, server: &Server) {
    assert_eq!(surroundings.visitors(), Vec::<String>::new());
    let song = SONG.as_bytes();
    walk(&server.data(), &mut |path| {
        let bytes = std::fs::read(path).unwrap_or_default();
        assert!(!bytes.windows(song.len()).any(|window| window == song), "the canary is in {}", path.display());
    });
    while !children(server.id()).is_empty() {
        thread::sleep(Duration::from_millis(5));
    }
    let log = server.log();
    assert!(!log.contains("panicked") && !log.contains(SONG), "{log}");
}

fn walk(folder: &Path, file: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).expect("a folder").filter_map(Result::ok) {
        let path = entry.path();
        if path.is_dir() { walk(&path, file) } else { file(&path) }
    }
}

/// The judges can tell: a connection, and the canary in what is kept.
#[test]
fn a_visit_is_noticed() {
    let surroundings = Surroundings::new();
    assert!(surroundings.visitors().is_empty());
    let address = surroundings.listener.local_addr().expect("bound");
    drop(std::net::TcpStream::connect(address).expect("it listens"));
    UdpSocket::bind("127.0.0.1:0").expect("a port").send_to(b"x", address).expect("sent");
    while surroundings.visitors().is_empty() {
        thread::yield_now();
    }
    let server = Server::start();
    std::fs::write(server.data().join("objects/leak"), SONG).expect("written");
    let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| assert_untouched(&surroundings, &server)));
    assert!(judged.is_err());
}

#[test]
fn scripts_in_disguise_open_nothing() {
    let surroundings = Surroundings::new();
    let scripts = surroundings.scripts();
    let mut files = Vec::new();
    for (kind, script) in &scripts {
        for ending in ENDINGS {
            files.push(surroundings.write(&format!("{kind}.{ending}"), script.as_bytes()));
        }
        for (magic, bytes) in MAGIC {
            let disguised = [bytes, b"\n".as_slice(), script.as_bytes()].concat();
            files.push(surroundings.write(&format!("{kind}-after-{magic}.mp4"), &disguised));
        }
    }
    let server = Server::start();
    assert_failed(&server, &verdicts(&server, &files));
    assert_untouched(&surroundings, &server);
}

/// Puts `more` at `at`, which is in the boxes of an MP4 file, and makes them longer; what lies behind is not referred to.
fn grown(mut bytes: Vec<u8>, at: usize, more: &[u8]) -> Vec<u8> {
    let length = u32::try_from(more.len()).expect("short");
    let (mut start, mut end) = (0, bytes.len());
    while start + 8 <= end {
        let size = u32::from_be_bytes(*bytes[start..].first_chunk().expect("a size"));
        let next = start + size as usize;
        if !(start + 8..=next).contains(&at) {
            start = next;
            continue;
        }
        let kind = *bytes[start + 4..].first_chunk::<4>().expect("a kind");
        bytes[start..start + 4].copy_from_slice(&(size + length).to_be_bytes());
        end = next;
        match &kind {
            b"moov" | b"trak" | b"mdia" | b"minf" | b"dinf" => start += 8,
            b"dref" => start += 16,
            _ => break,
        }
    }
    bytes.splice(at..at, more.iter().copied());
    bytes
}

#[test]
fn data_that_lies_elsewhere_is_not_fetched() {
    let surroundings = Surroundings::new();
    let port = surroundings.listener.local_addr().expect("bound").port();
    let film = std::fs::read(clips::clip("last.mp4")).expect("the clip");
    // The first reference of the first track: `url `, whose flag says that the data is in this file.
    let moov = film.windows(4).rposition(|kind| kind == b"moov").expect("an index");
    let entry = moov + film[moov..].windows(4).position(|kind| kind == b"dref").expect("references") + 16;
    assert_eq!(&film[entry..entry + 4], b"url ");
    let elsewhere = [
        ("url-web", b"url ", format!("http://127.0.0.1:{port}/x\0")),
        ("url-file", b"url ", format!("file://{}\0", surroundings.path("canary.ts"))),
        ("urn", b"urn ", format!("urn:x\0file://{}\0", surroundings.path("canary.txt"))),
        ("alias", b"alis", format!("{}\0", surroundings.path("canary.ts"))),
    ];
    let files: Vec<_> = elsewhere
        .into_iter()
        .map(|(name, kind, place)| {
            let mut bytes = grown(film.clone(), entry + 8, place.as_bytes());
            bytes[entry..entry + 4].copy_from_slice(kind);
            bytes[entry + 7] = 0;
            surroundings.write(&format!("{name}.mp4"), &bytes)
        })
        .collect();
    let server = Server::start();
    for video in verdicts(&server, &files) {
        let words = [&video["failure"], &video["warnings"][0]["message"]];
        assert!(words.iter().any(|words| words.as_str().is_some_and(|words| words.len() > 15)), "{video:#}");
    }
    assert_untouched(&surroundings, &server);
}

#[test]
fn attacks_of_the_corpus_touch_nothing() {
    let files: Vec<_> = clips::all_of_corpus("attack", "")
        .into_iter()
        .filter(|file| file.metadata().is_ok_and(|about| about.len() > 0))
        .collect();
    // A line at the start says whether the corpus is there.
    if files.is_empty() {
        return;
    }
    let surroundings = Surroundings::new();
    let server = Server::start();
    for video in verdicts(&server, &files) {
        let state = video["state"].as_str().expect("a state");
        assert!(["VIDEO_STATE_READY", "VIDEO_STATE_FAILED"].contains(&state), "{video:#}");
        let told = video["failure"].as_str().is_some_and(|sentence| sentence.len() > 15);
        assert!(told == (state == "VIDEO_STATE_FAILED"), "{video:#}");
    }
    assert_untouched(&surroundings, &server);
}
