//! Servers behind the mesh that are killed, frozen, wiped, that say everything twice, and that are full.

use crate::echo::Echo;
use crate::history::Book;
use crate::layout::Layout;
use crate::mesh::{Addresses, Backends, Mesh};
use crate::round::{Day, days};
use crate::twice::Twice;
use crate::unanswered::Unanswered;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use vidstream_test_servers::{Kind, PASSWORD, Server, USER};
use vidstream_tests::clips;
use vidstream_tests::dice::Dice;

/// More than any call's deadline.
const FROZEN: Duration = Duration::from_mins(1);

/// A broker that is killed within about a second of a queue's first declaration may be unable to start again.
const DECLARED: Duration = Duration::from_secs(3);

/// Some batches of what viewers report.
const UNANSWERED: Duration = Duration::from_secs(12);

/// Rounds in which `fault` does something to a server of `backends`.
async fn rounds(test: &str, backends: Arc<Backends>, fault: impl AsyncFn(&Backends, &mut Dice)) {
    let begin = async |layout| {
        let day = Day::begin(layout, Arc::clone(&backends)).await;
        tokio::time::sleep(DECLARED).await;
        day
    };
    days(test, begin, async |day, seed| {
        let fault = async |mesh: &mut Mesh, dice: &mut Dice| {
            let backends = Arc::clone(mesh.backends());
            fault(&backends, dice).await;
        };
        day.round(seed, fault).await;
    })
    .await;
}

