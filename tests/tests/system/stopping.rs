//! A server that is asked to stop.

use crate::distributed::wait;
use std::time::Duration;
use vidstream_tests::clips;
use vidstream_tests::judges::curl::{curl, get};
use vidstream_tests::server::{Server, signal};
use vidstream_tests::vidctl::{Person, id};

/// What a balancer has to see before anything is refused.
#[test]
fn a_server_that_is_to_stop_says_so_first_and_goes_on() {
    let mut server = Server::with(&["--drain", "10m"]);
    let person = Person::of(&server);
    let video = person.upload(&clips::clip("first.mp4"), "--wait");
    let ready = format!("{}/readyz", server.address);
    let answer = get(&ready);
    assert_eq!((answer.status, answer.header("connection")), (200, ""));
    signal(server.id(), "TERM");
    wait("it says that it will stop", || get(&ready).status == 503);
    let answer = get(&ready);
    assert!(answer.text().contains("draining"), "{}", answer.text());
    assert_eq!(get(&format!("{}/healthz", server.address)).status, 200);
    // Who comes all the same is served, and told not to keep the connection.
    let source = get(&format!("{}/videos/{}/source", server.address, id(&video)));
    assert_eq!((source.status, source.header("connection")), (200, "close"));
    let answer = curl(&["--http2-prior-knowledge", &format!("{}/videos/{}/source", server.address, id(&video))]);
    assert_eq!((answer.status, answer.header("connection")), (200, ""));
    person.upload(&clips::clip("vp9.mp4"), "--wait");
    assert_eq!(person.json(&["list"]).len(), 2);
    // Nobody has to wait for it.
    signal(server.id(), "TERM");
    assert!(server.wait(Duration::from_secs(30)).expect("it ends at once").success());
}
