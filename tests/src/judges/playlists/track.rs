//! What init segments and media segments say (ISO/IEC 14496-12 §8), read for judging.

use super::boxes::{self, boxes, find, take, u16_at, u32_at, u64_at};
use std::ops::Range;
use std::time::Duration;

/// An init segment of one track.
#[derive(Clone, Debug)]
pub struct Init {
    /// Names of the outermost boxes.
    pub outermost: Vec<String>,
    /// Names of the boxes in `moov`.
    pub in_movie: Vec<String>,
    /// Brands of `ftyp`, the major one first.
    pub brands: Vec<[u8; 4]>,
    /// `tkhd`'s track id.
    pub id: u32,
    /// The id that `trex` gives defaults for.
    pub extends: u32,
    /// Size and flags of `trex`.
    pub defaults: (u32, u32, u32),
    /// `tkhd`'s matrix, 16.16 and 2.30 fixed point.
    pub matrix: [i32; 9],
    /// `tkhd`'s width and height, 16.16 fixed point.
    pub shown: (u32, u32),
    /// Ticks a second.
    pub timescale: u32,
    /// `hdlr`'s type.
    pub handler: [u8; 4],
    /// Names of the boxes in `minf`.
    pub in_media: Vec<String>,
    /// Entries of `elst`: duration, media time, rate in 16.16 fixed point.
    pub edits: Vec<(u64, i64, u32)>,
    /// Rows of `stts`, `stsc`, `stco` and samples of `stsz`.
    pub rows: Vec<(&'static str, u32)>,
    /// The number of sample entries.
    pub entries: u32,
    /// The sample entry.
    pub entry: SampleEntry,
}

/// A sample entry (§8.5.2).
#[derive(Clone, Debug)]
pub struct SampleEntry {
    /// Its type.
    pub kind: [u8; 4],
    /// Width and height in samples; zero for sound.
    pub size: (u16, u16),
    /// Channels and rate; zero for pictures.
    pub sound: (u16, u32),
    /// Boxes in it.
    pub children: Vec<([u8; 4], Vec<u8>)>,
}

/// One fragment.
#[derive(Clone, Debug)]
pub struct Fragment {
    /// Names of the outermost boxes.
    pub outermost: Vec<String>,
    /// Names of the boxes in `traf`.
    pub in_track: Vec<String>,
    /// `mfhd`'s number.
    pub sequence: u32,
    /// `tfhd`'s track.
    pub id: u32,
    /// `tfhd`'s flags.
    pub flags: u32,
    /// `tfdt`, in ticks.
    pub time: u64,
    /// The samples, in decode order.
    pub samples: Vec<Sample>,
    /// Where `mdat`'s payload lies in the segment.
    pub payload: Range<usize>,
}

/// A sample as `trun` describes it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Decode time in ticks.
    pub time: u64,
    /// Decode duration in ticks.
    pub duration: u32,
    /// `sample_flags` (§8.8.3.1).
    pub flags: u32,
    /// Composition offset in ticks.
    pub composition: i64,
    /// Where its bytes lie in the segment.
    pub bytes: Range<usize>,
}

impl Sample {
    /// Whether it is a sync sample.
    pub fn sync(&self) -> bool {
        self.flags & 0x1_0000 == 0
    }

    /// Presentation time in ticks, before any edit.
    pub fn shown(&self) -> i64 {
        i64::try_from(self.time).unwrap_or(i64::MAX).saturating_add(self.composition)
    }
}

impl SampleEntry {
    /// The payload of its box `kind`.
    pub fn child(&self, kind: &[u8; 4]) -> Option<&[u8]> {
        self.children.iter().find(|(name, _)| name == kind).map(|(_, body)| body.as_slice())
    }
}

