//! Clips made by ffmpeg.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder of this test's own.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Runs ffmpeg with `parts` joined, writing `name` in `folder`.
pub fn make(folder: &Path, name: &str, parts: &[&[&str]]) -> PathBuf {
    let path = folder.join(name);
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(parts.concat())
        .args(["-threads", "1", "-fflags", "+bitexact"])
        .arg(&path)
        .status()
        .expect("ffmpeg runs");
    assert!(status.success(), "ffmpeg made no {name}");
    path
}

/// The MP4 files of `kind` in the corpus beside the project, empty where it is not there.
pub fn corpus(kind: &str) -> Vec<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/media");
    let root = std::env::var_os("TEST_MEDIA").map_or(beside, PathBuf::from);
    let Ok(entries) = root.join(kind).read_dir() else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|e| e.expect("an entry").path()).collect();
    files.retain(|f| {
        f.extension().is_some_and(|e| ["mp4", "mov", "m4a", "m4v"].iter().any(|x| e.eq_ignore_ascii_case(x)))
    });
    files.sort();
    files
}
