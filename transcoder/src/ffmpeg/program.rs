//! The ffmpeg of this machine: found and checked once, at start.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;
use tokio_util::task::TaskTracker;

/// `-fps_mode` came with it.
const OLDEST: (u32, u32) = (5, 1);
/// What lets an ffmpeg end with the thread that started it (util-linux).
pub(super) const LEASH: &str = "setpriv";
/// Longer than any ffmpeg takes to say its version.
const PATIENCE: Duration = Duration::from_secs(20);

/// What one ffmpeg may use, enforced by the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Address space in bytes. A decoder of the largest picture we let in (8192×4352, 10 bits) needs about 2 GiB.
    pub memory: u64,
    /// Processor time and time on the clock for all that one ffmpeg is asked.
    pub time: Duration,
    /// Added to the nice value: people who watch and upload come first.
    pub nice: i32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 4 << 30, time: Duration::from_mins(10), nice: 10 }
    }
}

/// What an ffmpeg that can be used said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    /// Whether it can be made to end with the thread that starts it.
    pub leashed: bool,
    /// Its version.
    pub version: String,
}

/// An ffmpeg that answered.
#[derive(Clone, Debug)]
pub struct Program {
    command: Vec<OsString>,
    limits: Limits,
    children: TaskTracker,
}

/// Why ffmpeg can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It is not there, or not a program.
    #[error("{path} can't be started; install ffmpeg {}.{} or newer, or set where it is", OLDEST.0, OLDEST.1)]
    NotStarted {
        /// What was tried.
        path: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// It runs, but does not say what an ffmpeg says.
    #[error("{path} does not answer as ffmpeg does; it says: {answer}")]
    NotFfmpeg {
        /// What was tried.
        path: String,
        /// The first of what it said.
        answer: String,
    },
    /// It does not say anything.
    #[error("{path} has not said within {} s what it is", PATIENCE.as_secs())]
    Silent {
        /// What was tried.
        path: String,
    },
    /// It lacks what we need.
    #[error("{path} is ffmpeg {version}; {}.{} or newer is needed", OLDEST.0, OLDEST.1)]
    TooOld {
        /// What was tried.
        path: String,
        /// Its version.
        version: String,
    },
}

impl Program {
    /// Checks the ffmpeg at `path`; a name without a slash is looked up in `PATH`.
    pub async fn find(path: &Path, limits: Limits) -> Result<Self, ProgramError> {
        Ok(Self::answered(path, limits, Self::ask(path).await?))
    }

    /// Asks the ffmpeg at `path` what it is.
    pub(super) async fn ask(path: &Path) -> Result<Answer, ProgramError> {
        let (leashed, version) = match version(&command(path, true), path).await {
            Ok(version) => (true, version),
            // It would be as silent again.
            Err(error @ ProgramError::Silent { .. }) => return Err(error),
            Err(_) => (false, version(&command(path, false), path).await?),
        };
        if parsed(&version).is_some_and(|found| found < OLDEST) {
            return Err(ProgramError::TooOld { path: path.display().to_string(), version });
        }
        Ok(Answer { leashed, version })
    }

    /// The ffmpeg at `path`, which has answered.
    pub(super) fn answered(path: &Path, limits: Limits, answer: Answer) -> Self {
        let Answer { leashed, version } = answer;
        tracing::info!(path = %path.display(), version, leashed, "ffmpeg found");
        Self { command: command(path, leashed), limits, children: TaskTracker::new() }
    }

    /// What each child may use.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The same, but each child may take so long.
    pub fn lasting(&self, time: Duration) -> Self {
        Self { limits: Limits { time, ..self.limits }, ..self.clone() }
    }

    /// The program to start and the arguments before ffmpeg's own.
    pub(super) fn command(&self) -> (&OsString, &[OsString]) {
        self.command.split_first().expect("a command has a program")
    }

    /// Counts the children that are not reaped yet.
    pub(super) fn children(&self) -> &TaskTracker {
        &self.children
    }

    /// Waits until every child is gone and reaped.
    pub async fn idle(&self) {
        self.children.close();
        self.children.wait().await;
    }
}

/// How the ffmpeg at `path` is started. On a leash it ends with the thread that started it, however that one ends; without,
/// it ends when it notices that its pipes are closed.
fn command(path: &Path, leashed: bool) -> Vec<OsString> {
    let leash = [LEASH, "--pdeathsig", "KILL", "--"].map(OsString::from);
    let leash = if leashed { leash.as_slice() } else { &[] };
    [leash, &[path.as_os_str().to_owned()]].concat()
}

pub(super) async fn version(command: &[OsString], path: &Path) -> Result<String, ProgramError> {
    let (program, args) = command.split_first().expect("a command has a program");
    let mut asked = Command::new(program);
    asked.args(args).arg("-version").stdin(Stdio::null()).kill_on_drop(true);
    let shown = || path.display().to_string();
    let answered = tokio::time::timeout(PATIENCE, asked.output()).await;
    let answered = answered.map_err(|_| ProgramError::Silent { path: shown() })?;
    let Output { status, stdout, .. } =
        answered.map_err(|source| ProgramError::NotStarted { path: shown(), source })?;
    let said = String::from_utf8_lossy(&stdout);
    let version = said.strip_prefix("ffmpeg version ").and_then(|rest| rest.split_whitespace().next());
    if let Some(version) = version.filter(|_| status.success()) {
        return Ok(version.to_owned());
    }
    let answer = if said.is_empty() { "nothing".into() } else { said.chars().take(100).collect() };
    Err(ProgramError::NotFfmpeg { path: shown(), answer })
}

/// Major and minor number; none for builds that are named by a commit, which are taken for new.
fn parsed(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.trim_start_matches('n').split(|c: char| !c.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    Some((major, numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
}

/// The ffmpeg of the machine that runs the tests.
#[cfg(test)]
pub(crate) async fn for_tests() -> Program {
    Program::find(Path::new("ffmpeg"), Limits::default()).await.expect("the tests need ffmpeg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(parsed("5.1.9-0+deb12u1"), Some((5, 1)));
        assert_eq!(parsed("n7.1"), Some((7, 1)));
        assert_eq!(parsed("8"), Some((8, 0)));
        assert_eq!(parsed("N-109542-g1bf1ca7b7a"), None);
    }

    #[tokio::test]
    async fn what_is_no_ffmpeg_is_refused_in_words() {
        let find = async |path: &str| {
            Program::find(Path::new(path), Limits::default()).await.expect_err("no ffmpeg").to_string()
        };
        let words = find("no-such-program").await;
        assert_eq!(words, "no-such-program can't be started; install ffmpeg 5.1 or newer, or set where it is");
        let words = find("true").await;
        assert!(words.starts_with("true does not answer as ffmpeg does"), "{words}");
    }

    #[tokio::test]
    async fn ffmpeg_is_found() {
        let program = for_tests().await;
        let version = version(&program.command, Path::new("ffmpeg")).await.expect("it answers");
        assert!(version.contains('.'), "{version}");
    }
}
