//! The ffmpeg of this machine: found and checked once, at start.

use super::cage::{Cage, Layers, NoBubblewrap, in_bubblewrap};
use super::child::{Child, ChildError};
use rustix::process::Resource;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// `-fps_mode` came with it.
const OLDEST: (u32, u32) = (5, 1);
/// What lets an ffmpeg end with the thread that started it (util-linux).
pub(super) const LEASH: &str = "setpriv";
/// Longer than any ffmpeg takes to say its version.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes that are taken at once of what it prints, and in all: its longest list has some 60 KiB.
const PRINTED: usize = 64 << 10;
const MOST_PRINTED: usize = 1 << 20;

/// What one ffmpeg may use, enforced by the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Address space in bytes. A decoder of the largest picture we let in (8192×4352, 10 bits) needs about 2 GiB.
    pub memory: u64,
    /// Processor time and time on the clock for all that one ffmpeg is asked.
    pub time: Duration,
    /// How long it may stand still: neither take nor give a byte although it has something to do.
    pub stall: Duration,
    /// Bytes that it may give.
    pub output: u64,
    /// Added to the nice value: people who watch and upload come first.
    pub nice: i32,
}

impl Default for Limits {
    fn default() -> Self {
        let (stall, output) = (Duration::from_mins(2), 1 << 40);
        Self { memory: 4 << 30, time: Duration::from_mins(10), stall, output, nice: 10 }
    }
}