impl Init {
    /// Reads an init segment.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let movie = find(bytes, &[b"moov"])?.body;
        let track = find(movie, &[b"trak"])?.body;
        let header = find(track, &[b"tkhd"])?.body;
        // Version 1 has two times and a duration of 64 bits.
        let wide = if header.first() == Some(&1) { 12 } else { 0 };
        let media = find(track, &[b"mdia"])?.body;
        let clock = find(media, &[b"mdhd"])?.body;
        let tables = find(media, &[b"minf", b"stbl"])?.body;
        let extends = find(movie, &[b"mvex", b"trex"])?.body;
        let descriptions = find(tables, &[b"stsd"])?.body;
        let handler = take(find(media, &[b"hdlr"])?.body, 8)?;
        let matrix = (0..9).map(|i| u32_at(header, 40 + wide + 4 * i).map(u32::cast_signed));
        Ok(Self {
            outermost: boxes::names(bytes)?,
            in_movie: boxes::names(movie)?,
            brands: brands(find(bytes, &[b"ftyp"])?.body),
            id: u32_at(header, if wide > 0 { 20 } else { 12 })?,
            extends: u32_at(extends, 4)?,
            defaults: (u32_at(extends, 12)?, u32_at(extends, 16)?, u32_at(extends, 20)?),
            matrix: matrix.collect::<Result<Vec<_>, _>>()?.try_into().expect("nine"),
            shown: (u32_at(header, 76 + wide)?, u32_at(header, 80 + wide)?),
            timescale: u32_at(clock, if clock.first() == Some(&1) { 20 } else { 12 })?,
            handler,
            in_media: boxes::names(find(media, &[b"minf"])?.body)?,
            edits: find(track, &[b"edts", b"elst"]).map_or_else(|_| Ok(Vec::new()), |list| edits(list.body))?,
            rows: rows(tables)?,
            entries: u32_at(descriptions, 4)?,
            entry: sample_entry(descriptions.get(8..).unwrap_or_default(), handler)?,
        })
    }

    /// `ticks` as time.
    pub fn at(&self, ticks: u64) -> Duration {
        let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(self.timescale.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Whether it is of pictures.
    pub fn is_video(&self) -> bool {
        self.handler == *b"vide"
    }
}

fn brands(ftyp: &[u8]) -> Vec<[u8; 4]> {
    let words = ftyp.chunks_exact(4).map(|word| word.try_into().expect("four"));
    words.enumerate().filter(|(i, _)| *i != 1).map(|(_, brand)| brand).collect()
}

fn edits(list: &[u8]) -> Result<Vec<(u64, i64, u32)>, String> {
    let wide = list.first() == Some(&1);
    let edit = |i: usize| {
        if wide {
            let at = 8 + 20 * i;
            Ok((u64_at(list, at)?, u64_at(list, at + 8)?.cast_signed(), u32_at(list, at + 16)?))
        } else {
            let at = 8 + 12 * i;
            let time = i64::from(u32_at(list, at + 4)?.cast_signed());
            Ok((u32_at(list, at)?.into(), time, u32_at(list, at + 8)?))
        }
    };
    (0..usize::try_from(u32_at(list, 4)?).unwrap_or(usize::MAX)).map(edit).collect()
}

fn rows(tables: &[u8]) -> Result<Vec<(&'static str, u32)>, String> {
    Ok(vec![
        ("stts", u32_at(find(tables, &[b"stts"])?.body, 4)?),
        ("stsc", u32_at(find(tables, &[b"stsc"])?.body, 4)?),
        ("stco", u32_at(find(tables, &[b"stco"])?.body, 4)?),
        ("stsz", u32_at(find(tables, &[b"stsz"])?.body, 8)?),
    ])
}

fn sample_entry(bytes: &[u8], handler: [u8; 4]) -> Result<SampleEntry, String> {
    let one = boxes(bytes)?.into_iter().next().ok_or("no sample entry")?;
    let video = handler == *b"vide";
    let fields = if video { 78 } else { 28 };
    let children = boxes(one.body.get(fields..).ok_or("a short sample entry")?)?;
    Ok(SampleEntry {
        kind: one.kind,
        size: if video { (u16_at(one.body, 24)?, u16_at(one.body, 26)?) } else { (0, 0) },
        sound: if video { (0, 0) } else { (u16_at(one.body, 16)?, u32_at(one.body, 24)? >> 16) },
        children: children.into_iter().map(|child| (child.kind, child.body.to_vec())).collect(),
    })
}

impl Fragment {
    /// Reads a media segment of one fragment; `defaults` are `trex`'s duration, size and flags.
    pub fn read(bytes: &[u8], defaults: (u32, u32, u32)) -> Result<Self, String> {
        let moof = boxes(bytes)?.into_iter().find(|one| one.kind == *b"moof").ok_or("no moof")?;
        let start = moof.at - 8;
        let track = find(moof.body, &[b"traf"])?.body;
        let header = find(track, &[b"tfhd"])?.body;
        let flags = u32_at(header, 0)? & 0xff_ffff;
        let mut at = 8 + if flags & 1 == 0 { 0 } else { 8 } + if flags & 2 == 0 { 0 } else { 4 };
        let mut given = |flag: u32, default: u32| {
            if flags & flag == 0 {
                return Ok(default);
            }
            at += 4;
            u32_at(header, at - 4)
        };
        let defaults = (given(0x08, defaults.0)?, given(0x10, defaults.1)?, given(0x20, defaults.2)?);
        let clock = find(track, &[b"tfdt"])?.body;
        let time = if clock.first() == Some(&1) { u64_at(clock, 4)? } else { u32_at(clock, 4)?.into() };
        let mut samples = Vec::new();
        let mut next = time;
        for run in boxes(track)?.into_iter().filter(|one| one.kind == *b"trun") {
            read_run(run.body, start, defaults, &mut next, &mut samples)?;
        }
        let payload = find(bytes, &[b"mdat"])?;
        Ok(Self {
            outermost: boxes::names(bytes)?,
            in_track: boxes::names(track)?,
            sequence: u32_at(find(moof.body, &[b"mfhd"])?.body, 4)?,
            id: u32_at(header, 4)?,
            flags,
            time,
            samples,
            payload: payload.at..payload.at + payload.body.len(),
        })
    }

    /// Decode time at its end, in ticks.
    pub fn end(&self) -> u64 {
        self.samples.last().map_or(self.time, |last| last.time.saturating_add(last.duration.into()))
    }
}

/// The samples of a `trun` (§8.8.8), whose data is counted from `start`, the first byte of `moof`.
fn read_run(
    run: &[u8],
    start: usize,
    defaults: (u32, u32, u32),
    time: &mut u64,
    samples: &mut Vec<Sample>,
) -> Result<(), String> {
    let (version, flags) = (run.first().copied().unwrap_or(0), u32_at(run, 0)? & 0xff_ffff);
    let count = u32_at(run, 4)?;
    let mut at = 8;
    let mut field = |flag: u32, default: u32| {
        if flags & flag == 0 {
            return Ok(default);
        }
        at += 4;
        u32_at(run, at - 4)
    };
    let offset = usize::try_from(field(0x01, 0)?).unwrap_or(usize::MAX);
    let first_flags = field(0x04, defaults.2)?;
    let mut byte = start.saturating_add(offset);
    for i in 0..count {
        let (duration, size) = (field(0x100, defaults.0)?, field(0x200, defaults.1)?);
        let own = field(0x400, defaults.2)?;
        let composition = field(0x800, 0)?;
        let composition = if version == 0 { composition.into() } else { composition.cast_signed().into() };
        let end = byte.saturating_add(usize::try_from(size).unwrap_or(usize::MAX));
        let flags = if i == 0 && flags & 0x04 != 0 { first_flags } else { own };
        samples.push(Sample { time: *time, duration, flags, composition, bytes: byte..end });
        byte = end;
        *time = time.saturating_add(duration.into());
    }
    Ok(())
}
