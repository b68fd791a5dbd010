//! Numbers, times and names as people read them. All of it is plain text: what comes from files and users is cleaned of
//! control characters, so nobody's title can move the cursor.

use std::time::Duration;
use vidstream_proto::pb;

/// `text` on one line, without control characters and those that turn the order of what follows (Unicode's UAX #9).
pub fn clean(text: &str) -> String {
    let turns = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || turns(c) { ' ' } else { c }).collect()
}

/// A size, such as `1.2 GiB`.
pub fn size(bytes: u64) -> String {
    let mut unit = 1_u64;
    let mut names = ["KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut name = "B";
    while bytes / unit >= 1024 {
        let Some(larger) = names.next() else { break };
        (unit, name) = (unit << 10, larger);
    }
    if unit == 1 { format!("{bytes} {name}") } else { format!("{} {name}", tenths(bytes, unit)) }
}

/// Bits a second, such as `4.2 Mbit/s`.
pub fn bit_rate(bits: u64) -> String {
    match bits {
        1_000_000.. => format!("{} Mbit/s", tenths(bits, 1_000_000)),
        _ => format!("{} kbit/s", bits / 1000),
    }
}

/// `number / unit` with one decimal, cut off.
fn tenths(number: u64, unit: u64) -> String {
    format!("{}.{}", number / unit, u128::from(number % unit) * 10 / u128::from(unit))
}

/// A length of media, such as `1:02:03` or `0:07`.
pub fn media_time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A time to wait, such as `40 s`, `5 min` or `2 h`.
pub fn wait_time(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ ..=90 => format!("{seconds} s"),
        seconds @ ..=5400 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h", seconds.div_ceil(3600)),
    }
}

/// Time left as a range, such as `4 s to 6 s left`; empty while unknown.
pub fn time_left(progress: &pb::Progress) -> Option<String> {
    let (least, most) = (duration(progress.left_at_least.as_ref())?, duration(progress.left_at_most.as_ref())?);
    let (least, most) = (wait_time(least), wait_time(most));
    Some(if least == most { format!("{most} left") } else { format!("{least} to {most} left") })
}

/// A duration of the contract; none if absent or negative.
pub fn duration(duration: Option<&prost_types::Duration>) -> Option<Duration> {
    duration.and_then(|d| Duration::try_from(*d).ok())
}

/// An instant in UTC to the second, RFC 3339; a dash if absent.
pub fn instant(stamp: Option<&prost_types::Timestamp>) -> String {
    stamp.map_or_else(|| "-".to_owned(), |s| prost_types::Timestamp { seconds: s.seconds, nanos: 0 }.to_string())
}

/// Lowercase hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

/// `1 cue`, `2 cues`.
pub fn cues(count: u32) -> String {
    format!("{count} {}", if count == 1 { "cue" } else { "cues" })
}

/// `1 view`, `2 views`.
pub fn views(count: u64) -> String {
    if count == 1 { "1 view".to_owned() } else { format!("{count} views") }
}

/// A video's state in one word.
pub fn state(state: pb::VideoState) -> &'static str {
    match state {
        pb::VideoState::Unspecified => "unknown",
        pb::VideoState::Uploading => "uploading",
        pb::VideoState::Processing => "processing",
        pb::VideoState::Ready => "ready",
        pb::VideoState::Failed => "failed",
        pb::VideoState::Removed => "removed",
    }
}

/// A part's state and why.
pub fn part(part: Option<&pb::Part>) -> String {
    let Some(part) = part else { return "waiting".to_owned() };
    let word = part_state(part.state());
    if part.reason.is_empty() { word.to_owned() } else { format!("{word}: {}", clean(&part.reason)) }
}

/// A part's state in a word or two.
pub fn part_state(state: pb::PartState) -> &'static str {
    match state {
        pb::PartState::Unspecified => "unknown",
        pb::PartState::Waiting => "waiting",
        pb::PartState::Running => "running",
        pb::PartState::Ready => "ready",
        pb::PartState::Failed => "failed",
        pb::PartState::NotOffered => "not offered",
    }
}

/// A stage in one word.
pub fn stage(stage: pb::Stage) -> &'static str {
    match stage {
        pb::Stage::Unspecified => "work",
        pb::Stage::Upload => "upload",
        pb::Stage::Index => "index",
        pb::Stage::Storyboard => "storyboard",
        pb::Stage::Poster => "poster",
        pb::Stage::Delete => "delete",
        pb::Stage::Normalise => "normalise",
        pb::Stage::Encode => "encode",
    }
}

/// Why an object is garbage, in a word or two.
pub fn garbage_reason(reason: pb::GarbageReason) -> &'static str {
    match reason {
        pb::GarbageReason::Unspecified => "garbage",
        pb::GarbageReason::NoSource => "no source",
        pb::GarbageReason::NotRecorded => "not recorded",
        pb::GarbageReason::Superseded => "superseded",
        pb::GarbageReason::Unknown => "unknown",
    }
}

/// How far a stage is, such as `45 %, 3.2x, 4 s to 6 s left`.
pub fn progress(progress: &pb::Progress) -> String {
    match progress.state() {
        pb::PartState::Waiting if progress.queue_position > 0 => {
            return format!("waiting, {} before it", progress.queue_position);
        }
        pb::PartState::Running | pb::PartState::Unspecified => {}
        settled => return part_state(settled).to_owned(),
    }
    let mut words = vec![format!("{:.0} %", progress.percent.clamp(0.0, 100.0))];
    if progress.speed > 0.0 {
        words.push(format!("{:.1}x", progress.speed));
    }
    words.extend(time_left(progress));
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let cases =
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_500_000, "1.4 MiB"), (u64::MAX, "16777215.9 TiB")];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(bit_rate(4_250_000), "4.2 Mbit/s");
        assert_eq!(bit_rate(128_000), "128 kbit/s");
    }

    #[test]
    fn times() {
        assert_eq!(media_time(Duration::from_millis(7_900)), "0:07");
        assert_eq!(media_time(Duration::from_secs(3723)), "1:02:03");
        assert_eq!(wait_time(Duration::from_secs(90)), "90 s");
        assert_eq!(wait_time(Duration::from_secs(91)), "2 min");
        assert_eq!(wait_time(Duration::from_secs(5401)), "2 h");
        assert_eq!(instant(Some(&prost_types::Timestamp { seconds: 0, nanos: 5 })), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{9b}"), "a [2Jb c ");
    }
}
