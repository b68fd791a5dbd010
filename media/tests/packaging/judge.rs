//! What ffprobe and ffmpeg see in a file, a playlist or a manifest.

use std::path::Path;
use std::process::{Command, Stdio};

/// A packet: presentation time in seconds, size, hash of its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    pub time: String,
    pub size: String,
    pub hash: String,
}

/// A decoded frame: presentation time in ticks of the stream, hash of its samples.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    pub time: i64,
    pub hash: String,
}

/// The packets of `stream` (such as `v:0`), in decode order.
pub fn packets(input: &Path, stream: &str) -> Vec<Packet> {
    let out = run(Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", stream, "-show_packets", "-show_data_hash", "md5"])
        .args(["-show_entries", "packet=pts_time,size,data_hash", "-of", "default"])
        .arg(input));
    // Blocks, because side data breaks the lines of every other format.
    let packet = |block: &str| {
        let field = |key: &str| block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        Some(Packet { time: field("pts_time")?.into(), size: field("size")?.into(), hash: field("data_hash")?.into() })
    };
    out.split("[/PACKET]").filter_map(packet).collect()
}

/// The decoded frames of `stream`, each with its own time.
pub fn frames(input: &Path, stream: &str) -> Vec<Frame> {
    frames_in(input, stream, "-1")
}

/// The same, in microseconds.
pub fn frames_in_micros(input: &Path, stream: &str) -> Vec<Frame> {
    frames_in(input, stream, "1:1000000")
}

fn frames_in(input: &Path, stream: &str, base: &str) -> Vec<Frame> {
    let out = run(Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-copyts", "-i"])
        .arg(input)
        .args(["-map", &format!("0:{stream}"), "-fps_mode", "passthrough", "-enc_time_base", base])
        .args(["-f", "framemd5", "-"]));
    frame_hashes(&out)
}

/// The lines of ffmpeg's `framemd5`.
pub fn frame_hashes(text: &str) -> Vec<Frame> {
    let frame = |line: &str| {
        let fields: Vec<_> = line.split(',').map(str::trim).collect();
        Frame { time: fields[2].parse().expect("a time"), hash: fields[5].to_owned() }
    };
    text.lines().filter(|line| !line.starts_with('#')).map(frame).collect()
}

/// Number of streams of `kind` (`v` or `a`).
pub fn streams(input: &Path, kind: &str) -> usize {
    let out = run(Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", kind, "-show_entries", "stream=index", "-of", "csv=p=0"])
        .arg(input));
    // Programs repeat their streams.
    let mut lines: Vec<_> = out.lines().filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    lines.dedup();
    lines.len()
}

/// The loudest value of the first `seconds` of sound, in decibels of full scale.
pub fn loudest(input: &Path, seconds: &str) -> f64 {
    let out = Command::new("ffmpeg")
        .args(["-v", "info", "-nostdin", "-t", seconds, "-i"])
        .arg(input)
        .args(["-map", "0:a", "-af", "volumedetect", "-f", "null", "-"])
        .output()
        .expect("ffmpeg runs");
    let said = String::from_utf8_lossy(&out.stderr);
    let level = said.split("max_volume: ").nth(1).and_then(|rest| rest.split(' ').next());
    level.unwrap_or_else(|| panic!("no sound: {said}")).parse().expect("decibels")
}

fn run(command: &mut Command) -> String {
    let out = command.stdin(Stdio::null()).output().expect("the judge runs");
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {errors}");
    String::from_utf8(out.stdout).expect("text")
}
