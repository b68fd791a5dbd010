//! `vidctl`, run against a server.

use crate::server::{Server, binary};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A person at a terminal of their own: their unfinished uploads are remembered in a folder that goes with them.
pub struct Person {
    home: TempDir,
    server: String,
    /// Who signs the server's certificate.
    authority: Option<PathBuf>,
}

impl Person {
    /// Somebody who uses `server`.
    pub fn of(server: &Server) -> Self {
        Self::at(&server.address)
    }

    /// Somebody who uses the server at `address`.
    pub fn at(address: &str) -> Self {
        Self { home: TempDir::new().expect("a temporary folder"), server: address.to_owned(), authority: None }
    }

    /// The same person, who believes certificates that are signed by the authority in a file.
    #[must_use]
    pub fn believing(self, authority: &Path) -> Self {
        Self { authority: Some(authority.to_owned()), ..self }
    }

    /// The same person at another machine, with what they have to remember of unfinished uploads.
    pub fn elsewhere(&self) -> Self {
        let other = Self::at(&self.server);
        let (from, to) = (self.home.path().join("vidctl/uploads"), other.home.path().join("vidctl/uploads"));
        std::fs::create_dir_all(&to).expect("a folder");
        for entry in from.read_dir().expect("there are uploads").map(|entry| entry.expect("an entry")) {
            if entry.path().extension().is_some_and(|ending| ending == "json") {
                std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
            }
        }
        other
    }

    /// A command of theirs.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("vidctl"));
        command
            .args(arguments)
            .env("VIDCTL_SERVER", &self.server)
            .env("HOME", self.home.path())
            .env("XDG_STATE_HOME", self.home.path())
            .stdin(Stdio::null());
        if let Some(authority) = &self.authority {
            command.env("VIDCTL_CA_FILE", authority);
        }
        command
    }

    /// Runs a command: its exit code, stdout and stderr.
    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().expect("vidctl runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (status.code().unwrap_or(-1), text(stdout), text(stderr))
    }

    /// Runs a command that must succeed and gives the JSON values it prints.
    pub fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let (code, out, errors) = self.run(&[&["--output", "json"], arguments].concat());
        assert_eq!(code, 0, "vidctl {arguments:?}: {out}{errors}");
        out.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// Uploads `file`, waits until it plays, or everything of it is made, and gives the video.
    pub fn upload(&self, file: &Path, wait: &str) -> Value {
        let mut videos = self.json(&["upload", wait, file.to_str().expect("text")]);
        assert_eq!(videos.len(), 1);
        videos.remove(0)
    }

    /// The id of the upload that `vidctl` remembers as unfinished, if there is one.
    pub fn unfinished_upload(&self) -> Option<String> {
        let entries = self.home.path().join("vidctl/uploads").read_dir().ok()?;
        let entries = entries.map(|entry| entry.expect("an entry").path());
        let entry = entries.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "json"))?;
        let entry: Value = serde_json::from_slice(&std::fs::read(entry).expect("readable")).expect("JSON");
        entry["upload"]["upload_id"].as_str().map(ToOwned::to_owned)
    }

    /// The video as it is now.
    pub fn get(&self, id: &str) -> Value {
        self.json(&["get", id]).remove(0)
    }
}

/// The id of a video.
pub fn id(video: &Value) -> &str {
    video["id"].as_str().expect("an id")
}
