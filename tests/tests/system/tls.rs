//! Encrypted listeners, by the server's settings: the public one for everybody, that of the mesh for who belongs to it.

use crate::distributed::{Backends, wait};
use std::path::Path;
use std::process::Command;
use tokio::runtime::Runtime;
use vidstream_test_servers::{Authority, Ports};
use vidstream_tests::clips;
use vidstream_tests::judges::curl::{Answer, curl, try_curl};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

/// A path as an argument.
fn name(path: &Path) -> &str {
    path.to_str().expect("a plain name")
}

/// `HOST:PORT` of an encrypted listener.
fn peer(server: &Server) -> &str {
    server.address.strip_prefix("https://").expect("an encrypted address")
}

/// The serial number of the certificate that the listener at `peer` shows, hexadecimal; none if it shows none that
/// `authority` signed. `more` are further arguments of openssl.
fn serial(peer: &str, authority: &Path, more: &[&str]) -> Option<String> {
    let script = "openssl s_client -connect \"$0\" -CAfile \"$1\" -verify_return_error \"${@:2}\" </dev/null 2>/dev/null | \
                  openssl x509 -noout -serial 2>/dev/null";
    let output =
        Command::new("bash").args(["-c", script, peer, name(authority)]).args(more).output().expect("bash runs");
    let text = String::from_utf8(output.stdout).expect("text");
    Some(text.trim().strip_prefix("serial=")?.to_owned())
}

/// The addresses that a playlist or manifest names, one a line or in `URI="…"`.
fn named(playlist: &Answer) -> Vec<String> {
    let uri = |line: &str| match line.split_once("URI=\"") {
        Some((_, rest)) => rest.split('"').next().map(ToOwned::to_owned),
        None => (!line.starts_with('#') && !line.is_empty()).then(|| line.to_owned()),
    };
    playlist.text().lines().filter_map(uri).collect()
}

