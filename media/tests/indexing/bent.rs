//! Files no tool here writes, made by changing the tables of one that it does.

use crate::boxes::{Boxed, bend};
use crate::clips::{folder, make};
use crate::judge;
use std::path::PathBuf;
use vidstream_media::index::{IgnoredCause, MediaIndex};
use vidstream_media::mp4::{IndexError, Indexer, Limits, Step, index_bytes, index_bytes_within};
use vidstream_media::track::{Edit, Parts};

const STBL: &str = "trak/mdia/minf/stbl";

/// A clip with its index last, one video and one audio track, and a folder it may be changed in.
struct Clip {
    folder: tempfile::TempDir,
    bytes: Vec<u8>,
}

impl Clip {
    fn new() -> Self {
        let picture =
            ["-f", "lavfi", "-i", "testsrc2=size=128x72:rate=25:duration=2", "-f", "lavfi", "-i", "sine=duration=2"];
        let coding = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "10", "-c:a", "aac"];
        let folder = folder();
        let bytes = std::fs::read(make(folder.path(), "whole.mp4", &[&picture, &coding])).expect("the clip");
        Self { folder, bytes }
    }

    fn bent(&self, change: impl FnOnce(&mut Boxed)) -> PathBuf {
        let path = self.folder.path().join("bent.mp4");
        std::fs::write(&path, bend(&self.bytes, change)).expect("a file");
        path
    }

    fn index(&self, change: impl FnOnce(&mut Boxed)) -> Result<MediaIndex, IndexError> {
        judge::index(&self.bent(change))
    }
}

fn ignored(index: &MediaIndex) -> Vec<IgnoredCause> {
    index.ignored.iter().map(|track| track.cause).collect()
}

fn elst(rows: &[(u32, i32, u32)]) -> Boxed {
    let mut body = vec![0; 4];
    body.extend(u32::try_from(rows.len()).expect("few rows").to_be_bytes());
    for (duration, time, rate) in rows {
        body.extend(duration.to_be_bytes());
        body.extend(time.to_be_bytes());
        body.extend(rate.to_be_bytes());
    }
    Boxed::new(*b"elst", body)
}

#[test]
fn chunk_offsets_of_64_bits() {
    let clip = Clip::new();
    judge::same_as_ffprobe(&clip.bent(|moov| {
        let stbl = moov.at(STBL);
        let stco = stbl.at("stco").clone();
        let mut body = stco.body[..8].to_vec();
        for row in stco.body[8..].chunks(4) {
            body.extend([0; 4]);
            body.extend(row);
        }
        stbl.replace(*b"stco", Boxed::new(*b"co64", body));
    }));
}

#[test]
fn compact_sizes() {
    let clip = Clip::new();
    judge::same_as_ffprobe(&clip.bent(|moov| {
        let stbl = moov.at(STBL);
        let stsz = stbl.at("stsz").clone();
        let mut body = vec![0, 0, 0, 0, 0, 0, 0, 16];
        body.extend(&stsz.body[8..12]);
        for row in stsz.body[12..].chunks(4) {
            assert_eq!(row[..2], [0, 0], "the clip is small");
            body.extend(&row[2..]);
        }
        stbl.replace(*b"stsz", Boxed::new(*b"stz2", body));
    }));
}

#[test]
fn keyframes_must_be_marked_somehow() {
    let clip = Clip::new();
    let unlisted = clip.index(|moov| moov.at(STBL).children.retain(|b| &b.kind != b"stss")).unwrap();
    assert_eq!(ignored(&unlisted), [IgnoredCause::Damaged], "pictures out of order can't all be keyframes");
    let none = clip.index(|moov| moov.at(STBL).replace(*b"stss", Boxed::new(*b"stss", vec![0; 8]))).unwrap();
    assert_eq!(ignored(&none), [IgnoredCause::Damaged]);
}

