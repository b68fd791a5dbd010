//! Conditional requests (RFC 9110 §13) on representations that have a strong entity tag and perhaps a modification date.

use super::ranges::{self, Wanted};
use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
    /// 206 with these parts, two or more.
    Parts(Vec<Range<u64>>),
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

/// When a representation was last modified, in whole seconds (§8.8.2). What is behind such a time never changes again, so
/// that it is a strong validator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Modified(SystemTime);

impl Modified {
    /// The second of `time`.
    pub fn at(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(UNIX_EPOCH + Duration::from_secs(since.as_secs()))
    }

    /// As in `Last-Modified`.
    pub fn to_header(self) -> HeaderValue {
        HeaderValue::try_from(httpdate::fmt_http_date(self.0)).expect("a date is plain text")
    }

    /// The date in the one field `name`; none where there is no date, which then counts for nothing (§13.1.3, §13.1.4).
    fn of(headers: &HeaderMap, name: HeaderName) -> Option<Self> {
        let mut fields = headers.get_all(name).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else { return None };
        httpdate::parse_http_date(field.to_str().ok()?).ok().map(Self)
    }
}

/// What tells versions of a representation apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Validators {
    /// Its tag.
    pub tag: EntityTag,
    /// When it was last modified, where that is known.
    pub modified: Option<Modified>,
}

impl From<EntityTag> for Validators {
    fn from(tag: EntityTag) -> Self {
        Self { tag, modified: None }
    }
}

impl Validators {
    /// Judges a request for the representation, which has `len` bytes, in the order of §13.2.2.
    pub fn judge(&self, method: &Method, headers: &HeaderMap, len: u64) -> Verdict {
        if !self.is_as_expected(headers) {
            return Verdict::PreconditionFailed;
        }
        if self.is_known(method, headers) {
            return Verdict::NotModified;
        }
        // §14.2: ranges are defined for GET only.
        if method != Method::GET || !self.continues(headers) {
            return Verdict::Whole;
        }
        match ranges::wanted(headers, len) {
            Wanted::Whole => Verdict::Whole,
            Wanted::Part(part) => Verdict::Part(part),
            Wanted::Parts(parts) => Verdict::Parts(parts),
            Wanted::Unsatisfiable => Verdict::Unsatisfiable,
        }
    }

    /// `If-Match`, else `If-Unmodified-Since`.
    fn is_as_expected(&self, headers: &HeaderMap) -> bool {
        if headers.contains_key(IF_MATCH) {
            return self.tag.is_listed(headers, IF_MATCH, Comparison::Strong);
        }
        // §13.1.4: without a modification date of our own the field is ignored.
        let (Some(modified), Some(date)) = (self.modified, Modified::of(headers, IF_UNMODIFIED_SINCE)) else {
            return true;
        };
        modified <= date
    }

    /// `If-None-Match`, else `If-Modified-Since`, which is for GET and HEAD only (§13.1.3).
    fn is_known(&self, method: &Method, headers: &HeaderMap) -> bool {
        if headers.contains_key(IF_NONE_MATCH) {
            return self.tag.is_listed(headers, IF_NONE_MATCH, Comparison::Weak);
        }
        let (Some(modified), Some(date)) = (self.modified, Modified::of(headers, IF_MODIFIED_SINCE)) else {
            return false;
        };
        (method == Method::GET || method == Method::HEAD) && modified <= date
    }

    /// `If-Range` (§13.1.5): our tag, compared strongly, or exactly our date. Anything else means all of it.
    fn continues(&self, headers: &HeaderMap) -> bool {
        let Some(field) = headers.get(IF_RANGE) else { return true };
        self.tag.is(field.as_bytes().trim_ascii())
            || self.modified.is_some_and(|modified| Modified::of(headers, IF_RANGE) == Some(modified))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(method: Method, fields: &[(&'static str, &'static str)]) -> Verdict {
        judged_with(None, method, fields)
    }

    fn judged_with(modified: Option<Modified>, method: Method, fields: &[(&'static str, &'static str)]) -> Verdict {
        let fields =
            fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        fields.for_each(|(name, value)| {
            headers.append(name, value);
        });
        Validators { tag: EntityTag::new("abc"), modified }.judge(&method, &headers, 100)
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

    /// Worked out by hand from RFC 9110 §13.1.3 to §13.1.5 and §13.2.2.
    #[test]
    fn dates_count_where_there_is_one() {
        const RANGE: (&str, &str) = ("range", "bytes=10-19");
        // The example of §5.6.7, and a second before and after it.
        const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
        const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
        let modified = Modified::at(UNIX_EPOCH + Duration::from_millis(784_111_777_900));
        assert_eq!(modified.to_header(), THEN);
        let table: &[(&[(&'static str, &'static str)], Verdict)] = &[
            (&[("if-modified-since", BEFORE)], Verdict::Whole),
            (&[("if-modified-since", THEN)], Verdict::NotModified),
            (&[("if-modified-since", AFTER), RANGE], Verdict::NotModified),
            // Obsolete forms are dates too (§5.6.7); what is none is ignored.
            (&[("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT")], Verdict::NotModified),
            (&[("if-modified-since", "Sun Nov  6 08:49:37 1994")], Verdict::NotModified),
            (&[("if-modified-since", "yesterday")], Verdict::Whole),
            (&[("if-modified-since", THEN), ("if-modified-since", THEN)], Verdict::Whole),
            // §13.1.3: a recipient ignores it where there is an If-None-Match.
            (&[("if-modified-since", THEN), ("if-none-match", "\"x\"")], Verdict::Whole),
            (&[("if-modified-since", BEFORE), ("if-none-match", "\"abc\"")], Verdict::NotModified),
            (&[("if-unmodified-since", BEFORE)], Verdict::PreconditionFailed),
            (&[("if-unmodified-since", THEN), RANGE], Verdict::Part(10..20)),
            (&[("if-unmodified-since", "never")], Verdict::Whole),
            // §13.1.4: likewise with If-Match.
            (&[("if-unmodified-since", BEFORE), ("if-match", "\"abc\"")], Verdict::Whole),
            (&[("if-unmodified-since", THEN), ("if-match", "\"x\"")], Verdict::PreconditionFailed),
            // §13.1.5: an exact match, not an earlier or later date.
            (&[RANGE, ("if-range", THEN)], Verdict::Part(10..20)),
            (&[RANGE, ("if-range", BEFORE)], Verdict::Whole),
            (&[RANGE, ("if-range", AFTER)], Verdict::Whole),
            (&[RANGE, ("if-range", "today")], Verdict::Whole),
        ];
        for (fields, verdict) in table {
            assert_eq!(judged_with(Some(modified), Method::GET, fields), *verdict, "{fields:?}");
        }
        let since = [("if-modified-since", THEN)];
        assert_eq!(judged_with(Some(modified), Method::HEAD, &since), Verdict::NotModified);
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
