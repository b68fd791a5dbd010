//! `vidctl doctor` on servers of which something is killed, gone or wrong.

use crate::distributed::Backends;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use tokio::runtime::Runtime;
use vidstream_test_servers::{self as servers, Kind, PASSWORD, USER};
use vidstream_tests::judges::curl;
use vidstream_tests::server::{Server, binary};
use vidstream_tests::vidctl::Person;

/// What the doctor finds of each part that each service looks at, and what it ends with.
struct Diagnosis {
    code: i32,
    findings: Vec<Value>,
}

impl Diagnosis {
    fn of(server: &Server) -> Self {
        let (code, out, errors) = Person::of(server).run(&["--output", "json", "doctor"]);
        assert_eq!(errors, "", "{out}");
        let events = out.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
        let (totals, findings): (Vec<Value>, Vec<Value>) = events.partition(|event| event.get("total").is_some());
        assert_eq!(totals.len(), 1, "it has an end: {out}");
        Self { code, findings: findings.into_iter().map(|event| event["found"].clone()).collect() }
    }

    /// `service part` of all findings that are not fine. How full the disk is depends on where the test runs.
    fn ill(&self) -> Vec<String> {
        let ill =
            self.findings.iter().filter(|found| found["verdict"] != "VERDICT_FINE" && found["part"] != "disk space");
        let mut ill: Vec<_> = ill.map(|found| format!("{} {}", text(found, "service"), text(found, "part"))).collect();
        ill.sort_unstable();
        ill.dedup();
        ill
    }

    fn of_part(&self, part: &str) -> &Value {
        self.findings.iter().find(|found| found["part"] == part && found["verdict"] == "VERDICT_WRONG").expect(part)
    }
}

fn text<'a>(found: &'a Value, field: &str) -> &'a str {
    found[field].as_str().expect(field)
}

#[test]
fn a_server_by_itself_is_well() {
    let server = Server::start();
    let diagnosis = Diagnosis::of(&server);
    assert_eq!((diagnosis.ill(), diagnosis.code), (Vec::<String>::new(), 0), "{:#?}", diagnosis.findings);
    let parts: Vec<&str> = diagnosis.findings.iter().map(|found| text(found, "part")).collect();
    for part in [
        "store",
        "object store",
        "owner of objects",
        "job queue",
        "event bus",
        "ffmpeg",
        "worker",
        "light jobs",
        "picture jobs",
        "clocks",
    ] {
        assert!(parts.contains(&part), "{part} in {parts:?}");
    }
    let left = server.data().join("objects/probes").read_dir().map(Iterator::count);
    assert!(left.as_ref().map_or(true, |left| *left == 0), "it leaves nothing behind: {left:?}");
}

#[test]
fn an_ffmpeg_that_went_is_missed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ffmpeg");
    std::fs::write(&path, "#!/bin/sh\nexec ffmpeg \"$@\"\n").expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("allowed");
    let server = Server::with(&["--ffmpeg", path.to_str().expect("text")]);
    assert_eq!(Diagnosis::of(&server).code, 0);
    std::fs::remove_file(&path).expect("removed");
    let diagnosis = Diagnosis::of(&server);
    assert_eq!((diagnosis.ill(), diagnosis.code), (vec!["transcoder ffmpeg".to_owned()], 1));
    let found = diagnosis.of_part("ffmpeg");
    assert!(text(found, "advice").contains("--ffmpeg"), "{found}");
}

#[test]
fn nobody_there_is_said_as_everywhere() {
    let code = Person::at("http://127.0.0.1:1").run(&["doctor"]).0;
    assert_eq!(code, 4);
    assert!(binary("vidctl").is_file());
}

#[test]
fn services_that_are_killed_are_named() {
    let runtime = Runtime::new().expect("a runtime");
    let backends = Backends::start(&runtime);
    let mesh = |flags: &[&str]| backends.starting(&[&["--mesh-listen", "127.0.0.1:0"][..], flags].concat()).ready();
    let peer = |server: &Server| server.address.strip_prefix("http://").expect("an address").to_owned();
    let catalog = mesh(&["--roles", "catalog"]);
    let transcoder = mesh(&["--roles", "transcoder", "--to-catalog", &peer(&catalog)]);
    let others = ["--to-catalog", &peer(&catalog), "--to-transcoder", &peer(&transcoder)];
    let gateway = mesh(&[&["--roles", "gateway", "--listen", "127.0.0.1:0"][..], &others[..]].concat());
    let well = Diagnosis::of(&gateway);
    assert_eq!((well.ill(), well.code), (Vec::<String>::new(), 0), "{:#?}", well.findings);
    drop(transcoder);
    let diagnosis = Diagnosis::of(&gateway);
    assert_eq!(
        (diagnosis.ill(), diagnosis.code),
        (vec!["gateway transcoder".to_owned()], 1),
        "{:#?}",
        diagnosis.findings
    );
    assert!(text(diagnosis.of_part("transcoder"), "advice").contains("role transcoder"));
    drop(catalog);
    let diagnosis = Diagnosis::of(&gateway);
    assert_eq!(diagnosis.ill(), ["gateway catalog", "gateway transcoder"], "{:#?}", diagnosis.findings);
}

