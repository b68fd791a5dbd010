//! Restarts one after another, while people use the mesh: two of each service, each asked to stop and started again. No unary
//! call and no media request fails; streams end with `UNAVAILABLE` and are opened again; an upload goes on elsewhere.

use crate::distributed::{Backends, wait};
use crate::kill::blake3_of_source;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::{self, Bytes, StdError};
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use vidstream_mesh::client::{ClientOptions, connect};
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_proto::ids::RequestId;
use vidstream_proto::pb;
use vidstream_proto::pb::gateway_service_client::GatewayServiceClient;
use vidstream_test_servers::Ports;
use vidstream_tests::balancer::Balancer;
use vidstream_tests::clips;
use vidstream_tests::judges::curl::{get, try_curl};
use vidstream_tests::proxy::Proxy;
use vidstream_tests::server::{Server, Starting};
use vidstream_tests::vidctl::{Person, id};

/// Longer than the balancer takes to see that a gateway is not ready, also on a busy machine.
const DRAIN: &str = "8s";

/// A process at a place of its own, which can be ended and started again.
struct Process {
    flags: Vec<String>,
    server: Option<Server>,
    /// Of the listener that others ask.
    address: SocketAddr,
    _port: Ports,
}

impl Process {
    fn start(backends: &Backends, role: &str, listen: &str, more: &[&str]) -> Self {
        let port = Ports::take();
        let address = format!("127.0.0.1:{}", port.first());
        let flags = backends.flags();
        let flags = [&flags[..], &["--roles", role, listen, &address], more].concat();
        let flags: Vec<_> = flags.into_iter().map(ToOwned::to_owned).collect();
        let address = address.parse().expect("an address");
        let mut process = Self { flags, server: None, address, _port: port };
        process.server = Some(Starting::of(&process.flags()).ready());
        process
    }

    fn flags(&self) -> Vec<&str> {
        self.flags.iter().map(String::as_str).collect()
    }

    /// Asks it to stop, waits until it has, and starts it again.
    fn restart(&mut self) {
        let (status, data) = self.server.take().expect("it runs").stopped();
        assert!(status.success(), "{status}");
        self.server = Some(Starting::on(data, &self.flags()).ready());
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("it runs")
    }
}

/// Two of each service.
struct Mesh {
    catalogs: [Process; 2],
    transcoders: [Process; 2],
    gateways: [Process; 2],
}

fn list(processes: &[Process; 2]) -> String {
    processes.each_ref().map(|process| process.address.to_string()).join(",")
}

impl Mesh {
    fn on(backends: &Backends, drain: &str) -> Self {
        let catalog = || Process::start(backends, "catalog", "--mesh-listen", &[]);
        let catalogs = [catalog(), catalog()];
        let to_catalog = list(&catalogs);
        let transcoder = || Process::start(backends, "transcoder", "--mesh-listen", &["--to-catalog", &to_catalog]);
        let transcoders = [transcoder(), transcoder()];
        let to_transcoder = list(&transcoders);
        let others = ["--to-catalog", &to_catalog, "--to-transcoder", &to_transcoder, "--drain", drain];
        let gateway = || Process::start(backends, "gateway", "--listen", &others);
        Self { gateways: [gateway(), gateway()], catalogs, transcoders }
    }

    fn balancer(&self) -> Balancer {
        let balancer = Balancer::before(&self.gateways.each_ref().map(|gateway| gateway.address));
        balancer.wait(2);
        balancer
    }

    /// Restarts all, servers before those who call them; a gateway only while the other one is ready.
    fn roll(&mut self, balancer: &Balancer) {
        for process in self.catalogs.iter_mut().chain(&mut self.transcoders) {
            process.restart();
        }
        for gateway in &mut self.gateways {
            balancer.wait(2);
            gateway.restart();
        }
        balancer.wait(2);
    }
}

/// What people did: how often it went well, and what went wrong.
#[derive(Clone, Default)]
struct Done {
    well: Arc<Mutex<BTreeMap<&'static str, u64>>>,
    wrong: Arc<Mutex<Vec<String>>>,
    enough: Arc<AtomicBool>,
}

