//! The `Range` field (RFC 9110 §14): which bytes of a representation a request asks for.

use http::{HeaderMap, header};
use std::ops::Range;

/// Parts of one answer at the most. Players ask for one, readers of PDFs for a few; hundreds of overlapping ones brought Apache
/// down (CVE-2011-3192).
const MOST_PARTS: usize = 8;
/// What a part costs besides its bytes, about (§15.3.7.2): a smaller gap is sent rather than left out.
const PART_OVERHEAD: u64 = 80;

/// What a `Range` field asks of a representation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// All of it: no range, one that is not understood, or so many that no honest client asks for them, which §14.2 allows.
    Whole,
    /// These bytes, at least one, inside the representation.
    Part(Range<u64>),
    /// Two parts or more, apart from each other, in the order asked for.
    Parts(Vec<Range<u64>>),
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
    if parts.is_empty() {
        return None;
    }
    // §15.3.7: what is there is sent, though other parts are not.
    let parts = coalesced(parts.into_iter().filter(|part| !part.is_empty()));
    Some(match parts.as_slice() {
        [] => Wanted::Unsatisfiable,
        [part] => Wanted::Part(part.clone()),
        parts if parts.len() > MOST_PARTS => Wanted::Whole,
        parts => Wanted::Parts(parts.to_vec()),
    })
}

/// The same bytes in parts that neither overlap nor nearly touch (§15.3.7.2), each where its first spec was.
fn coalesced(parts: impl Iterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut placed: Vec<(usize, Range<u64>)> = parts.enumerate().collect();
    placed.sort_by_key(|(_, part)| part.start);
    let mut apart: Vec<(usize, Range<u64>)> = Vec::new();
    for (place, part) in placed {
        match apart.last_mut() {
            Some((first, last)) if part.start <= last.end.saturating_add(PART_OVERHEAD) => {
                last.end = last.end.max(part.end);
                *first = place.min(*first);
            }
            _ => apart.push((place, part)),
        }
    }
    apart.sort_by_key(|(place, _)| *place);
    apart.into_iter().map(|(_, part)| part).collect()
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
    use proptest::prelude::*;

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
            ("bytes=0-0,-1", Wanted::Parts(vec![0..1, 9999..10_000])),
            ("bytes= 0-999, 4500-5499, -1000", Wanted::Parts(vec![0..1000, 4500..5500, 9000..10_000])),
            ("bytes=500-600,601-999", part(500, 1000)),
            ("bytes=500-700,601-999", part(500, 1000)),
            // In the order asked for, where they are apart by more than a part costs.
            ("bytes=-1,0-0", Wanted::Parts(vec![9999..10_000, 0..1])),
            ("bytes=0-9,90-99", part(0, 100)),
            ("bytes=0-9,91-99", Wanted::Parts(vec![0..10, 91..100])),
            ("bytes=5000-5009,0-9,5005-5019", Wanted::Parts(vec![5000..5020, 0..10])),
            ("bytes=0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-", part(0, 10_000)),
            ("bytes=0-9,1000-1009,2000-,3000-3001,20000-", Wanted::Parts(vec![0..10, 1000..1010, 2000..10_000])),
            // Eight are answered, nine are not.
            ("bytes=0-0,100-100,200-200,300-300,400-400,500-500,600-600,700-700", {
                Wanted::Parts((0..8).map(|n| n * 100..n * 100 + 1).collect())
            }),
            ("bytes=0-0,100-100,200-200,300-300,400-400,500-500,600-600,700-700,800-800", Wanted::Whole),
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
            ("bytes=10000-,0-1", part(0, 2)),
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

    proptest! {
        /// Whatever is asked for, in however many pieces: all of it is sent, once, with small gaps at the most.
        #[test]
        fn what_is_asked_for_is_sent_once(asked in prop::collection::vec((0_u64..20_000, 0_u64..3000), 1..40)) {
            let asked: Vec<_> = asked.into_iter().map(|(start, len)| start..start + len + 1).collect();
            let sent = coalesced(asked.iter().cloned());
            let has = |ranges: &[Range<u64>], byte: u64| ranges.iter().filter(|range| range.contains(&byte)).count();
            for byte in 0..24_000 {
                prop_assert!(has(&sent, byte) <= 1);
                prop_assert!(has(&asked, byte) == 0 || has(&sent, byte) == 1);
            }
            let needed = (0..24_000).filter(|byte| has(&asked, *byte) > 0).count() as u64;
            let sum: u64 = sent.iter().map(|part| part.end - part.start).sum();
            prop_assert!(sum <= needed + asked.len() as u64 * PART_OVERHEAD);
        }
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
