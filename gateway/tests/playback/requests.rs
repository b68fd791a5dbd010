//! Requests for a file of 10,000 bytes, the size of RFC 9110's own examples, and what it says of each. A row names its section.

use crate::world::{Answer, World};
use bytes::Bytes;
use std::ops::Range;

const SIZE: usize = 10_000;
/// When the file of a [`World`] was received, and the seconds around it.
const BEFORE: &str = "Tue, 14 Nov 2023 22:13:19 GMT";
const THEN: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
const AFTER: &str = "Tue, 14 Nov 2023 22:13:21 GMT";

/// What an answer should be.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Expected {
    /// 200 with all of it.
    Whole,
    /// 206 with one part.
    Part(Range<usize>),
    /// 206 with several.
    Parts(Vec<Range<usize>>),
    /// 304, without a body.
    NotModified,
    /// 412.
    Failed,
    /// 416 with the size.
    Outside,
}

use Expected::{Failed, NotModified, Outside, Part, Parts, Whole};

type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)], Expected);

const RANGE: (&str, &str) = ("range", "bytes=10-19");
const BEYOND: (&str, &str) = ("range", "bytes=10000-");

fn ranges() -> Vec<Row> {
    vec![
        // One range.
        ("§14.1.2, the first 500 bytes", "GET", &[("range", "bytes=0-499")], Part(0..500)),
        ("§14.1.2, the second 500 bytes", "GET", &[("range", "bytes=500-999")], Part(500..1000)),
        ("§14.1.2, the final 500 bytes", "GET", &[("range", "bytes=-500")], Part(9500..SIZE)),
        ("§14.1.2, or", "GET", &[("range", "bytes=9500-")], Part(9500..SIZE)),
        ("§14.1.2, a last position beyond the end", "GET", &[("range", "bytes=9990-99999")], Part(9990..SIZE)),
        ("§14.1.2, a suffix longer than the file", "GET", &[("range", "bytes=-20000")], Part(0..SIZE)),
        ("§14.1, units are without case", "GET", &[("range", "BYTES=0-0")], Part(0..1)),
        ("§14.2, all of it is a range too", "GET", &[("range", "bytes=0-")], Part(0..SIZE)),
        // Several.
        ("§14.1.2, the first and last bytes only", "GET", &[("range", "bytes=0-0,-1")], Parts(vec![0..1, 9999..SIZE])),
        ("§14.1.2, with optional space", "GET", &[("range", "bytes= 0-999, 4500-5499, -1000")], {
            Parts(vec![0..1000, 4500..5500, 9000..SIZE])
        }),
        ("§15.3.7.2, ranges that touch are one", "GET", &[("range", "bytes=500-600,601-999")], Part(500..1000)),
        ("§15.3.7.2, ranges that overlap are one", "GET", &[("range", "bytes=500-700,601-999")], Part(500..1000)),
        (
            "§15.3.7.2, in the order asked for",
            "GET",
            &[("range", "bytes=-1,5000-5001")],
            Parts(vec![9999..SIZE, 5000..5002]),
        ),
        ("§15.3.7.2, a gap smaller than a part's overhead", "GET", &[("range", "bytes=0-9,50-59")], Part(0..60)),
        ("§15.3.7, one of them is there", "GET", &[("range", "bytes=0-1,10000-10001")], Part(0..2)),
        (
            "§15.3.7, some of them are there",
            "GET",
            &[("range", "bytes=0-1,10000-,5000-5001")],
            Parts(vec![0..2, 5000..5002]),
        ),
        (
            "§5.6.1.2, empty elements of a list",
            "GET",
            &[("range", "bytes=,0-1,,5000-5001,")],
            Parts(vec![0..2, 5000..5002]),
        ),
        (
            "§14.2 and §17.15, many small ranges",
            "GET",
            &[("range", "bytes=0-0,200-200,400-400,600-600,800-800,1000-1000,1200-1200,1400-1400,1600-1600")],
            Whole,
        ),
        (
            "§17.15 (CVE-2011-3192), overlapping ranges",
            "GET",
            &[("range", "bytes=0-,5-0,5-1,5-2,5-3,5-4,5-5,5-6,5-7")],
            Whole,
        ),
        (
            "§17.15 (CVE-2011-3192), well formed",
            "GET",
            &[("range", "bytes=0-,0-5,0-6,0-7,0-8,0-9,5-10,5-11,5-12")],
            Part(0..SIZE),
        ),
        // None that counts.
        ("§14.2, a unit that is not known is ignored", "GET", &[("range", "seconds=1-2")], Whole),
        ("§14.1.1, a last position before the first is invalid", "GET", &[("range", "bytes=9-3")], Whole),
        ("§14.1.1, and so is the whole set", "GET", &[("range", "bytes=0-1,9-3")], Whole),
        ("§14.1.1, no positions", "GET", &[("range", "bytes=-")], Whole),
        ("§5.3, a field that is no list, twice", "GET", &[RANGE, ("range", "bytes=0-1")], Whole),
        ("§14.2, ranges are for GET", "HEAD", &[RANGE], Whole),
        ("§14.2, and HEAD is not refused for them", "HEAD", &[BEYOND], Whole),
        // Not there.
        ("§15.5.17, a first position at the end", "GET", &[BEYOND], Outside),
        ("§14.1.2, a suffix of nothing", "GET", &[("range", "bytes=-0")], Outside),
        ("§15.5.17, none of several", "GET", &[("range", "bytes=10000-,20000-20001")], Outside),
    ]
}