#[test]
fn people_are_served_encrypted() {
    let authority = Authority::new();
    let [certificate, key] = authority.sign("public", 0x0a).files().map(ToOwned::to_owned);
    let server = Server::with(&["--tls-cert", &certificate, "--tls-key", &key]);
    let ca = authority.certificate();
    let peer = peer(&server);

    // Who does not believe the authority sends nothing, and is told why.
    let (code, _, said) = Person::of(&server).run(&["list"]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("certificate") && said.contains("--ca-file"), "{said}");
    let (code, _, said) = Person::at(&format!("http://{peer}")).run(&["list"]);
    assert_eq!(code, 4, "nothing is said in clear: {said}");

    let file = clips::clip("last.mp4");
    let person = Person::of(&server).believing(&ca);
    let video = person.upload(&file, "--wait=all");
    assert_eq!(video["state"], "VIDEO_STATE_READY", "{video:#}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copy = folder.path().join("copy.mp4");
    person.json(&["download", id(&video), "--file", name(&copy)]);
    let bytes = std::fs::read(&file).expect("readable");
    assert!(std::fs::read(&copy).expect("readable") == bytes, "what comes back is what went in");
    // In a folder without players: the address is what is wanted.
    let played = person.command(&["--output", "json", "play", id(&video)]).env("PATH", folder.path()).output();
    let played: serde_json::Value = serde_json::from_slice(&played.expect("vidctl runs").stdout).expect("JSON");
    let hls = played["hls"].as_str().expect("an address");
    assert!(hls.starts_with("https://"), "{played:#}");

    // As players do it: from the address of the playlist to all that is named, over HTTP/2.
    let get = |url: &str| curl(&["--cacert", name(&ca), "--http2", url]);
    let folder_of = |url: &str| url.rsplit_once('/').expect("a path").0.to_owned();
    let (mut playlists, mut media) = (vec![hls.to_owned()], 0);
    while let Some(url) = playlists.pop() {
        for uri in named(&get(&url)) {
            let url = format!("{}/{uri}", folder_of(&url));
            let answer = get(&url);
            assert!(answer.status == 200 && !answer.body.is_empty(), "{url}: {answer:?}");
            if uri.ends_with("/playlist.m3u8") || uri == "playlist.m3u8" { playlists.push(url) } else { media += 1 }
        }
    }
    assert!(media >= 4, "an init segment and segments of pictures and sound");
    let source = format!("{}/videos/{}/source", server.address, id(&video));
    assert!(get(&source).body == bytes);
    let version = |how: &str| {
        let answer = curl(&["--cacert", name(&ca), how, "-w", "%{http_version}", "-o", "/dev/null", &source]);
        answer.text().to_owned()
    };
    assert_eq!((version("--http2"), version("--http1.1")), ("2".to_owned(), "1.1".to_owned()));

    // Another certificate on the disk is shown without a restart.
    assert_eq!(serial(peer, &ca, &[]).as_deref(), Some("0A"));
    authority.sign("public", 0x0b);
    wait("the new certificate is shown", || serial(peer, &ca, &[]).as_deref() == Some("0B"));
    assert_eq!(person.json(&["list"]).len(), 1);
    assert!(server.stop().success());
}

/// What each process of a mesh is given to prove by that it belongs to it.
struct Proofs {
    ca: String,
    token: String,
}

impl Proofs {
    /// The flags of a process with a certificate.
    fn with<'a>(&'a self, [certificate, key]: [&'a str; 2], token: bool) -> Vec<&'a str> {
        let mut flags = vec!["--mesh-tls-cert", certificate, "--mesh-tls-key", key, "--mesh-tls-ca", &self.ca];
        if token {
            flags.extend(["--mesh-token-file", &self.token]);
        }
        flags
    }
}

#[test]
fn services_apart_prove_who_they_are() {
    let runtime = Runtime::new().expect("a runtime");
    let backends = Backends::start(&runtime);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (authority, strange) = (Authority::new(), Authority::new());
    let ca = authority.certificate();
    let token = folder.path().join("token");
    std::fs::write(&token, "the-secret-of-this-mesh\n").expect("written");
    let proofs = Proofs { ca: name(&ca).to_owned(), token: name(&token).to_owned() };

    let (behind, before, foreign) =
        (authority.sign("behind", 0x0a), authority.sign("before", 0x0b), strange.sign("foreign", 0x0c));
    let flags = ["--roles", "catalog", "--mesh-listen", "127.0.0.1:0"];
    let catalog = backends.starting(&[&flags[..], &proofs.with(behind.files(), true)].concat()).ready();
    let to_catalog = peer(&catalog);
    let flags = ["--roles", "gateway,transcoder", "--listen", "127.0.0.1:0", "--mesh-listen", "127.0.0.1:0"];
    let flags = [&flags[..], &["--to-catalog", to_catalog], &proofs.with(before.files(), true)].concat();
    let server = backends.starting(&flags).ready();
    let file = clips::clip("last.mp4");
    let video = Person::of(&server).upload(&file, "--wait=all");
    assert_eq!(video["state"], "VIDEO_STATE_READY", "{video:#}");
    let source = curl(&[&format!("{}/videos/{}/source", server.address, id(&video))]);
    assert!(source.body == std::fs::read(&file).expect("readable"));

    // The listener itself: nobody is heard without a certificate that the authority signed.
    let ready = format!("{}/readyz", catalog.address);
    let ask = |more: &[&str]| try_curl(&[&["--cacert", name(&ca)], more, &[&ready]].concat());
    let by = |[certificate, key]: [&str; 2]| ask(&["--cert", certificate, "--key", key]);
    assert!(ask(&[]).is_err() && by(foreign.files()).is_err());
    assert_eq!(by(before.files()).map(|answer| answer.status), Ok(200));

    // Gateways that lack one of the proofs say so.
    let stranger = |what: &str, proofs: &[&str], said: &str| {
        let port = Ports::take();
        let listen = format!("127.0.0.1:{}", port.first());
        let flags = ["--roles", "gateway", "--listen", &listen, "--to-catalog", to_catalog];
        let others = ["--to-transcoder", "127.0.0.1:1"];
        let _stranger = backends.starting(&[&flags[..], &others, proofs].concat());
        let ready = format!("http://{listen}/readyz");
        wait(what, || try_curl(&[&ready]).is_ok_and(|answer| answer.status == 503 && answer.text().contains(said)));
        // And nobody gets through by it.
        assert_ne!(curl(&[&format!("http://{listen}/videos/{}/source", id(&video))]).status, 200, "{what}");
    };
    let flags =
        ["--roles", "gateway", "--listen", "127.0.0.1:0", "--to-catalog", to_catalog, "--to-transcoder", "127.0.0.1:1"];
    let log = backends.starting(&[&flags[..], &proofs.with(before.files(), false)].concat()).fails();
    assert!(log.contains("without the mesh token"), "{log}");
    stranger("a certificate of somebody else's", &proofs.with(foreign.files(), true), "does not take our certificate");
    stranger("nothing is encrypted", &["--mesh-token-file", &proofs.token], "perhaps it speaks TLS");

    // Another certificate on the disk is shown without a restart, and those that are connected go on.
    let [certificate, key] = before.files();
    let shown = || serial(to_catalog, &ca, &["-cert", certificate, "-key", key]);
    assert_eq!(shown().as_deref(), Some("0A"));
    authority.sign("behind", 0x0d);
    wait("the new certificate is shown", || shown().as_deref() == Some("0D"));
    assert_eq!(Person::of(&server).json(&["list"]).len(), 1);
    for server in [server, catalog] {
        assert!(!server.log().contains("secret-of-this-mesh"), "{}", server.log());
        assert!(server.stop().success());
    }
}
