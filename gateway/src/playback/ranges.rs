//! The `Range` field (RFC 9110 §14): which bytes of a representation a request asks for.

use http::{HeaderMap, header};
use std::ops::Range;

/// What a `Range` field asks of a representation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// All of it: no range, one that is not understood, or several at once, which a server may answer with the whole
    /// (§14.2).
    Whole,
    /// These bytes, at least one, inside the representation.
    Part(Range<u64>),
    /// Bytes that it does not have (§15.5.17).
    Unsatisfiable,
}

/// The meaning of `headers` for a representation of `len` bytes.
pub fn wanted(headers: &HeaderMap, len: u64) -> Wanted {
    let mut fields = headers.get_all(header::RANGE).iter();
    // Not a list: two fields have no meaning together.
    let (Some(field), None) = (fields.next(), fields.next()) else { return Wanted::Whole };
    field.to_str().ok().and_then(|field| parse(field, len)).unwrap_or(Wanted::Whole)
}

/// `Content-Range` of `part` of `len` bytes (§14.4).
pub fn content_range(part: &Range<u64>, len: u64) -> String {
    format!("bytes {}-{}/{len}", part.start, part.end - 1)
}

/// `Content-Range` where nothing of `len` bytes could be sent.
pub fn unsatisfied_range(len: u64) -> String {
    format!("bytes */{len}")
}

/// None where the field has to be ignored.
fn parse(field: &str, len: u64) -> Option<Wanted> {
    let (unit, set) = field.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    // §5.6.1.2: empty elements of a list count for nothing.
    let specs = set.split(',').map(|spec| spec.trim_matches([' ', '\t'])).filter(|spec| !spec.is_empty());
    let parts = specs.map(|spec| resolve(spec, len)).collect::<Option<Vec<_>>>()?;
    match parts.as_slice() {
        [] => None,
        parts if parts.iter().all(Range::is_empty) => Some(Wanted::Unsatisfiable),
        [part] => Some(Wanted::Part(part.clone())),
        _ => Some(Wanted::Whole),
    }
}

/// The bytes that `spec` means, empty where they are not there; none where it is not well formed.
fn resolve(spec: &str, len: u64) -> Option<Range<u64>> {
    match spec.split_once('-')? {
        ("", suffix) => Some(len.saturating_sub(position(suffix)?)..len),
        (first, "") => Some(position(first)?..len),
        (first, last) => {
            let (first, last) = (position(first)?, position(last)?);
            (first <= last).then(|| first..len.min(last.saturating_add(1)))
        }
    }
}

/// A decimal number; larger ones than 64 bits hold are beyond every end.
fn position(digits: &str) -> Option<u64> {
    let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn asked(field: &str, len: u64) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_str(field).expect("a header value"));
        wanted(&headers, len)
    }

    /// Worked out by hand from RFC 9110 §14.1.2 and §14.2; the first rows are its own examples for 10,000 bytes.
    #[test]
    fn ranges_mean_what_rfc_9110_says() {
        let part = |start, end| Wanted::Part(start..end);
        let table = [
            ("bytes=0-499", part(0, 500)),
            ("bytes=500-999", part(500, 1000)),
            ("bytes=-500", part(9500, 10_000)),
            ("bytes=9500-", part(9500, 10_000)),
            ("bytes=0-0", part(0, 1)),
            ("bytes=-1", part(9999, 10_000)),
            ("bytes=0-0,-1", Wanted::Whole),
            ("bytes= 0-999, 4500-5499, -1000", Wanted::Whole),
            ("bytes=500-600,601-999", Wanted::Whole),
            // Ends past the end are cut, whatever their size.
            ("bytes=9999-10000", part(9999, 10_000)),
            ("bytes=5-18446744073709551615", part(5, 10_000)),
            ("bytes=5-99999999999999999999999", part(5, 10_000)),
            ("bytes=-10000", part(0, 10_000)),
            ("bytes=-99999999999999999999999", part(0, 10_000)),
            ("bytes=0-", part(0, 10_000)),
            // Units are without case; optional space and empty elements count for nothing.
            ("Bytes=1-2", part(1, 3)),
            ("bytes=,\t1-2 , ,", part(1, 3)),
            ("bytes=00001-0002", part(1, 3)),
            // Not there.
            ("bytes=10000-", Wanted::Unsatisfiable),
            ("bytes=10000-10001", Wanted::Unsatisfiable),
            ("bytes=99999999999999999999999-", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=10000-,-0", Wanted::Unsatisfiable),
            ("bytes=10000-,0-1", Wanted::Whole),
            // Not well formed, or of another unit: as if it were not there.
            ("bytes=2-1", Wanted::Whole),
            ("bytes=2-1,0-5", Wanted::Whole),
            ("bytes=", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=1 - 2", Wanted::Whole),
            ("bytes=1-2-3", Wanted::Whole),
            ("bytes=0x1-2", Wanted::Whole),
            ("bytes 0-1", Wanted::Whole),
            ("bytes", Wanted::Whole),
            ("seconds=1-2", Wanted::Whole),
            ("", Wanted::Whole),
        ];
        for (field, meaning) in table {
            assert_eq!(asked(field, 10_000), meaning, "{field}");
        }
    }

    #[test]
    fn the_largest_representation_has_a_last_byte() {
        assert_eq!(asked("bytes=18446744073709551614-", u64::MAX), Wanted::Part(u64::MAX - 1..u64::MAX));
        assert_eq!(asked("bytes=-1", 0), Wanted::Unsatisfiable);
    }

    #[test]
    fn two_fields_are_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(wanted(&headers, 5), Wanted::Whole);
        headers.append(header::RANGE, HeaderValue::from_static("bytes=0-1"));
        headers.append(header::RANGE, HeaderValue::from_static("bytes=2-3"));
        assert_eq!(wanted(&headers, 5), Wanted::Whole);
        headers.insert(header::RANGE, HeaderValue::from_bytes(b"bytes=0-\xff").expect("opaque bytes are allowed"));
        assert_eq!(wanted(&headers, 5), Wanted::Whole);
    }

    #[test]
    fn content_ranges_count_their_last_byte() {
        assert_eq!(content_range(&(0..500), 1234), "bytes 0-499/1234");
        assert_eq!(unsatisfied_range(1234), "bytes */1234");
    }
}