/// `TAG` stands for the file's tag.
fn conditions() -> Vec<Row> {
    vec![
        // If-Range.
        ("§13.1.5, the tag", "GET", &[RANGE, ("if-range", "TAG")], Part(10..20)),
        ("§13.1.5, another tag", "GET", &[RANGE, ("if-range", "\"other\"")], Whole),
        ("§13.1.5, a weak tag never matches", "GET", &[RANGE, ("if-range", "W/TAG")], Whole),
        ("§13.1.5, exactly the date", "GET", &[RANGE, ("if-range", THEN)], Part(10..20)),
        ("§13.1.5, an earlier date", "GET", &[RANGE, ("if-range", BEFORE)], Whole),
        ("§13.1.5, a later date", "GET", &[RANGE, ("if-range", AFTER)], Whole),
        (
            "§13.1.5, with several ranges",
            "GET",
            &[("range", "bytes=0-0,-1"), ("if-range", "TAG")],
            Parts(vec![0..1, 9999..SIZE]),
        ),
        ("§14.2, a condition that fails comes before 416", "GET", &[BEYOND, ("if-range", "\"other\"")], Whole),
        ("§14.2, and one that holds does not", "GET", &[BEYOND, ("if-range", "TAG")], Outside),
        ("§13.1.5, without Range it is ignored", "GET", &[("if-range", "TAG")], Whole),
        // If-None-Match and If-Modified-Since.
        ("§13.1.2, the tag", "GET", &[("if-none-match", "TAG")], NotModified),
        ("§13.1.2, compared weakly", "GET", &[("if-none-match", "W/TAG")], NotModified),
        ("§13.1.2, one of several", "GET", &[("if-none-match", "\"a\", TAG")], NotModified),
        ("§13.1.2, any", "HEAD", &[("if-none-match", "*")], NotModified),
        ("§13.1.2, another", "GET", &[("if-none-match", "\"a\"")], Whole),
        ("§13.2.2, before ranges", "GET", &[("if-none-match", "TAG"), RANGE], NotModified),
        ("§13.1.3, the date", "GET", &[("if-modified-since", THEN)], NotModified),
        ("§13.1.3, a later date", "HEAD", &[("if-modified-since", AFTER)], NotModified),
        ("§13.1.3, an earlier date", "GET", &[("if-modified-since", BEFORE), RANGE], Part(10..20)),
        ("§13.1.3, no date", "GET", &[("if-modified-since", "now")], Whole),
        (
            "§13.1.3, ignored beside If-None-Match",
            "GET",
            &[("if-none-match", "\"a\""), ("if-modified-since", THEN)],
            Whole,
        ),
        // If-Match and If-Unmodified-Since.
        ("§13.1.1, the tag", "GET", &[("if-match", "TAG"), RANGE], Part(10..20)),
        ("§13.1.1, any", "GET", &[("if-match", "*")], Whole),
        ("§13.1.1, another", "GET", &[("if-match", "\"a\"")], Failed),
        ("§13.1.1, compared strongly", "HEAD", &[("if-match", "W/TAG")], Failed),
        ("§13.1.4, the date", "GET", &[("if-unmodified-since", THEN)], Whole),
        ("§13.1.4, an earlier date", "GET", &[("if-unmodified-since", BEFORE)], Failed),
        ("§13.1.4, ignored beside If-Match", "GET", &[("if-match", "TAG"), ("if-unmodified-since", BEFORE)], Whole),
        ("§13.2.2, before If-None-Match", "GET", &[("if-match", "\"a\""), ("if-none-match", "TAG")], Failed),
        ("§13.2.2, then If-None-Match", "GET", &[("if-match", "TAG"), ("if-none-match", "TAG")], NotModified),
    ]
}

