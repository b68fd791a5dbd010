//! A disk of a server's own, which can be filled and emptied: memory, mounted where only that server sees it. Root in a user
//! namespace suffices, so nobody has to be root.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What it has while it is not full. Not more than what is written to it is taken.
const SIZE: &str = "1g";
/// What is written between a look at the disk and its change makes the change impossible: less than there is can't be set.
const TRIES: usize = 100;

/// Lets `command` become the server on a disk that is mounted at `data`.
pub fn on_own_disk(command: &Command, data: &Path) -> Command {
    let mount = format!("mkdir -p \"$0\" && mount -t tmpfs -o size={SIZE} tmpfs \"$0\" && exec \"$@\"");
    let mut all = Command::new("unshare");
    all.args(["--user", "--map-root-user", "--mount", "sh", "-ec", &mount]).arg(data);
    all.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => all.env(name, value),
            None => all.env_remove(name),
        };
    }
    all
}

/// Where what the process `server` sees at `data` is seen from here.
pub fn seen(server: u32, data: &Path) -> PathBuf {
    PathBuf::from(format!("/proc/{server}/root")).join(data.strip_prefix("/").unwrap_or(data))
}

/// Leaves no room on the disk of `server` at `data`.
///
/// # Panics
/// If there is none.
pub fn fill(server: u32, data: &Path) {
    let mut refused = String::new();
    for _ in 0..TRIES {
        let out = Command::new("stat").args(["--file-system", "--format=%b %f %S"]).arg(seen(server, data)).output();
        let out = String::from_utf8(out.expect("stat runs").stdout).expect("text");
        let numbers: Vec<u64> = out.split_whitespace().map(|number| number.parse().expect("a number")).collect();
        let [all, free, block] = numbers[..] else { panic!("stat said `{out}`") };
        match resize(server, data, &((all - free) * block).to_string()) {
            Ok(()) => return,
            Err(reason) => refused = reason,
        }
    }
    panic!("a disk can't be filled: {refused}");
}

/// Leaves room again.
///
/// # Panics
/// If there is no such disk.
pub fn empty(server: u32, data: &Path) {
    resize(server, data, SIZE).unwrap_or_else(|reason| panic!("a disk can't be emptied: {reason}"));
}

fn resize(server: u32, data: &Path, size: &str) -> Result<(), String> {
    let mut mount = Command::new("nsenter");
    mount.args(["--target", &server.to_string(), "--user", "--mount", "mount", "-o", &format!("remount,size={size}")]);
    let out = mount.arg(data).stdin(Stdio::null()).output().expect("nsenter of util-linux runs");
    if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
}
