//! A server of a test's own: a `vidstream` process on a port that it picks, with a data directory that goes with it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A running server. Dropping it kills it; the data goes with the last handle on the directory.
pub struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub address: String,
    data: Arc<TempDir>,
}

/// The folder of what was built: `target/debug`, of tests (`deps/…`) and of benches alike.
pub fn built() -> PathBuf {
    let here = std::env::current_exe().expect("a program has a path");
    let folder = here.parent().expect("a folder");
    if folder.ends_with("deps") { folder.parent().expect("target/debug").to_owned() } else { folder.to_owned() }
}

/// The built binary `name`.
pub fn binary(name: &str) -> PathBuf {
    let path = built().join(name);
    assert!(path.is_file(), "{} is missing: cargo build --workspace makes it", path.display());
    path
}

impl Server {
    /// A new server with an empty data directory.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// A new server with more flags.
    pub fn with(flags: &[&str]) -> Self {
        Self::on(Arc::new(TempDir::new().expect("a temporary folder")), flags)
    }

    /// A new server that `wrapper` starts: a program and its arguments, to which the server's are added. It must become the
    /// server (`exec`), so that ending the one ends the other.
    pub fn within(wrapper: &[&str], flags: &[&str]) -> Self {
        let server = binary("vidstream");
        let (program, arguments) = wrapper.split_first().expect("a program");
        let mut command = Command::new(program);
        command.args(arguments).arg(server);
        Self::run(command, Arc::new(TempDir::new().expect("a temporary folder")), flags)
    }

    /// A new server whose data is in a folder of its own below `folder`, for benches: a temporary folder may be memory.
    pub fn on_disk(folder: &Path, flags: &[&str]) -> Self {
        Self::on(Arc::new(TempDir::new_in(folder).expect("a temporary folder")), flags)
    }

    /// A server on the data of one that has ended.
    pub fn on(data: Arc<TempDir>, flags: &[&str]) -> Self {
        Self::run(Command::new(binary("vidstream")), data, flags)
    }

    fn run(mut command: Command, data: Arc<TempDir>, flags: &[&str]) -> Self {
        // Before the data directory, as wrappers count.
        command.args(["--listen", "127.0.0.1:0"]);
        Starting::run(command, data, flags).ready()
    }

    /// Ends it as a power cut would, and starts another on the same data.
    pub fn kill_and_restart(self, flags: &[&str]) -> Self {
        Self::on(self.ended(), flags)
    }

    /// Ends it as a power cut would, and gives the folder of its data.
    pub fn ended(self) -> Arc<TempDir> {
        let data = Arc::clone(&self.data);
        drop(self);
        data
    }

    /// The server's process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended by itself, at most so long.
    pub fn wait(&mut self, longest: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            match self.child.try_wait().expect("it can be asked") {
                None if begun.elapsed() < longest => std::thread::sleep(Duration::from_millis(10)),
                ended => return ended,
            }
        }
    }

    /// Where its data is.
    pub fn data(&self) -> PathBuf {
        self.data.path().join("data")
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data.path().join("log")).expect("a log")
    }

    /// Asks it to stop, as whoever runs servers does, and waits.
    pub fn stop(mut self) -> ExitStatus {
        signal(self.id(), "TERM");
        self.child.wait().expect("it ends")
    }

    /// The same, and gives the folder of its data.
    pub fn stopped(self) -> (ExitStatus, Arc<TempDir>) {
        let data = Arc::clone(&self.data);
        (self.stop(), data)
    }
}

/// A server that was started, and may wait for something.
pub struct Starting(Server);

impl Starting {
    /// A process with an empty data directory and exactly these flags besides.
    pub fn of(flags: &[&str]) -> Self {
        Self::within(&[], flags)
    }

    /// The same, started by `wrapper` as in [`Server::within`], if there is one.
    pub fn within(wrapper: &[&str], flags: &[&str]) -> Self {
        let server = binary("vidstream");
        let command = match wrapper.split_first() {
            None => Command::new(server),
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(server);
                command
            }
        };
        Self::run(command, Arc::new(TempDir::new().expect("a temporary folder")), flags)
    }

    /// A process on the data of one that has ended, with exactly these flags besides.
    pub fn on(data: Arc<TempDir>, flags: &[&str]) -> Self {
        Self::run(Command::new(binary("vidstream")), data, flags)
    }

    fn run(mut command: Command, data: Arc<TempDir>, flags: &[&str]) -> Self {
        let log = File::options().create(true).append(true).open(data.path().join("log")).expect("a log file");
        command.arg("--data-dir").arg(data.path().join("data")).args(flags);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().expect("vidstream starts");
        Self(Server { child, address: String::new(), data })
    }

    /// Waits until it says that it is ready.
    pub fn ready(self) -> Server {
        let Self(mut server) = self;
        let mut line = String::new();
        BufReader::new(server.child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("vidstream ready on ");
        address.unwrap_or_else(|| panic!("vidstream said `{line}`")).clone_into(&mut server.address);
        server
    }
}

impl Starting {
    /// Waits until it has ended in vain, and gives its log.
    pub fn fails(self) -> String {
        let Self(mut server) = self;
        let status = server.wait(Duration::from_mins(1)).expect("it ends");
        assert!(!status.success());
        server.log()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the server:\n{}", self.log());
        }
        // Already gone is fine.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Sends a signal by name.
pub fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().expect("kill runs");
    assert!(sent.success(), "no process {process}");
}
