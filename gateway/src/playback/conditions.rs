//! Conditional requests (RFC 9110 §13) on representations that have a strong entity tag and no modification date.

use super::ranges::{self, Wanted};
use http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::ops::Range;

/// A strong entity tag (§8.8.3): the same tag means the same bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntityTag(HeaderValue);

/// What to answer a request with, once its conditions are judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// 200 with everything.
    Whole,
    /// 206 with these bytes.
    Part(Range<u64>),
    /// 304: the client has it.
    NotModified,
    /// 412: it is not what the client thinks it is.
    PreconditionFailed,
    /// 416: the range is not inside.
    Unsatisfiable,
}

impl EntityTag {
    /// The tag of what `hash` identifies: visible characters without quotes.
    pub fn new(hash: &str) -> Self {
        Self(HeaderValue::from_str(&format!("\"{hash}\"")).expect("a hash is plain text"))
    }

    /// The tag of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        // Half of the sum is more than enough to tell versions of one address apart.
        Self::new(&blake3::hash(bytes).to_hex()[..32])
    }

    /// As in `ETag`.
    pub fn to_header(&self) -> HeaderValue {
        self.0.clone()
    }

    fn is(&self, candidate: &[u8]) -> bool {
        self.0.as_bytes() == candidate
    }

    /// Whether one of the tags in the fields `name` matches, or `*`. Weak tags match where `weak` says so (§8.8.3.2).
    fn is_listed(&self, headers: &HeaderMap, name: HeaderName, weak: Comparison) -> bool {
        let matches = |tag: &[u8]| match tag.strip_prefix(b"W/") {
            Some(tag) => weak == Comparison::Weak && self.is(tag),
            None => self.is(tag) || tag == b"*",
        };
        // Our tags hold no comma, so what is cut at the commas inside of others' tags matches none of ours.
        headers
            .get_all(name)
            .iter()
            .any(|field| field.as_bytes().split(|b| *b == b',').any(|tag| matches(tag.trim_ascii())))
    }
}

/// How tags are compared (§8.8.3.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Weak,
    Strong,
}

