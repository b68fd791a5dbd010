//! The checker of playlists and manifests: it finds nothing wrong in what is served, and each of its rules can fail.

use serde_json::Value;
use std::collections::BTreeSet;
use vidstream_tests::clips;
use vidstream_tests::judges::playlists::{self, Files, RULES, Show};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

/// A rule, and what breaks it in a presentation that keeps all rules.
type Break = (&'static str, fn(&mut Files));

/// Changes the file whose address ends in `uri`.
fn edit(files: &mut Files, uri: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let (_, file) = files.0.iter_mut().find(|(name, _)| name.ends_with(uri)).expect(uri);
    let before = file.bytes.clone();
    change(&mut file.bytes);
    assert!(file.bytes != before, "{uri} is as it was");
}

/// Puts `to` where `from` stands first.
fn text(files: &mut Files, uri: &str, from: &str, to: &str) {
    edit(files, uri, |bytes| {
        let text = String::from_utf8(std::mem::take(bytes)).expect("text");
        *bytes = text.replacen(from, to, 1).into_bytes();
    });
}

/// Sets the byte `at` bytes from where the first `mark` starts.
fn byte(files: &mut Files, uri: &str, mark: [u8; 4], at: usize, value: u8) {
    edit(files, uri, |bytes| {
        let mark = bytes.windows(4).position(|window| *window == mark).expect("the box");
        bytes[mark + at] = value;
    });
}

/// Puts a box that nobody reads at the end.
fn free_box(files: &mut Files, uri: &str) {
    edit(files, uri, |bytes| bytes.extend(b"\0\0\0\x08free"));
}

/// Where the payload of `mdat` starts.
fn payload(bytes: &[u8]) -> usize {
    bytes.windows(4).position(|window| window == b"mdat").expect("mdat") + 4
}

/// What breaks each rule, in the order of the table.
#[rustfmt::skip]
const BREAKS: &[Break] = &[
    ("every address answers", |f| f.0.values_mut().last().expect("a file").status = 404),
    ("addresses are relative and stay below the video", |f| text(f, "master.m3u8", "URI=\"g/", "URI=\"/g/")),
    ("addresses are relative and stay below the video", |f| text(f, "master.m3u8", "\ng/", "\n../g/")),
    ("content types", |f| f.0.values_mut().for_each(|file| "text/plain".clone_into(&mut file.kind))),
    ("UTF-8 without a mark and without control characters", |f| text(f, "master.m3u8", "#EXTM3U", "\u{feff}#EXTM3U")),
    ("UTF-8 without a mark and without control characters", |f| edit(f, "v1/playlist.m3u8", |b| b.push(0xff))),
    ("#EXTM3U is the first line", |f| text(f, "v1/playlist.m3u8", "#EXTM3U", "\n#EXTM3U")),
    ("a playlist is a multivariant or a media playlist", |f| text(f, "master.m3u8", "#EXT-X-VERSION", "#EXT-X-TARGETDURATION:4\n#EXT-X-VERSION")),
    ("known tags only, and singular ones once", |f| text(f, "v1/playlist.m3u8", "#EXT-X-ENDLIST", "#EXT-X-SOMETHING\n#EXT-X-ENDLIST")),
    ("known tags only, and singular ones once", |f| text(f, "master.m3u8", "#EXT-X-VERSION:7", "#EXT-X-VERSION:7\n#EXT-X-VERSION:7")),
    ("version 7 or later, for fMP4", |f| text(f, "a2/playlist.m3u8", "VERSION:7", "VERSION:5")),
    ("attribute lists are well-formed, no name twice", |f| text(f, "master.m3u8", ",DEFAULT", ", DEFAULT")),
    ("attribute lists are well-formed, no name twice", |f| text(f, "master.m3u8", ",DEFAULT=YES", ",DEFAULT=YES,DEFAULT=YES")),
    ("attributes are known and of their type", |f| text(f, "master.m3u8", "RESOLUTION=320x180", "RESOLUTION=320")),
    ("attributes are known and of their type", |f| text(f, "master.m3u8", "CODECS=", "CODEC=")),
    ("a variant has its attributes", |f| text(f, "master.m3u8", ",VIDEO-RANGE=SDR", "")),
    ("a variant has its attributes", |f| text(f, "master.m3u8", "AVERAGE-BANDWIDTH", "MEAN")),
    ("CODECS are those of the bytes", |f| text(f, "master.m3u8", "mp4a.40.2", "mp4a.40.5")),
    ("CODECS are those of the bytes", |f| byte(f, "v1/init.mp4", *b"avcC", 7, 99)),
    ("RESOLUTION is the size shown", |f| text(f, "master.m3u8", "320x180", "180x320")),
    ("FRAME-RATE is the track's, of a variable one the mean", |f| text(f, "master.m3u8", "25.000", "24.999")),
    ("VIDEO-RANGE is the transfer function's", |f| text(f, "master.m3u8", "SDR", "PQ")),
    ("CLOSED-CAPTIONS=NONE on every variant with pictures", |f| text(f, "master.m3u8", ",CLOSED-CAPTIONS=NONE", "")),
    ("BANDWIDTH is the true peak", |f| text(f, "master.m3u8", ":BANDWIDTH=", ":BANDWIDTH=9")),
    ("BANDWIDTH is the true peak", |f| edit(f, "v1/2.m4s", |b| b.resize(b.len() * 2, 0))),
    ("AVERAGE-BANDWIDTH is the true average", |f| text(f, "master.m3u8", "AVERAGE-BANDWIDTH=", "AVERAGE-BANDWIDTH=9")),
    ("every group is used, and every group used is there", |f| text(f, "master.m3u8", "AUDIO=\"aac\"", "AUDIO=\"other\"")),
    ("a group is of one codec", |f| byte(f, "a2/init.mp4", *b"mp4a", 0, b'x')),
    ("EXT-X-MEDIA has its attributes", |f| text(f, "master.m3u8", ",AUTOSELECT=YES", "")),
    ("EXT-X-MEDIA has its attributes", |f| text(f, "master.m3u8", ",URI=", ",X=")),
    ("names are unique", |f| text(f, "master.m3u8", "NAME=\"de\"", "NAME=\"en\"")),
    ("one DEFAULT a group, and it is chosen by itself", |f| text(f, "master.m3u8", "DEFAULT=NO", "DEFAULT=YES")),
    ("one DEFAULT a group, and it is chosen by itself", |f| text(f, "master.m3u8", "DEFAULT=YES,AUTOSELECT=YES", "DEFAULT=YES,AUTOSELECT=NO")),
    ("captions are text over the whole, and nobody's default", |f| text(f, "master.m3u8", "DEFAULT=NO,AUTOSELECT=YES,FORCED", "DEFAULT=YES,AUTOSELECT=YES,FORCED")),
    ("captions are text over the whole, and nobody's default", |f| text(f, "text.vtt", "WEBVTT", "WEBVTX")),
    ("captions are text over the whole, and nobody's default", |f| edit(f, "text.vtt", |b| b.push(0xff))),
    ("captions are the same files as in the playlists", |f| text(f, "manifest.mpd", "text/vtt", "text/plain")),
    ("captions are the same files as in the playlists", |f| text(f, "manifest.mpd", "/text.vtt", "/other.vtt")),
    ("AUTOSELECT once a language of a group", |f| text(f, "master.m3u8", "LANGUAGE=\"de\"", "LANGUAGE=\"en\"")),
    ("LANGUAGE is a tag and says something", |f| text(f, "master.m3u8", "LANGUAGE=\"de\"", "LANGUAGE=\"und\"")),
    ("CHANNELS are those of the bytes", |f| text(f, "master.m3u8", "CHANNELS=\"1\"", "CHANNELS=\"2\"")),
    ("EXT-X-INDEPENDENT-SEGMENTS where it is true", |f| text(f, "master.m3u8", "#EXT-X-INDEPENDENT-SEGMENTS\n", "")),
    ("EXT-X-INDEPENDENT-SEGMENTS where it is true", |f| edit(f, "v1/2.m4s", |b| {
        // Behind its flags, the number of samples, the offset of data and the first sample's size: its flags.
        let at = b.windows(4).position(|w| w == b"trun").expect("trun") + 20;
        assert_eq!(b[at..at + 4], [2, 0, 0, 0], "a sync sample");
        b[at..at + 4].copy_from_slice(&[1, 1, 0, 0]);
    })),
    ("a finished playlist of a video on demand", |f| text(f, "v1/playlist.m3u8", ":VOD", ":EVENT")),
    ("a finished playlist of a video on demand", |f| text(f, "a1/playlist.m3u8", "#EXT-X-ENDLIST\n", "")),
    ("EXT-X-MAP before the first segment", |f| text(f, "v1/playlist.m3u8", "#EXT-X-MAP:URI=\"init.mp4\"\n", "")),
    ("EXT-X-MEDIA-SEQUENCE before the first segment", |f| {
        text(f, "v1/playlist.m3u8", "#EXT-X-MEDIA-SEQUENCE:1\n", "");
        text(f, "v1/playlist.m3u8", "\n1.m4s\n", "\n1.m4s\n#EXT-X-MEDIA-SEQUENCE:1\n");
    }),
    ("every segment has EXTINF, above zero", |f| text(f, "v1/playlist.m3u8", "#EXTINF:4.000000,\n", "")),
    ("every segment has EXTINF, above zero", |f| text(f, "v1/playlist.m3u8", "#EXTINF:4.000000,\n", "#EXTINF:0.000000,\n")),
    ("no segment twice", |f| text(f, "v1/playlist.m3u8", "\n2.m4s", "\n1.m4s")),
    ("TARGETDURATION holds every rounded EXTINF", |f| text(f, "v1/playlist.m3u8", "TARGETDURATION:4", "TARGETDURATION:3")),
    ("one TARGETDURATION for all", |f| text(f, "a2/playlist.m3u8", "TARGETDURATION:4", "TARGETDURATION:5")),
    ("EXTINF sums are tfdt, to the microsecond", |f| text(f, "v1/playlist.m3u8", ":4.000000", ":4.000002")),
    ("EXTINF sums are tfdt, to the microsecond", |f| byte(f, "a1/2.m4s", *b"tfdt", 15, 1)),
    ("sound is cut where the pictures are", |f| text(f, "a1/playlist.m3u8", "#EXTINF:4.0", "#EXTINF:4.1")),
    ("ftyp and moov, of one track", |f| free_box(f, "a1/init.mp4")),
    ("ftyp and moov, of one track", |f| edit(f, "v1/init.mp4", |b| b.truncate(b.len() - 1))),
    ("no samples in the init segment", |f| byte(f, "v1/init.mp4", *b"stts", 11, 1)),
    ("trex and fragments are of the track", |f| byte(f, "v1/init.mp4", *b"trex", 11, 9)),
    ("trex and fragments are of the track", |f| byte(f, "v1/3.m4s", *b"tfhd", 11, 9)),
    ("handler and media header agree", |f| byte(f, "v1/init.mp4", *b"vmhd", 0, b's')),
    ("sample entries that AVPlayer and MSE take, once", |f| byte(f, "v1/init.mp4", *b"avc1", 3, b'3')),
    ("one edit at most, to the end and at rate 1", |f| byte(f, "v1/init.mp4", *b"elst", 19, 1)),
    ("tkhd shows the sample entry's size", |f| byte(f, "v1/init.mp4", *b"avc1", 29, 1)),
    ("moof and mdat", |f| free_box(f, "a2/2.m4s")),
    ("moof and mdat", |f| edit(f, "v1/2.m4s", |b| b.truncate(b.len() - 1))),
    ("numbers rise by one", |f| byte(f, "v1/2.m4s", *b"mfhd", 11, 7)),
    ("addresses of data are counted from moof", |f| byte(f, "v1/2.m4s", *b"tfhd", 5, 0)),
    ("samples fill mdat", |f| edit(f, "v1/2.m4s", |b| {
        let at = b.windows(4).position(|w| w == b"trun").expect("trun") + 4 + 11;
        b[at] = b[at].wrapping_add(1);
    })),
    ("a segment goes on where the one before ended", |f| byte(f, "a1/2.m4s", *b"tfdt", 12, 1)),
    ("the first pictures have tfdt 0", |f| byte(f, "v1/1.m4s", *b"tfdt", 15, 1)),
    ("no sample is shown before it is decoded, nor two at once", |f| {
        byte(f, "v1/1.m4s", *b"trun", 4, 1);
        edit(f, "v1/1.m4s", |b| {
            // The last field of the last sample is its composition offset; `mdat`'s header follows.
            let at = payload(b) - 8 - 4;
            b[at..at + 4].copy_from_slice(&[0xff; 4]);
        });
    }),
    ("samples are whole NAL units", |f| edit(f, "v1/1.m4s", |b| { let at = payload(b); b[at + 3] ^= 1; })),
    ("sync samples are where decoding can start", |f| edit(f, "v1/1.m4s", |b| {
        let mut at = payload(b);
        while b[at + 4] & 0x1f != 5 {
            let size: [u8; 4] = b[at..at + 4].try_into().expect("four");
            at += 4 + usize::try_from(u32::from_be_bytes(size)).expect("fits");
        }
        b[at + 4] = 0x61;
    })),
    ("an MPD of a finished presentation", |f| text(f, "manifest.mpd", "\"static\"", "\"dynamic\"")),
    ("an MPD of a finished presentation", |f| text(f, "manifest.mpd", "</MPD>", "")),
    ("ids are unique", |f| text(f, "manifest.mpd", "id=\"a2\"", "id=\"a1\"")),
    ("one representation a track, of the same files", |f| text(f, "manifest.mpd", "startNumber=\"1\"", "startNumber=\"2\"")),
    ("S@t and S@d are those of the segments", |f| text(f, "manifest.mpd", "<S t=\"0\" d=\"", "<S t=\"0\" d=\"1")),
    ("S@t and S@d are those of the segments", |f| text(f, "manifest.mpd", " timescale=\"", " timescale=\"1")),
    ("codecs are those of the bytes", |f| text(f, "manifest.mpd", "mp4a.40.2", "mp4a.40.5")),
    ("mimeType and contentType are the track's", |f| text(f, "manifest.mpd", "\"audio/mp4\"", "\"video/mp4\"")),
    ("bandwidth feeds a player that waited minBufferTime", |f| text(f, "manifest.mpd", "bandwidth=\"", "bandwidth=\"1000\" was=\"")),
    ("size, rate and shape of pictures", |f| text(f, "manifest.mpd", "width=\"320\"", "width=\"322\"")),
    ("size, rate and shape of pictures", |f| text(f, "manifest.mpd", "frameRate=\"25\"", "frameRate=\"26\"")),
    ("size, rate and shape of pictures", |f| text(f, "manifest.mpd", "par=\"16:9\"", "par=\"4:3\"")),
    ("rate and channels of sound", |f| text(f, "manifest.mpd", "audioSamplingRate=\"48000\"", "audioSamplingRate=\"44100\"")),
    ("rate and channels of sound", |f| text(f, "manifest.mpd", "configuration:2011\" value=\"1\"", "configuration:2011\" value=\"2\"")),
    ("startWithSAP where it is true", |f| text(f, "manifest.mpd", " startWithSAP=\"1\"", "")),
    ("lang is a tag and says something", |f| text(f, "manifest.mpd", "lang=\"de\"", "lang=\"und\"")),
    ("mediaPresentationDuration is the longest edit's", |f| text(f, "manifest.mpd", "Duration=\"PT", "Duration=\"PT1")),
];

#[test]
fn every_rule_can_fail() {
    let server = Server::start();
    let person = Person::of(&server);
    let video = person.upload(&clips::clip("several.mp4"), "--wait");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("de.srt");
    std::fs::write(&file, "1\n00:00:01,000 --> 00:00:02,000\nGuten Tag\n").expect("written");
    let file = file.to_str().expect("text");
    person.json(&["captions", "add", id(&video), file, "--language", "de", "--forced"]);
    let good = Files::fetch(&format!("{}/videos/{}", server.address, id(&video)));
    assert_eq!(playlists::violations(&good), Vec::<String>::new());
    let unbroken = BREAKS.iter().enumerate().filter(|(_, (name, change))| {
        let rule = RULES.iter().find(|rule| rule.name == *name).unwrap_or_else(|| panic!("no rule `{name}`"));
        let mut files = good.clone();
        change(&mut files);
        (rule.check)(&Show::read(files)).is_empty()
    });
    let unbroken: Vec<_> = unbroken.map(|(i, (name, _))| format!("{i}: {name}")).collect();
    assert!(unbroken.is_empty(), "nothing breaks {unbroken:#?}");
    let broken: BTreeSet<_> = BREAKS.iter().map(|(name, _)| *name).collect();
    let rules: BTreeSet<_> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(broken, rules, "every rule has what breaks it");
}

#[test]
fn whatever_of_the_corpus_is_packaged_keeps_the_rules() {
    let server = Server::start();
    let person = Person::of(&server);
    let mut packaged = 0;
    let folders = ["good", "quirk", "bad", "attack"].into_iter();
    let files = folders.flat_map(|folder| {
        [".mp4", ".mov", ".MOV"].into_iter().flat_map(move |ending| clips::found_in_corpus(folder, ending))
    });
    let files: Vec<_> = files.collect();
    let mut broken = Vec::new();
    for file in &files {
        // Some are made to be refused: the exit code then says so.
        let (_, out, _) = person.run(&["--output", "json", "upload", "--wait", file.to_str().expect("text")]);
        let Some(video) = out.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok()) else {
            continue;
        };
        if video["sourceRendition"]["state"] == "PART_STATE_READY" {
            let found = playlists::violations(&Files::fetch(&format!("{}/videos/{}", server.address, id(&video))));
            broken.extend(found.into_iter().map(|what| format!("{}: {what}", file.display())));
            packaged += 1;
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(files.is_empty() || packaged > 20, "{packaged} of {} are packaged", files.len());
}
