//! What a process asked of the kernel, in order, by strace.

use std::path::Path;
use std::time::{Duration, Instant};

/// Calls that make something durable, name it, or say something to somebody.
pub const CALLS: &str =
    "trace=fsync,fdatasync,rename,renameat,renameat2,link,linkat,mkdir,mkdirat,write,writev,sendto,sendmsg,pwrite64";

/// One call, when it was over; what is written, when it was begun.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Call {
    /// A file or directory was synced.
    Synced(String),
    /// A file got another name.
    Renamed(String, String),
    /// A file got one more name.
    Linked(String, String),
    /// A directory was made.
    Made(String),
    /// Bytes went to a file.
    Written(String),
    /// Bytes went to a peer: the connection, and what.
    Sent(String, Vec<u8>),
}

/// strace as a wrapper of a server, its trace in `file`. The server keeps its process, strace is beside it (`-D`).
pub fn wrapper(file: &str) -> Vec<&str> {
    // -yy: paths and addresses beside file descriptors. No string is cut.
    vec!["strace", "-D", "-f", "-yy", "-s", "1048576", "-e", CALLS, "-e", "signal=none", "-o", file]
}

/// The calls in `file`, once the process `id` has ended.
pub fn calls(file: &Path, id: u32) -> Vec<Call> {
    let begun = Instant::now();
    let end = format!("{id} +++ ");
    loop {
        let trace = String::from_utf8_lossy(&std::fs::read(file).expect("a trace")).into_owned();
        if trace.lines().any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(&end)) {
            return parse(&trace);
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "strace does not end");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Reads a trace. A call of one thread may be cut in two by those of others.
fn parse(trace: &str) -> Vec<Call> {
    let mut begun = std::collections::HashMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix("<unfinished ...>") {
            // What is said is said from here on; all else is done only when it is over.
            match said(start) {
                Some(call) => calls.push(call),
                None => drop(begun.insert(thread, start.to_owned())),
            }
        } else if let Some(end) = rest.strip_prefix("<... ") {
            let end = end.split_once("resumed>").map_or("", |(_, end)| end);
            if let Some(start) = begun.remove(thread) {
                calls.extend(done(&format!("{start}{end}")));
            }
        } else {
            calls.extend(said(rest).or_else(|| done(rest)));
        }
    }
    calls
}

fn said(line: &str) -> Option<Call> {
    let (name, arguments) = line.split_once('(')?;
    if !["write", "writev", "sendto", "sendmsg"].contains(&name) {
        return None;
    }
    let target = descriptor(arguments)?;
    target.starts_with("TCP").then(|| Call::Sent(target, strings(arguments).concat()))
}

fn done(line: &str) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    if result.starts_with('-') {
        return None;
    }
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
    let mut names = strings(arguments).into_iter().map(text);
    match name {
        "fsync" | "fdatasync" => descriptor(arguments).map(Call::Synced),
        "pwrite64" | "write" | "writev" => descriptor(arguments).map(Call::Written),
        "rename" | "renameat" | "renameat2" => Some(Call::Renamed(names.next()??, names.next()??)),
        "link" | "linkat" => Some(Call::Linked(names.next()??, names.next()??)),
        "mkdir" | "mkdirat" => names.next()?.map(Call::Made),
        _ => None,
    }
}

/// What the first argument, a descriptor, stands for: `12</a/path>`, `9<TCP:[a->b]>`.
fn descriptor(arguments: &str) -> Option<String> {
    let (number, rest) = arguments.split_once('<')?;
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let end = if rest.starts_with("TCP") { rest.find("]>")? + 1 } else { rest.find('>')? };
    Some(rest[..end].to_owned())
}

/// The strings among the arguments.
fn strings(arguments: &str) -> Vec<Vec<u8>> {
    let (mut found, mut at, bytes) = (Vec::new(), 0, arguments.as_bytes());
    while let Some(start) = bytes[at..].iter().position(|b| *b == b'"') {
        let (string, length) = unescaped(&bytes[at + start + 1..]);
        found.push(string);
        at = (at + start + 1 + length).min(bytes.len());
    }
    found
}

/// A string up to its closing quote, and how long it was written.
fn unescaped(written: &[u8]) -> (Vec<u8>, usize) {
    let (mut string, mut at) = (Vec::new(), 0);
    while at < written.len() && written[at] != b'"' {
        if written[at] != b'\\' {
            string.push(written[at]);
            at += 1;
            continue;
        }
        let digits = written[at + 1..].iter().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
        if digits > 0 {
            let octal =
                written[at + 1..=at + digits].iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
            string.push(u8::try_from(octal).unwrap_or(0));
            at += 1 + digits;
            continue;
        }
        string.push(match written.get(at + 1) {
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'r') => b'\r',
            Some(b'v') => 0x0B,
            Some(b'f') => 0x0C,
            Some(other) => *other,
            None => b'\\',
        });
        at += 2;
    }
    (string, at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_calls() {
        let trace = r#"
7  rename("/d/.scratch/x", "/d/a b") = 0
8  fdatasync(12</d/c.sqlite3-wal> <unfinished ...>
7  writev(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, [{iov_base="a\0\n\"\177", iov_len=5}, {iov_base="z", iov_len=1}], 2 <unfinished ...>
8  <... fdatasync resumed>)               = 0
7  <... writev resumed>)                  = 6
7  fsync(3</d>)                      = -1 EIO (Input/output error)
7  mkdir("/d/e", 0777) = 0
8  sendto(9<TCPv6:[[::1]:1->[::1]:2]>, "ok", 2, MSG_NOSIGNAL, NULL, 0) = 2
7  pwrite64(12</d/c.sqlite3-wal>, "7\177\6\202\0-\342\30", 8, 0) = 8
7  +++ exited with 0 +++"#;
        let [one, two] = ["TCP:[127.0.0.1:1->127.0.0.1:2]", "TCPv6:[[::1]:1->[::1]:2]"].map(ToOwned::to_owned);
        let wal = "/d/c.sqlite3-wal".to_owned();
        let expected = [
            Call::Renamed("/d/.scratch/x".into(), "/d/a b".into()),
            Call::Sent(one, b"a\0\n\"\x7fz".to_vec()),
            Call::Synced(wal.clone()),
            Call::Made("/d/e".into()),
            Call::Sent(two, b"ok".to_vec()),
            Call::Written(wal),
        ];
        assert_eq!(parse(trace), expected);
    }
}
