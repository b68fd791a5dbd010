//! Services in processes of their own: two gateways, two catalogs, two transcoders over real backends.

use crate::distributed::{Backends, wait};
use crate::playback::assert_same;
use tokio::runtime::Runtime;
use vidstream_test_servers::{PASSWORD, Ports};
use vidstream_tests::clips;
use vidstream_tests::judges::{curl, playlists};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

/// `HOST:PORT` of a server's listener.
fn peer(server: &Server) -> &str {
    server.address.strip_prefix("http://").expect("an address")
}

/// Two of each service.
struct Apart {
    gateways: [Server; 2],
    catalogs: [Server; 2],
    transcoders: [Server; 2],
}

impl Apart {
    fn on(backends: &Backends) -> Self {
        let catalogs = [catalog(backends), catalog(backends)];
        let to_catalog = catalogs.each_ref().map(peer).join(",");
        let transcoder = || {
            let flags = ["--roles", "transcoder", "--mesh-listen", "127.0.0.1:0", "--to-catalog", &to_catalog];
            backends.starting(&flags).ready()
        };
        let transcoders = [transcoder(), transcoder()];
        let to_transcoder = transcoders.each_ref().map(peer).join(",");
        let gateway = || gateway(backends, &to_catalog, &to_transcoder);
        Self { gateways: [gateway(), gateway()], catalogs, transcoders }
    }

    fn all(&self) -> impl Iterator<Item = &Server> {
        self.gateways.iter().chain(&self.catalogs).chain(&self.transcoders)
    }
}

fn catalog(backends: &Backends) -> Server {
    backends.starting(&["--roles", "catalog", "--mesh-listen", "127.0.0.1:0"]).ready()
}

fn gateway(backends: &Backends, to_catalog: &str, to_transcoder: &str) -> Server {
    let flags = ["--roles", "gateway", "--listen", "127.0.0.1:0"];
    let others = ["--to-catalog", to_catalog, "--to-transcoder", to_transcoder];
    backends.starting(&[flags, others].concat()).ready()
}

#[test]
fn services_apart_do_what_one_process_does() {
    let runtime = Runtime::new().expect("a runtime");
    let backends = Backends::start(&runtime);
    let mesh = Apart::on(&backends);
    for server in mesh.all() {
        assert_eq!(curl::get(&format!("{}/healthz", server.address)).status, 200);
        assert_eq!(curl::get(&format!("{}/readyz", server.address)).status, 200, "{}", server.log());
    }

    // All of it: pictures too. Progress goes from a transcoder to the gateway's watcher.
    let file = clips::clip("last.mp4");
    let [one, other] = &mesh.gateways;
    let video = Person::of(one).upload(&file, "--wait=all");
    assert_eq!(video["state"], "VIDEO_STATE_READY", "{video:#}");
    for gateway in [one, other] {
        assert_same(gateway, id(&video), &file);
        playlists::check(&format!("{}/videos/{}", gateway.address, id(&video)));
    }

    // What is removed at one gateway is gone at the other, and back again.
    let master = |server: &Server| curl::get(&format!("{}/videos/{}/master.m3u8", server.address, id(&video))).status;
    assert_eq!(Person::of(one).run(&["rm", id(&video)]).0, 0);
    wait("the other hears of the removal", || master(other) == 404);
    assert_eq!(Person::of(other).run(&["restore", id(&video)]).0, 0);
    wait("the one hears that it is back", || master(one) == 200);

    for server in mesh.all() {
        let log = server.log();
        assert!(!log.contains(PASSWORD), "{log}");
        // Who is there is not waited for.
        assert!(!log.contains("waiting for"), "{log}");
    }
    let Apart { gateways, catalogs, transcoders } = mesh;
    for server in gateways.into_iter().chain(transcoders).chain(catalogs) {
        assert!(server.stop().success());
    }
}

