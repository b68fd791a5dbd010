//! How long a removed video is shown: two gateways that hold all of it in memory, and a catalog in another process, or one each.

use crate::distributed::wait;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vidstream_test_servers::{self as servers, Kind, Ports};
use vidstream_tests::clips;
use vidstream_tests::judges::curl::{Answer, curl, get};
use vidstream_tests::server::{Server, Starting};
use vidstream_tests::vidctl::{Person, id};

/// How long after the removal was acknowledged a request may still be answered with what was removed.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// What a gateway that reaches no catalog has at the least: a minute after the catalog was last heard, which was a moment ago.
const HELD_FOR: Duration = Duration::from_secs(50);
/// And at the most: 5 s until it has to ask, a minute, and what a busy machine takes.
const HELD_AT_MOST: Duration = Duration::from_secs(5 + 60 + 15);

/// Catalogs with their workers, which others reach, and two gateways.
struct Mesh {
    /// Each with its flags.
    catalogs: Vec<(Vec<String>, Option<Server>)>,
    gateways: [Server; 2],
    _objects: TempDir,
    _ports: Vec<Ports>,
}

impl Mesh {
    /// A mesh whose notices go over `events`, and whose gateways ask one catalog.
    fn start(events: &str) -> Self {
        Self::of(&[&["--events", events]])
    }

    /// The same on a database that two catalogs share. Each gateway asks one of them: what the other one is told it learns from
    /// the database.
    fn with_two_catalogs(events: &str, database: &str) -> Self {
        let flags = ["--events", events, "--catalog", database];
        Self::of(&[&flags, &flags])
    }

    /// A mesh of catalogs with these flags.
    fn of(catalogs: &[&[&str]]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let ports: Vec<_> = catalogs.iter().map(|_| Ports::take()).collect();
        let peers: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{}", port.first())).collect();
        let objects = format!("file:{}", folder.path().to_str().expect("text"));
        let catalog = |(peer, flags): (&String, &&[&str])| {
            let own = ["--roles", "catalog,transcoder", "--mesh-listen", peer, "--objects", &objects];
            let flags: Vec<_> = own.iter().chain(*flags).map(|flag| (*flag).to_owned()).collect();
            let server = Self::catalog(Arc::new(TempDir::new().expect("a temporary folder")), &flags);
            (flags, Some(server))
        };
        let catalogs = peers.iter().zip(catalogs).map(catalog).collect();
        let gateway = |number: usize| {
            let peer = &peers[number % peers.len()];
            let flags = ["--roles", "gateway", "--listen", "127.0.0.1:0", "--objects", &objects];
            Starting::of(&[&flags[..], &["--to-catalog", peer, "--to-transcoder", peer]].concat()).ready()
        };
        Self { catalogs, gateways: [0, 1].map(gateway), _objects: folder, _ports: ports }
    }

    fn catalog(data: Arc<TempDir>, flags: &[String]) -> Server {
        Starting::on(data, &flags.iter().map(String::as_str).collect::<Vec<_>>()).ready()
    }

    /// Uploads a clip through a gateway and asks for its files, so that all gateways in `holding` have them.
    fn video(&self, through: usize, holding: &[usize]) -> (String, Vec<String>) {
        let video = Person::of(&self.gateways[through]).upload(&clips::clip("first.mp4"), "--wait");
        let paths = files(&self.gateways[through], id(&video));
        for gateway in holding {
            for (path, answer) in self.asked(*gateway, &paths) {
                assert_eq!(answer.status, 200, "{path}");
            }
        }
        (id(&video).to_owned(), paths)
    }

    /// What a gateway answers at `paths`.
    fn asked<'a>(&self, gateway: usize, paths: &'a [String]) -> impl Iterator<Item = (&'a str, Answer)> {
        let address = self.gateways[gateway].address.clone();
        paths.iter().map(move |path| (path.as_str(), get(&format!("{address}{path}"))))
    }
}

/// Where playlists, an init segment, a segment and the original of a video are, as a player finds them.
fn files(gateway: &Server, video: &str) -> Vec<String> {
    let master = format!("/videos/{video}/master.m3u8");
    let answer = get(&format!("{}{master}", gateway.address));
    let track = answer.text().lines().find(|line| line.ends_with("/playlist.m3u8")).expect("a track").to_owned();
    let track = format!("/videos/{video}/{track}");
    let folder = track.strip_suffix("/playlist.m3u8").expect("a playlist");
    let segments = [format!("{folder}/init.mp4"), format!("{folder}/1.m4s")];
    let paths = [master, format!("/videos/{video}/manifest.mpd"), format!("/videos/{video}/source"), track.clone()];
    paths.into_iter().chain(segments).collect()
}