#[test]
fn several_sample_descriptions() {
    let clip = Clip::new();
    let double = |moov: &mut Boxed, used: u32| {
        let stbl = moov.at(STBL);
        let stsd = stbl.at("stsd");
        let entry = stsd.body[8..].to_vec();
        stsd.body.extend(entry);
        stsd.set(4, 2);
        stbl.at("stsc").set(16, used);
    };
    // Two are there and one is used.
    let plain = clip.index(|moov| double(moov, 1)).unwrap();
    assert_eq!((plain.tracks.len(), ignored(&plain)), (2, vec![]));
    let changing = clip.index(|moov| {
        double(moov, 1);
        let stsc = moov.at(STBL).at("stsc");
        let count = stsc.number(4);
        stsc.set(4, count + 1);
        stsc.body.extend([0, 0, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 2]);
    });
    let changing = changing.unwrap_err().to_string();
    assert!(changing.contains("its coding changes on the way (several sample descriptions)"), "{changing}");
}

#[test]
fn edits() {
    const PLAIN: u32 = 0x1_0000;
    let clip = Clip::new();
    let with = |rows: &[(u32, i32, u32)]| {
        let list = elst(rows);
        clip.index(|moov| moov.at("trak/edts").replace(*b"elst", list))
    };
    let merged = with(&[(200, -1, 0x1_0000), (1000, 1024, PLAIN), (500, 1024 + 12_800, PLAIN)]).unwrap();
    assert_eq!(merged.tracks[0].edit, Edit { delay: 2560, start: 1024, end: Some(1024 + 19_200), ..Edit::default() });
    for rows in [&[(1000, 1024, PLAIN), (500, 1024, PLAIN)][..], &[(1000, 1024, PLAIN / 2)]] {
        let index = with(rows).unwrap();
        assert_eq!((index.tracks.len(), ignored(&index)), (2, vec![]));
        assert_ne!(index.tracks[0].edit.parts, Parts::One);
    }
    let shown_never = with(&[(1000, 1_000_000, PLAIN)]).unwrap();
    assert_eq!(ignored(&shown_never), [IgnoredCause::Empty]);
}

#[test]
fn encrypted_and_unknown_codings() {
    let clip = Clip::new();
    let called = |kind: &[u8; 4]| clip.index(|moov| moov.at(STBL).at("stsd").body[12..16].copy_from_slice(kind));
    let error = called(b"encv").unwrap_err().to_string();
    assert!(error.contains("it is encrypted"), "{error}");
    let index = called(b"vvc1").unwrap();
    assert_eq!((index.tracks.len(), ignored(&index)), (1, vec![IgnoredCause::NotCarried]));
}

#[test]
fn parameter_sets_must_be_in_the_configuration() {
    let clip = Clip::new();
    let index = clip.index(|moov| {
        let stsd = moov.at(STBL).at("stsd");
        let avcc = stsd.body.windows(4).position(|w| w == b"avcC").unwrap();
        stsd.body[avcc + 9] = 0xe0;
    });
    assert!(!index.unwrap().tracks[0].codec.has_parameter_sets());
}

#[test]
fn no_samples_at_all() {
    let clip = Clip::new();
    let result = clip.index(|moov| {
        moov.children.truncate(2);
        let stbl = moov.at(STBL);
        for (kind, len) in [(b"stsz", 12), (b"stco", 8), (b"stsc", 8), (b"stts", 8), (b"ctts", 8), (b"stss", 8)] {
            stbl.replace(*kind, Boxed::new(*kind, vec![0; len]));
        }
    });
    assert_eq!(result.unwrap_err(), IndexError::ZeroDuration);
}

#[test]
fn a_damaged_table_is_named_with_its_place() {
    let clip = Clip::new();
    let error = clip.index(|moov| {
        moov.children.truncate(2);
        let stsz = moov.at(STBL).at("stsz");
        stsz.set(8, 19_000_000);
    });
    let IndexError::Malformed { path, offset, problem } = error.unwrap_err() else { panic!("another error") };
    assert_eq!(path, "moov/trak[1]/mdia/minf/stbl/stsz");
    assert_eq!(problem, "claims 19000000 entries and has room for 50");
    assert!(offset > 0);
}

