//! What a file is, from its first bytes: so that somebody who uploads the wrong thing reads what it was.

/// Bytes from the file's start that [`not_mp4`] looks at.
pub const SNIFF_BYTES: usize = 1024;

/// Box types a file may begin with: ISO base media, fragments of it, and old `QuickTime` files without `ftyp`.
const FIRST_BOXES: [&[u8; 4]; 13] = [
    b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid", b"styp", b"sidx", b"moof", b"junk", b"udta",
];

/// Beginnings of files of other kinds.
const MAGIC: [(&[u8], &str); 29] = [
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM file"),
    (b"FLV\x01", "a Flash video"),
    (b"OggS", "an Ogg file"),
    (b"\x06\x0e\x2b\x34\x02\x05\x01\x01", "an MXF file"),
    (b"YUV4MPEG2 ", "uncompressed pictures (YUV4MPEG2)"),
    (b"ID3", "an MP3 file"),
    (b"fLaC", "a FLAC file"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media file"),
    (b"\x00\x00\x01\xba", "an MPEG program stream"),
    (b"\x00\x00\x01\xb3", "an MPEG video stream"),
    (b"\x00\x00\x00\x01", "a raw video stream without a container"),
    (b".RMF", "a RealMedia file"),
    (b"\x7fELF", "a program for Linux"),
    (b"MZ", "a program for Windows"),
    (b"#!AMR", "an AMR file"),
    (b"#!", "a script"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"SQLite format 3", "an SQLite database"),
    (b"DKIF", "an IVF file"),
    (b"\xff\xf1", "a raw AAC stream"),
    (b"\xff\xfb", "an MP3 file"),
];

/// Beginnings of texts that media tools take for instructions to open other files.
const TEXTS: [(&str, &str); 12] = [
    ("#EXTM3U", "a text file that looks like an HLS playlist"),
    ("ffconcat", "a text file that looks like an ffmpeg concat script"),
    ("file ", "a text file that looks like an ffmpeg concat script"),
    ("[playlist]", "a text file that looks like a playlist"),
    ("[Reference]", "a text file that looks like a playlist"),
    ("<asx", "a text file that looks like a playlist"),
    ("v=0", "a text file that looks like a session description (SDP)"),
    ("WEBVTT", "a text file with WebVTT captions"),
    ("<svg", "an SVG picture"),
    ("<!DOCTYPE html", "a web page"),
    ("<html", "a web page"),
    ("{", "a text file that looks like JSON"),
];

/// The demuxers of ffmpeg that read a kind of file in order, by what [`name`] calls it.
const DEMUXERS: [(&str, &str); 17] = [
    ("an MPEG transport stream", "mpegts"),
    ("an MPEG program stream", "mpeg"),
    ("an MPEG video stream", "mpegvideo"),
    ("an AVI file", "avi"),
    ("a Flash video", "flv"),
    ("a Windows Media file", "asf"),
    ("an Ogg file", "ogg"),
    ("an MXF file", "mxf"),
    ("a Matroska or WebM file", "matroska"),
    ("an IVF file", "ivf"),
    ("a GIF picture", "gif"),
    ("uncompressed pictures (YUV4MPEG2)", "yuv4mpegpipe"),
    ("an MP3 file", "mp3"),
    ("a FLAC file", "flac"),
    ("a raw AAC stream", "aac"),
    ("a WAV file", "wav"),
    ("an AMR file", "amr"),
];

/// How ffmpeg can read a file that is indexed by nothing here: the one demuxer that may, and what the file is.
pub fn demuxer(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let what = not_mp4(head)?;
    let raw = |nal: u8| match () {
        // H.264 §7.4.1: a sequence parameter set or a delimiter. HEVC §7.4.2.2: a parameter set or a delimiter.
        () if matches!(nal & 0x9f, 7 | 9) => Some("h264"),
        () if matches!(nal >> 1 & 0x3f, 32 | 33 | 35) => Some("hevc"),
        () => None,
    };
    let named = match what {
        "a raw video stream without a container" => head.get(4).copied().and_then(raw),
        what => DEMUXERS.iter().find(|(name, _)| *name == what).map(|(_, demuxer)| *demuxer),
    };
    named.map(|demuxer| (demuxer, what))
}

/// What the file is if it is not MP4 or MOV, by its first [`SNIFF_BYTES`] (or all, if it is shorter).
pub(crate) fn not_mp4(head: &[u8]) -> Option<&'static str> {
    let kind = head.get(4..8);
    if FIRST_BOXES.iter().any(|first| kind == Some(&first[..])) {
        return None;
    }
    Some(name(head))
}

fn name(head: &[u8]) -> &'static str {
    if let Some((_, name)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return name;
    }
    if head.starts_with(b"RIFF") {
        return match head.get(8..12) {
            Some(b"AVI ") => "an AVI file",
            Some(b"WAVE") => "a WAV file",
            Some(b"WEBP") => "a WebP picture",
            _ => "a RIFF file",
        };
    }
    // Packets of 188 bytes, or 192 with a time stamp before each (M2TS).
    let packets = |first: usize, step: usize| {
        head.len() > first + 2 * step && (0..3).all(|i| head.get(first + i * step) == Some(&0x47))
    };
    if packets(0, 188) || packets(4, 192) {
        return "an MPEG transport stream";
    }
    if head.iter().all(|&b| b == 0) {
        return "a file that begins with nothing but zeros";
    }
    text(head).unwrap_or("data of no known kind")
}

fn text(head: &[u8]) -> Option<&'static str> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    // The last character may be cut off.
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&head[..error.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    if valid.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return None;
    }
    let trimmed = valid.trim_start();
    let begins = |text: &str, with: &str| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    if begins(trimmed, "<?xml") || begins(trimmed, "<MPD") {
        let is = |element: &str| trimmed.contains(element);
        return Some(match () {
            () if is("<MPD") => "a text file that looks like a DASH manifest",
            () if is("<svg") => "an SVG picture",
            () => "an XML file",
        });
    }
    let known = TEXTS.iter().find(|(start, _)| begins(trimmed, start));
    Some(known.map_or("a text file", |(_, name)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_it_found() {
        let mut ts = vec![0u8; 600];
        for i in 0..3 {
            ts[i * 188] = 0x47;
        }
        let cases: [(&[u8], &str); 11] = [
            (b"#EXTM3U\n#EXT-X-VERSION:3\n", "a text file that looks like an HLS playlist"),
            (b"\xef\xbb\xbf\n#extm3u\n", "a text file that looks like an HLS playlist"),
            (b"ffconcat version 1.0\nfile x", "a text file that looks like an ffmpeg concat script"),
            (b"<?xml version=\"1.0\"?>\n<MPD>", "a text file that looks like a DASH manifest"),
            (b"\x7fELF\x02\x01\x01\0", "a program for Linux"),
            (b"\x1a\x45\xdf\xa3\x01\0\0", "a Matroska or WebM file"),
            (b"RIFF\0\0\0\0AVI LIST", "an AVI file"),
            (b"hello, w\xc3", "a text file"),
            (b"\0\0\0\0\0\0\0\0\0", "a file that begins with nothing but zeros"),
            (b"\x93\x01\xfe\x88\x00", "data of no known kind"),
            (&ts, "an MPEG transport stream"),
        ];
        for (head, name) in cases {
            assert_eq!(not_mp4(head), Some(name));
        }
        assert_eq!(not_mp4(b"\0\0\0\x20ftypisom"), None);
        assert_eq!(not_mp4(b"\0\0\0\x01mdat"), None);
    }
}
