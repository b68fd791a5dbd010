//! The job queue on real `RabbitMQ`: the contract, and what goes wrong.
//!
//! A broker takes many seconds to start, so tests that do it no harm share one, each with a prefix of its own.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicGetOptions, BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::FieldTable,
};
use vidstream_amqp::{RING_WITHIN, Trouble};
use vidstream_backends::queue::{Bells, Class, JobQueue, QueueError, QueueUrl, contract::queue_contract};
use vidstream_test_servers::{Kind, PASSWORD, Relay, Server, USER};

const LIGHT: Class = Class::new("light");
const HEAVY: Class = Class::new("heavy");

/// Until a queue has its broker again: a silent one is noticed after 10 s and more, a wait between attempts is 3 s at the most, and what
/// broker or client forget, of a consumer whose queue was deleted while it began say, is over with the wait's round of a minute.
const RECOVERY: Duration = Duration::from_mins(2);
/// What a busy machine adds to a bound.
const SLACK: Duration = Duration::from_secs(5);
/// A bell that must not come is waited for this long.
const SILENCE: Duration = Duration::from_millis(300);
/// `RabbitMQ` 3.10 does not survive a kill within about a second of first declaring a quorum queue.
const SETTLED: Duration = Duration::from_secs(4);

async fn open(url: &str) -> Result<Arc<dyn JobQueue>, Trouble> {
    let QueueUrl::Amqp(url) = url.parse().unwrap() else { panic!("{url} is for RabbitMQ") };
    vidstream_amqp::open(&url).await
}

async fn prefixed(server: &Server, prefix: &str) -> Arc<dyn JobQueue> {
    open(&format!("{}?prefix={prefix}", server.url())).await.unwrap()
}

