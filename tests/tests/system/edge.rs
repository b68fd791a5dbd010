//! What strangers can do to the public port, and what they can't.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use vidstream_tests::clips;
use vidstream_tests::judges::curl::{Answer, curl, get};
use vidstream_tests::judges::grpcurl::grpcurl;
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

const LIST: &str = "vidstream.v1.GatewayService/ListVideos";

/// A page that pretends to be a video, and a picture with a script in it.
const PRETENDERS: [(&str, &str); 2] = [
    ("page.mp4", "<!doctype html><script>document.title = 'broken in'</script>"),
    ("picture.mp4", "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>alert(2)</script></svg>"),
];

#[test]
fn what_was_not_recognised_has_no_type() {
    let server = Server::start();
    let person = Person::of(&server);
    let folder = TempDir::new().expect("a temporary folder");
    for (name, text) in PRETENDERS {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        let (code, ..) = person.run(&["upload", "--wait", path.to_str().expect("text")]);
        assert_ne!(code, 0, "{name} is no video");
        let listed = person.json(&["list"]);
        let video = listed.iter().find(|video| video["fileName"] == name).expect("it is listed");
        let answer = get(&format!("{}/videos/{}/source", server.address, id(video)));
        assert_eq!((answer.status, answer.text()), (200, text));
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("content-security-policy"), "sandbox; default-src 'none'");
    }
}

fn assert_refused(answer: &Answer, status: u16, reason: &str) {
    assert_eq!((answer.status, answer.header("content-type")), (status, "application/problem+json"), "{answer:?}");
    assert_eq!(answer.json()["reason"], reason);
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

#[test]
fn only_its_own_names_are_answered() {
    let server =
        Server::with(&["--allow-host", "Two.example", "--allow-host", "one.example", "--mesh-listen", "127.0.0.1:0"]);
    let page = format!("{}/", server.address);
    let health = format!("{}/healthz", server.address);
    let named = |url: &str, host: &str| curl(&["-H", &format!("Host: {host}"), url]);
    for host in ["localhost", "one.example:80", "two.example", "[::1]:9"] {
        assert_eq!(named(&health, host).status, 200, "{host}");
    }
    for url in [&page, &health, &format!("{}/videos/x/source", server.address)] {
        assert_refused(&named(url, "evil.example"), 421, "HOST_NOT_ALLOWED");
    }
    grpcurl(&server.address, &["-authority=one.example", LIST]).expect("an allowed name");
    let refused = grpcurl(&server.address, &["-authority=evil.example", "-d={}", LIST]).expect_err("a foreign name");
    assert!(refused.contains("does not answer to `evil.example`"), "{refused}");
    // Services find each other by names that only their network knows.
    let log = server.log();
    let behind = log.lines().find_map(|line| line.split("mesh listener address=").nth(1)).expect("it is logged").trim();
    grpcurl(behind, &["-authority=catalog.internal", "-d={}", "grpc.health.v1.Health/Check"])
        .expect("the mesh listener");
}

#[test]
fn pages_of_other_sites_change_nothing() {
    let server = Server::start();
    let from =
        |origin: &str, arguments: &[&str]| curl(&[&["-H", &format!("Origin: {origin}")][..], arguments].concat());
    let put = ["-X", "PUT", "--data-binary", "x", &format!("{}/uploads/x/bytes?offset=0", server.address)];
    for origin in ["https://evil.example", "null"] {
        assert_refused(&from(origin, &put), 403, "ORIGIN_NOT_ALLOWED");
    }
    assert_eq!(from("http://localhost:5173", &put).status, 404);
    let call = format!("{}/{LIST}", server.address);
    let web = ["-H", "Content-Type: application/grpc-web+proto", "--data-binary", "x", &call];
    let refused = from("https://evil.example", &web);
    assert_eq!((refused.status, refused.header("grpc-status")), (200, "7"));
    // Plain forms need no preflight, and are no gRPC.
    let form = ["-H", "Content-Type: text/plain", "--data-binary", "x", &call];
    assert_refused(&from("https://evil.example", &form), 403, "ORIGIN_NOT_ALLOWED");
    let video = Person::of(&server).upload(&clips::clip("first.mp4"), "--wait");
    let media = from("https://player.example", &[&format!("{}/videos/{}/source", server.address, id(&video))]);
    assert_eq!((media.status, media.header("access-control-allow-origin")), (200, "*"));
    assert_eq!(media.header("access-control-allow-credentials"), "");
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address.trim_start_matches("http://")).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a duration");
    stream
}

