//! Upload over loopback with all sums on, against a plain writer that syncs the same and `b3sum`.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use vidstream_bench::cost;
use vidstream_bench::{media, table};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::Person;

/// Bytes a write and sync: our cell.
const CELL: u64 = 8 << 20;
/// Cells written at once, as our gateway does.
const PARALLEL: u64 = 3;

fn main() {
    table::head(
        "Upload over loopback, every sum on",
        &[
            "file",
            "ours",
            "plain writer + `b3sum`",
            "ours / plain",
            "ours: CPU client + server",
            "plain: CPU",
            "server: peak memory",
        ],
    );
    for size in [100_000_000, 4_000_000_000] {
        let file = media::noise(size);
        let (mut ours, mut peer, mut memory, mut cpu, mut its_cpu) = (vec![], vec![], vec![], vec![], vec![]);
        let rounds = if size > 1_000_000_000 { 3 } else { table::ROUNDS };
        for _ in 0..rounds {
            let (wall, spent, peak) = upload(&file);
            ours.push(wall);
            cpu.push(spent);
            memory.push(peak);
            let (wall, spent) = plain(&file, size);
            peer.push(wall);
            its_cpu.push(spent);
        }
        let (ours, peer) = (table::median(&ours), table::median(&peer));
        table::row(&[
            table::megabytes(size),
            speed(size, ours),
            speed(size, peer),
            format!("{:.2}", peer.as_secs_f64() / ours.as_secs_f64()),
            table::time(table::median(&cpu)),
            table::time(table::median(&its_cpu)),
            table::megabytes(table::median(&memory)),
        ]);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn speed(size: u64, wall: Duration) -> String {
    format!("{:.0} MB/s", size as f64 / 1e6 / wall.as_secs_f64())
}

fn upload(file: &Path) -> (Duration, Duration, u64) {
    let server = Server::on_disk(&media::folder(), &[]);
    let person = Person::of(&server);
    let before = cost::cpu(server.id());
    let (wall, client) =
        cost::time_of_command(person.command(&["upload", &file.to_string_lossy()]).stderr(Stdio::null()));
    let behind = cost::cpu(server.id()).saturating_sub(before);
    (wall, client + behind, cost::peak(server.id()))
}

/// Copies a file as cells, each synced with its folder, then sums it.
fn plain(file: &Path, size: u64) -> (Duration, Duration) {
    let folder = tempfile::tempdir_in(media::folder()).expect("a folder");
    let (began, before) = (Instant::now(), cost::cpu(std::process::id()));
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                let source = File::open(file).expect("readable");
                let directory = File::open(folder.path()).expect("a folder");
                loop {
                    let offset = next.fetch_add(1, Ordering::Relaxed) * CELL;
                    if offset >= size {
                        return;
                    }
                    let mut bytes = vec![0; usize::try_from(CELL.min(size - offset)).expect("fits")];
                    source.read_exact_at(&mut bytes, offset).expect("readable");
                    let cell = File::create(folder.path().join(offset.to_string())).expect("a file");
                    cell.write_all_at(&bytes, 0).expect("room");
                    cell.sync_all().expect("synced");
                    directory.sync_all().expect("synced");
                }
            });
        }
    });
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/b3sum");
    let sum = Command::new(program).arg(file).stdout(Stdio::null()).status().expect("scripts/bench installs b3sum");
    assert!(sum.success());
    (began.elapsed(), cost::cpu(std::process::id()).saturating_sub(before))
}