impl Done {
    fn note(&self, what: &'static str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => *self.well.lock().expect("no panic").entry(what).or_default() += 1,
            Err(why) => self.wrong.lock().expect("no panic").push(format!("{what}: {why}")),
        }
    }

    fn count(&self, what: &str) -> u64 {
        self.well.lock().expect("no panic").get(what).copied().unwrap_or_default()
    }

    fn goes_on(&self) -> bool {
        !self.enough.load(Ordering::Relaxed)
    }
}

/// Calls by a client that has both gateways in its list and keeps its connections.
async fn call_by_list(addresses: String, video: String, done: Done) {
    let life = Lifecycle::new();
    let service = connect(addresses.parse().expect("addresses"), ClientOptions::default(), &life);
    let mut gateway = GatewayServiceClient::new(service.channel.clone());
    while done.goes_on() {
        calls(&mut gateway, &video, &done, ["list", "get", "update"]).await;
    }
}

/// Calls by clients that connect anew each time, to wherever the balancer sends them.
async fn call_by_balancer(address: String, video: String, done: Done) {
    while done.goes_on() {
        let endpoint = Endpoint::from_shared(address.clone()).expect("an address");
        match endpoint.connect().await {
            Ok(channel) => {
                let mut gateway = GatewayServiceClient::new(channel);
                calls(&mut gateway, &video, &done, ["list, balanced", "get, balanced", "update, balanced"]).await;
            }
            Err(error) => done.note("connect", Err(format!("{error:?}"))),
        }
    }
}

