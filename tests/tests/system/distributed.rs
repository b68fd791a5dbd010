//! Servers that share a catalog on MongoDB, objects on S3, a queue on RabbitMQ and a bus on Redis: what one took another
//! shows, and one that dies is missed by nobody.

use crate::kill::blake3_of_source;
use crate::playback::assert_same;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use vidstream_test_servers::{self as servers, Kind, PASSWORD, USER};
use vidstream_tests::clips;
use vidstream_tests::judges::{curl, playlists};
use vidstream_tests::proxy::Proxy;
use vidstream_tests::server::{Server, Starting};
use vidstream_tests::vidctl::{Person, id};

/// What a notice takes at the longest, and a look that does without.
const SOON: Duration = Duration::from_secs(30);

/// Servers of this test's own.
pub(crate) struct Backends {
    flags: Vec<String>,
    mongo: servers::Server,
    _others: [servers::Server; 3],
}

impl Backends {
    pub(crate) fn start(runtime: &Runtime) -> Self {
        runtime.block_on(async {
            let start = servers::Server::start;
            let (mongo, minio) = tokio::join!(start(Kind::MongoDb), start(Kind::Minio));
            let (rabbit, redis) = tokio::join!(start(Kind::RabbitMq), start(Kind::Redis));
            minio.make_bucket("videos").await;
            let objects = format!("s3://{USER}:{PASSWORD}@videos/mesh?region=us-east-1&endpoint={}", minio.url());
            let flags = [
                ("--catalog", format!("{}/videos", mongo.url())),
                ("--objects", objects),
                ("--queue", rabbit.url()),
                ("--events", redis.url()),
            ];
            let flags = flags.into_iter().flat_map(|(flag, url)| [flag.to_owned(), url]).collect();
            Self { flags, mongo, _others: [minio, rabbit, redis] }
        })
    }

    /// The database.
    pub(crate) fn mongo(&self) -> &servers::Server {
        &self.mongo
    }

    /// A server on these, with nothing of its own.
    fn server(&self) -> Server {
        Server::with(&self.flags())
    }

    /// A process on these that is starting, with `flags` besides.
    pub(crate) fn starting(&self, flags: &[&str]) -> Starting {
        Starting::of(&[&self.flags(), flags].concat())
    }

    pub(crate) fn flags(&self) -> Vec<&str> {
        self.flags.iter().map(String::as_str).collect()
    }
}

/// Waits until `it_is`.
pub(crate) fn wait(what: &str, it_is: impl Fn() -> bool) {
    let begun = Instant::now();
    while !it_is() {
        assert!(begun.elapsed() < SOON, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_one_server_takes_another_shows() {
    let runtime = Runtime::new().expect("a runtime");
    let backends = Backends::start(&runtime);
    let (one, other) = (backends.server(), backends.server());

    // All of it: pictures too, whichever of the two made them.
    let file = clips::clip("last.mp4");
    let video = Person::of(&one).upload(&file, "--wait=all");
    assert_eq!(video["state"], "VIDEO_STATE_READY", "{video:#}");
    for server in [&one, &other] {
        let place = format!("{}/videos/{}", server.address, id(&video));
        assert_same(server, id(&video), &file);
        playlists::check(&place);
        assert_eq!(curl::get(&format!("{place}/source")).body, std::fs::read(&file).expect("readable"));
    }
    let listed = Person::of(&other).json(&["list", "--search", "las"]);
    assert_eq!(listed.iter().map(id).collect::<Vec<_>>(), [id(&video)]);

    // Removed at one, it is gone at the other; restored at the other, it is back at the one.
    let master = |server: &Server| curl::get(&format!("{}/videos/{}/master.m3u8", server.address, id(&video))).status;
    assert_eq!(Person::of(&one).run(&["rm", id(&video)]).0, 0);
    wait("the other hears of the removal", || master(&other) == 404);
    assert_eq!(Person::of(&other).run(&["restore", id(&video)]).0, 0);
    wait("the one hears that it is back", || master(&one) == 200);

    // No secret is written down.
    for server in [one, other] {
        assert!(!server.log().contains(PASSWORD), "{}", server.log());
        assert!(server.stop().success());
    }
}

#[test]
fn an_upload_goes_on_at_another_server() {
    let runtime = Runtime::new().expect("a runtime");
    let backends = Backends::start(&runtime);
    let (one, other) = (backends.server(), backends.server());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = clips::noise(folder.path(), "noise.bin", (40 << 20) + 12_345);
    let proxy = Proxy::before(&one);
    let person = Person::at(&proxy.address);
    let mut upload = person.command(&["upload", file.to_str().expect("text")]);
    let mut upload = upload.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("vidctl starts");
    while proxy.passed() < 20 << 20 {
        assert!(upload.try_wait().expect("asked").is_none(), "it was to be in its midst");
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(one);
    proxy.lead_to(&other);
    assert!(upload.wait().expect("it ends").success(), "the client goes on by itself");
    let video = Person::of(&other).json(&["list"]).remove(0);
    let sent = blake3::hash(&std::fs::read(&file).expect("readable"));
    assert_eq!(blake3_of_source(&other, id(&video)), sent);
}
