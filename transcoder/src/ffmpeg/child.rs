//! One running ffmpeg: on threads of its own, fed and read through channels, killed when nobody wants it any more,
//! always reaped.
//!
//! Four threads belong to it. The owner keeps the last of what it says on stderr, and reaps it. One is in the [cage](super::cage),
//! starts it there, and lives as long as it does. One writes its stdin, one reads its stdout; both wait on bounded channels,
//! so a slow side holds the other one up.

mod pipes;

use super::grip::Grip;
use super::program::{Limits, Program};
use super::run::{Run, cpu_of};
use bytes::Bytes;
use ffmpeg_sidecar::child::FfmpegChild;
use ffmpeg_sidecar::command::FfmpegCommand;
use pipes::{Fault, Flow};
use rustix::process::{Pid, Rlimit, WaitId, WaitIdOptions};
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Chunks that wait to be written to stdin.
const FEED_AHEAD: usize = 4;
/// Pictures that wait to be taken from stdout.
const READ_AHEAD: usize = 4;
/// Bytes of stderr that are kept.
const SAID: usize = 2048;

/// A child and the ends of its pipes.
#[derive(Debug)]
pub struct Child {
    /// What it reads; dropped, its input ends.
    pub feed: Feed,
    /// What it writes.
    pub output: Output,
    /// The process itself; dropped, it is killed.
    pub process: Process,
}

/// The child's stdin.
#[derive(Debug)]
pub struct Feed(mpsc::Sender<Bytes>);

/// The child's stdout, in chunks of the size it was started with; only the last one may be shorter.
#[derive(Debug)]
pub struct Output(mpsc::Receiver<Bytes>);

/// The child's life.
#[derive(Debug)]
pub struct Process {
    grip: Arc<Grip>,
    ended: oneshot::Receiver<Result<Run, ChildError>>,
}