/// An index at the end is asked for early though the worker's catalog need not be the one the gateway asks.
#[test]
fn an_index_at_the_end_is_sent_early_through_any_catalog() {
    let runtime = Runtime::new().expect("a runtime");
    let backends = Backends::start(&runtime);
    let catalogs = [catalog(&backends), catalog(&backends)];
    // Each service knows one of the two.
    let flags = ["--roles", "transcoder", "--mesh-listen", "127.0.0.1:0", "--to-catalog", peer(&catalogs[0])];
    let transcoder = backends.starting(&flags).ready();
    let gateway = gateway(&backends, peer(&catalogs[1]), peer(&transcoder));
    runtime.block_on(crate::upload::index_is_wanted_first(&gateway));
}

/// Whoever begins first waits, and says for what.
#[test]
fn services_start_in_any_order() {
    let runtime = Runtime::new().expect("a runtime");
    let backends = Backends::start(&runtime);
    // Below the ephemeral ones, so that nobody takes them meanwhile.
    let ports = [Ports::take(), Ports::take()];
    let [listen, to_catalog] = ports.each_ref().map(|port| format!("127.0.0.1:{}", port.first()));
    let address = format!("http://{listen}");
    let flags =
        ["--roles", "gateway", "--listen", &listen, "--to-catalog", &to_catalog, "--to-transcoder", "127.0.0.1:1"];
    let gateway = backends.starting(&flags);
    let answer = |address: &str, path: &str| curl::try_get(&format!("{address}{path}"));
    let ready = |address: &str| answer(address, "/readyz").map(|answer| (answer.status, answer.text().to_owned()));
    wait("it answers", || answer(&address, "/healthz").is_some_and(|answer| answer.status == 200));
    let waits =
        |address: &str, what: &str| ready(address).is_some_and(|(status, text)| status == 503 && text.contains(what));
    wait("it says that it waits", || waits(&address, &format!("waiting for the catalog at {to_catalog}")));

    runtime.block_on(backends.mongo().stop());
    let catalog = backends.starting(&["--roles", "catalog", "--mesh-listen", &to_catalog]);
    let behind = format!("http://{to_catalog}");
    wait("the catalog waits for its store", || waits(&behind, "waiting for the catalog's store mongodb://"));
    assert!(ready(&address).is_some_and(|(status, _)| status == 503));

    runtime.block_on(backends.mongo().restart());
    let (catalog, gateway) = (catalog.ready(), gateway.ready());
    assert_eq!((catalog.address.as_str(), gateway.address.as_str()), (behind.as_str(), address.as_str()));
    wait("all is there", || ready(&address).is_some_and(|(status, _)| status == 200));
    assert!(Person::of(&gateway).json(&["list"]).is_empty());
    drop(catalog);
    wait("the catalog is missed", || waits(&address, "catalog"));
}

/// Who does not know the mesh's secret does not start, and says why.
#[test]
fn services_know_each_other_by_a_token() {
    let runtime = Runtime::new().expect("a runtime");
    let backends = Backends::start(&runtime);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [right, wrong] = ["right", "wrong"].map(|name| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("the-{name}-secret-of-a-mesh\n")).expect("written");
        path.to_str().expect("text").to_owned()
    });
    let flags = ["--roles", "catalog", "--mesh-listen", "127.0.0.1:0", "--mesh-token-file", &right];
    let catalog = backends.starting(&flags).ready();
    let gateway = |token: &str| {
        let flags = ["--roles", "gateway", "--listen", "127.0.0.1:0", "--mesh-token-file", token];
        let others = ["--to-catalog", peer(&catalog), "--to-transcoder", "127.0.0.1:1"];
        backends.starting(&[&flags[..], &others[..]].concat())
    };
    let (ours, stranger) = (gateway(&right).ready(), gateway(&wrong));
    assert!(Person::of(&ours).json(&["list"]).is_empty());
    let log = stranger.fails();
    assert!(log.contains("the catalog at") && log.contains("another mesh token"), "{log}");
    assert!(!log.contains("secret-of-a-mesh"), "{log}");
    // Health is for everybody: whoever probes has no secret.
    assert_eq!(curl::get(&format!("{}/readyz", catalog.address)).status, 200);
    for server in [ours, catalog] {
        assert!(!server.log().contains("secret-of-a-mesh"), "{}", server.log());
    }
}
