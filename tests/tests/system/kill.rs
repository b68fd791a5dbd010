//! kill -9 on either side in mid-upload, then the same command again: the same bytes arrive, and little is sent twice.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use vidstream_tests::clips;
use vidstream_tests::dice::Dice;
use vidstream_tests::proxy::Proxy;
use vidstream_tests::server::Server;

use vidstream_proto::pb;
use vidstream_proto::pb::upload_service_client::UploadServiceClient;
use vidstream_tests::vidctl::{Person, id};

const CELL: u64 = 8 << 20;
const FILE: u64 = 9 * CELL + 12_345;

/// Bytes of an unfinished upload that are durable, by the server's own records.
fn durable(server: &Server, upload_id: &str) -> u64 {
    let ask = async {
        let mut client = UploadServiceClient::connect(server.address.clone()).await.expect("it answers");
        let request = pb::GetUploadRequest { upload_id: upload_id.to_owned() };
        client.get_upload(request).await.expect("known").into_inner().upload.expect("an upload").durable
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(ask).iter().map(|range| range.end - range.start).sum()
}

pub(crate) fn blake3_of_source(server: &Server, video: &str) -> blake3::Hash {
    let url = format!("{}/videos/{video}/source", server.address);
    let mut curl = Command::new("curl").args(["-sS", &url]).stdout(Stdio::piped()).spawn().expect("curl runs");
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(curl.stdout.take().expect("piped")).expect("readable");
    assert!(curl.wait().expect("it ends").success());
    hasher.finalize()
}

/// Who is killed.
#[derive(Clone, Copy, PartialEq)]
enum Victim {
    /// The client.
    Client,
    /// The server, and the client with it.
    Both,
    /// The server; the client finds the next one by itself.
    Server,
}

/// Starts an upload, kills `victim` when a random number of bytes went up, and finishes it. Says whether the upload was
/// in its midst.
fn round(server: Server, seed: u64, victim: Victim) -> (Server, bool) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = clips::noise(folder.path(), &format!("noise-{seed}.bin"), FILE);
    let path = file.to_str().expect("text");
    let proxy = Proxy::before(&server);
    let person = Person::at(&proxy.address);
    let quiet = |mut command: Command| command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut upload = quiet(person.command(&["upload", path])).expect("vidctl starts");
    let moment = Dice(seed).roll(FILE);
    while proxy.passed() < moment && upload.try_wait().expect("asked").is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let server = match victim {
        Victim::Client => server,
        Victim::Both | Victim::Server => server.kill_and_restart(&[]),
    };
    if victim != Victim::Server {
        drop(upload.kill());
        upload.wait().expect("it ends");
    }
    // A client that lives can't reach the new server before the proxy leads to it.
    let unfinished = person.unfinished_upload();
    let before = unfinished.map_or(0, |upload| durable(&server, &upload));
    proxy.sent();
    proxy.lead_to(&server);
    if victim == Victim::Server {
        assert!(upload.wait().expect("it ends").success(), "seed {seed}: the client goes on by itself");
    }
    let (code, out, errors) = match victim {
        Victim::Server => {
            (0, person.json(&["list", "--search", &format!("noise-{seed}")]).remove(0).to_string(), String::new())
        }
        Victim::Both | Victim::Client => person.run(&["--output", "json", "upload", path]),
    };
    assert_eq!(code, 0, "seed {seed}: {out}{errors}");
    let again = proxy.sent();
    let room = FILE - before + 2 * CELL;
    assert!(again <= room, "seed {seed}: sent {again} again though {before} of {FILE} were durable");
    let video: serde_json::Value = serde_json::from_str(out.trim()).expect("a video");
    assert_eq!(video["upload"]["state"], "UPLOAD_STATE_COMPLETE", "seed {seed}");
    let expected = blake3::hash(&std::fs::read(&file).expect("readable"));
    assert_eq!(blake3_of_source(&server, id(&video)), expected, "seed {seed}");
    assert!(person.json(&["list", "--state", "uploading"]).is_empty(), "seed {seed}: nothing is left half-way");
    (server, 0 < before && before < FILE)
}

/// Ten rounds, of which most must have been in the midst of an upload.
fn rounds(seeds: std::ops::Range<u64>, victim: impl Fn(u64) -> Victim) {
    let mut server = Server::start();
    let mut midst = 0;
    for seed in seeds {
        let (next, was_midst) = round(server, seed, victim(seed));
        server = next;
        midst += usize::from(was_midst);
    }
    assert!(midst >= 5, "only {midst} of 10 rounds were in the midst of an upload");
}

#[test]
fn uploads_survive_kills_of_the_client() {
    rounds(0..10, |_| Victim::Client);
}

#[test]
fn uploads_survive_kills_of_the_server() {
    rounds(100..110, |seed| if seed.is_multiple_of(2) { Victim::Both } else { Victim::Server });
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