/// Judges a request for a representation of `len` bytes with the tag `tag`, in the order of §13.2.2. Fields with dates
/// are ignored, as they have to be where there is no modification date.
pub fn judge(method: &Method, headers: &HeaderMap, tag: &EntityTag, len: u64) -> Verdict {
    if headers.contains_key(IF_MATCH) && !tag.is_listed(headers, IF_MATCH, Comparison::Strong) {
        return Verdict::PreconditionFailed;
    }
    if tag.is_listed(headers, IF_NONE_MATCH, Comparison::Weak) {
        return Verdict::NotModified;
    }
    // §14.2: ranges are defined for GET only. §13.1.5: a validator other than our tag, a date too, means all of it.
    let current = headers.get(IF_RANGE).is_none_or(|field| tag.is(field.as_bytes().trim_ascii()));
    if method != Method::GET || !current {
        return Verdict::Whole;
    }
    match ranges::wanted(headers, len) {
        Wanted::Whole => Verdict::Whole,
        Wanted::Part(part) => Verdict::Part(part),
        Wanted::Unsatisfiable => Verdict::Unsatisfiable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(method: Method, fields: &[(&'static str, &'static str)]) -> Verdict {
        let fields =
            fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        fields.for_each(|(name, value)| {
            headers.append(name, value);
        });
        judge(&method, &headers, &EntityTag::new("abc"), 100)
    }

    /// Worked out by hand from RFC 9110 §13.1, §13.2.2 and §14.2.
    #[test]
    fn conditions_are_judged_in_order() {
        const RANGE: (&str, &str) = ("range", "bytes=10-19");
        let table: &[(&[(&str, &str)], Verdict)] = &[
            (&[], Verdict::Whole),
            (&[RANGE], Verdict::Part(10..20)),
            (&[("range", "bytes=100-")], Verdict::Unsatisfiable),
            // If-None-Match compares weakly, over several tags and fields.
            (&[("if-none-match", "\"abc\"")], Verdict::NotModified),
            (&[("if-none-match", "W/\"abc\"")], Verdict::NotModified),
            (&[("if-none-match", "*")], Verdict::NotModified),
            (&[("if-none-match", "\"x\", \"a,b\" ,\"abc\"")], Verdict::NotModified),
            (&[("if-none-match", "\"x\""), ("if-none-match", "\"abc\"")], Verdict::NotModified),
            (&[("if-none-match", "\"x\"")], Verdict::Whole),
            (&[("if-none-match", "\"ABC\"")], Verdict::Whole),
            (&[("if-none-match", "abc")], Verdict::Whole),
            (&[("if-none-match", "w/\"abc\"")], Verdict::Whole),
            (&[("if-none-match", "\"abc\""), RANGE], Verdict::NotModified),
            (&[("if-none-match", "\"x\""), RANGE], Verdict::Part(10..20)),
            // If-Match compares strongly, and comes first.
            (&[("if-match", "\"abc\"")], Verdict::Whole),
            (&[("if-match", "*"), RANGE], Verdict::Part(10..20)),
            (&[("if-match", "\"x\",\"abc\"")], Verdict::Whole),
            (&[("if-match", "W/\"abc\"")], Verdict::PreconditionFailed),
            (&[("if-match", "\"x\"")], Verdict::PreconditionFailed),
            (&[("if-match", "\"x\""), ("if-none-match", "\"abc\"")], Verdict::PreconditionFailed),
            (&[("if-match", "\"abc\""), ("if-none-match", "\"abc\"")], Verdict::NotModified),
            // If-Range compares strongly; what is not our tag means all of it, even for a range that is not there.
            (&[RANGE, ("if-range", "\"abc\"")], Verdict::Part(10..20)),
            (&[RANGE, ("if-range", "\"x\"")], Verdict::Whole),
            (&[RANGE, ("if-range", "W/\"abc\"")], Verdict::Whole),
            (&[RANGE, ("if-range", "Sat, 29 Oct 1994 19:43:31 GMT")], Verdict::Whole),
            (&[("range", "bytes=100-"), ("if-range", "\"x\"")], Verdict::Whole),
            (&[("range", "bytes=100-"), ("if-range", "\"abc\"")], Verdict::Unsatisfiable),
            (&[("if-range", "\"abc\"")], Verdict::Whole),
            // There are no dates to compare with.
            (&[("if-modified-since", "Sat, 29 Oct 2094 19:43:31 GMT")], Verdict::Whole),
            (&[("if-unmodified-since", "Sat, 29 Oct 1994 19:43:31 GMT")], Verdict::Whole),
        ];
        for (fields, verdict) in table {
            assert_eq!(judged(Method::GET, fields), *verdict, "{fields:?}");
        }
    }

    #[test]
    fn head_has_conditions_and_no_ranges() {
        assert_eq!(judged(Method::HEAD, &[("range", "bytes=10-19")]), Verdict::Whole);
        assert_eq!(judged(Method::HEAD, &[("range", "bytes=100-")]), Verdict::Whole);
        assert_eq!(judged(Method::HEAD, &[("if-none-match", "\"abc\"")]), Verdict::NotModified);
        assert_eq!(judged(Method::HEAD, &[("if-match", "\"x\"")]), Verdict::PreconditionFailed);
    }

    #[test]
    fn a_tag_follows_from_the_bytes() {
        assert_eq!(EntityTag::of(b"x"), EntityTag::of(b"x"));
        assert_ne!(EntityTag::of(b"x"), EntityTag::of(b"y"));
        let header = EntityTag::of(b"x").to_header();
        let text = header.to_str().expect("plain");
        assert!(text.starts_with('"') && text.ends_with('"') && text.len() == 34, "{text}");
    }
}