/// The parts of `multipart/byteranges` (RFC 9110 §14.6, RFC 2046 §5.1.1): type, position and bytes of each.
fn parts(answer: &Answer) -> Vec<(String, String, Bytes)> {
    let boundary = answer.field("content-type").strip_prefix("multipart/byteranges; boundary=").expect("several parts");
    let find = |from: usize, what: &str| {
        let at = answer.body[from..].windows(what.len()).position(|window| window == what.as_bytes());
        from + at.unwrap_or_else(|| panic!("no {what:?}"))
    };
    let mut found = Vec::new();
    let first = format!("--{boundary}\r\n");
    assert!(answer.body.starts_with(first.as_bytes()), "nothing comes before the first part");
    let mut at = first.len();
    loop {
        let head_end = find(at, "\r\n\r\n");
        let head = std::str::from_utf8(&answer.body[at..head_end]).expect("text").to_ascii_lowercase();
        let field = |name: &str| {
            let line = head.split("\r\n").find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in {head}")).to_owned()
        };
        let end = find(head_end + 4, &format!("\r\n--{boundary}"));
        found.push((field("content-type: "), field("content-range: "), answer.body.slice(head_end + 4..end)));
        let next = end + 4 + boundary.len();
        match &answer.body[next..next + 2] {
            b"\r\n" => at = next + 2,
            ending => {
                assert_eq!(
                    (ending, &answer.body[next + 2..]),
                    (&b"--"[..], &b"\r\n"[..]),
                    "nothing comes after the last"
                );
                return found;
            }
        }
    }
}

fn check(row: &str, method: &str, answer: &Answer, content: &Bytes, expected: &Expected) {
    let sent = |range: &Range<usize>| if method == "HEAD" { Bytes::new() } else { content.slice(range.clone()) };
    let position = |range: &Range<usize>| format!("bytes {}-{}/{SIZE}", range.start, range.end - 1);
    let status = match expected {
        Whole => 200,
        Part(_) | Parts(_) => 206,
        NotModified => 304,
        Failed => 412,
        Outside => 416,
    };
    assert_eq!(answer.status.as_u16(), status, "{row}");
    if status < 400 {
        // §15.3.7 and §15.4.5: the fields that a 200 would have had.
        assert_eq!(answer.field("etag"), format!("\"{}\"", blake3::hash(content)), "{row}");
        assert_eq!(answer.field("cache-control"), "no-cache", "{row}");
        assert_eq!(answer.field("last-modified"), THEN, "{row}");
    }
    if method == "GET" && status != 304 {
        assert_eq!(answer.field("content-length"), answer.body.len().to_string(), "{row}");
    }
    match expected {
        Whole => {
            assert_eq!(answer.field("content-length"), SIZE.to_string(), "{row}");
            assert_eq!(answer.field("accept-ranges"), "bytes", "{row}");
            assert_eq!(answer.field("content-range"), "", "{row}");
            assert!(answer.body == sent(&(0..SIZE)), "{row}");
        }
        Part(range) => {
            assert_eq!(answer.field("content-range"), position(range), "{row}");
            assert!(answer.body == sent(range), "{row}");
        }
        Parts(ranges) => {
            // §15.3.7.2: not in the head of an answer with several.
            assert_eq!(answer.field("content-range"), "", "{row}");
            let expected =
                ranges.iter().map(|range| ("application/octet-stream".to_owned(), position(range), sent(range)));
            assert_eq!(parts(answer), expected.collect::<Vec<_>>(), "{row}");
        }
        NotModified => assert!(answer.body.is_empty(), "{row}"),
        Failed => {}
        Outside => assert_eq!(answer.field("content-range"), format!("bytes */{SIZE}"), "{row}"),
    }
}

#[tokio::test]
async fn requests_are_answered_as_rfc_9110_says() {
    let content: Bytes = (0..SIZE).map(|at| u8::try_from(at * 31 % 251).expect("a byte")).collect();
    let world = World::new("odd.bin", &content).await;
    let (address, tag) = (world.address("source"), format!("\"{}\"", blake3::hash(&content)));
    for (row, method, fields, expected) in ranges().into_iter().chain(conditions()) {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.replace("TAG", &tag))).collect();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        check(row, method, &world.ask(method, &address, &fields).await, &content, &expected);
    }
}

#[tokio::test]
async fn parts_of_made_files_and_across_extents_are_what_they_are_of_the_whole() {
    let content = crate::judges::clip(4).await;
    let world = World::indexed("clip.mp4", &content).await;
    let generation = format!("g/{}-{}", crate::world::GENERATION, vidstream_media::plan::PACKAGER_VERSION);
    for rest in
        ["source".to_owned(), format!("{generation}/v1/1.m4s"), format!("{generation}/a1/1.m4s"), "master.m3u8".into()]
    {
        let whole = world.get(&rest).await.body;
        let (len, middle) = (whole.len(), whole.len() / 2);
        let range = format!("bytes={middle}-{},0-19,-20", middle + 29);
        let answer = world.ask("GET", &world.address(&rest), &[("range", &range)]).await;
        let bytes: Vec<_> = parts(&answer).into_iter().map(|(_, _, bytes)| bytes).collect();
        let expected = [middle..middle + 30, 0..20, len - 20..len].map(|range| whole.slice(range));
        assert_eq!(bytes, expected, "{rest}");
    }
}
