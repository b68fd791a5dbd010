//! Starts: the server's first answer, its memory when idle, `vidctl --version`.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use vidstream_bench::{cost, table};
use vidstream_tests::judges::curl;
use vidstream_tests::server::{Server, binary};

/// Since `began`, now that the server answers.
fn answered(server: &Server, began: Instant) -> Duration {
    assert_eq!(curl::get(&format!("{}/healthz", server.address)).status, 200);
    began.elapsed()
}

fn main() {
    let (mut firsts, mut answers, mut idle, mut versions) = (vec![], vec![], vec![], vec![]);
    for _ in 0..table::ROUNDS {
        let began = Instant::now();
        let server = Server::start();
        firsts.push(answered(&server, began));
        let data = server.ended();
        let began = Instant::now();
        let server = Server::on(data, &[]);
        answers.push(answered(&server, began));
        std::thread::sleep(Duration::from_secs(2));
        idle.push(cost::memory(server.id()));
        let began = Instant::now();
        let version = Command::new(binary("vidctl")).arg("--version").stdout(Stdio::null()).status();
        assert!(version.expect("vidctl runs").success());
        versions.push(began.elapsed());
    }
    table::head("Starting", &["what", "ours", "to reach"]);
    let answer = "`vidstream` to its first answer (with curl's own start)";
    table::row(&[answer, &table::time(table::median(&answers)), "100 ms"]);
    let first = "to its ready line on a new data directory, where ffmpeg is asked what it is";
    table::row(&[first, &table::time(table::median(&firsts)), "–"]);
    table::row(&["idle memory after 2 s", &table::megabytes(table::median(&idle)), "40 MB"]);
    let version = table::median(&versions);
    table::row(&["`vidctl --version`", &format!("{:.1} ms", version.as_secs_f64() * 1e3), "10 ms"]);
}