#[test]
fn more_samples_than_anybody_reads() {
    let clip = Clip::new();
    let error = clip.index(|moov| {
        let stsz = moov.at(STBL).at("stsz");
        stsz.set(4, 1);
        stsz.set(8, 20_000_001);
    });
    assert!(matches!(error, Err(IndexError::OverLimit { unit: "samples", .. })), "{error:?}");
}

/// Each limit, with one that the clip is just beyond.
#[test]
fn limits() {
    let clip = Clip::new();
    let index = |limits| index_bytes_within(&clip.bytes, limits);
    let usual = Limits::default();
    assert!(index(usual).is_ok());
    for (limits, expected) in [
        (Limits { movie_bytes: 1000, ..usual }, "bytes"),
        (Limits { samples: 49, ..usual }, "samples"),
        (Limits { tracks: 1, ..usual }, "tracks"),
        (Limits { pixels: 128 * 72 - 1, ..usual }, "pixels a picture"),
        (Limits { seconds: 1, ..usual }, "seconds"),
        (Limits { top_level_boxes: 2, ..usual }, "boxes"),
    ] {
        let Err(IndexError::OverLimit { unit, found, limit, .. }) = index(limits) else { panic!("{expected}") };
        assert_eq!(unit, expected);
        assert!(found > limit, "{found} {unit}, {limit}");
    }
}

/// A table of a few bytes that stands for as many samples as are believed takes time, not memory.
#[test]
fn millions_of_samples_out_of_nothing() {
    const COUNT: u32 = 19_000_000;
    let clip = Clip::new();
    let file = bend(&clip.bytes, |moov| {
        moov.children.truncate(2);
        let stbl = moov.at(STBL);
        let row = |numbers: &[u32]| numbers.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<_>>();
        stbl.children.retain(|b| &b.kind == b"stsd");
        stbl.children.push(Boxed::new(*b"stsz", row(&[0, 1, COUNT])));
        stbl.children.push(Boxed::new(*b"stts", row(&[0, 1, COUNT, 512])));
        stbl.children.push(Boxed::new(*b"stsc", row(&[0, 1, 1, COUNT, 1])));
        stbl.children.push(Boxed::new(*b"stco", row(&[0, 1, 48])));
    });
    let mut indexer = Indexer::new(1 << 30, Limits::default());
    let mut bytes = Vec::new();
    let index = loop {
        match indexer.step(&bytes).expect("an index") {
            Step::Need(range) | Step::Await(range) => {
                let at = |offset| usize::try_from(offset).expect("small");
                bytes = file.get(at(range.start)..).unwrap_or_default().to_vec();
                bytes.resize(at(range.end) - at(range.start), 0);
            }
            Step::Done(index) => break index,
        }
    };
    let samples = &index.tracks[0].samples;
    assert_eq!((samples.len(), samples.get(18_999_999).map(|s| s.offset)), (19_000_000, Some(48 + 18_999_999)));
    assert!(samples.memory() < 12 << 20, "{} bytes", samples.memory());
}

#[test]
fn a_still_picture() {
    let file = [&b"\0\0\0\x14ftypheic\0\0\0\0mif1"[..], b"\0\0\0\x0cmeta\0\0\0\0", b"\0\0\0\x0amdat12"].concat();
    let error = index_bytes(&file).unwrap_err().to_string();
    assert_eq!(error, "this is a still picture (HEIF or AVIF), not a video or sound that is read");
}

#[test]
fn a_file_whose_end_is_missing() {
    let clip = Clip::new();
    let path = clip.folder.path().join("cut.mp4");
    let moov = clip.bytes.windows(4).rposition(|w| w == b"moov").unwrap() - 4;
    std::fs::write(&path, &clip.bytes[..moov]).unwrap();
    let error = judge::index(&path).unwrap_err().to_string();
    assert_eq!(
        error,
        "the file has no index (moov box), as when a recording was never finished; it holds only ftyp, free, mdat"
    );
}
