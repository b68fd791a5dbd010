//! The catalog under pressure, through the public port: old positions, repeated requests, stale revisions, pages that change,
//! and deletion in the middle of everything.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use vidstream_proto::ids::RequestId;
use vidstream_tests::clips;
use vidstream_tests::judges::curl;
use vidstream_tests::judges::grpcurl::grpcurl;
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

fn call(server: &Server, method: &str, message: &Value) -> Result<Value, String> {
    let service = if method.ends_with("Upload") { "UploadService" } else { "GatewayService" };
    let answer = grpcurl(&server.address, &["-d", &message.to_string(), &format!("vidstream.v1.{service}/{method}")])?;
    Ok(serde_json::from_str(&answer).expect("one message"))
}

/// What must be refused, and why it was.
fn refused(server: &Server, method: &str, message: &Value, reason: &str) {
    let error = call(server, method, message).expect_err("refused");
    assert!(error.contains(reason), "{method} should have said {reason}: {error}");
}

fn request_id() -> String {
    RequestId::generate().to_string()
}

fn created(server: &Server, title: &str) -> Value {
    let message = json!({ "requestId": request_id(), "fileName": "a.mp4", "size": "1000", "title": title });
    call(server, "CreateUpload", &message).expect("made")["upload"].take()
}

fn video(server: &Server, id: &str) -> Value {
    call(server, "GetVideo", &json!({ "videoId": id })).expect("there")["video"].take()
}

/// The same, once its ingest job waits for bytes that never come: from then on nothing changes by itself.
fn at_rest(server: &Server, title: &str) -> Value {
    let upload = created(server, title);
    eventually("a worker takes it", || {
        video(server, video_of(&upload))["sourceRendition"]["state"] == "PART_STATE_RUNNING"
    });
    upload
}

fn video_of(upload: &Value) -> &str {
    upload["videoId"].as_str().expect("an id")
}

fn files(folder: &std::path::Path) -> usize {
    let Ok(entries) = folder.read_dir() else { return 0 };
    let entries = entries.map(|entry| entry.expect("an entry").path()).filter(|path| !path.ends_with(".scratch"));
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

/// Asks until it holds; a minute at most.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < patience, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_position_that_means_nothing_here_is_reset() {
    let (here, elsewhere) = (Server::start(), Server::start());
    at_rest(&here, "a");
    let position = |server: &Server| call(server, "ListVideos", &json!({})).expect("a page")["position"].take();
    let watch = |position: Value| {
        let message = json!({ "position": position }).to_string();
        grpcurl(&here.address, &["-max-time=2", "-d", &message, "vidstream.v1.GatewayService/WatchVideos"])
    };
    // The stream ends by itself: there is nothing to tell from there.
    let told = watch(position(&elsewhere)).expect("it ends in order");
    let told: Value = serde_json::from_str(&told).expect("one message");
    assert_eq!(told["reset"], json!({}), "{told}");
    // Its position leads on.
    assert_eq!(told["position"], position(&here));
    let error = watch(json!("yesterday")).expect_err("no position");
    assert!(error.contains("InvalidArgument") && error.contains("position"), "{error}");
    let error = watch(position(&here)).expect_err("it goes on until its time is over");
    assert!(error.contains("DeadlineExceeded"), "{error}");
}

