//! Movie fragments (ISO/IEC 14496-12 §8.8): samples that are described piece by piece, beside their bytes.
//!
//! Every `moof` is read; `sidx` and `mfra` are hints that others may follow. Decode times go on where a fragment says
//! none, a sample lasts until the next one of its track, and what lies behind the file's end is left out.

use super::boxes::{Fields, Node};
use super::tables::Descriptions;
use crate::gathering::{Described, Gathering};
use crate::indexer::IndexError;
use std::collections::HashMap;

/// The latest time that is believed, in ticks: sums of a few such times can't overflow.
const LATEST: u64 = 1 << 58;

/// What `trex` says of the samples of a track's fragments, and `tfhd` of one fragment's.
#[derive(Clone, Copy, Debug, Default)]
struct Defaults {
    description: u32,
    duration: u32,
    size: u32,
    flags: u32,
}

/// The tracks of a fragmented movie, as far as its fragments were read.
#[derive(Debug)]
pub(super) struct Fragments {
    defaults: HashMap<u32, Defaults>,
    streams: HashMap<u32, Stream>,
    file_size: u64,
    samples_left: u64,
}

/// The samples of one track that may be played.
#[derive(Debug)]
pub(super) struct Stream {
    pub samples: Gathering,
    /// Decode time of the first sample on the movie's clock, in media ticks.
    pub first: Option<i64>,
    /// None before the first fragment.
    descriptions: Option<Descriptions>,
    /// Every sample is a sync sample, whatever its flags say.
    all_sync: bool,
    /// A sample reached beyond the file's end, which ends the track.
    cut_off: bool,
    /// One past the last byte of its samples.
    end: u64,
}

impl Fragments {
    /// No fragments yet of a movie with the `mvex` box given.
    pub fn new(mvex: &Node<'_>, file_size: u64, samples: u64) -> Result<Self, IndexError> {
        let mut defaults = HashMap::new();
        for child in mvex.children() {
            let child = child?;
            if child.kind.0 != *b"trex" {
                continue;
            }
            let trex = child.open(mvex);
            let (_, _, mut fields) = trex.full()?;
            let id = fields.u32()?;
            let [description, duration, size, flags] = [fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?];
            defaults.insert(id, Defaults { description, duration, size, flags });
        }
        Ok(Self { defaults, streams: HashMap::new(), file_size, samples_left: samples })
    }

    /// Adds the track `id`, with `samples` that the movie's own tables describe. The first of one id counts.
    pub fn add_track(&mut self, id: u32, all_sync: bool, samples: Gathering, descriptions: Option<Descriptions>) {
        let first = (!samples.is_empty()).then_some(0);
        let stream = Stream { samples, first, descriptions, all_sync, cut_off: false, end: 0 };
        self.streams.entry(id).or_insert(stream);
    }

    /// Most samples that may still come.
    pub fn samples_left(&mut self) -> &mut u64 {
        &mut self.samples_left
    }

    /// Whether no sample came of any track.
    pub fn is_empty(&self) -> bool {
        self.streams.values().all(|stream| stream.samples.is_empty())
    }

    /// Whether a sample reached beyond the file's end.
    pub fn is_cut_off(&self) -> bool {
        self.streams.values().any(|stream| stream.cut_off)
    }

    /// One past the last byte of the samples of all tracks.
    pub fn end(&self) -> u64 {
        self.streams.values().map(|stream| stream.end).max().unwrap_or(0)
    }

    /// The samples of track `id`.
    pub fn take(&mut self, id: u32) -> Option<Stream> {
        self.streams.remove(&id)
    }

    /// Adds the samples of `moof`, a box that begins at `start`.
    pub fn read(&mut self, moof: &Node<'_>, start: u64) -> Result<(), IndexError> {
        // Without a base of its own, a track's data follows that of the track before it (§8.8.7).
        let mut implied = start;
        let mut number = 0;
        for child in moof.children() {
            let child = child?;
            if child.kind.0 == *b"traf" {
                number += 1;
                implied = self.read_track(&child.open_as(moof, &format!("traf[{number}]")), start, implied)?;
            }
        }
        Ok(())
    }