/// The broker as its operator sees it.
async fn operator(server: &Server) -> (Connection, Channel) {
    let connection = Connection::connect(&server.url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

/// How many messages wait in a queue, and how many consumers wait for one.
async fn counts(channel: &Channel, queue: &str) -> (u32, u32) {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
    (queue.message_count(), queue.consumer_count())
}

/// Asks until a queue has so many messages and consumers: the broker counts by and by.
async fn until_counts(channel: &Channel, queue: &str, expected: (u32, u32)) {
    let begun = Instant::now();
    loop {
        let counted = counts(channel, queue).await;
        if counted == expected {
            return;
        }
        assert!(begun.elapsed() < RECOVERY, "{queue} has {counted:?}, not {expected:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn hear(bells: &mut dyn Bells) -> Class {
    tokio::time::timeout(RECOVERY, bells.next()).await.expect("the bell must be heard").unwrap()
}

async fn assert_silent(bells: &mut dyn Bells) {
    assert!(tokio::time::timeout(SILENCE, bells.next()).await.is_err(), "there must be no bell");
}

async fn ring_at_last(queue: &dyn JobQueue, class: Class) {
    let begun = Instant::now();
    while let Err(error) = queue.ring(class).await {
        assert!(begun.elapsed() < RECOVERY, "{error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asserts that `asked` fails in words that have `part`; a broker that is away says so in time.
async fn assert_refused(asked: impl Future<Output = Result<(), QueueError>>, part: &str) {
    let begun = Instant::now();
    let error = asked.await.expect_err("it can't be done");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains(part) && !cause.contains("hunter2"), "{error}: {cause}");
    assert!(begun.elapsed() < RING_WITHIN + SLACK, "it took {:?}", begun.elapsed());
}

/// Begins to wait, and does not stop when that is dropped.
fn wait(mut bells: Box<dyn Bells>) -> tokio::task::JoinHandle<(Class, Box<dyn Bells>)> {
    tokio::spawn(async move { (hear(&mut *bells).await, bells) })
}

#[tokio::test]
async fn a_broker_that_works() {
    let server = Server::start(Kind::RabbitMq).await;
    queue_contract(open(&server.url()).await.unwrap()).await;
    unheard_bells_become_one(&server).await;
    only_who_waits_consumes(&server).await;
    meshes_do_not_hear_each_other(&server).await;
    what_is_no_bell_is_put_aside(&server).await;
    a_deleted_queue_is_made_anew(&server).await;
    cut_connections_are_made_anew(&server).await;
    refusals_are_told_in_words(&server).await;
    tls_is_spoken_with_whom_is_trusted(&server).await;
}

async fn unheard_bells_become_one(server: &Server) {
    let queue = prefixed(server, "unheard").await;
    let (_connection, channel) = operator(server).await;
    for _ in 0..20 {
        queue.ring(LIGHT).await.unwrap();
    }
    until_counts(&channel, "unheard.bells.light", (1, 0)).await;
    let mut bells = queue.listen(&[LIGHT]).await.unwrap();
    assert_eq!(hear(&mut *bells).await, LIGHT);
    assert_silent(&mut *bells).await;
}

async fn only_who_waits_consumes(server: &Server) {
    let queue = prefixed(server, "waits").await;
    let (_connection, channel) = operator(server).await;
    let mut bells = queue.listen(&[LIGHT, HEAVY]).await.unwrap();
    assert_silent(&mut *bells).await;
    until_counts(&channel, "waits.bells.light", (0, 0)).await;
    let waiting = wait(bells);
    until_counts(&channel, "waits.bells.light", (0, 1)).await;
    until_counts(&channel, "waits.bells.heavy", (0, 1)).await;
    // Bells of both classes come to it; it takes one, and the other stays for whoever waits next.
    futures::future::try_join(queue.ring(LIGHT), queue.ring(HEAVY)).await.unwrap();
    let (first, _bells) = waiting.await.unwrap();
    let other = if first == LIGHT { HEAVY } else { LIGHT };
    assert_eq!(hear(&mut *queue.listen(&[LIGHT, HEAVY]).await.unwrap()).await, other);
    // What was acknowledged stays so.
    for class in [LIGHT, HEAVY] {
        until_counts(&channel, &format!("waits.bells.{class}"), (0, 0)).await;
    }
}

async fn meshes_do_not_hear_each_other(server: &Server) {
    let (ours, theirs) = (prefixed(server, "ours").await, prefixed(server, "theirs").await);
    let (mut here, mut there) = (ours.listen(&[LIGHT]).await.unwrap(), theirs.listen(&[LIGHT]).await.unwrap());
    ours.ring(LIGHT).await.unwrap();
    assert_silent(&mut *there).await;
    assert_eq!(hear(&mut *here).await, LIGHT);
}

async fn what_is_no_bell_is_put_aside(server: &Server) {
    let queue = prefixed(server, "strange").await;
    let (_connection, channel) = operator(server).await;
    let mut bells = queue.listen(&[LIGHT]).await.unwrap();
    assert_silent(&mut *bells).await;
    let properties = BasicProperties::default().with_content_type("text/plain".into());
    let options = BasicPublishOptions::default();
    channel.basic_publish("".into(), "strange.bells.light".into(), options, b"hello?", properties).await.unwrap();
    until_counts(&channel, "strange.bells.light", (1, 0)).await;
    assert_silent(&mut *bells).await;
    queue.ring(LIGHT).await.unwrap();
    assert_eq!(hear(&mut *bells).await, LIGHT, "it keeps nobody from hearing");
    let dead = "strange.dead-letters";
    until_counts(&channel, dead, (1, 0)).await;
    let letter = channel.basic_get(dead.into(), BasicGetOptions { no_ack: true }).await.unwrap().unwrap();
    assert_eq!(
        (letter.data.as_slice(), letter.properties.content_type().as_ref().unwrap().as_str()),
        (&b"hello?"[..], "text/plain")
    );
}

async fn a_deleted_queue_is_made_anew(server: &Server) {
    let queue = prefixed(server, "deleted").await;
    let (_connection, channel) = operator(server).await;
    queue.ring(LIGHT).await.unwrap();
    channel.queue_delete("deleted.bells.light".into(), QueueDeleteOptions::default()).await.unwrap();
    queue.ring(LIGHT).await.expect("whoever rings makes it anew");
    assert_eq!(hear(&mut *queue.listen(&[LIGHT]).await.unwrap()).await, LIGHT);
    let waiting = wait(queue.listen(&[LIGHT, HEAVY]).await.unwrap());
    until_counts(&channel, "deleted.bells.light", (0, 1)).await;
    channel.queue_delete("deleted.bells.light".into(), QueueDeleteOptions::default()).await.unwrap();
    queue.ring(LIGHT).await.unwrap();
    assert_eq!(waiting.await.unwrap().0, LIGHT, "whoever waits makes it anew, too");
}

async fn cut_connections_are_made_anew(server: &Server) {
    let relay = Relay::start(server.port()).await;
    let queue = open(&format!("amqp://{USER}:{PASSWORD}@127.0.0.1:{}?prefix=cut", relay.port())).await.unwrap();
    let (_connection, channel) = operator(server).await;
    let waiting = wait(queue.listen(&[LIGHT]).await.unwrap());
    until_counts_if_there(&channel, server, "cut.bells.light", (0, 1)).await;
    for _ in 0..3 {
        relay.cut();
        tokio::time::sleep(SILENCE).await;
    }
    ring_at_last(&*queue, LIGHT).await;
    let (heard, mut bells) = waiting.await.unwrap();
    assert_eq!(heard, LIGHT);
    // A bell that was kept outlives the connections of all.
    while let Ok(Ok(_)) = tokio::time::timeout(SILENCE, bells.next()).await {}
    ring_at_last(&*queue, LIGHT).await;
    relay.cut();
    assert_eq!(hear(&mut *bells).await, LIGHT);
}

/// As [`until_counts`], of a queue that may not be there yet: asking for it closes the channel.
async fn until_counts_if_there(channel: &Channel, server: &Server, queue: &str, expected: (u32, u32)) {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let begun = Instant::now();
    if channel.queue_declare(queue.into(), options, FieldTable::default()).await.is_ok() {
        return until_counts(channel, queue, expected).await;
    }
    loop {
        let (_connection, channel) = operator(server).await;
        if channel.queue_declare(queue.into(), options, FieldTable::default()).await.is_ok() {
            return until_counts(&channel, queue, expected).await;
        }
        assert!(begun.elapsed() < RECOVERY, "{queue} is not made");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn refusals_are_told_in_words(server: &Server) {
    let place = format!("127.0.0.1:{}", server.port());
    for (login, vhost) in
        [("vidstream:hunter2", "%2f"), ("nobody:hunter2", "%2f"), ("vidstream:vidstream-test", "nowhere")]
    {
        let refused = open(&format!("amqp://{login}@{place}/{vhost}")).await.expect_err("it refuses");
        assert!(matches!(refused, Trouble::Refused { .. }), "{refused:?}");
        let words = refused.to_string();
        assert!(words.contains("refuses") && !words.contains("hunter2"), "{words}");
    }
    let missing = open(&format!("amqp://u@{place}?password-file=/nowhere/password")).await.expect_err("no file");
    assert!(missing.to_string().contains("/nowhere/password"), "{missing}");

    let (_connection, channel) = operator(server).await;
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare("foreign.bells.light".into(), options, FieldTable::default()).await.unwrap();
    let queue = prefixed(server, "foreign").await;
    let mut bells = queue.listen(&[LIGHT]).await.unwrap();
    assert_refused(async { bells.next().await.map(drop) }, "queue of another kind").await;
    assert_refused(queue.ring(LIGHT), "queue of another kind").await;
    queue.ring(HEAVY).await.expect("the other classes are not concerned");
}

async fn tls_is_spoken_with_whom_is_trusted(server: &Server) {
    let relay = Relay::start_with_tls(server.port()).await;
    let url = format!("amqps://{USER}:{PASSWORD}@127.0.0.1:{}?prefix=tls", relay.port());
    let queue = open(&format!("{url}&ca={}", relay.authority().display())).await.unwrap();
    queue.ring(LIGHT).await.unwrap();
    assert_eq!(hear(&mut *queue.listen(&[LIGHT]).await.unwrap()).await, LIGHT);
    let distrustful = open(&url).await.expect("certificates may be mended while it waits");
    assert_refused(distrustful.ring(LIGHT), "certificate").await;
}

#[tokio::test]
async fn a_killed_broker_is_waited_for() {
    let server = Server::start(Kind::RabbitMq).await;
    let queue = open(&server.url()).await.unwrap();
    let mut waiting = wait(queue.listen(&[LIGHT, HEAVY]).await.unwrap());
    for wiped in [false, true] {
        tokio::time::sleep(SETTLED).await;
        if wiped {
            server.wipe();
        } else {
            server.kill();
        }
        assert_refused(queue.ring(LIGHT), "127.0.0.1").await;
        server.restart().await;
        ring_at_last(&*queue, HEAVY).await;
        let (heard, mut bells) = waiting.await.unwrap();
        assert_eq!(heard, HEAVY);
        // A bell that was confirmed just as the broker was killed may ring twice.
        while let Ok(Ok(_)) = tokio::time::timeout(SILENCE, bells.next()).await {}
        waiting = wait(bells);
    }
    ring_at_last(&*queue, LIGHT).await;
    assert_eq!(waiting.await.unwrap().0, LIGHT);
    drop(queue);

    // One that starts after those who need it. A bell that was kept on disk outlives it.
    let queue = open(&server.url()).await.unwrap();
    queue.ring(LIGHT).await.unwrap();
    tokio::time::sleep(SETTLED).await;
    server.kill();
    let queue = open(&server.url()).await.expect("it is waited for");
    let waiting = wait(queue.listen(&[LIGHT]).await.unwrap());
    server.restart().await;
    assert_eq!(waiting.await.unwrap().0, LIGHT);
}

#[tokio::test]
async fn a_frozen_broker_is_noticed() {
    let server = Server::start(Kind::RabbitMq).await;
    let queue = open(&server.url()).await.unwrap();
    queue.ring(HEAVY).await.unwrap();
    let waiting = wait(queue.listen(&[LIGHT]).await.unwrap());
    tokio::time::sleep(SETTLED).await;
    server.freeze();
    assert_refused(queue.ring(LIGHT), "did not answer within").await;
    // Long enough for heartbeats to be missed on both sides.
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_refused(queue.ring(LIGHT), "did not answer within").await;
    let threads = threads();
    server.thaw();
    ring_at_last(&*queue, LIGHT).await;
    assert_eq!(waiting.await.unwrap().0, LIGHT);
    let begun = Instant::now();
    while self::threads() > threads {
        assert!(begun.elapsed() < RECOVERY, "threads of connections that never came to be: {}", self::threads());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Threads of this process.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}