#[test]
fn a_repeated_request_gets_the_first_answer_and_does_nothing() {
    let server = Server::start();
    let create = json!({ "requestId": request_id(), "fileName": "a.mp4", "size": "1000" });
    let first = call(&server, "CreateUpload", &create).expect("made");
    assert_eq!(call(&server, "CreateUpload", &create).expect("the same"), first);
    assert_eq!(call(&server, "ListVideos", &json!({})).expect("a page")["videos"].as_array().map(Vec::len), Some(1));
    let other = json!({ "requestId": create["requestId"], "fileName": "b.mp4", "size": "1000" });
    refused(&server, "CreateUpload", &other, "REQUEST_ID_REUSED");

    let video = video_of(&first["upload"]);
    let update = |title: &str, request: &str| {
        let mask = json!({ "paths": ["title"] });
        json!({ "requestId": request, "videoId": video, "updateMask": mask, "title": title })
    };
    let request = request_id();
    let one = call(&server, "UpdateVideo", &update("one", &request)).expect("updated");
    call(&server, "UpdateVideo", &update("two", &request_id())).expect("updated");
    assert_eq!(call(&server, "UpdateVideo", &update("one", &request)).expect("the first answer"), one);
    let get = || self::video(&server, video);
    assert_eq!(get()["title"], "two", "the repeat had no second effect");
    refused(&server, "UpdateVideo", &update("three", &request), "REQUEST_ID_REUSED");

    let remove = json!({ "requestId": request_id(), "videoId": video });
    let removed = call(&server, "RemoveVideo", &remove).expect("removed");
    call(&server, "RestoreVideo", &json!({ "requestId": request_id(), "videoId": video })).expect("restored");
    assert_eq!(call(&server, "RemoveVideo", &remove).expect("the first answer"), removed);
    assert_eq!(get()["state"], "VIDEO_STATE_UPLOADING", "it stays shown");
    // Also after a power cut.
    let server = server.kill_and_restart(&[]);
    assert_eq!(call(&server, "UpdateVideo", &update("one", &request)).expect("the first answer"), one);
    assert_eq!(call(&server, "CreateUpload", &create).expect("the same"), first);
}

#[test]
fn a_change_of_what_somebody_else_changed_is_refused() {
    let server = Server::start();
    let upload = at_rest(&server, "a");
    let video = video_of(&upload);
    let get = || self::video(&server, video);
    let seen = get();
    let edit = |title: &str, revision: &Value| {
        json!({ "requestId": request_id(), "videoId": video, "updateMask": { "paths": ["title"] }, "title": title,
            "expectedRevision": revision })
    };
    call(&server, "UpdateVideo", &edit("mine", &seen["revision"])).expect("nobody was faster");
    let now = get();
    refused(&server, "UpdateVideo", &edit("yours", &seen["revision"]), "REVISION_MISMATCH");
    for method in ["RemoveVideo", "RestoreVideo", "RetryVideo"] {
        let message = json!({ "requestId": request_id(), "videoId": video, "expectedRevision": seen["revision"] });
        refused(&server, method, &message, "REVISION_MISMATCH");
    }
    assert_eq!(get(), now, "nothing changed");
    call(&server, "UpdateVideo", &edit("yours", &now["revision"])).expect("read again");
}

/// All pages of a list, joined.
fn pages(server: &Server, list: &Value, mut between: impl FnMut()) -> Vec<String> {
    let (mut titles, mut token) = (Vec::new(), String::new());
    loop {
        let mut message = list.clone();
        message["pageToken"] = json!(token);
        let page = call(server, "ListVideos", &message).expect("a page");
        let videos = page["videos"].as_array().cloned().unwrap_or_default();
        assert!(videos.len() <= 4);
        titles.extend(videos.iter().map(|video| video["title"].as_str().expect("a title").to_owned()));
        match page["nextPageToken"].as_str() {
            Some(next) if !next.is_empty() => next.clone_into(&mut token),
            _ => return titles,
        }
        between();
    }
}

