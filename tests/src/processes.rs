//! The processes of this machine, as `/proc` has them.

use std::fs;

/// How many have `argument` as their last one.
pub fn with_last_argument(argument: &str) -> usize {
    let end = format!("\0{argument}\0");
    let lines = numbers().filter_map(|number| fs::read(format!("/proc/{number}/cmdline")).ok());
    lines.filter(|line| line.ends_with(end.as_bytes())).count()
}

/// Those that `parent` started and has not reaped.
pub fn children(parent: u32) -> Vec<u32> {
    let parent = parent.to_string();
    let is_child = |number: &u32| {
        let stat = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        // The name may contain anything; fields are counted from the parenthesis behind it.
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)) == Some(&parent)
    };
    numbers().filter(is_child).collect()
}

fn numbers() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").expect("processes").filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
