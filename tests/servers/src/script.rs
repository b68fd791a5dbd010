//! `scripts/backends`, which knows how each server is installed, started and asked.

use crate::{Kind, PASSWORD, USER};
use std::collections::HashSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/backends");

/// Installs what a kind needs, once in this process.
pub fn set_up(kind: Kind) {
    static DONE: Mutex<Option<HashSet<Kind>>> = Mutex::new(None);
    let mut done = DONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let done = done.get_or_insert_default();
    if !done.contains(&kind) {
        if let Err(reason) = finish(with_credentials(Command::new(SCRIPT)).args(["setup", kind.name()])) {
            panic!("{} can't be set up: {reason}", kind.name());
        }
        done.insert(kind);
    }
}

/// What becomes the server, and is killed when the thread that starts it ends.
pub fn run(kind: Kind, data: &Path, port: u16) -> Command {
    let mut command = with_credentials(Command::new("setpriv"));
    command.args(["--pdeathsig", "KILL", SCRIPT, "run", kind.name()]).arg(data).arg(port.to_string());
    command
}

/// Asks a server once.
pub fn ready(kind: Kind, port: u16) -> Result<(), String> {
    finish(with_credentials(Command::new(SCRIPT)).args(["ready", kind.name(), &port.to_string()]))
}

/// Makes a bucket.
pub fn make_bucket(port: u16, name: &str) {
    finish(with_credentials(Command::new(SCRIPT)).args(["bucket", &port.to_string(), name]))
        .unwrap_or_else(|reason| panic!("{reason}"));
}

fn with_credentials(mut command: Command) -> Command {
    command.env("BACKENDS_USER", USER).env("BACKENDS_PASSWORD", PASSWORD);
    command
}

/// Runs it; what it said is the error.
fn finish(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output();
    match output {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(Output { stderr, status, .. }) => Err(match String::from_utf8_lossy(&stderr).trim() {
            "" => status.to_string(),
            said => said.to_owned(),
        }),
        Err(error) => Err(format!("{SCRIPT}: {error}")),
    }
}