/// Why a child did not end well. The exit status is the truth; what it said only explains it.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// It could not be started.
    #[error("ffmpeg could not be started")]
    NotStarted(#[source] io::Error),
    /// It gave up.
    #[error("ffmpeg ended with status {status}{}", explained(said))]
    Failed {
        /// Its exit status.
        status: i32,
        /// The last of its stderr.
        said: String,
    },
    /// It was killed: by us, by a limit, or by the machine.
    #[error("ffmpeg was ended by signal {signal}{}", explained(said))]
    Killed {
        /// The signal.
        signal: i32,
        /// The last of its stderr.
        said: String,
    },
    /// It took longer than it may.
    #[error("ffmpeg took longer than {} s", .0.as_secs())]
    TooSlow(Duration),
    /// It had something to do, and neither took nor gave a byte for so long.
    #[error("ffmpeg stood still for {} s", .0.as_secs())]
    Stalled(Duration),
    /// It wrote more than it may.
    #[error("ffmpeg wrote more than {0} bytes")]
    TooMuch(u64),
    /// Its threads could not be started or watched.
    #[error("ffmpeg could not be watched")]
    Lost(#[source] io::Error),
}

/// What was said, as the end of a sentence.
pub(super) fn explained(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

impl Program {
    /// Starts ffmpeg with `args`; what it writes is handed out in chunks of `chunk` bytes.
    pub fn start(&self, args: Vec<String>, chunk: usize) -> Child {
        let (feed, input) = mpsc::channel(FEED_AHEAD);
        let (written, output) = mpsc::channel(READ_AHEAD);
        let (ending, ended) = oneshot::channel();
        let grip = Arc::new(Grip::default());
        let flow = Arc::new(Flow::default());
        let owner = Owner { program: self.clone(), args, chunk, grip: Arc::clone(&grip), flow };
        let counted = self.children().token();
        let named = thread::Builder::new().name("ffmpeg".to_owned());
        // If no thread can be had, the sender is dropped with the closure and `wait` says so.
        let _ = named.spawn(move || {
            let outcome = owner.run(input, written);
            // Nobody may be left to hear it.
            let _ = ending.send(outcome);
            drop(counted);
        });
        Child { feed: Feed(feed), output: Output(output), process: Process { grip, ended } }
    }
}

/// It takes no more input: it has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("ffmpeg takes no more input")]
pub struct FeedClosed;

impl Feed {
    /// Hands `bytes` over; waits while the child is behind.
    pub async fn write(&self, bytes: Bytes) -> Result<(), FeedClosed> {
        self.0.send(bytes).await.map_err(|_| FeedClosed)
    }
}

impl Output {
    /// The next chunk; none when the child has closed its stdout.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.0.recv().await
    }
}

impl Process {
    /// Waits until the child is reaped, and says how it ended and what it took. How much of its output was taken knows
    /// whoever took it: `bytes_out` is 0.
    pub async fn wait(&mut self) -> Result<Run, ChildError> {
        let lost = |_| Err(ChildError::Lost(io::Error::other("its thread is gone")));
        (&mut self.ended).await.unwrap_or_else(lost)
    }

    /// Kills it, at once.
    pub fn kill(&self) {
        self.grip.kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What the owning thread needs.
struct Owner {
    program: Program,
    args: Vec<String>,
    chunk: usize,
    grip: Arc<Grip>,
    flow: Arc<Flow>,
}

impl Owner {
    fn run(self, input: mpsc::Receiver<Bytes>, written: mpsc::Sender<Bytes>) -> Result<Run, ChildError> {
        let begun = Instant::now();
        let limits = self.program.limits();
        // On Linux this is the thread's own; those that it starts inherit it.
        let _ = rustix::process::nice(limits.nice);
        let (mut child, _guard) = self.program.cage().start(self.command()).map_err(ChildError::NotStarted)?;
        let pid = Pid::from_child(child.as_inner());
        self.grip.hold(pid);
        restrict(pid, limits);
        let piped = self.connect(&mut child, input, written);
        if piped.is_err() {
            self.grip.kill();
        }
        let said = child.take_stderr().map(last_words).unwrap_or_default();
        // It has ended when this returns, but its number is still its own: nobody can kill a stranger.
        let ended = rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        let cpu = cpu_of(pid);
        self.grip.release();
        let status = child.wait().map_err(ChildError::Lost)?;
        ended.map_err(|errno| ChildError::Lost(errno.into()))?;
        piped.map_err(ChildError::Lost)?;
        match self.flow.fault() {
            Some(Fault::Stalled) => Err(ChildError::Stalled(limits.stall)),
            Some(Fault::TooMuch) => Err(ChildError::TooMuch(limits.output)),
            None => judge(status, said).map(|said| {
                let (wall, bytes_in) = (begun.elapsed(), self.flow.taken());
                Run { arguments: self.args, wall, cpu, bytes_in, bytes_out: 0, said }
            }),
        }
    }

    fn command(&self) -> FfmpegCommand {
        let words = self.program.command();
        let (program, first) = words.split_first().expect("a command has a program");
        let mut command = Command::new(program);
        command.args(first).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Our environment may hold secrets; these two are what finding a program and its libraries needs.
        command.env_clear();
        command.envs(["PATH", "LD_LIBRARY_PATH"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        // A group of its own: Ctrl-C on a terminal is ours to handle, and a kill reaches all it starts.
        command.process_group(0);
        // Not `new_with_path`, which puts a log level first: that would be an argument of the leash.
        let mut command = FfmpegCommand::from(command);
        command.args(&self.args);
        command
    }

    fn connect(
        &self,
        child: &mut FfmpegChild,
        input: mpsc::Receiver<Bytes>,
        written: mpsc::Sender<Bytes>,
    ) -> io::Result<()> {
        let missing = || io::Error::other("a pipe is missing");
        let stdin = child.take_stdin().ok_or_else(missing)?;
        let stdout = child.take_stdout().ok_or_else(missing)?;
        let (chunk, grip, limits) = (self.chunk, Arc::clone(&self.grip), self.program.limits());
        let (fed, read) = (Arc::clone(&self.flow), Arc::clone(&self.flow));
        thread::Builder::new().name("ffmpeg-stdin".to_owned()).spawn(move || fed.feed(stdin, input))?;
        thread::Builder::new().name("ffmpeg-stdout".to_owned()).spawn(move || {
            if read.read(stdout, chunk, &written, limits).is_err() {
                grip.kill();
            }
        })?;
        Ok(())
    }
}

/// What the kernel enforces. It runs already, but has had nothing to read yet.
fn restrict(child: Pid, limits: Limits) {
    for (resource, _, most) in limits.of_a_process() {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        if let Err(error) = rustix::process::prlimit(Some(child), resource, limit) {
            tracing::warn!(?resource, %error, "ffmpeg runs without a limit");
        }
    }
}

/// Reads to the end and keeps the last lines: bounded, however much is said.
fn last_words(mut stderr: impl Read) -> String {
    let mut said = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        match stderr.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => said.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
        said.drain(..said.len().saturating_sub(SAID));
    }
    let text = String::from_utf8_lossy(&said);
    let lines: Vec<_> = text.lines().map(without_speaker).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join("; ")
}

/// A line without the part of ffmpeg that says it and its place in memory: `[h264 @ 0x55d0c0ffee00]`.
fn without_speaker(line: &str) -> &str {
    let mut line = line.trim();
    while let Some((speaker, rest)) = line.strip_prefix('[').and_then(|line| line.split_once("] "))
        && speaker.contains(" @ 0x")
    {
        line = rest.trim();
    }
    line
}

fn judge(status: ExitStatus, said: String) -> Result<String, ChildError> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(said),
        (Some(status), _) => Err(ChildError::Failed { status, said }),
        (None, signal) => Err(ChildError::Killed { signal: signal.unwrap_or(0), said }),
    }
}

#[cfg(test)]
mod tests;
