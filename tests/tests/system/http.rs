//! The edge over HTTP: the original by ranges, problems, health.

use vidstream_tests::clips;
use vidstream_tests::judges::curl::{curl, get};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

#[test]
fn the_original_is_served_by_ranges() {
    let server = Server::start();
    let clip = clips::clip("last.mp4");
    let bytes = std::fs::read(&clip).expect("readable");
    let size = bytes.len();
    let video = Person::of(&server).upload(&clip, "--wait");
    let url = format!("{}/videos/{}/source", server.address, id(&video));
    let whole = get(&url);
    assert_eq!(
        (whole.status, whole.header("accept-ranges"), whole.header("content-type")),
        (200, "bytes", "video/mp4")
    );
    assert!(whole.body == bytes);
    let tag = whole.header("etag").to_owned();
    assert!(tag.starts_with('"'), "a strong tag: {tag}");
    let ranged = |range: &str| curl(&["-H", &format!("Range: bytes={range}"), &url]);
    for (range, from, to) in
        [("0-0", 0, 1), ("100-199", 100, 200), ("5-", 5, size), ("-7", size - 7, size), ("10-99999999999", 10, size)]
    {
        let answer = ranged(range);
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes {from}-{}/{size}", to - 1), "{range}");
        assert!(answer.body == bytes[from..to], "{range}");
    }
    let outside = ranged(&format!("{size}-"));
    assert_eq!((outside.status, outside.header("content-range")), (416, format!("bytes */{size}").as_str()));
    assert_eq!(ranged("9-3").status, 200, "what is no range is ignored");
    let conditional = |header: &str| curl(&["-H", "Range: bytes=0-9", "-H", header, &url]).status;
    assert_eq!(conditional(&format!("If-Range: {tag}")), 206);
    assert_eq!(conditional("If-Range: \"other\""), 200);
    assert_eq!(curl(&["-H", &format!("If-None-Match: {tag}"), &url]).status, 304);
    let head = curl(&["-I", &url]);
    assert_eq!((head.status, head.header("content-length")), (200, size.to_string().as_str()));
    let download = get(&format!("{url}?download"));
    assert!(download.header("content-disposition").starts_with("attachment"), "{download:?}");
    // Every byte of the file in one piece as a player's seek would ask for it, at the borders of granules.
    for at in [65_535, 65_536, 65_537] {
        assert!(ranged(&format!("{at}-{}", at + 9)).body == bytes[at..at + 10]);
    }
}

#[test]
fn what_is_not_there_is_said_in_one_form() {
    let server = Server::start();
    let base = &server.address;
    let nobody = "01890000-0000-7000-8000-000000000000";
    for path in [
        format!("/videos/{nobody}/master.m3u8"),
        "/videos/x/source".into(),
        format!("/videos/{nobody}/../../etc/passwd"),
        "/uploads/x/bytes?offset=0".into(),
    ] {
        let method = if path.starts_with("/uploads") { "PUT" } else { "GET" };
        let answer = curl(&["-X", method, "--data-binary", "", &format!("{base}{path}")]);
        assert!([400, 404].contains(&answer.status), "{path}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
        let problem = answer.json();
        for field in ["title", "status", "detail", "reason"] {
            assert!(!problem[field].is_null(), "{field} in {problem}");
        }
    }
    assert_eq!(get(&format!("{base}/healthz")).status, 200);
    assert_eq!(get(&format!("{base}/readyz")).status, 200);
    let page = get(&format!("{base}/"));
    assert!(page.text().contains("<div id=\"app\">"), "{}", page.text());
    assert_eq!(get(&format!("{base}/watch/{nobody}")).status, 200, "addresses of the page are the page");
}
