//! Servers behind the mesh that are killed, frozen, wiped, that say everything twice, and that are full.

use crate::mesh::{Backends, Mesh};
use crate::round::{Day, seeds};
use crate::twice::Twice;
use std::sync::Arc;
use std::time::Duration;
use vidstream_test_servers::{Kind, PASSWORD, Server, USER};
use vidstream_tests::dice::Dice;

/// More than any call's deadline.
const FROZEN: Duration = Duration::from_mins(1);

/// A broker that is killed within about a second of a queue's first declaration may be unable to start again.
const DECLARED: Duration = Duration::from_secs(3);

/// Rounds in which `fault` does something to a server.
async fn rounds(test: &str, mut day: Day, fault: impl AsyncFn(&Backends, &mut Dice)) {
    for seed in seeds(test) {
        let fault = async |mesh: &mut Mesh, dice: &mut Dice| {
            let backends = Arc::clone(&mesh.backends);
            fault(&backends, dice).await;
        };
        day.round(seed, fault).await;
    }
    day.end().await;
}

async fn killed(server: &Server, dice: &mut Dice) {
    server.kill();
    tokio::time::sleep(Duration::from_millis(dice.roll(3000))).await;
    server.restart().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_is_killed() {
    let day = Day::begin(Backends::own().await).await;
    tokio::time::sleep(DECLARED).await;
    rounds("RabbitMQ killed", day, async |backends, dice| killed(&backends.rabbit, dice).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_loses_everything() {
    let day = Day::begin(Backends::own().await).await;
    let fault = async |backends: &Backends, _: &mut Dice| {
        tokio::time::sleep(DECLARED).await;
        backends.rabbit.wipe();
        backends.rabbit.restart().await;
    };
    rounds("RabbitMQ wiped", day, fault).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bus_is_killed() {
    let day = Day::begin(Backends::own().await).await;
    rounds("Redis killed", day, async |backends, dice| killed(&backends.redis, dice).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_object_store_is_killed() {
    let day = Day::begin(Backends::own().await).await;
    rounds("S3 killed", day, async |backends, dice| killed(&backends.minio, dice).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_stands_still_for_a_minute() {
    let day = Day::begin(Backends::own().await).await;
    let fault = async |backends: &Backends, _: &mut Dice| {
        backends.mongo.freeze();
        tokio::time::sleep(FROZEN).await;
        backends.mongo.thaw();
    };
    rounds("the database frozen", day, fault).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_comes_twice() {
    let backends = Backends::shared().await;
    let twice = Twice::start(backends.rabbit.port()).await;
    let queue = format!("amqp://{USER}:{PASSWORD}@127.0.0.1:{}/%2f", twice.port());
    let mesh = Mesh::with_queue(crate::layout::Layout::Together, backends, &queue);
    let mut day = Day::on(mesh).await;
    for seed in seeds("messages twice") {
        let before = twice.doubled();
        day.round(seed, async |_, _| {}).await;
        eprintln!("{} messages came twice", twice.doubled() - before);
        assert!(twice.doubled() > before, "no message came twice");
    }
    day.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_object_store_is_full() {
    let backends = Backends::with(Server::start_on_own_disk(Kind::Minio)).await;
    let day = Day::begin(backends).await;
    let book = day.client.book.clone();
    let fault = async |backends: &Backends, dice: &mut Dice| {
        backends.minio.fill_disk();
        // What was under way may have had its room.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = book.all_acknowledged();
        tokio::time::sleep(Duration::from_millis(1000 + dice.roll(3000))).await;
        assert_eq!(book.all_acknowledged(), before, "what there is no room for can't be durable");
        backends.minio.empty_disk();
    };
    rounds("S3 full", day, fault).await;
}
