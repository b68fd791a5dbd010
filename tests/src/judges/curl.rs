//! HTTP by curl.

use std::collections::HashMap;
use std::process::{Command, Stdio};

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// By lower-case name.
    pub headers: HashMap<String, String>,
    /// The bytes.
    pub body: Vec<u8>,
}

impl Answer {
    /// The header `name`, empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// `GET`.
pub fn get(url: &str) -> Answer {
    curl(&[url])
}

/// `GET`, where perhaps nobody listens.
pub fn try_get(url: &str) -> Option<Answer> {
    asked(&[url]).ok()
}

/// curl with `arguments`, where it may fail: what it said then.
pub fn try_curl(arguments: &[&str]) -> Result<Answer, String> {
    asked(arguments)
}

/// curl with `arguments`.
pub fn curl(arguments: &[&str]) -> Answer {
    asked(arguments).unwrap_or_else(|said| panic!("curl {arguments:?} said {said}"))
}

fn asked(arguments: &[&str]) -> Result<Answer, String> {
    let out = Command::new("curl")
        .args(["-sS", "--http1.1", "--path-as-is", "--max-time", "60", "-D", "/dev/stderr"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("curl runs");
    let head = String::from_utf8_lossy(&out.stderr).into_owned();
    // The last head: what comes before is `100 Continue`.
    let head = head.trim_end().rsplit("\r\n\r\n").next().unwrap_or_default().to_owned();
    let mut lines = head.lines();
    let status = lines.next().filter(|line| line.starts_with("HTTP/"));
    let status = status.and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let Some(status) = status else { return Err(head) };
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Ok(Answer { status, headers, body: out.stdout })
}