    /// Adds the samples of `traf`; one past the last byte of them.
    fn read_track(&mut self, traf: &Node<'_>, moof: u64, implied: u64) -> Result<u64, IndexError> {
        let tfhd = traf.require(*b"tfhd")?;
        let (_, said, mut fields) = tfhd.full()?;
        let id = fields.u32()?;
        let mut defaults = self.defaults.get(&id).copied().unwrap_or_default();
        let base = match said {
            said if said & tfhd_flags::BASE != 0 => fields.u64()?,
            said if said & tfhd_flags::BASE_IS_MOOF != 0 => moof,
            _ => implied,
        };
        for (flag, value) in [
            (tfhd_flags::DESCRIPTION, &mut defaults.description),
            (tfhd_flags::DURATION, &mut defaults.duration),
            (tfhd_flags::SIZE, &mut defaults.size),
            (tfhd_flags::FLAGS, &mut defaults.flags),
        ] {
            if said & flag != 0 {
                *value = fields.u32()?;
            }
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.note(defaults.description);
            stream.begin(traf)?;
        }
        let mut at = base;
        for child in traf.children() {
            let child = child?;
            if child.kind.0 == *b"trun" {
                let stream = self.streams.get_mut(&id);
                at = Run { base, at, defaults, file_size: self.file_size }.read(
                    &child.open(traf),
                    stream,
                    &mut self.samples_left,
                )?;
            }
        }
        Ok(at)
    }
}

impl Stream {
    /// Which sample descriptions are used, counted from 1.
    pub fn descriptions(&self) -> Descriptions {
        self.descriptions.unwrap_or(Descriptions::One(1))
    }

    fn note(&mut self, description: u32) {
        // A movie that says none means its only one.
        let used = Descriptions::One(description.max(1));
        self.descriptions = Some(match self.descriptions {
            Some(before) if before != used => Descriptions::Several,
            _ => used,
        });
    }

    /// Goes on at the time that `traf` says, if it does (`tfdt`, §8.8.12).
    fn begin(&mut self, traf: &Node<'_>) -> Result<(), IndexError> {
        let Some(tfdt) = traf.find(*b"tfdt")? else {
            self.first.get_or_insert(0);
            return Ok(());
        };
        let (version, _, mut fields) = tfdt.full()?;
        let time = if version == 0 { fields.u32()?.into() } else { fields.u64()? };
        let time = i64::try_from(time).ok().filter(|_| time <= LATEST);
        let time = time.ok_or_else(|| tfdt.malformed(4, "a fragment begins after thousands of years"))?;
        let first = *self.first.get_or_insert(time);
        self.samples.go_on_at(time - first).map_err(|problem| tfdt.malformed(4, problem))
    }

    fn push(&mut self, sample: Described, file_size: u64) -> Result<(), String> {
        let end = sample.offset.checked_add(sample.size.into());
        self.cut_off |= sample.size > 0 && end.is_none_or(|end| end > file_size);
        if self.cut_off {
            return Ok(());
        }
        self.end = self.end.max(end.unwrap_or(0));
        self.samples.push(sample)
    }
}

/// Flags of `tfhd`.
mod tfhd_flags {
    pub const BASE: u32 = 0x01;
    pub const DESCRIPTION: u32 = 0x02;
    pub const DURATION: u32 = 0x08;
    pub const SIZE: u32 = 0x10;
    pub const FLAGS: u32 = 0x20;
    pub const BASE_IS_MOOF: u32 = 0x2_0000;
}

/// Flags of `trun` (§8.8.8).
mod trun_flags {
    pub const OFFSET: u32 = 0x001;
    pub const FIRST_FLAGS: u32 = 0x004;
    pub const DURATION: u32 = 0x100;
    pub const SIZE: u32 = 0x200;
    pub const FLAGS: u32 = 0x400;
    pub const CTS: u32 = 0x800;
}

/// What the samples of one `trun` follow from besides it.
struct Run {
    /// What its data offset counts from.
    base: u64,
    /// Where its data begins if it says nothing.
    at: u64,
    defaults: Defaults,
    file_size: u64,
}

