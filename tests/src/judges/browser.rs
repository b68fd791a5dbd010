//! Headless Chromium, driven by playwright-core.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs `tests/browser/{script}.mjs` with `input` and gives what it prints.
pub fn run(script: &str, input: &Value) -> Value {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = Command::new("node")
        .arg(tests.join("browser").join(format!("{script}.mjs")))
        .arg(input.to_string())
        .stdin(Stdio::null())
        .output()
        .expect("node runs");
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{script}: {errors}");
    serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{errors}", String::from_utf8_lossy(&out.stdout)))
}
