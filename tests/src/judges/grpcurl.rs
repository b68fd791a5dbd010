//! gRPC by grpcurl, which learns the contract by reflection.

use std::path::Path;
use std::process::{Command, Stdio};

/// Calls, lists or describes: stdout, or stderr where it fails.
pub fn grpcurl(address: &str, arguments: &[&str]) -> Result<String, String> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/grpcurl");
    assert!(program.is_file(), "grpcurl is missing: scripts/setup test builds it");
    let (before, after): (Vec<&&str>, Vec<&&str>) = arguments.iter().partition(|word| word.starts_with(['-', '{']));
    let out = Command::new(program)
        .arg("-plaintext")
        .args(before)
        .arg(address.trim_start_matches("http://"))
        .args(after)
        .stdin(Stdio::null())
        .output()
        .expect("grpcurl runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    if out.status.success() { Ok(text(out.stdout)) } else { Err(text(out.stderr)) }
}
