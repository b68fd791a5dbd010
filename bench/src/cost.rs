//! What processes cost: CPU time, memory, bytes read, from `/proc`.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Cost of something that ran.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// From begin to end.
    pub wall: Duration,
    /// User and system time of all its processes.
    pub cpu: Duration,
    /// Largest sum of the resident memory of all its processes, bytes; what several of them map counts once.
    pub memory: u64,
    /// Bytes that it read by system calls (files, pipes and sockets).
    pub read: u64,
}

/// Clock ticks a second in `/proc/*/stat`; 100 on every Linux that matters.
const TICKS: u64 = 100;

fn stat(process: u32) -> Option<Vec<u64>> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name may contain anything; fields are counted from the parenthesis behind it.
    let (_, fields) = text.rsplit_once(") ")?;
    Some(fields.split(' ').map(|field| field.parse().unwrap_or(0)).collect())
}

/// CPU time of a process and of its children that have ended.
pub fn cpu(process: u32) -> Duration {
    let fields = stat(process).unwrap_or_default();
    let ticks: u64 = fields.iter().skip(11).take(4).sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}

/// Bytes that a process read by system calls, its children not counted.
pub fn read(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/io")).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok()).unwrap_or(0)
}

/// Resident memory of a process, bytes. A page that several processes map, such as a library's code, is shared out among
/// them (`Pss` of proc(5)), so that sums count it once.
pub fn memory(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
    let kilobytes = |line: &str| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse().ok();
    text.lines().find_map(kilobytes).unwrap_or(0_u64) * 1024
}

/// The most resident memory that a process had, bytes (`VmHWM` of proc(5)).
pub fn peak(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let kilobytes = |line: &str| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok();
    text.lines().find_map(kilobytes).unwrap_or(0_u64) * 1024
}

/// The process and all below it.
fn family(process: u32) -> Vec<u32> {
    let mut family = vec![process];
    let mut at = 0;
    while at < family.len() {
        let threads = std::fs::read_dir(format!("/proc/{}/task", family[at])).into_iter().flatten().flatten();
        for thread in threads {
            let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            family.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
        at += 1;
    }
    family
}

/// Watches a process and what it starts, until it is asked for the cost.
pub struct Meter {
    process: u32,
    began: Instant,
    cpu: Duration,
    read: u64,
    peak: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
    watcher: Option<JoinHandle<()>>,
}

impl Meter {
    /// Begins to watch `process`.
    pub fn of(process: u32) -> Self {
        let (peak, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (its_peak, its_done) = (Arc::clone(&peak), Arc::clone(&done));
        let watcher = std::thread::spawn(move || {
            while !its_done.load(Ordering::Relaxed) {
                let sum = family(process).into_iter().map(memory).sum();
                its_peak.fetch_max(sum, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        Self {
            process,
            began: Instant::now(),
            cpu: cpu(process),
            read: read(process),
            peak,
            done,
            watcher: Some(watcher),
        }
    }

    /// The cost since it began. Children that still run are not counted.
    pub fn stop(mut self) -> Cost {
        let cost = Cost {
            wall: self.began.elapsed(),
            cpu: cpu(self.process).saturating_sub(self.cpu),
            memory: 0,
            read: read(self.process).saturating_sub(self.read),
        };
        self.done.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            watcher.join().expect("the watcher ends");
        }
        Cost { memory: self.peak.load(Ordering::Relaxed), ..cost }
    }
}

/// Runs a command to its end and says what it cost. Its memory and what it read are looked at every 10 ms, which takes time
/// of a core: [`time_of_command`] does not look.
pub fn of_command(command: &mut Command) -> Cost {
    let before = own_children();
    let began = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts");
    let (id, done) = (child.id(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| follow(id, &done));
        let status = child.wait().expect("it is ours");
        let wall = began.elapsed();
        done.store(true, Ordering::Relaxed);
        let (memory, read) = watcher.join().expect("the watcher ends");
        assert!(status.success(), "{status}");
        Cost { wall, cpu: own_children().saturating_sub(before), memory, read }
    })
}

/// Runs a command to its end: its wall and CPU time.
pub fn time_of_command(command: &mut Command) -> (Duration, Duration) {
    let (before, began) = (own_children(), Instant::now());
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().expect("it starts");
    assert!(status.success(), "{status}");
    (began.elapsed(), own_children().saturating_sub(before))
}

/// Peak memory and bytes read of a process until it ends; the last 10 ms are missed.
fn follow(process: u32, done: &AtomicBool) -> (u64, u64) {
    let (mut peak, mut bytes) = (0, 0);
    while !done.load(Ordering::Relaxed) {
        peak = peak.max(memory(process));
        bytes = bytes.max(read(process));
        std::thread::sleep(Duration::from_millis(10));
    }
    (peak, bytes)
}

/// CPU time of this process's children that have ended.
fn own_children() -> Duration {
    let fields = stat(std::process::id()).unwrap_or_default();
    let ticks: u64 = fields.iter().skip(13).take(2).sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}