impl Limits {
    /// What the kernel enforces: the resource, its name as programs have it, and the most of it.
    pub(super) fn of_a_process(&self) -> [(Resource, &'static str, u64); 5] {
        [
            (Resource::As, "as", self.memory),
            (Resource::Cpu, "cpu", self.time.as_secs().max(1)),
            // It writes pipes only.
            (Resource::Fsize, "fsize", 0),
            (Resource::Core, "core", 0),
            (Resource::Nofile, "nofile", 64),
        ]
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
    path: PathBuf,
    cage: Cage,
    limits: Limits,
    answer: Answer,
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
    /// The cage that was asked for does not work.
    #[error(transparent)]
    NoBubblewrap(#[from] NoBubblewrap),
    /// Nothing would keep it from anything.
    #[error(
        "this machine has neither Landlock (Linux 5.13) nor seccomp to cage ffmpeg in, so a hostile file may do all that \
         the server may; set --ffmpeg-cage bubblewrap where that works, or say --insecure-ffmpeg if that is meant"
    )]
    NoCage,
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
    /// Checks the ffmpeg at `path`; a name without a slash is looked up in `PATH`. It runs in what this machine has of a cage.
    pub async fn find(path: &Path, limits: Limits) -> Result<Self, ProgramError> {
        Self::find_in(Layers::of_this_machine(), path, limits).await
    }

    /// The same, in these layers.
    pub async fn find_in(layers: Layers, path: &Path, limits: Limits) -> Result<Self, ProgramError> {
        Ok(Self::answered(layers, path, limits, Self::ask(layers, path, limits).await?))
    }

    /// Asks the ffmpeg at `path` what it is.
    pub(super) async fn ask(layers: Layers, path: &Path, limits: Limits) -> Result<Answer, ProgramError> {
        // Somebody waits for the server to start.
        let limits = Limits { nice: 0, ..limits };
        let asked = async |leashed| {
            let answer = Answer { leashed, version: String::new() };
            let version = Self::made(layers, path, limits, answer).version(PATIENCE).await?;
            Ok(Answer { leashed, version })
        };
        let answer = match asked(true).await {
            Ok(answer) => answer,
            // It would be as silent again, and bubblewrap is a leash itself.
            Err(error) if layers.bubblewrap || matches!(error, ProgramError::Silent { .. }) => return Err(error),
            Err(_) => asked(false).await?,
        };
        if parsed(&answer.version).is_some_and(|found| found < OLDEST) {
            return Err(ProgramError::TooOld { path: path.display().to_string(), version: answer.version });
        }
        Ok(answer)
    }

    /// The ffmpeg at `path`, which has answered.
    pub(super) fn answered(layers: Layers, path: &Path, limits: Limits, answer: Answer) -> Self {
        let Answer { leashed, version } = &answer;
        tracing::info!(path = %path.display(), version, leashed, cage = %layers, "ffmpeg found");
        if !layers.hold() {
            tracing::warn!("ffmpeg runs without a cage: a hostile file may do all that the server may");
        } else if !layers.hide_files() {
            tracing::warn!(
                "nothing but its arguments keeps ffmpeg from the server's files: this kernel has no Landlock"
            );
        }
        Self::made(layers, path, limits, answer)
    }

    fn made(layers: Layers, path: &Path, limits: Limits, answer: Answer) -> Self {
        let (path, cage) = (path.to_owned(), Cage::new(layers, path));
        Self { path, cage, limits, answer, children: TaskTracker::new() }
    }

    /// Whatever is at `path`, on a leash.
    #[cfg(test)]
    pub(super) fn unasked(layers: Layers, path: &Path, limits: Limits) -> Self {
        Self::made(layers, path, limits, Answer { leashed: true, version: String::new() })
    }

    /// Its version.
    pub fn said_version(&self) -> &str {
        &self.answer.version
    }

    /// Whether it ends with the thread that started it, however that one ends.
    pub fn leashed(&self) -> bool {
        self.answer.leashed
    }

    /// What holds it.
    pub fn layers(&self) -> Layers {
        self.cage.layers()
    }

    /// What each child may use.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The same, but each child may take so long.
    pub fn lasting(&self, time: Duration) -> Self {
        Self { limits: Limits { time, ..self.limits }, ..self.clone() }
    }

    /// What was set as the ffmpeg to run.
    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// Where its children live.
    pub(super) fn cage(&self) -> &Cage {
        &self.cage
    }

    /// The program to start and the arguments before ffmpeg's own.
    pub(super) fn command(&self) -> Vec<OsString> {
        if !self.layers().bubblewrap {
            return command(&self.path, self.answer.leashed);
        }
        // Inside, there are no links that lead to it.
        let found = self.cage.program().unwrap_or(&self.path).as_os_str().to_owned();
        in_bubblewrap(&[found], self.cage.besides(), self.limits)
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

    /// Asks it what it is now.
    pub(super) async fn version(&self, patience: Duration) -> Result<String, ProgramError> {
        let said = self.says(&["-version"], patience).await?;
        let version = said.strip_prefix("ffmpeg version ").and_then(|rest| rest.split_whitespace().next());
        version.map(ToOwned::to_owned).ok_or_else(|| {
            let answer = if said.is_empty() { "nothing".into() } else { said.chars().take(100).collect() };
            ProgramError::NotFfmpeg { path: self.shown(), answer }
        })
    }

    /// What it prints, asked with `args`: in its cage as always.
    pub(super) async fn says(&self, args: &[&str], patience: Duration) -> Result<String, ProgramError> {
        let args = std::iter::once(&"-nostdin").chain(args).map(ToString::to_string).collect();
        // Whatever a job may take: it is waited for by us.
        let limits = Limits { stall: patience, ..self.limits };
        let Child { feed, mut output, mut process } = Self { limits, ..self.clone() }.start(args, PRINTED);
        drop(feed);
        let ended = async {
            let mut said = Vec::new();
            // Then it is killed.
            while let Some(bytes) = output.next().await.filter(|_| said.len() < MOST_PRINTED) {
                said.extend_from_slice(&bytes);
            }
            drop(output);
            (said, process.wait().await)
        };
        let silent = |_| ProgramError::Silent { path: self.shown() };
        let (said, ended) = timeout(patience, ended).await.map_err(silent)?;
        match ended {
            Ok(_) => Ok(String::from_utf8_lossy(&said).into_owned()),
            Err(ChildError::NotStarted(source)) => Err(ProgramError::NotStarted { path: self.shown(), source }),
            Err(error) => {
                // What can't be opened in the cage, libraries above all, ends it with a word on stderr.
                let answer = if said.is_empty() { error.to_string() } else { String::from_utf8_lossy(&said).into() };
                Err(ProgramError::NotFfmpeg { path: self.shown(), answer: answer.chars().take(300).collect() })
            }
        }
    }
}

/// How the ffmpeg at `path` is started. On a leash it ends with the thread that started it, however that one ends; without,
/// it ends when it notices that its pipes are closed.
fn command(path: &Path, leashed: bool) -> Vec<OsString> {
    let leash = [LEASH, "--pdeathsig", "KILL", "--"].map(OsString::from);
    let leash = if leashed { leash.as_slice() } else { &[] };
    [leash, &[path.as_os_str().to_owned()]].concat()
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
        let version = program.version(PATIENCE).await.expect("it answers");
        assert!(version.contains('.') && program.said_version() == version, "{version}");
    }
}
