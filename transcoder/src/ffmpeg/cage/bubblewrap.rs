//! Bubblewrap: namespaces in which there are programs and libraries, and nothing else. Asked for by a setting: many
//! containers forbid the namespaces that it makes.

use super::super::program::Limits;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const BUBBLEWRAP: &str = "bwrap";
/// Folders that are shown inside as they are.
const PROGRAMS: [&str; 9] =
    ["/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/nix/store", "/etc/ld.so.cache", "/etc/alternatives"];

/// Bubblewrap does not work here.
#[derive(Debug, thiserror::Error)]
#[error(
    "bubblewrap (bwrap) does not work here: {0}; install it, or let it make namespaces, or leave --ffmpeg-cage out"
)]
pub struct NoBubblewrap(String);

/// Whether a program runs in it.
pub(super) fn tried() -> Result<(), NoBubblewrap> {
    let mut command = Command::new(BUBBLEWRAP);
    command.args(arguments(&[])).args(["--", "true"]).env_clear();
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path))).stdin(Stdio::null());
    let tried = command.output().map_err(|error| NoBubblewrap(error.to_string()))?;
    if tried.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&tried.stderr);
    Err(NoBubblewrap(said.lines().last().unwrap_or("it says nothing").to_owned()))
}

/// `command` in it, with what `limits` bound: they belong to a process, and the one that we start is bubblewrap's.
pub(in super::super) fn command(command: &[OsString], besides: &[PathBuf], limits: Limits) -> Vec<OsString> {
    let bounds = limits.of_a_process().map(|(_, name, most)| format!("--{name}={most}").into());
    let outer = std::iter::once(BUBBLEWRAP.into()).chain(arguments(besides)).chain(["--".into(), "prlimit".into()]);
    outer.chain(bounds).chain(["--".into()]).chain(command.iter().cloned()).collect()
}

fn arguments(besides: &[PathBuf]) -> impl Iterator<Item = OsString> {
    // First in its namespace: bubblewrap's own process there binds itself to its parent a moment too late, and outlived a
    // server that was killed just then.
    let alone = ["--unshare-all", "--as-pid-1", "--die-with-parent", "--new-session"];
    let fixed = alone.into_iter().chain(["--cap-drop", "ALL", "--dev", "/dev"]);
    let shown = PROGRAMS.iter().map(Path::new).chain(besides.iter().map(PathBuf::as_path));
    let shown = shown.flat_map(|path| ["--ro-bind-try".into(), path.into(), path.into()]).collect::<Vec<OsString>>();
    fixed.map(OsString::from).chain(shown)
}
