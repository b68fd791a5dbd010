//! Running `vidctl` as people do.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A user's machine: a folder for files, a place for state, a server.
pub struct Machine {
    folder: TempDir,
    server: String,
}

/// What a run came to.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Machine {
    pub fn new(server: &str) -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), server: server.to_owned() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of `size` bytes that differ everywhere.
    pub fn file(&self, name: &str, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut bytes);
        std::fs::write(self.path(name), &bytes).expect("written");
        bytes
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vidctl"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("VIDCTL_SERVER", &self.server)
            .env("XDG_STATE_HOME", self.path("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    pub async fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments).spawn().expect("started")).await
    }

    /// Files that remember unfinished uploads.
    pub fn entries(&self) -> Vec<PathBuf> {
        let folder = std::fs::read_dir(self.path("state/vidctl/uploads"));
        folder.map_or_else(|_| vec![], |files| files.map(|file| file.expect("a file").path()).collect())
    }
}

pub async fn finish(child: Child) -> Ran {
    let output = child.wait_with_output().await.expect("ended");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: code(output.status), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| panic!("killed: {status}"))
}

/// Lines of a running command's stdout.
pub fn lines(child: &mut Child) -> tokio::io::Lines<BufReader<tokio::process::ChildStdout>> {
    BufReader::new(child.stdout.take().expect("piped")).lines()
}

/// What Ctrl-C sends.
pub fn interrupt(child: &Child) {
    let id = i32::try_from(child.id().expect("running")).expect("an id");
    let process = rustix::process::Pid::from_raw(id).expect("an id");
    rustix::process::kill_process(process, rustix::process::Signal::INT).expect("sent");
}

/// JSON of each line.
pub fn json_lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// Puts a program called `name` into `folder` that writes its arguments into `{name}.arguments` beside it.
pub fn program(folder: &Path, name: &str, exit: u8) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(folder).expect("made");
    let file = folder.join(name);
    let script =
        format!("#!/bin/sh\necho \"$@\" > {}\necho noise\nexit {exit}\n", file.with_extension("arguments").display());
    std::fs::write(&file, script).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("executable");
}