/// Ports that were mixed up.
#[test]
fn another_service_where_one_is_looked_for_is_said() {
    let runtime = Runtime::new().expect("a runtime");
    let backends = Backends::start(&runtime);
    let mesh = |flags: &[&str]| backends.starting(&[&["--mesh-listen", "127.0.0.1:0"][..], flags].concat());
    let peer = |server: &Server| server.address.strip_prefix("http://").expect("an address").to_owned();
    let catalog = mesh(&["--roles", "catalog"]).ready();
    let transcoder = mesh(&["--roles", "transcoder", "--to-catalog", &peer(&catalog)]).ready();
    let gateway = |to_catalog: &Server, to_transcoder: &Server| {
        let others = ["--to-catalog", &peer(to_catalog), "--to-transcoder", &peer(to_transcoder)];
        mesh(&[&["--roles", "gateway", "--listen", "127.0.0.1:0"][..], &others[..]].concat())
    };
    let said = gateway(&transcoder, &transcoder).fails();
    let words = format!("the catalog at {}: another service listens there: there is no rpc", peer(&transcoder));
    assert!(said.contains(&words), "{said}");
    let diagnosis = Diagnosis::of(&gateway(&catalog, &catalog).ready());
    assert_eq!((diagnosis.ill(), diagnosis.code), (vec!["gateway transcoder".to_owned()], 1));
    let found = diagnosis.of_part("transcoder");
    assert!(text(found, "text").contains("another service listens"), "{found}");
    assert!(text(found, "advice").contains("--to-transcoder"), "{found}");
    // Whoever looks by hand is told too.
    let answer = curl::get(&format!("{}/nothing", catalog.address));
    assert_eq!((answer.status, &*answer.json()["reason"].to_string()), (404, "\"NOT_FOUND\""), "{answer:?}");
}

#[test]
fn backends_that_are_killed_are_named() {
    let runtime = Runtime::new().expect("a runtime");
    let start = |kind| runtime.block_on(servers::Server::start(kind));
    let (mongo, minio) = (start(Kind::MongoDb), start(Kind::Minio));
    let (rabbit, redis) = (start(Kind::RabbitMq), start(Kind::Redis));
    runtime.block_on(minio.make_bucket("videos"));
    let objects = format!("s3://{USER}:{PASSWORD}@videos/mesh?region=us-east-1&endpoint={}", minio.url());
    let catalog = format!("{}/videos", mongo.url());
    let (queue, events) = (rabbit.url(), redis.url());
    let flags = ["--catalog", &catalog, "--objects", &objects, "--queue", &queue, "--events", &events];
    let server = Server::with(&flags);
    let well = Diagnosis::of(&server);
    assert_eq!((well.ill(), well.code), (Vec::<String>::new(), 0), "{:#?}", well.findings);

    let both = |part: &str| vec![format!("catalog {part}"), format!("transcoder {part}")];
    drop(redis);
    let diagnosis = Diagnosis::of(&server);
    assert_eq!((diagnosis.ill(), diagnosis.code), (both("event bus"), 1), "{:#?}", diagnosis.findings);
    assert!(text(diagnosis.of_part("event bus"), "advice").contains("--events"));
    drop(rabbit);
    let ill = [both("event bus"), both("job queue")].concat();
    let sorted = |mut ill: Vec<String>| {
        ill.sort_unstable();
        ill
    };
    assert_eq!(Diagnosis::of(&server).ill(), sorted(ill.clone()));
    drop(minio);
    let diagnosis = Diagnosis::of(&server);
    let ill = [ill, both("object store"), vec!["gateway object store".to_owned()]].concat();
    assert_eq!(diagnosis.ill(), sorted(ill));
    assert!(!diagnosis.findings.iter().any(|found| found.to_string().contains(PASSWORD)), "no secret is told");
    drop(mongo);
    let diagnosis = Diagnosis::of(&server);
    assert!(diagnosis.ill().contains(&"catalog store".to_owned()), "{:#?}", diagnosis.findings);
    assert!(text(diagnosis.of_part("store"), "advice").contains("--catalog"));
}
