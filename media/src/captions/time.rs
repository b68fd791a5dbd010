//! Timestamps, as files write them and as we do.

use std::time::Duration;

/// Between the two times of a cue.
pub(super) const ARROW: &str = "-->";

/// `01:02:03,456`, `02:03.456`, and forms near to them that are seen in files: one digit for two, a point for a comma, more or
/// less digits behind it, none at all. None where it is no time.
pub(super) fn parsed(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (whole, fraction) = match text.split_once([',', '.']) {
        Some((whole, fraction)) => (whole, fraction),
        None => (text, "0"),
    };
    let mut fields = whole.split(':').map(number);
    let (first, second, third) = (fields.next()??, fields.next()??, fields.next());
    if fields.next().is_some() {
        return None;
    }
    let (hours, minutes, seconds) = match third {
        Some(seconds) => (first, second, seconds?),
        None => (0, first, second),
    };
    number(fraction)?;
    // In tenths of a millisecond, to be rounded as WebVTT has them.
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(4);
    let millis = digits.fold(0, |sum, b| sum * 10 + u64::from(b - b'0'));
    let seconds = hours * 3600 + minutes * 60 + seconds;
    Some(Duration::from_secs(seconds) + Duration::from_millis((millis + 5) / 10))
}

/// Digits that are a number of some size.
fn number(text: &str) -> Option<u64> {
    let digits = (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// As WebVTT writes it, rounded to its milliseconds.
pub(super) fn written(time: Duration) -> String {
    let millis = (time.as_nanos() + 500_000) / 1_000_000;
    let seconds = millis / 1000;
    format!("{:02}:{:02}:{:02}.{:03}", seconds / 3600, seconds / 60 % 60, seconds % 60, millis % 1000)
}

/// The two times of a line that has them, and what stands behind.
pub(super) fn line(line: &str) -> Option<(Duration, Duration, &str)> {
    let (start, rest) = line.split_once(ARROW)?;
    let rest = rest.trim_start();
    let end = rest.split([' ', '\t']).next()?;
    Some((parsed(start)?, parsed(end)?, &rest[end.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_found() {
        let millis = |text| parsed(text).map(|time| time.as_millis());
        assert_eq!(millis("01:02:03,456"), Some(3_723_456));
        assert_eq!(millis("02:03.456"), Some(123_456));
        assert_eq!(millis("1:2:3,5"), Some(3_723_500));
        assert_eq!(millis("100:00:00.0009"), Some(360_000_001));
        assert_eq!(millis("0:01"), Some(1000));
        for wrong in ["", "1", "1:2:3:4", "-1:00", "00:00:0a,0", "00:00:01,", "1:,0", "00:00:01,-5", "9999999999:00"] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn times_are_rounded_when_written() {
        assert_eq!(written(Duration::from_micros(3_723_999_600)), "01:02:04.000");
        assert_eq!(written(Duration::from_hours(100)), "100:00:00.000");
    }
}
