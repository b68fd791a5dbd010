//! The event bus on real Redis servers: the contract, and what goes wrong.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::StreamExt as _;
use vidstream_backends::bus::{BusError, BusUrl, Event, EventBus, Events, Topic, contract::bus_contract};
use vidstream_redis::{PUBLISH_WITHIN, Trouble};
use vidstream_test_servers::{Kind, PASSWORD, Relay, Server};

/// Until a bus has its server again: a silent one is noticed after 6 s, a wait between attempts is 3 s at the most.
const RECOVERY: Duration = Duration::from_secs(30);
/// What a busy machine adds to a bound.
const SLACK: Duration = Duration::from_secs(3);

async fn open(url: &str) -> Result<Arc<dyn EventBus>, Trouble> {
    let BusUrl::Redis(url) = url.parse().unwrap() else { panic!("{url} is for Redis") };
    vidstream_redis::open(&url).await
}

async fn bus(server: &Server) -> Arc<dyn EventBus> {
    open(&server.url()).await.unwrap()
}

/// Says `words` to a server, as its operator does.
async fn say(server: &Server, words: &[&str]) -> redis::Value {
    let client = redis::Client::open(server.url()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it is there");
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async(&mut connection).await.expect("it does so")
}

fn topic(name: &str) -> Topic {
    name.parse().unwrap()
}

fn notice(on: &str, payload: &'static str) -> Event {
    Event::Notice { topic: topic(on), payload: payload.into() }
}

async fn next(events: &mut Events) -> Event {
    tokio::time::timeout(RECOVERY, events.next()).await.expect("something must come").expect("the bus is open")
}

async fn publish(bus: &dyn EventBus, on: &str, payload: &'static str) -> Result<(), BusError> {
    bus.publish(&topic(on), Bytes::from_static(payload.as_bytes())).await
}

/// Publishes until that works again.
async fn publish_at_last(bus: &dyn EventBus, on: &str, payload: &'static str) {
    let begun = Instant::now();
    while let Err(error) = publish(bus, on, payload).await {
        assert!(begun.elapsed() < RECOVERY, "{error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asserts that a notice is refused as it should be, in time.
async fn assert_refused(bus: &dyn EventBus) {
    let begun = Instant::now();
    let refused = publish(bus, "a", "into the void").await;
    assert!(matches!(refused, Err(BusError::Unavailable { .. })), "{refused:?}");
    assert!(begun.elapsed() < PUBLISH_WITHIN + SLACK, "it took {:?}", begun.elapsed());
}

#[tokio::test]
async fn it_passes_the_contract() {
    let server = Server::start(Kind::Redis).await;
    bus_contract(bus(&server).await).await;
}

#[tokio::test]
async fn two_processes_hear_each_other_and_meshes_do_not() {
    let server = Server::start(Kind::Redis).await;
    let (one, other) = (bus(&server).await, bus(&server).await);
    let another_mesh = open(&format!("{}/1?prefix=other", server.url())).await.unwrap();
    let mut here = one.subscribe(&topic("a")).await.unwrap();
    let mut there = another_mesh.subscribe(&topic("a")).await.unwrap();
    publish(&*other, "a.b", "from elsewhere").await.unwrap();
    publish(&*another_mesh, "a.b", "their own").await.unwrap();
    assert_eq!(next(&mut here).await, notice("a.b", "from elsewhere"));
    assert_eq!(next(&mut there).await, notice("a.b", "their own"));
    // What is not ours is passed over.
    say(&server, &["PUBLISH", "vidstream.a.", "no topic"]).await;
    say(&server, &["PUBLISH", "vidstream.a.c", &"x".repeat(64 * 1024 + 1)]).await;
    publish(&*other, "a", "after").await.unwrap();
    assert_eq!(next(&mut here).await, notice("a", "after"));
}

#[tokio::test]
async fn topics_are_subscribed_to_once_and_left_with_the_last() {
    let server = Server::start(Kind::Redis).await;
    let bus = bus(&server).await;
    let (a, b) = (topic("a"), topic("a.b"));
    let all = [bus.subscribe(&a).await.unwrap(), bus.subscribe(&a).await.unwrap(), bus.subscribe(&b).await.unwrap()];
    let subscriptions = async || {
        let redis::Value::Int(patterns) = say(&server, &["PUBSUB", "NUMPAT"]).await else { panic!("a number") };
        let redis::Value::Array(channels) = say(&server, &["PUBSUB", "CHANNELS"]).await else { panic!("a list") };
        (patterns, channels.len())
    };
    assert_eq!(subscriptions().await, (2, 2));
    drop(all);
    // Requests are served in their order, so they have left when this is served.
    let last = bus.subscribe(&topic("c")).await.unwrap();
    assert_eq!(subscriptions().await, (1, 1));
    drop(bus);
    assert_eq!(last.collect::<Vec<_>>().await, [], "subscriptions end with the bus");
}

#[tokio::test]
async fn a_killed_server_is_waited_for() {
    let server = Server::start(Kind::Redis).await;
    let bus = bus(&server).await;
    let mut all = [bus.subscribe(&topic("a")).await.unwrap(), bus.subscribe(&topic("a.b")).await.unwrap()];
    for wiped in [false, true] {
        if wiped {
            server.wipe();
        } else {
            server.kill();
        }
        assert_refused(&*bus).await;
        let refused = bus.subscribe(&topic("new")).await.err().expect("there is no server");
        assert!(matches!(refused, BusError::Unavailable { .. }), "{refused:?}");
        server.restart().await;
        for events in &mut all {
            assert_eq!(next(events).await, Event::Missed);
        }
        publish_at_last(&*bus, "a.b", "news").await;
        for events in &mut all {
            assert_eq!(next(events).await, notice("a.b", "news"));
        }
        let _new = bus.subscribe(&topic("new")).await.unwrap();
    }
}

#[tokio::test]
async fn a_frozen_server_is_noticed() {
    let server = Server::start(Kind::Redis).await;
    let bus = bus(&server).await;
    let mut events = bus.subscribe(&topic("a")).await.unwrap();
    server.freeze();
    assert_refused(&*bus).await;
    // Until the connection is given up, a subscription is waited for; then it is refused at once.
    let refused = bus.subscribe(&topic("new")).await.err().expect("nobody can confirm it");
    assert!(std::error::Error::source(&refused).unwrap().to_string().contains("did not answer within"), "{refused:?}");
    server.thaw();
    let first = next(&mut events).await;
    assert!(matches!(first, Event::Missed), "{first:?}");
    publish_at_last(&*bus, "a", "news").await;
    assert_eq!(next(&mut events).await, notice("a", "news"));
}

#[tokio::test]
async fn wiped_data_is_not_missed() {
    let server = Server::start(Kind::Redis).await;
    let bus = bus(&server).await;
    let mut events = bus.subscribe(&topic("a")).await.unwrap();
    say(&server, &["FLUSHALL"]).await;
    publish(&*bus, "a", "news").await.unwrap();
    assert_eq!(next(&mut events).await, notice("a", "news"));
}

#[tokio::test]
async fn a_cut_connection_is_made_anew() {
    let server = Server::start(Kind::Redis).await;
    let bus = bus(&server).await;
    let mut events = bus.subscribe(&topic("a")).await.unwrap();
    for kind in ["pubsub", "normal"] {
        say(&server, &["CLIENT", "KILL", "TYPE", kind]).await;
        if kind == "pubsub" {
            assert_eq!(next(&mut events).await, Event::Missed);
        }
        publish(&*bus, "a", "news").await.expect("one more attempt is made on a new connection");
        assert_eq!(next(&mut events).await, notice("a", "news"));
    }
}

#[tokio::test]
async fn whoever_is_too_slow_for_the_servers_buffer_hears_that_something_is_missing() {
    let server = Server::start(Kind::Redis).await;
    let bus = bus(&server).await;
    let mut events = bus.subscribe(&topic("a")).await.unwrap();
    say(&server, &["CONFIG", "SET", "client-output-buffer-limit", "pubsub 20000 0 0"]).await;
    bus.publish(&topic("a"), vec![1; 64 * 1024].into()).await.unwrap();
    assert_eq!(next(&mut events).await, Event::Missed, "the server cut the connection off");
    publish(&*bus, "a", "small").await.unwrap();
    assert_eq!(next(&mut events).await, notice("a", "small"));
}

#[tokio::test]
async fn wrong_passwords_are_told_in_words() {
    let server = Server::start(Kind::Redis).await;
    let place = format!("127.0.0.1:{}", server.port());
    for login in ["", ":hunter2@", "nobody:hunter2@"] {
        let refused = open(&format!("redis://{login}{place}")).await.expect_err("it refuses");
        assert!(matches!(refused, Trouble::Refused { .. }), "{refused:?}");
        let words = refused.to_string();
        assert!(words.contains("refuses the user or the password") && !words.contains("hunter2"), "{words}");
    }
    let missing = open(&format!("redis://{place}?password-file=/nowhere/password")).await.expect_err("no file");
    assert!(missing.to_string().contains("/nowhere/password"), "{missing}");
}

#[tokio::test]
async fn tls_is_spoken_with_whom_is_trusted() {
    let server = Server::start(Kind::Redis).await;
    let relay = Relay::start_with_tls(server.port()).await;
    let url = format!("rediss://:{PASSWORD}@127.0.0.1:{}", relay.port());
    let bus = open(&format!("{url}?ca={}", relay.authority().display())).await.unwrap();
    let mut events = bus.subscribe(&topic("a")).await.unwrap();
    publish(&*bus, "a", "sealed").await.unwrap();
    assert_eq!(next(&mut events).await, notice("a", "sealed"));
    relay.cut();
    assert_eq!(next(&mut events).await, Event::Missed);
    let distrustful = open(&url).await.expect("certificates may be mended while it waits");
    let refused = publish(&*distrustful, "a", "open").await.expect_err("it knows no such authority");
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(cause.contains("certificate"), "{cause}");
}

#[tokio::test]
async fn a_new_password_needs_no_restart() {
    let server = Server::start(Kind::Redis).await;
    let password = server.folder().join("password");
    std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let url = format!("redis://127.0.0.1:{}?password-file={}", server.port(), password.display());
    let bus = open(&url).await.unwrap();
    let mut events = bus.subscribe(&topic("a")).await.unwrap();
    publish(&*bus, "a", "one").await.unwrap();
    assert_eq!(next(&mut events).await, notice("a", "one"));

    let client = redis::Client::open(server.url()).unwrap();
    let mut operator = client.get_multiplexed_async_connection().await.unwrap();
    for words in ["CONFIG SET requirepass another-one", "CLIENT KILL SKIPME yes"] {
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        command.arg(words.collect::<Vec<_>>()).query_async::<redis::Value>(&mut operator).await.unwrap();
    }
    let refused = publish(&*bus, "a", "two").await.expect_err("the password is old");
    assert!(std::error::Error::source(&refused).unwrap().to_string().contains("refuses"), "{refused:?}");
    std::fs::write(&password, "another-one\n").unwrap();
    assert_eq!(next(&mut events).await, Event::Missed);
    publish_at_last(&*bus, "a", "three").await;
    assert_eq!(next(&mut events).await, notice("a", "three"));
}

#[tokio::test]
async fn a_server_that_starts_later_is_waited_for() {
    let server = Server::start(Kind::Redis).await;
    server.kill();
    let bus = bus(&server).await;
    assert_refused(&*bus).await;
    server.restart().await;
    publish_at_last(&*bus, "a", "nobody hears it").await;
    let begun = Instant::now();
    let mut events = loop {
        match bus.subscribe(&topic("a")).await {
            Ok(events) => break events,
            Err(error) => assert!(begun.elapsed() < RECOVERY, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    publish(&*bus, "a", "news").await.unwrap();
    assert_eq!(next(&mut events).await, notice("a", "news"));
}
