//! Ports that nobody else takes, over restarts of a server and over test programs that run side by side.

use std::fs::File;
use std::net::TcpListener;
use std::ops::Range;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Below the ephemeral ports: from those a connection of a stranger could hold a port while its server is away.
const ALL: Range<u16> = 10_000..20_000;
/// A server and its companions: `RabbitMQ` takes three.
const ROW: u16 = 4;

/// A row of ports, held by a locked file that is freed however this process ends.
pub struct Ports {
    first: u16,
    _lock: File,
}

impl Ports {
    /// Takes a row in which every port is free.
    pub fn take() -> Self {
        static TAKEN: AtomicU16 = AtomicU16::new(0);
        let rows = (ALL.end - ALL.start) / ROW;
        let folder = std::env::temp_dir().join(format!("vidstream-ports-{}", rustix::process::getuid().as_raw()));
        std::fs::create_dir_all(&folder).expect("a folder for the locks of ports can be made");
        // Programs begin at different rows, so that they rarely ask for the same.
        let begin = std::process::id().wrapping_mul(2_654_435_761) >> 16;
        for _ in 0..rows {
            let step = u32::from(TAKEN.fetch_add(1, Ordering::Relaxed));
            let row = u16::try_from((begin + step) % u32::from(rows)).expect("fewer rows than ports");
            let first = ALL.start + row * ROW;
            let lock = File::create(folder.join(first.to_string())).expect("a lock of a port can be made");
            if lock.try_lock().is_ok() && free(first) {
                return Self { first, _lock: lock };
            }
        }
        panic!("no {ROW} ports in a row are free in {ALL:?}");
    }

    /// The server's own.
    pub fn first(&self) -> u16 {
        self.first
    }

    /// Waits until what listened there is gone: a companion ends a moment after its server.
    pub(crate) fn wait_free(&self) {
        let begun = Instant::now();
        while !free(self.first) {
            assert!(begun.elapsed() < Duration::from_secs(10), "ports from {} on are still taken", self.first);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn free(first: u16) -> bool {
    (first..first + ROW).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
}
