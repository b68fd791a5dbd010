//! Medians and Markdown.

use crate::cost::Cost;
use std::process::Command;
use std::time::Duration;

/// Rounds of every interleaved measurement.
pub const ROUNDS: usize = 5;

/// The middle value.
pub fn median<T: PartialOrd + Copy>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
    sorted[sorted.len() / 2]
}

/// The median of each figure.
pub fn middle(costs: &[Cost]) -> Cost {
    let of = |figure: fn(&Cost) -> Duration| median(&costs.iter().map(figure).collect::<Vec<_>>());
    let count = |figure: fn(&Cost) -> u64| median(&costs.iter().map(figure).collect::<Vec<_>>());
    Cost { wall: of(|c| c.wall), cpu: of(|c| c.cpu), memory: count(|c| c.memory), read: count(|c| c.read) }
}

/// Prints a table's head.
pub fn head(title: &str, columns: &[&str]) {
    println!("\n## {title}\n");
    row(columns);
    println!("|{}", "---|".repeat(columns.len()));
}

/// Prints a row.
pub fn row<S: AsRef<str>>(cells: &[S]) {
    println!("| {} |", cells.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" | "));
}

/// `1.23 s`, `45 ms`.
pub fn time(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

/// Megabytes.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// How many times `one` goes into `other`.
pub fn ratio(other: Duration, one: Duration) -> String {
    format!("{:.1}×", other.as_secs_f64() / one.as_secs_f64().max(1e-9))
}

/// Machine and versions, one line each.
pub fn machine() -> String {
    let said = |program: &str, arguments: &[&str]| {
        let out = Command::new(program).args(arguments).output().map(|out| out.stdout).unwrap_or_default();
        String::from_utf8_lossy(&out).lines().next().unwrap_or("unknown").to_owned()
    };
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown").to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{cores} cores,{}; kernel {}; {}; {}",
        cpu.trim_start_matches([' ', '\t', ':'])
            .split_once(' ')
            .map_or(String::new(), |_| format!(" {}", cpu.trim_start_matches([' ', '\t', ':']))),
        said("uname", &["-r"]),
        said("ffmpeg", &["-version"]).split(" Copyright").next().unwrap_or_default(),
        said("rustc", &["--version"]),
    )
}