/// Reads and writes.
async fn calls<C>(gateway: &mut GatewayServiceClient<C>, video: &str, done: &Done, names: [&'static str; 3])
where
    C: GrpcService<Body, Error: Into<StdError>>,
    C::ResponseBody: codegen::Body<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
{
    let words = |status: Status| format!("{status:?}");
    let listed = gateway.list_videos(pb::ListVideosRequest::default()).await;
    let listed = listed.map_err(words).and_then(|answer| match answer.into_inner().videos.len() {
        1 => Ok(()),
        count => Err(format!("{count} videos")),
    });
    done.note(names[0], listed);
    let got = gateway.get_video(pb::GetVideoRequest { video_id: video.to_owned() }).await;
    done.note(names[1], got.map(drop).map_err(words));
    let update = pb::UpdateVideoRequest {
        request_id: RequestId::generate().to_string(),
        video_id: video.to_owned(),
        update_mask: Some(prost_types::FieldMask { paths: vec!["title".to_owned()] }),
        title: format!("Title {}", done.count(names[2])),
        ..Default::default()
    };
    done.note(names[2], gateway.update_video(update).await.map(drop).map_err(words));
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// Watches; each end of a stream is noted, and the next one begins.
async fn watch(address: String, done: Done) {
    while done.goes_on() {
        let opened = async {
            let channel = Endpoint::from_shared(address.clone()).expect("an address").connect().await;
            let channel = channel.map_err(|error| Status::internal(format!("it can't be connected to: {error:?}")))?;
            GatewayServiceClient::new(channel).watch_videos(pb::WatchVideosRequest::default()).await
        };
        let ended = match opened.await {
            Err(status) => status,
            Ok(stream) => {
                let mut stream = stream.into_inner();
                done.note("streams", Ok(()));
                loop {
                    match tokio::time::timeout(Duration::from_millis(200), stream.message()).await {
                        // It is asked again: nothing is lost of a message that comes.
                        Err(_) if !done.goes_on() => return,
                        Err(_) | Ok(Ok(Some(_))) => {}
                        Ok(Ok(None)) => break Status::unknown("it ended without a word"),
                        Ok(Err(status)) => break status,
                    }
                }
            }
        };
        let outcome = if ended.code() == Code::Unavailable { Ok(()) } else { Err(format!("{ended:?}")) };
        done.note("ends of streams", outcome);
    }
}

/// Asks for media as players do, each time by a new connection, and compares what comes.
fn play(address: &str, paths: &[(String, Vec<u8>)], done: &Done) {
    while done.goes_on() {
        for (path, expected) in paths {
            let outcome = match try_curl(&[&format!("{address}{path}")]) {
                Ok(answer) if answer.status == 200 && answer.body == *expected => Ok(()),
                Ok(answer) => Err(format!("{path}: {} and {} bytes", answer.status, answer.body.len())),
                Err(why) => Err(format!("{path}: curl said {why}")),
            };
            done.note("media", outcome);
        }
    }
}

/// What a video's addresses answer.
fn media(address: &str, video: &str) -> Vec<(String, Vec<u8>)> {
    let master = format!("/videos/{video}/master.m3u8");
    let answer = get(&format!("{address}{master}"));
    let track = answer.text().lines().find(|line| line.ends_with("/playlist.m3u8")).expect("a track").to_owned();
    let folder = format!("/videos/{video}/{}", track.strip_suffix("/playlist.m3u8").expect("a playlist"));
    let paths = [master, format!("{folder}/playlist.m3u8"), format!("{folder}/init.mp4"), format!("{folder}/1.m4s")];
    let paths = paths.into_iter().chain([format!("/videos/{video}/source")]);
    paths.map(|path| (path.clone(), get(&format!("{address}{path}")).body)).collect()
}

#[test]
fn rolling_restarts_fail_nobody() {
    let runtime = Runtime::new().expect("a runtime");
    let backends = Backends::start(&runtime);
    let mut mesh = Mesh::on(&backends, DRAIN);
    let balancer = mesh.balancer();
    let video = Person::at(&balancer.address).upload(&clips::clip("last.mp4"), "--wait=all");
    let video = id(&video).to_owned();
    let paths = media(&balancer.address, &video);
    let done = Done::default();
    let tasks = [
        runtime.spawn(call_by_list(list(&mesh.gateways), video.clone(), done.clone())),
        runtime.spawn(call_by_balancer(balancer.address.clone(), video.clone(), done.clone())),
        runtime.spawn(watch(balancer.address.clone(), done.clone())),
    ];
    let all = ["list", "get", "update", "list, balanced", "get, balanced", "update, balanced", "streams", "media"];
    std::thread::scope(|scope| {
        let playing = scope.spawn(|| play(&balancer.address, &paths, &done));
        wait("everybody is at work", || all.iter().all(|what| done.count(what) > 0));
        let before = all.map(|what| done.count(what));
        mesh.roll(&balancer);
        let after = all.map(|what| done.count(what));
        wait("everybody is still at work", || {
            all.iter().zip(after).all(|(what, after)| *what == "streams" || done.count(what) > after)
        });
        done.enough.store(true, Ordering::Relaxed);
        playing.join().expect("no panic");
        assert!(before.iter().zip(after).all(|(before, after)| after > *before), "{before:?}, then {after:?}");
    });
    for task in tasks {
        runtime.block_on(task).expect("no panic");
    }
    let wrong = done.wrong.lock().expect("no panic");
    let well = done.well.lock().expect("no panic");
    assert!(wrong.is_empty(), "{} of {well:?} went wrong:\n{}", wrong.len(), wrong.join("\n"));
    // At least one of them had its stream open at each gateway when that was restarted.
    assert!(well["ends of streams"] >= 2, "{well:?}");
}

#[test]
fn an_upload_goes_on_when_its_gateway_is_asked_to_stop() {
    let runtime = Runtime::new().expect("a runtime");
    let backends = Backends::start(&runtime);
    let mut mesh = Mesh::on(&backends, "0s");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = clips::noise(folder.path(), "noise.bin", (64 << 20) + 12_345);
    let [one, other] = &mut mesh.gateways;
    let proxy = Proxy::before(one.server());
    let person = Person::at(&proxy.address);
    let mut upload = person.command(&["upload", file.to_str().expect("text")]);
    let mut upload = upload.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("vidctl starts");
    while proxy.passed() < 16 << 20 {
        assert!(upload.try_wait().expect("asked").is_none(), "it was to be in its midst");
        std::thread::sleep(Duration::from_millis(1));
    }
    // From now on new connections go to the other one; the old one ends in order, and what it stored is there.
    proxy.lead_to(other.server());
    one.restart();
    assert!(upload.wait().expect("it ends").success(), "the client goes on by itself");
    let video = Person::of(other.server()).json(&["list"]).remove(0);
    let sent = blake3::hash(&std::fs::read(&file).expect("readable"));
    for gateway in [one, other] {
        assert_eq!(blake3_of_source(gateway.server(), id(&video)), sent);
    }
}
