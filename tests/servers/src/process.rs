//! A server's process: it dies with ours.

use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

pub struct Process(Child);

impl Process {
    /// Starts it; what it says is added to `log`.
    pub fn start(mut command: Command, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).expect("a log can be made");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a file can be shared")).stderr(log);
        Self(spawn(command))
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("a child can be asked")
    }

    /// Ends it at once and waits, also when it is frozen or has ended.
    pub fn kill(mut self) {
        self.0.kill().expect("a child can be killed");
        self.0.wait().expect("a child can be waited for");
    }

    /// Asks it to end, at most so long; kills it and says so where it does not.
    pub fn stop(mut self, longest: Duration) -> Result<(), String> {
        self.signal(Signal::TERM);
        let begun = Instant::now();
        while self.ended().is_none() {
            if begun.elapsed() > longest {
                self.kill();
                return Err(format!("did not stop within {longest:?}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Stops it and waits until all of it stands: a thread on another core runs on for a moment after the signal was sent.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        wait_until_stopped(self.id());
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        // Until it was waited for, its id belongs to no other.
        kill_process(Pid::from_child(&self.0), signal).expect("a child can be sent a signal");
    }
}

/// The death signal of a child is tied to the thread that started it. Threads of a runtime go when they are idle: this one stays.
fn spawn(command: Command) -> Child {
    type Order = (Command, SyncSender<std::io::Result<Child>>);
    static THREAD: OnceLock<Sender<Order>> = OnceLock::new();
    let thread = THREAD.get_or_init(|| {
        let (give, take) = channel::<Order>();
        std::thread::Builder::new()
            .name("test-servers".to_owned())
            .spawn(move || {
                for (mut command, answer) in take {
                    // Who asked waits for it.
                    drop(answer.send(command.spawn()));
                }
            })
            .expect("a thread can be started");
        give
    });
    let (give, take) = sync_channel(1);
    thread.send((command, give)).expect("the thread runs as long as the process");
    take.recv().expect("it answers each order").expect("setpriv of util-linux can be started")
}

/// Waits until each thread of a process stands after it was sent a stop.
pub fn wait_until_stopped(process: u32) {
    let stands = |thread: &Path| {
        // A thread that ended meanwhile runs no more. A name may have any character: the state is behind the last bracket.
        let Ok(stat) = std::fs::read_to_string(thread.join("stat")) else { return true };
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        matches!(state, Some('T' | 't' | 'Z' | 'X'))
    };
    let threads = format!("/proc/{process}/task");
    let begun = Instant::now();
    loop {
        let threads = std::fs::read_dir(&threads).expect("a process that was stopped is there");
        if threads.flatten().all(|thread| stands(&thread.path())) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "process {process} does not stop");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The last lines of a log.
pub fn last_lines(log: &Path) -> String {
    let all = std::fs::read(log).unwrap_or_default();
    let all = String::from_utf8_lossy(&all);
    let lines: Vec<_> = all.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