impl Run {
    /// Adds the samples of `trun` to `stream`, if there is one; one past the last byte of them.
    fn read(mut self, trun: &Node<'_>, stream: Option<&mut Stream>, samples_left: &mut u64) -> Result<u64, IndexError> {
        let (_, said, mut fields) = trun.full()?;
        let count = fields.u32()?;
        if said & trun_flags::OFFSET != 0 {
            let offset = fields.i32()?;
            let at = self.base.checked_add_signed(offset.into());
            self.at = at.ok_or_else(|| trun.malformed(8, format!("its data begins {offset} bytes from its base")))?;
        }
        let first_flags = if said & trun_flags::FIRST_FLAGS != 0 { Some(fields.u32()?) } else { None };
        let rows = rows(trun, &mut fields, count, said)?;
        let Some(stream) = stream else { return Ok(self.pass(said, count, rows)) };
        *samples_left = samples_left
            .checked_sub(count.into())
            .ok_or_else(|| trun.over_limit(count.into(), *samples_left, "samples more"))?;
        let mut rows = Row { rows, said };
        for index in 0..count {
            let duration = rows.next(trun_flags::DURATION).unwrap_or(self.defaults.duration);
            let size = rows.next(trun_flags::SIZE).unwrap_or(self.defaults.size);
            let flags = rows.next(trun_flags::FLAGS);
            // Signed whatever the version, as in `ctts`.
            let cts = rows.next(trun_flags::CTS).unwrap_or(0).cast_signed();
            let first = first_flags.filter(|_| index == 0);
            let sync = stream.all_sync || is_sync(first.or(flags).unwrap_or(self.defaults.flags));
            let sample = Described { offset: self.at, size, duration, cts, sync };
            stream.push(sample, self.file_size).map_err(|problem| trun.malformed(4, problem))?;
            self.at = self.at.saturating_add(size.into());
        }
        Ok(self.at)
    }

    /// Where the samples of a track end that is not played.
    fn pass(&self, said: u32, count: u32, rows: &[u8]) -> u64 {
        if said & trun_flags::SIZE == 0 {
            return self.at.saturating_add(u64::from(count) * u64::from(self.defaults.size));
        }
        let mut rows = Row { rows, said };
        (0..count).fold(self.at, |at, _| {
            rows.next(trun_flags::DURATION);
            let size = rows.next(trun_flags::SIZE).unwrap_or_default();
            rows.next(trun_flags::FLAGS);
            rows.next(trun_flags::CTS);
            at.saturating_add(size.into())
        })
    }
}

/// The rows of a `trun`, which must be there as bytes.
fn rows<'a>(trun: &Node<'a>, fields: &mut Fields<'a, '_>, count: u32, said: u32) -> Result<&'a [u8], IndexError> {
    const EACH: u32 = trun_flags::DURATION | trun_flags::SIZE | trun_flags::FLAGS | trun_flags::CTS;
    let row = u64::from((said & EACH).count_ones()) * 4;
    let rest = fields.rest();
    let rows = usize::try_from(row * u64::from(count)).ok().and_then(|len| rest.get(..len));
    rows.ok_or_else(|| {
        let problem = format!("claims {count} samples of {row} bytes and has room for {} bytes", rest.len());
        trun.malformed(4, problem)
    })
}

/// The fields of samples, one after the other.
struct Row<'a> {
    rows: &'a [u8],
    said: u32,
}

impl Row<'_> {
    /// The next field, if each sample has the one of `flag`.
    fn next(&mut self, flag: u32) -> Option<u32> {
        if self.said & flag == 0 {
            return None;
        }
        let (field, rest) = self.rows.split_first_chunk()?;
        self.rows = rest;
        Some(u32::from_be_bytes(*field))
    }
}

/// What sample flags (§8.8.3.1) say: neither marked as no sync sample nor as depending on others.
fn is_sync(flags: u32) -> bool {
    const NO_SYNC_SAMPLE: u32 = 0x1_0000;
    const DEPENDS_ON_OTHERS: u32 = 0x100_0000;
    flags & (NO_SYNC_SAMPLE | DEPENDS_ON_OTHERS) == 0
}
