//! Upload through a gateway to S3, against the same bytes put by a plain client in parts of 8 MiB: unshaped, and over a link of a gigabit.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use vidstream_bench::link::Link;
use vidstream_bench::s3::{Minio, Plain, objects};
use vidstream_bench::{cost, media, table};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

const GIGABIT: u64 = 1_000_000_000;
const SIZE: u64 = 1_000_000_000;
const ROUNDS: usize = 3;

/// What one upload took.
#[derive(Clone, Copy)]
struct Took {
    wall: Duration,
    /// Of whoever sends: our client and server together, or the plain client.
    cpu: Duration,
    /// Of the store.
    store: Duration,
}

/// Through a gateway that reaches the store at `endpoint`.
async fn ours(file: &Path, minio: &Minio, endpoint: &str) -> Took {
    let objects = objects(endpoint, "ours");
    let (file, minio) = (file.to_string_lossy().into_owned(), minio.id());
    let run = move || {
        let server = Server::on_disk(&media::folder(), &["--objects", &objects]);
        let person = Person::of(&server);
        let before = (cost::cpu(server.id()), cost::cpu(minio));
        let (wall, client) = cost::time_of_command(person.command(&["upload", &file]).stderr(Stdio::null()));
        let server_cpu = cost::cpu(server.id()).saturating_sub(before.0);
        let store = cost::cpu(minio).saturating_sub(before.1);
        let video = person.json(&["list"]).remove(0);
        assert_eq!(person.run(&["rm", id(&video), "--purge-after", "0s"]).0, 0);
        Took { wall, cpu: client + server_cpu, store }
    };
    tokio::task::spawn_blocking(run).await.expect("no panic")
}

/// By a plain client. A link is of the same process, so its cost is in what is counted.
async fn plain(file: &Path, minio: &Minio, endpoint: &str) -> Took {
    let client = Plain::at(endpoint);
    let own = std::process::id();
    let (began, before) = (Instant::now(), (cost::cpu(own), cost::cpu(minio.id())));
    client.put_file(file, "plain").await;
    let (wall, cpu) = (began.elapsed(), cost::cpu(own).saturating_sub(before.0));
    let store = cost::cpu(minio.id()).saturating_sub(before.1);
    client.delete("plain").await;
    Took { wall, cpu, store }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn print(what: &str, ours: &[Took], plain: &[Took], with_cpu: bool) {
    let wall = |all: &[Took]| table::median(&all.iter().map(|took| took.wall).collect::<Vec<_>>());
    let speed = |wall: Duration| format!("{:.0} MB/s", SIZE as f64 / 1e6 / wall.as_secs_f64());
    let cpu = |all: &[Took], of: fn(&Took) -> Duration| {
        let middle = table::median(&all.iter().map(of).collect::<Vec<_>>());
        format!("{:.2} s", middle.as_secs_f64() * 1e9 / SIZE as f64)
    };
    let costs = [cpu(ours, |t| t.cpu), cpu(plain, |t| t.cpu), cpu(ours, |t| t.store), cpu(plain, |t| t.store)];
    let ratio = format!("{:.2}", wall(plain).as_secs_f64() / wall(ours).as_secs_f64());
    let mut row = vec![what.to_owned(), speed(wall(ours)), speed(wall(plain)), ratio];
    row.extend(costs.map(|cost| if with_cpu { cost } else { "–".to_owned() }));
    table::row(&row);
}

#[tokio::main]
async fn main() {
    let file = media::noise(SIZE);
    let minio = Minio::start().await;
    let link = Link::to(minio.port(), GIGABIT).await;
    table::head(
        "Upload of 1 GB to S3 (MinIO on the same machine)",
        &[
            "way to the store",
            "ours",
            "plain client",
            "ours / plain",
            "ours: CPU a GB, client + server",
            "plain: CPU a GB",
            "store's CPU a GB, with ours",
            "with plain",
        ],
    );
    for (what, endpoint, with_cpu) in
        [("unshaped", minio.address(), true), ("a gigabit a second", link.address.clone(), false)]
    {
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            here.push(ours(&file, &minio, &endpoint).await);
            there.push(plain(&file, &minio, &endpoint).await);
        }
        print(what, &here, &there, with_cpu);
    }
}
