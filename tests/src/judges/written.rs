//! What a file's own tables say of its pictures, worked out from ISO/IEC 14496-12 with none of our code: for files of which
//! ffmpeg says something else. Sizes are trusted: these are files of the corpus.

use std::path::Path;

/// The pictures of a file's first video track.
#[derive(Debug)]
pub struct Pictures {
    /// Composition times in decode order, in seconds from where the presentation begins (§8.6.6: the edit's start, moved by
    /// empty edits; without an edit list, the earliest picture).
    pub times: Vec<f64>,
    /// Which of these can be decoded alone (§8.6.2, §8.8.3.1).
    pub keys: Vec<bool>,
    /// Where the edit ends.
    pub end: f64,
}

/// A box: its kind and what it holds.
type Boxes<'a> = Vec<([u8; 4], &'a [u8])>;

fn boxes(mut bytes: &[u8]) -> Boxes<'_> {
    let mut found = Vec::new();
    while bytes.len() >= 8 {
        let (size, head) = match number(bytes, 0) {
            0 => (bytes.len(), 8),
            1 => (index(number(bytes, 8) << 32 | number(bytes, 12)), 16),
            size => (index(size), 8),
        };
        found.push((*bytes[4..].first_chunk().expect("four letters"), &bytes[head..size]));
        bytes = &bytes[size..];
    }
    found
}

fn all(bytes: &[u8], kind: [u8; 4]) -> Vec<&[u8]> {
    boxes(bytes).into_iter().filter(|(found, _)| *found == kind).map(|(_, inside)| inside).collect()
}

fn inside<'a>(bytes: &'a [u8], path: &[[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |bytes, kind| all(bytes, *kind).first().copied())
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u32::from_be_bytes(*bytes[at..].first_chunk().expect("a field of 32 bits")).into()
}

fn signed(bytes: &[u8], at: usize) -> i64 {
    i32::from_be_bytes(*bytes[at..].first_chunk().expect("a field of 32 bits")).into()
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a small file")
}

/// The rows of a full box: `fields` numbers each, behind a count.
fn rows(table: &[u8], fields: usize) -> impl Iterator<Item = &[u8]> {
    table[8..].chunks_exact(4 * fields).take(index(number(table, 4)))
}

/// The timescale of `mvhd` or `mdhd`.
fn timescale(header: &[u8]) -> f64 {
    seconds(number(header, if header[0] == 1 { 20 } else { 12 }).cast_signed())
}

#[expect(clippy::cast_precision_loss, reason = "times of short clips")]
fn seconds(ticks: i64) -> f64 {
    ticks as f64
}

/// Decode time, composition offset and whether it is a key, of every sample.
type Samples = Vec<(i64, i64, bool)>;

/// # Panics
/// If the file is not as these are: one edit at normal speed, or none; an index in the file.
pub fn pictures(file: &Path) -> Pictures {
    let bytes = std::fs::read(file).expect("readable");
    let moov = inside(&bytes, &[*b"moov"]).expect("an index");
    let is_video = |trak: &&&[u8]| inside(trak, &[*b"mdia", *b"hdlr"]).is_some_and(|hdlr| &hdlr[8..12] == b"vide");
    let traks = all(moov, *b"trak");
    let trak = traks.iter().find(is_video).expect("a video");
    let stbl = inside(trak, &[*b"mdia", *b"minf", *b"stbl"]).expect("tables");
    let mut samples = from_tables(stbl);
    if samples.is_empty() {
        samples = from_fragments(&bytes, moov, index(number(inside(trak, &[*b"tkhd"]).expect("a header"), 12)));
    }
    let scale = timescale(inside(trak, &[*b"mdia", *b"mdhd"]).expect("a header"));
    let times: Vec<f64> = samples.iter().map(|(decode, offset, _)| seconds(decode + offset) / scale).collect();
    let movie = timescale(inside(moov, &[*b"mvhd"]).expect("a header"));
    let (empty, start, end) = match inside(trak, &[*b"edts", *b"elst"]) {
        Some(elst) => edit(elst, movie, scale),
        None => (0.0, times.iter().copied().fold(f64::INFINITY, f64::min), f64::INFINITY),
    };
    Pictures {
        times: times.iter().map(|time| empty + time - start).collect(),
        keys: samples.iter().map(|(_, _, key)| *key).collect(),
        end: empty + end,
    }
}

