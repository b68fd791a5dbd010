//! Clips made by ffmpeg.

use std::process::{Command, Stdio};

/// Pictures that move, each with its number in it.
pub const MOVING: &str = "-f lavfi -i testsrc2=s=640x360:r=25:d=6";
/// H.264 with B-frames and a keyframe a second.
pub const H264: &str = "-c:v libx264 -preset ultrafast -bf 2 -g 25 -pix_fmt yuv420p";

/// The file that ffmpeg makes as told, in the container called `format`.
pub fn make(arguments: &str, format: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("clip");
    let words = arguments.split(' ').filter(|word| !word.is_empty());
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin"])
        .args(words)
        .args(["-f", format])
        .arg(&path)
        .stdin(Stdio::null())
        .output()
        .expect("ffmpeg runs");
    assert!(made.status.success(), "{arguments}: {}", String::from_utf8_lossy(&made.stderr));
    std::fs::read(path).expect("the clip")
}

/// The usual clip.
pub fn plain() -> Vec<u8> {
    make(&format!("{MOVING} -f lavfi -i sine=d=6 {H264} -c:a aac"), "mp4")
}

/// What ffmpeg writes to stdout.
pub fn output(arguments: &[&str], program: &str) -> Vec<u8> {
    let done = Command::new(program).args(arguments).stdin(Stdio::null()).output().expect("it runs");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}