/// Removes `video` by the gateway `by`: it is gone there at once, and within the time at the other, though both are asked for
/// it all the time.
fn remove(mesh: &Mesh, by: usize, (video, paths): &(String, Vec<String>)) {
    assert_eq!(Person::of(&mesh.gateways[by]).run(&["rm", video]).0, 0);
    let removed = Instant::now();
    for (path, answer) in mesh.asked(by, paths) {
        assert_eq!(answer.status, 404, "{path} at the gateway that removed it");
    }
    let mut is_shown = true;
    while is_shown {
        is_shown = false;
        for path in paths {
            let asked = removed.elapsed();
            let answer = get(&format!("{}{path}", mesh.gateways[1 - by].address));
            if answer.status != 404 {
                assert_eq!(answer.status, 200, "{path}: {answer:?}");
                assert!(asked < GONE_WITHIN, "{path} is still shown when asked for after {asked:?}");
                is_shown = true;
            }
        }
    }
    // And gone for good.
    for (path, answer) in mesh.asked(1 - by, paths) {
        assert_eq!(answer.status, 404, "{path}");
    }
}

#[test]
fn what_is_removed_is_gone_at_every_gateway_with_and_without_redis() {
    let runtime = Runtime::new().expect("a runtime");
    let redis = runtime.block_on(servers::Server::start(Kind::Redis));
    with_and_without(&runtime, &redis, &Mesh::start(&redis.url()));
}

#[test]
fn what_is_removed_by_one_catalog_is_gone_at_gateways_of_another() {
    let runtime = Runtime::new().expect("a runtime");
    let start = |kind| runtime.block_on(servers::Server::start(kind));
    let (mongo, redis) = (start(Kind::MongoDb), start(Kind::Redis));
    let mesh = Mesh::with_two_catalogs(&redis.url(), &format!("{}/videos", mongo.url()));
    with_and_without(&runtime, &redis, &mesh);
}

fn with_and_without(runtime: &Runtime, redis: &servers::Server, mesh: &Mesh) {
    let [first, second, third] = [0, 1, 0].map(|through| mesh.video(through, &[0, 1]));
    remove(mesh, 0, &first);
    redis.kill();
    remove(mesh, 1, &second);
    runtime.block_on(redis.restart());
    remove(mesh, 0, &third);
}

/// Takes more than a minute, which is what a gateway holds by itself.
#[test]
fn a_gateway_that_reaches_no_catalog_shows_what_it_holds_for_a_minute() {
    let mut mesh = Mesh::start("local:");
    let (video, paths) = mesh.video(0, &[0]);
    let killed = Instant::now();
    let data = mesh.catalogs[0].1.take().expect("it runs").ended();

    // What is not held is not made up: the video is neither there nor gone.
    let source = format!("{}/videos/{video}/source", mesh.gateways[1].address);
    let answer = get(&source);
    assert_eq!(answer.status, 503, "{answer:?}");
    loop {
        let asked = killed.elapsed();
        let failed: Vec<_> = mesh.asked(0, &paths).filter(|(_, answer)| answer.status != 200).collect();
        if let Some((path, answer)) = failed.first() {
            assert!(asked > HELD_FOR, "{path} after {asked:?}: {answer:?}");
            assert_eq!(answer.status, 503, "{path}: nobody says that it is gone: {answer:?}");
            break;
        }
        assert!(asked < HELD_AT_MOST, "after {asked:?} it is still shown");
        std::thread::sleep(Duration::from_millis(200));
    }
    for (path, answer) in mesh.asked(0, &paths) {
        assert_eq!(answer.status, 503, "{path}: {answer:?}");
    }

    // It is back with the catalog, at both.
    mesh.catalogs[0].1 = Some(Mesh::catalog(data, &mesh.catalogs[0].0));
    for gateway in [0, 1] {
        wait("it is shown again", || mesh.asked(gateway, &paths).all(|(_, answer)| answer.status == 200));
    }
    assert_eq!(curl(&["-r", "0-9", &source]).body.len(), 10);
}