/// Empty time before the one edit, where it starts in the media, and how long it is (version 0).
fn edit(elst: &[u8], movie: f64, scale: f64) -> (f64, f64, f64) {
    assert_eq!(elst[0], 0, "an edit list of version 0");
    let (mut empty, mut found) = (0.0, None);
    for row in rows(elst, 3) {
        assert!(found.is_none() && number(row, 8) == 1 << 16, "one edit at normal speed");
        let length = seconds(number(row, 0).cast_signed()) / movie;
        match signed(row, 4) {
            -1 => empty += length,
            start => found = Some((seconds(start) / scale, length)),
        }
    }
    let (start, length) = found.expect("an edit");
    (empty, start, if length > 0.0 { length } else { f64::INFINITY })
}

/// `stts`, `ctts` and `stss` (§8.6.1, §8.6.2).
fn from_tables(stbl: &[u8]) -> Samples {
    let repeated = |kind: [u8; 4]| -> Vec<i64> {
        let table = inside(stbl, &[kind]).into_iter();
        let rows = table.flat_map(|table| rows(table, 2));
        rows.flat_map(|row| std::iter::repeat_n(signed(row, 4), index(number(row, 0)))).collect()
    };
    let (durations, offsets) = (repeated(*b"stts"), repeated(*b"ctts"));
    let keys: Option<Vec<u64>> =
        inside(stbl, &[*b"stss"]).map(|stss| rows(stss, 1).map(|row| number(row, 0)).collect());
    let mut decode = 0;
    let sample = |(at, duration): (usize, &i64)| {
        let key = keys.as_ref().is_none_or(|keys| keys.contains(&(at as u64 + 1)));
        let sample = (decode, offsets.get(at).copied().unwrap_or(0), key);
        decode += duration;
        sample
    };
    durations.iter().enumerate().map(sample).collect()
}

/// `trun`s with the defaults of `tfhd` and `trex` (§8.8.3, §8.8.7, §8.8.8); each fragment follows on the one before it.
fn from_fragments(bytes: &[u8], moov: &[u8], id: usize) -> Samples {
    let trex = inside(moov, &[*b"mvex"]).map(|mvex| all(mvex, *b"trex")).unwrap_or_default();
    let trex = trex.into_iter().find(|trex| index(number(trex, 4)) == id).expect("defaults");
    let (mut samples, mut decode) = (Vec::new(), 0);
    for traf in all(bytes, *b"moof").into_iter().flat_map(|moof| all(moof, *b"traf")) {
        let tfhd = inside(traf, &[*b"tfhd"]).expect("a header");
        if index(number(tfhd, 4)) != id {
            continue;
        }
        let flags = number(tfhd, 0);
        let mut at = 8 + if flags & 1 == 0 { 0 } else { 8 } + if flags & 2 == 0 { 0 } else { 4 };
        let mut default = |flag: u64, field: usize| {
            let given = flags & flag != 0;
            let value = if given { number(tfhd, at) } else { number(trex, field) };
            at += if given { 4 } else { 0 };
            value
        };
        let (duration, _, kind) = (default(8, 12), default(16, 16), default(32, 20));
        for trun in all(traf, *b"trun") {
            let flags = number(trun, 0);
            let mut at = 8;
            let mut field = |flag: u64| {
                let given = flags & flag != 0;
                at += if given { 4 } else { 0 };
                given.then(|| at - 4)
            };
            field(1);
            let first_kind = field(4).map(|at| number(trun, at));
            for n in 0..number(trun, 4) {
                let length = field(0x100).map_or(duration, |at| number(trun, at));
                field(0x200);
                let kind = field(0x400).map(|at| number(trun, at)).or(first_kind.filter(|_| n == 0)).unwrap_or(kind);
                let offset = field(0x800).map_or(0, |at| signed(trun, at));
                samples.push((decode, offset, kind & 0x1_0000 == 0));
                decode += length.cast_signed();
            }
        }
    }
    samples
}
