//! Views by the public call, without a page.

use serde_json::json;
use std::time::{Duration, Instant};
use vidstream_tests::clips;
use vidstream_tests::judges::grpcurl::grpcurl;
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

const REPORT: &str = "vidstream.v1.GatewayService/ReportWatched";
const VIEWER: &str = "7f9c24e8-3b12-4fef-91e0-56a2d5a1b0c3";

#[test]
fn whoever_reports_what_was_watched_is_counted() {
    let server = Server::start();
    let person = Person::of(&server);
    // A view is 1.8 s of it, and a moment more than the time that passed is allowed for.
    let video = person.upload(&clips::clip("last.mp4"), "--wait=all");
    let report = |viewer: &str, intervals: serde_json::Value| {
        let message = json!({ "videoId": id(&video), "viewerId": viewer, "intervals": intervals }).to_string();
        grpcurl(&server.address, &["-d", &message, REPORT])
    };
    report(VIEWER, json!([])).expect("the first report is empty");
    report(VIEWER, json!([{ "start": "0s", "end": "1s" }, { "start": "5s", "end": "5.900s" }])).expect("taken");
    let patience = Instant::now() + Duration::from_secs(30);
    while person.get(id(&video))["views"] != "1" {
        assert!(Instant::now() < patience, "it never counted");
        std::thread::sleep(Duration::from_millis(100));
    }
    for wrong in [json!([{ "start": "2s", "end": "1s" }]), json!([{ "start": "-1s", "end": "1s" }]), json!([{}])] {
        let error = report(VIEWER, wrong).expect_err("no interval");
        assert!(error.contains("InvalidArgument") && error.contains("intervals"), "{error}");
    }
    let error = report("somebody", json!([])).expect_err("no id");
    assert!(error.contains("viewer_id"), "{error}");
    let (_, line, _) = person.run(&["update", id(&video), "--title", "Watched", "--if-revision", &revision(&video)]);
    assert!(line.contains("Watched (1 view)"), "a view refuses nobody's edit: {line}");
}

fn revision(video: &serde_json::Value) -> String {
    video["revision"].as_str().expect("a number").to_owned()
}
