use super::*;
use proptest::prelude::*;

/// Times in milliseconds, settings and texts.
fn read(file: &str) -> Vec<(u128, u128, String, String)> {
    let captions = Captions::read(file.as_bytes()).unwrap();
    let told = captions.cues.into_iter().map(|c| (c.start.as_millis(), c.end.as_millis(), c.settings, c.text));
    told.collect()
}

fn texts(file: &str) -> Vec<String> {
    read(file).into_iter().map(|(.., text)| text).collect()
}

/// The text of the one cue that has `payload`.
fn srt(payload: &str) -> String {
    texts(&format!("1\n00:00:01,000 --> 00:00:02,000\n{payload}\n")).remove(0)
}

fn vtt(payload: &str) -> String {
    texts(&format!("WEBVTT\n\n00:01.000 --> 00:02.000\n{payload}\n")).remove(0)
}

#[test]
fn subrip_is_read_as_it_is_found() {
    let file = "\u{feff}1\r\n00:00:01,000 --> 00:00:02,500\r\n<i>Hello</i>\r\nthere\r\n\r\n2\r\n0:0:4.5 --> 00:00:06,000  X1:100 X2:200\r\nA\r\n\r\n\
                B\r\n\r\n3\r\n00:00:03,000 --> 00:00:03,500\r\n{\\an8}<font color=\"red\">Sign</font>\r\n\r\n4\r\n00:00:09,000 --> 00:00:08,000\r\nnever\r\n\r\n5\r\n00:00:10,000 --> 00:00:11,000\r\n2001\r\n";
    let expected = [
        (1000, 2500, "", "<i>Hello</i>\nthere"),
        (3000, 3500, "line:0", "Sign"),
        (4500, 6000, "", "A\nB"),
        (10_000, 11_000, "", "2001"),
    ];
    assert_eq!(read(file), expected.map(|(start, end, settings, text)| (start, end, settings.into(), text.into())));
}

#[test]
fn webvtt_keeps_cues_and_nothing_else() {
    let file = "WEBVTT - title\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n\nSTYLE\n::cue { background: url(http://example.org) }\n\n\
                REGION\nid:fred\n\nNOTE no --> arrow\n\nintro\n00:01.000 --> 00:02.000 region:fred align:left onclick:x\n<v.loud Mary Ann>Hi <c.red.<b>&amp; <00:01.500>you\n\n\
                100:00:00.000 --> 101:00:00.000\ntoo late\n\n00:03.000-->00:04.000\nnext";
    let expected = [
        (1000, 2000, "align:left", "<v.loud Mary Ann>Hi &lt;c.red.<b>&amp; <00:00:01.500>you</b></v>"),
        (3000, 4000, "", "next"),
    ];
    assert_eq!(read(file), expected.map(|(start, end, settings, text)| (start, end, settings.into(), text.into())));
}

#[test]
fn what_is_written_holds_a_line_of_times_and_the_text() {
    let captions = Captions::read(b"WEBVTT\n\n00:01.000 --> 00:02.000 line:0\n<i>a\nb").unwrap();
    let expected =
        "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n00:00:01.000 --> 00:00:02.000 line:0\n<i>a\nb</i>\n";
    assert_eq!(captions.webvtt(), expected);
}

#[test]
fn texts_can_say_nothing_but_text() {
    assert_eq!(srt("a < b > c & d"), "a &lt; b &gt; c &amp; d");
    assert_eq!(srt("<script>alert(1)</script>"), "&lt;script&gt;alert(1)&lt;/script&gt;");
    assert_eq!(srt("<I>one<B>two</I>three"), "<i>one<b>two</b></i>three");
    assert_eq!(srt("{\\i1}x{\\i0} {y} {\\"), "x {y} {\\");
    assert_eq!(srt("a<br/>b<br>"), "a\nb");
    assert_eq!(vtt("<script>x</script><img src=y>z"), "xz");
    assert_eq!(vtt("<c.a\"b.ok>x"), "<c.ok>x</c>");
    assert_eq!(vtt("<v A & B --\u{7}>x"), "<v A &amp; B>x</v>");
    assert_eq!(vtt("<c.a--.ok>x"), "<c.ok>x</c>");
    assert_eq!(vtt("<rt>x</rt><ruby>a<rt>b"), "x<ruby>a<rt>b</rt></ruby>");
    assert_eq!(vtt("&lt;i&gt; &#x3c;b> &nope; &#0; &"), "&lt;i&gt; &lt;b&gt; &amp;nope;  &amp;");
}

#[test]
fn what_has_nothing_to_show_says_why() {
    let error = |file: &[u8]| Captions::read(file).unwrap_err();
    assert_eq!(error(b""), CaptionsError::Unknown);
    assert_eq!(error(b"WEBVTT\n\nhello"), CaptionsError::Unknown);
    assert_eq!(error(b"#EXTM3U\n/etc/passwd"), CaptionsError::Unknown);
    assert_eq!(error(b"1\n00:00:02,000 --> 00:00:01,000\nx"), CaptionsError::NoCue);
    assert_eq!(error(b"1\n00:00:01,000 --> 00:00:02,000\n\n"), CaptionsError::NoCue);
    assert_eq!(error(b"\x00\x01\xff"), CaptionsError::Encoding { at: 2 });
    let many = "0:01 --> 0:02\nx\n".repeat(MAX_CUES + 1);
    assert_eq!(error(many.as_bytes()), CaptionsError::TooMany);
}

/// Pieces that files are made of, well and badly put together.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("WEBVTT\n\n".to_owned()),
        Just("00:00:01,000 --> 00:00:02,000".to_owned()),
        Just("00:03.000 --> 00:04.000 line:0 size:50%".to_owned()),
        Just("-->".to_owned()),
        Just("\n".to_owned()),
        Just("\n\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("<i>".to_owned()),
        Just("</i>".to_owned()),
        Just("<v Bob>".to_owned()),
        Just("<ruby><rt>".to_owned()),
        Just("<00:01.000>".to_owned()),
        Just("{\\an8}".to_owned()),
        Just("&#45;&#45;&gt;".to_owned()),
        Just("<c.x".to_owned()),
        Just("NOTE".to_owned()),
        "[0-9]{1,4}",
        "\\PC{0,12}",
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same(file in pieces()) {
        if let Ok(captions) = Captions::read(file.as_bytes()) {
            prop_assert_eq!(&Captions::read(captions.webvtt().as_bytes()).unwrap(), &captions);
        }
    }

    #[test]
    fn texts_are_well_formed(file in pieces()) {
        let Ok(captions) = Captions::read(file.as_bytes()) else { return Ok(()) };
        for cue in captions.cues() {
            prop_assert!(!cue.text.contains("\n\n") && !cue.text.contains("-->"), "{:?}", cue);
            prop_assert!(!cue.text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{:?}", cue);
            prop_assert!(cue.start < cue.end);
            // What is open is closed.
            let opened = cue.text.matches('<').count() - cue.text.matches("<0").count();
            prop_assert_eq!(opened, 2 * cue.text.matches("</").count(), "{:?}", cue);
        }
    }

    #[test]
    fn any_bytes_are_borne(file in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = Captions::read(&file);
    }
}