async fn killed(server: &Server, dice: &mut Dice) {
    server.kill();
    tokio::time::sleep(Duration::from_millis(dice.roll(3000))).await;
    server.restart().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_is_killed() {
    let fault = async |backends: &Backends, dice: &mut Dice| killed(&backends.rabbit, dice).await;
    rounds("RabbitMQ killed", Backends::own().await, fault).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_loses_everything() {
    let fault = async |backends: &Backends, _: &mut Dice| {
        tokio::time::sleep(DECLARED).await;
        backends.rabbit.wipe();
        backends.rabbit.restart().await;
    };
    rounds("RabbitMQ wiped", Backends::own().await, fault).await;
}

/// A full disk ends the broker, at once, later or not at all; who makes room starts it again, here with nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_is_full() {
    let fault = async |backends: &Backends, dice: &mut Dice| {
        backends.rabbit.fill_disk();
        tokio::time::sleep(Duration::from_millis(2000 + dice.roll(6000))).await;
        backends.rabbit.restart().await;
    };
    rounds("RabbitMQ full", Backends::with_own_disk(Kind::RabbitMq).await, fault).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bus_is_killed() {
    let fault = async |backends: &Backends, dice: &mut Dice| killed(&backends.redis, dice).await;
    rounds("Redis killed", Backends::own().await, fault).await;
}

/// Makes Redis forget all that it has, while it runs.
async fn forget_all(redis: &Server) {
    let mut redis = TcpStream::connect(("127.0.0.1", redis.port())).await.expect("it runs");
    redis.write_all(format!("AUTH {PASSWORD}\r\nFLUSHALL\r\n").as_bytes()).await.expect("it listens");
    let mut answers = [0; 10];
    redis.read_exact(&mut answers).await.expect("it answers");
    assert_eq!(&answers, b"+OK\r\n+OK\r\n");
}

/// Views are counted all the while, and none may be lost: they do not lie there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bus_loses_everything() {
    let fault = async |backends: &Backends, dice: &mut Dice| {
        forget_all(&backends.redis).await;
        tokio::time::sleep(Duration::from_millis(dice.roll(2000))).await;
        backends.redis.wipe();
        backends.redis.restart().await;
    };
    rounds("Redis wiped", Backends::own().await, fault).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_object_store_is_killed() {
    let fault = async |backends: &Backends, dice: &mut Dice| killed(&backends.minio, dice).await;
    rounds("S3 killed", Backends::own().await, fault).await;
}

/// Its data stays: each write is committed before it is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_is_killed() {
    let fault = async |backends: &Backends, dice: &mut Dice| killed(&backends.mongo, dice).await;
    rounds("the database killed", Backends::own().await, fault).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_stands_still_for_a_minute() {
    let fault = async |backends: &Backends, _: &mut Dice| {
        backends.mongo.freeze();
        tokio::time::sleep(FROZEN).await;
        backends.mongo.thaw();
    };
    rounds("the database frozen", Backends::own().await, fault).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_comes_twice() {
    let backends = Backends::shared().await;
    let (twice, echo) = (Twice::start(backends.rabbit.port()).await, Echo::start(backends.redis.port()).await);
    let begin = async |layout: Layout| {
        let addresses = Addresses {
            queue: format!("amqp://{USER}:{PASSWORD}@127.0.0.1:{}/%2f", twice.port()),
            events: format!("redis://:{PASSWORD}@127.0.0.1:{}", echo.port()),
            ..Addresses::of(&backends)
        };
        Day::on(Mesh::through(layout, Arc::clone(&backends), addresses)).await
    };
    days("messages twice", begin, async |day, seed| {
        let before = (twice.doubled(), echo.doubled());
        day.round(seed, async |_, _| {}).await;
        let (bells, notices) = (twice.doubled() - before.0, echo.doubled() - before.1);
        eprintln!("{bells} bells and {notices} notices came twice");
        assert!(bells > 0 && notices > 0, "{bells} bells and {notices} notices came twice");
    })
    .await;
}

/// What was written is there, and who wrote it can't know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_the_database_are_lost() {
    let backends = Backends::shared().await;
    let relay = Unanswered::start(backends.mongo.port()).await;
    let begin = async |layout: Layout| {
        let catalog = format!("mongodb://127.0.0.1:{}", relay.port());
        let addresses = Addresses { catalog, ..Addresses::of(&backends) };
        Day::on(Mesh::through(layout, Arc::clone(&backends), addresses)).await
    };
    days("answers of the database lost", begin, async |day, seed| {
        let before = relay.lost().len();
        let fault = async |_: &mut Mesh, _: &mut Dice| {
            relay.lose(true);
            tokio::time::sleep(UNANSWERED).await;
            relay.lose(false);
        };
        day.round(seed, fault).await;
        let mut lost = relay.lost().split_off(before);
        lost.sort();
        eprintln!("not answered: {}", lost.join(", "));
        assert!(!lost.is_empty(), "every write was answered");
    })
    .await;
}

/// Waits a while in which no more is acknowledged than fits: a video that is removed just then makes some room.
async fn little_is_durable(book: &Book, dice: &mut Dice) {
    let clip = std::fs::metadata(clips::clip("first.mp4")).expect("it is there").len();
    // What was under way may have had its room.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = book.all_acknowledged();
    tokio::time::sleep(Duration::from_millis(1000 + dice.roll(3000))).await;
    let more = book.all_acknowledged() - before;
    assert!(more <= clip * 2, "{more} bytes more are durable, and there is no room for them");
}

/// Rows and bytes of one process lie on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_data_disk_is_full() {
    let begin = async |_| Day::on(Mesh::on_own_disk()).await;
    days("data disk full", begin, async |day, seed| {
        let book = day.client.book.clone();
        let fault = async |mesh: &mut Mesh, dice: &mut Dice| {
            mesh.fill_disk();
            little_is_durable(&book, dice).await;
            mesh.empty_disk();
        };
        day.round(seed, fault).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_object_store_is_full() {
    let backends = Backends::with_own_disk(Kind::Minio).await;
    let begin = async |layout| Day::begin(layout, Arc::clone(&backends)).await;
    days("S3 full", begin, async |day, seed| {
        let book = day.client.book.clone();
        let fault = async |mesh: &mut Mesh, dice: &mut Dice| {
            mesh.backends().minio.fill_disk();
            little_is_durable(&book, dice).await;
            mesh.backends().minio.empty_disk();
        };
        day.round(seed, fault).await;
    })
    .await;
}