#[test]
fn pages_join_to_the_list_and_tokens_are_of_one_list() {
    let server = Server::start();
    let titles: Vec<String> = (0..11).map(|n| format!("{} {n:02}", if n % 2 == 0 { "Sea" } else { "lake" })).collect();
    for title in &titles {
        created(&server, title);
    }
    let newest: Vec<String> = titles.iter().rev().cloned().collect();
    assert_eq!(pages(&server, &json!({ "pageSize": 4 }), || {}), newest);
    // What comes meanwhile is newer than all pages that follow.
    let mut more = 0;
    let seen = pages(&server, &json!({ "pageSize": 4 }), || {
        created(&server, &format!("later {more}"));
        more += 1;
    });
    assert_eq!(seen, newest);
    let by_title = json!({ "pageSize": 4, "order": "VIDEO_ORDER_TITLE", "search": "SEA" });
    let seas: Vec<String> = titles.iter().filter(|title| title.starts_with("Sea")).cloned().collect();
    assert_eq!(pages(&server, &by_title, || {}), seas);
    let none = json!({ "pageSize": 4, "state": "VIDEO_STATE_READY" });
    assert!(pages(&server, &none, || {}).is_empty());

    let token = call(&server, "ListVideos", &by_title).expect("a page")["nextPageToken"].take();
    assert!(token.as_str().is_some_and(|token| !token.is_empty()));
    let other_lists = [
        json!({ "search": "sea" }),
        json!({ "order": "VIDEO_ORDER_TITLE" }),
        json!({ "order": "VIDEO_ORDER_TITLE", "search": "lake" }),
        json!({ "order": "VIDEO_ORDER_TITLE", "search": "sea", "state": "VIDEO_STATE_UPLOADING" }),
    ];
    for mut list in other_lists {
        list["pageToken"] = token.clone();
        refused(&server, "ListVideos", &list, "page_token");
    }
    for garbage in ["x", "00", &"ab".repeat(40), &format!("{}00", token.as_str().expect("text"))[1..]] {
        let list = json!({ "order": "VIDEO_ORDER_TITLE", "search": "sea", "pageToken": garbage });
        refused(&server, "ListVideos", &list, "page_token");
    }
}

#[test]
fn deletion_in_the_middle_of_everything_leaves_nothing() {
    let server = Server::with(&["--write-deadline", "1s"]);
    let person = Person::of(&server);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let objects = server.data().join("objects/sources");

    // Jobs run: the storyboard and the poster begin with the last byte.
    for name in ["last.mp4", "first.mp4", "several.mp4"] {
        let video = person.json(&["upload", clips::clip(name).to_str().expect("text")]).remove(0);
        person.json(&["rm", id(&video), "--purge-after", "0s"]);
    }
    // A player reads slowly, and has most of it before it.
    let film = clips::made("long-read.mp4", "-f lavfi -i testsrc2=size=1280x720:rate=25:duration=20 H -qp 1");
    let video = person.upload(&film, "--wait");
    let address = format!("{}/videos/{}/source", server.address, id(&video));
    let out = File::create(folder.path().join("played")).expect("a file");
    let mut reader = Command::new("curl")
        .args(["-sS", "--limit-rate", "1M", "--max-time", "120", &address])
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(Stdio::null())
        .spawn()
        .expect("curl runs");
    let played = || std::fs::metadata(folder.path().join("played")).expect("there").len();
    eventually("it plays", || played() > 0);
    // An upload runs.
    let noise = clips::noise(folder.path(), "big.bin", 200 << 20);
    let mut upload =
        person.command(&["upload", noise.to_str().expect("text")]).stderr(Stdio::null()).spawn().expect("it starts");
    let uploading = || person.json(&["list", "--state", "uploading"]);
    eventually("it is listed", || !uploading().is_empty() || upload.try_wait().expect("asked").is_some());
    let listed: BTreeSet<String> = person.json(&["list"]).iter().map(|video| id(video).to_owned()).collect();
    assert!(listed.contains(id(&video)) && listed.len() == 2, "{listed:?}");
    for one in &listed {
        person.json(&["rm", one, "--purge-after", "0s"]);
    }
    assert_eq!(curl::get(&address).status, 404, "hidden at once");
    let ended = upload.wait().expect("it ends");
    assert!(!ended.success(), "an upload of what was removed fails, or had ended");
    for one in &listed {
        eventually("its row goes", || person.run(&["get", one]).0 == 3);
    }
    eventually("all objects go", || files(&objects) == 0);
    // What the player was given is right as far as it goes; it never got other bytes.
    drop(reader.kill());
    reader.wait().expect("it ends");
    let (got, whole) =
        (std::fs::read(folder.path().join("played")).expect("read"), std::fs::read(&film).expect("read"));
    assert!(whole.starts_with(&got), "{} bytes", got.len());
    assert!(person.json(&["list"]).is_empty() && person.json(&["list", "--state", "removed"]).is_empty());
    // It still works.
    person.upload(&clips::clip("last.mp4"), "--wait=all");
}