/// Descriptors that a process has open.
fn open_files(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).expect("it runs").count()
}

/// Waits until the server has about as many descriptors open as `before`: the catalog opens another connection to its store
/// when it likes.
fn assert_falls_back(server: &Server, before: usize, what: &str) {
    let most = before + 9;
    let began = Instant::now();
    while open_files(server.id()) > most {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}: {} of {most} are open", open_files(server.id()));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn silent_connections_and_stalled_chunks_are_closed() {
    let server = Server::with(&["--head-timeout", "1s", "--stall-timeout", "1s"]);
    let before = open_files(server.id());
    let mut silent: Vec<_> = (0..200).map(|_| connect(&server)).collect();
    let mut nothing = Vec::new();
    for stream in &mut silent {
        assert_eq!(stream.read_to_end(&mut nothing).expect("closed in order"), 0);
    }
    assert_falls_back(&server, before, "200 silent connections");

    let folder = TempDir::new().expect("a temporary folder");
    let file = clips::noise(folder.path(), "noise.bin", 100_000);
    let created = grpcurl(
        &server.address,
        &[
            "-d={\"requestId\": \"01890000-0000-7000-8000-000000000000\", \"fileName\": \"noise.bin\", \"size\": 100000}",
            "vidstream.v1.UploadService/CreateUpload",
        ],
    );
    let created: serde_json::Value = serde_json::from_str(&created.expect("created")).expect("JSON");
    let upload = created["upload"]["id"].as_str().expect("an id");
    let mut stalled = connect(&server);
    let head = format!(
        "PUT /uploads/{upload}/bytes?offset=0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65536\r\n\
         Content-Digest: crc32c=:AAAAAA==:\r\n\r\n"
    );
    stalled.write_all(head.as_bytes()).expect("it is open");
    stalled.write_all(&std::fs::read(file).expect("readable")[..1000]).expect("it is open");
    let mut answer = String::new();
    stalled.read_to_string(&mut answer).expect("answered and closed");
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("STALLED"), "{answer}");
}

#[test]
fn a_storm_of_seeks_leaves_nothing_open() {
    let server = Server::start();
    let folder = TempDir::new().expect("a temporary folder");
    let size: u64 = 96 << 20;
    let noise = clips::noise(folder.path(), "noise.bin", size);
    let person = Person::of(&server);
    let (_, _, _) = person.run(&["upload", noise.to_str().expect("text")]);
    let video = person.json(&["list"]).remove(0);
    assert_eq!(video["upload"]["state"], "UPLOAD_STATE_COMPLETE", "{video:#}");
    let path = format!("/videos/{}/source", id(&video));
    // Warm: what is opened once and kept is no leak.
    assert_eq!(curl(&["-r", "0-9", &format!("{}{path}", server.address)]).status, 206);
    std::thread::sleep(Duration::from_millis(100));
    let before = open_files(server.id());
    let seeks: Vec<_> = (0..100_u64)
        .map(|seek| {
            let mut stream = connect(&server);
            let from = seek * 7_919_993 % (size - 1);
            write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nRange: bytes={from}-\r\n\r\n")
                .expect("it is open");
            let mut begin = [0; 12];
            stream.read_exact(&mut begin).expect("an answer");
            assert_eq!(&begin, b"HTTP/1.1 206");
            stream
        })
        .collect();
    assert!(open_files(server.id()) > before + 100, "each is being answered");
    drop(seeks);
    assert_falls_back(&server, before, "100 aborted requests");
    assert_eq!(curl(&["-r", "0-9", &format!("{}{path}", server.address)]).body.len(), 10);
}
