//! What ffprobe and ffmpeg see in a file, or behind an address.

use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};

/// A decoded frame: presentation time in ticks of its stream, hash of its samples.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Presentation time in ticks.
    pub time: i64,
    /// MD5 of its samples.
    pub hash: String,
}

/// Presentation times of the packets of `stream` (such as `v:0`), in decode order, in seconds as printed.
pub fn times(input: &str, stream: &str) -> Vec<String> {
    let out = run(Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            stream,
            "-show_entries",
            "packet=pts_time",
            "-of",
            "default=nk=1:nw=1",
        ])
        .arg(input));
    // Side data adds lines of other kinds.
    out.lines().filter(|line| line.parse::<f64>().is_ok()).map(ToOwned::to_owned).collect()
}

/// Where the keyframes of a file's first video stream are, in bytes of the file.
pub fn keyframe_ranges(file: &Path) -> Vec<Range<usize>> {
    let out = run(Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-show_entries", "packet=size,pos,flags", "-of", "csv=p=0"])
        .arg(file));
    let range = |line: &str| {
        let fields: Vec<_> = line.split(',').collect();
        let number = |at: usize| fields[at].parse::<usize>().expect("a number");
        fields[2].contains('K').then(|| number(1)..number(1) + number(0))
    };
    out.lines().filter_map(range).collect()
}

/// The decoded frames of `stream`.
pub fn frames(input: &str, stream: &str) -> Vec<Frame> {
    let out = run(Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-copyts", "-i", input, "-map", &format!("0:{stream}")])
        .args(["-fps_mode", "passthrough", "-enc_time_base", "-1", "-f", "framemd5", "-"]));
    let frame = |line: &str| {
        let fields: Vec<_> = line.split(',').map(str::trim).collect();
        Frame { time: fields[2].parse().expect("a time"), hash: fields[5].to_owned() }
    };
    out.lines().filter(|line| !line.starts_with('#')).map(frame).collect()
}

/// Number of streams of `kind` (`v` or `a`).
pub fn streams(input: &str, kind: &str) -> usize {
    let out = run(Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", kind, "-show_entries", "stream=index", "-of", "csv=p=0"])
        .arg(input));
    // Programs repeat their streams.
    let mut lines: Vec<_> = out.lines().filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    lines.dedup();
    lines.len()
}

/// Structural similarity of two pictures, 1 where they are the same. In 4:2:0, as videos and JPEGs are: in 4:4:4 the
/// ways of scaling chroma up differ by more (0.92 to 0.96 for one tile) than the pictures do (0.97 by each).
pub fn similarity(one: &Path, other: &Path) -> f64 {
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    compared(&text(one), &text(other), "[0]format=yuv420p[a];[1]format=yuv420p[b];[a][b]ssim")
}

/// What `graph`, which ends in `ssim` or `psnr` (decibels), says of the pictures of two inputs.
pub fn compared(one: &str, other: &str, graph: &str) -> f64 {
    let out = Command::new("ffmpeg")
        .args(["-nostdin", "-i", one, "-i", other, "-lavfi", graph, "-f", "null", "-"])
        .output()
        .expect("ffmpeg runs");
    let log = String::from_utf8_lossy(&out.stderr).into_owned();
    let value = ["All:", "average:"].iter().find_map(|mark| log.rsplit_once(mark)).map(|(_, value)| value);
    let value = value.unwrap_or_else(|| panic!("nothing is compared in {log}"));
    value.split_whitespace().next().and_then(|value| value.parse().ok()).expect("a number")
}

/// The largest of what `graph`, which prints one value for each picture by `metadata`, says of two inputs.
pub fn closest(one: &str, other: &str, graph: &str) -> f64 {
    let inputs = ["-v", "error", "-nostdin", "-i", one, "-i", other];
    let said =
        run(Command::new("ffmpeg").args(inputs).args(["-lavfi", graph, "-fps_mode", "passthrough", "-f", "null", "-"]));
    let values = said.lines().filter_map(|line| line.split_once('=')).filter_map(|(_, value)| value.parse().ok());
    values.fold(f64::NEG_INFINITY, f64::max)
}

/// What ffprobe says of the first pictures behind `input`: the values of `entries`, with commas between them.
pub fn said(input: &str, entries: &str) -> String {
    let section = if entries == "side_data" { "stream_side_data".to_owned() } else { format!("stream={entries}") };
    let out = run(Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-show_entries", &section, "-of", "csv=p=0"])
        .arg(input));
    // Programs repeat their streams.
    out.lines().find(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

/// What `filter`, a chain that ends in `metadata` or `ametadata` printing one value, says of each frame of `stream`: its
/// presentation time in seconds and the value.
pub fn measured(input: &str, stream: &str, filter: &str) -> Vec<(f64, f64)> {
    let kind = if stream.starts_with('v') { "-vf" } else { "-af" };
    let out = run(Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-copyts", "-i", input, "-map", &format!("0:{stream}"), kind, filter])
        .args(["-fps_mode", "passthrough", "-f", "null", "-"]));
    let after = |line: &str, mark| line.split_once(mark).and_then(|(_, value)| value.trim().parse::<f64>().ok());
    let lines: Vec<_> = out.lines().collect();
    let pairs = lines.chunks_exact(2).map(|pair| (after(pair[0], "pts_time:"), after(pair[1], "=")));
    // Silence has no level.
    pairs.map(|(time, value)| (time.expect("a time"), value.unwrap_or(f64::NEG_INFINITY))).collect()
}

/// What ffmpeg has against the first pictures and the first sound behind `input`, decoded from beginning to end; nothing where
/// they are sound.
pub fn complaints(input: &str) -> String {
    let out = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i", input, "-map", "0:v:0?", "-map", "0:a:0?"])
        // Times as they are: rounded to a frame rate, two may become one.
        .args(["-fps_mode", "passthrough", "-enc_time_base:v", "-1", "-f", "null", "-"])
        .stdin(Stdio::null())
        .output()
        .expect("the judge runs");
    let said = String::from_utf8_lossy(&out.stderr).lines().next().unwrap_or_default().to_owned();
    if out.status.success() || !said.is_empty() { said } else { format!("ended with {}", out.status) }
}

/// When pictures first become bright, seconds.
pub fn flash(input: &str) -> f64 {
    let bright = measured(input, "v:0", "signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-");
    bright.into_iter().find(|(_, luma)| *luma > 128.0).expect("a flash").0
}

/// When sound first becomes loud, seconds.
pub fn click(input: &str) -> f64 {
    let levels = "asetnsamples=240,astats=metadata=1:reset=1,ametadata=print:key=lavfi.astats.Overall.RMS_level:file=-";
    measured(input, "a:0", levels).into_iter().find(|(_, level)| *level > -20.0).expect("a click").0
}

/// Runs ffmpeg with `arguments`, which must succeed.
pub fn ffmpeg(arguments: &[&str]) {
    run(Command::new("ffmpeg").args(["-v", "error", "-nostdin", "-y"]).args(arguments));
}

fn run(command: &mut Command) -> String {
    let out = command.stdin(Stdio::null()).output().expect("the judge runs");
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {errors}");
    String::from_utf8(out.stdout).expect("text")
}
