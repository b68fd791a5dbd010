//! `trak` (ISO/IEC 14496-12 §8.3): one track, from its heading to its samples.

use super::boxes::{FourCc, Node};
use super::edits::{self, Scales};
use super::entry::{self, Entry, EntryError, Picture, RawEntry};
use super::fragments::Stream;
use super::names;
use super::tables::{self, Descriptions};
use crate::codec::Codec;
use crate::index::{Container, IgnoredCause};
use crate::indexer::IndexError;
use crate::language;
use crate::time::Timescale;
use crate::track::{Edit, Parts, Rotation, Track, TrackKind, VideoFormat};

/// More tracks of chapters than any file has.
const MOST_CHAPTER_TRACKS: usize = 64;

/// What kind of media a track holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Video,
    Audio,
    Other,
}

/// What a track says of itself before its samples.
#[derive(Clone, Debug)]
pub(super) struct Heading {
    pub header: TrackHeader,
    pub kind: Kind,
    pub handler: FourCc,
    /// Type of the first sample entry.
    pub entry: Option<FourCc>,
    /// Ids of the tracks that hold this one's chapters.
    pub chapters: Vec<u32>,
    timescale: Timescale,
    language: Option<String>,
    name: Option<String>,
}

/// What `tkhd` says.
#[derive(Clone, Debug)]
pub(super) struct TrackHeader {
    pub id: u32,
    pub enabled: bool,
    matrix: [i32; 9],
    /// Display size in 16.16 fixed point.
    size: (u32, u32),
}

/// A track and what its file must be for it.
#[derive(Debug)]
pub(super) struct ReadTrack {
    pub track: Track,
    /// One past the last byte of any sample.
    pub bytes_end: u64,
    /// Ticks by which the first fragment's decode time is later than the start of its edit; part of the edit's delay.
    pub late: i64,
}

/// Why a track is not played.
#[derive(Debug)]
pub(super) enum TrackError {
    /// A box is wrong.
    Index { what: FourCc, error: IndexError },
    /// It is not for us.
    Ignored { what: FourCc, cause: IgnoredCause, reason: String },
}

/// Reads what `trak` says before its samples.
pub(super) fn heading(trak: &Node<'_>, container: Container) -> Result<Heading, IndexError> {
    let quicktime = container == Container::Mov;
    let header = TrackHeader::read(&trak.require(*b"tkhd")?)?;
    let mdia = trak.require(*b"mdia")?;
    let (timescale, packed) = media_header(&mdia.require(*b"mdhd")?)?;
    let language = match mdia.find(*b"elng")? {
        Some(elng) => language::from_extended(elng.body.get(4..).unwrap_or_default()),
        None => None,
    };
    let hdlr = mdia.require(*b"hdlr")?;
    let (_, _, mut fields) = hdlr.full()?;
    fields.skip(4)?;
    let handler = FourCc(fields.array()?);
    fields.skip(12)?;
    let kind = match &handler.0 {
        b"vide" => Kind::Video,
        b"soun" => Kind::Audio,
        _ => Kind::Other,
    };
    Ok(Heading {
        kind,
        handler,
        entry: first_entry(&mdia),
        chapters: chapters(trak)?,
        timescale,
        language: language.or_else(|| language::from_packed(packed, quicktime)),
        name: user_name(trak).or_else(|| names::given(fields.rest(), quicktime)),
        header,
    })
}

impl TrackHeader {
    fn read(tkhd: &Node<'_>) -> Result<Self, IndexError> {
        let (version, flags, mut fields) = tkhd.full()?;
        let times = time_bytes(version);
        fields.skip(2 * times)?;
        let id = fields.u32()?;
        fields.skip(4 + times + 16)?;
        let mut matrix = [0; 9];
        for number in &mut matrix {
            *number = fields.i32()?;
        }
        Ok(Self { id, enabled: flags & 1 != 0, matrix, size: (fields.u32()?, fields.u32()?) })
    }
}

/// Timescale and packed language code of `mdhd`.
fn media_header(mdhd: &Node<'_>) -> Result<(Timescale, u16), IndexError> {
    let (version, _, mut fields) = mdhd.full()?;
    let times = time_bytes(version);
    fields.skip(2 * times)?;
    let timescale =
        Timescale::new(fields.u32()?).ok_or_else(|| mdhd.malformed(4 + 2 * times, "a timescale of zero"))?;
    fields.skip(times)?;
    Ok((timescale, fields.u16()?))
}

/// Bytes of a time in a header of `version`.
fn time_bytes(version: u8) -> usize {
    if version == 1 { 8 } else { 4 }
}

/// Type of the first sample entry, for words only: whatever is wrong on the way is met again by who needs it.
fn first_entry(mdia: &Node<'_>) -> Option<FourCc> {
    let stsd = mdia.find(*b"minf").ok()??.find(*b"stbl").ok()??.find(*b"stsd").ok()??;
    stsd.children_from(8).next()?.ok().map(|child| child.kind)
}

/// Track ids in `tref/chap`; no more than make sense.
fn chapters(trak: &Node<'_>) -> Result<Vec<u32>, IndexError> {
    let Some(tref) = trak.find(*b"tref")? else { return Ok(Vec::new()) };
    let Some(chap) = tref.find(*b"chap")? else { return Ok(Vec::new()) };
    let (ids, _) = chap.body.as_chunks::<4>();
    Ok(ids.iter().take(MOST_CHAPTER_TRACKS).map(|id| u32::from_be_bytes(*id)).collect())
}

/// The title in `udta/name`. What is wrong in user data harms nobody.
fn user_name(trak: &Node<'_>) -> Option<String> {
    let name = trak.find(*b"udta").ok()??.find(*b"name").ok()??;
    names::given(name.body, false)
}

/// The `stbl` box of a track.
pub(super) fn tables<'a>(trak: &Node<'a>) -> Result<Node<'a>, IndexError> {
    trak.require(*b"mdia")?.require(*b"minf")?.require(*b"stbl")
}

/// Reads the rest of a video or audio track, with the samples of its fragments or as many of its own as are `left`.
pub(super) fn read(
    trak: &Node<'_>,
    heading: Heading,
    movie: Option<Timescale>,
    fragmented: Option<Stream>,
    left: &mut u64,
) -> Result<ReadTrack, TrackError> {
    let what = heading.entry.unwrap_or(heading.handler);
    let wrap = |error| TrackError::Index { what, error };
    let ignored = |cause, reason: &str| TrackError::Ignored { what, cause, reason: reason.to_owned() };

    let minf = trak.require(*b"mdia").and_then(|mdia| mdia.require(*b"minf")).map_err(wrap)?;
    let stbl = minf.require(*b"stbl").map_err(wrap)?;
    let used = match &fragmented {
        Some(stream) => Ok(stream.descriptions()),
        None => tables::descriptions(&stbl),
    };
    let (codec, kind) = match sample_entry(&heading, &minf, &stbl, used.map_err(wrap)?)? {
        Entry::Video(codec, picture) => (codec, TrackKind::Video(video_format(&heading, picture))),
        Entry::Audio(codec, format) => (codec, TrackKind::Audio(format)),
    };
    if matches!(kind, TrackKind::Video(_)) != (heading.kind == Kind::Video) {
        return Err(ignored(IgnoredCause::Damaged, "its handler and its sample entry say different things"));
    }
    let edit = edit(trak, &heading, movie).map_err(wrap)?;
    let (edit, late) = fragmented.as_ref().map_or((edit, 0), |stream| started(edit, stream));
    let samples = match fragmented {
        Some(stream) => stream.samples,
        None => match frame_bytes(&codec, &kind) {
            Some(bytes) => tables::gather_runs(&stbl, bytes, left).map_err(wrap)?,
            None => tables::gather(&stbl, heading.kind == Kind::Audio, left).map_err(wrap)?,
        },
    };
    let samples = samples.finish();
    if let Some((cause, reason)) = samples.useless(heading.kind == Kind::Video) {
        return Err(ignored(cause, reason));
    }
    let edit = match edit.parts {
        Parts::One => Edit { end: edit.end.filter(|&end| end < samples.end), ..edit },
        Parts::Several | Parts::Speed => edit,
    };
    if edit.start >= edit.end.unwrap_or(samples.end) {
        return Err(ignored(IgnoredCause::Empty, "nothing of it is ever shown"));
    }
    let read = Track {
        id: heading.header.id,
        timescale: heading.timescale,
        language: heading.language,
        name: heading.name,
        codec,
        kind,
        edit,
        samples: samples.table,
        open_gop: samples.open_gop,
    };
    Ok(ReadTrack { track: read, bytes_end: samples.bytes_end, late })
}

/// Bytes of a frame, one value of each channel, of uncompressed sound.
fn frame_bytes(codec: &Codec, kind: &TrackKind) -> Option<u32> {
    let (Codec::Pcm { coding }, TrackKind::Audio(format)) = (codec, kind) else { return None };
    let bits = coding.last().copied().unwrap_or(8);
    Some(u32::from(format.channels) * u32::from(bits.div_ceil(8)))
}

/// The edit of a track whose samples count from the first fragment's decode time, and how much of its delay that is.
///
/// How long edits last was written before the fragments were, and says nothing.
fn started(edit: Edit, stream: &Stream) -> (Edit, i64) {
    let ahead = stream.first.unwrap_or(0) - edit.start;
    let late = ahead.max(0);
    (Edit { delay: edit.delay.saturating_add(late), start: (-ahead).max(0), end: None, ..edit }, late)
}

/// The one sample entry that all samples use.
fn sample_entry(heading: &Heading, minf: &Node<'_>, stbl: &Node<'_>, used: Descriptions) -> Result<Entry, TrackError> {
    let what = heading.entry.unwrap_or(heading.handler);
    let wrap = |error| TrackError::Index { what, error };
    let stsd = stbl.require(*b"stsd").map_err(wrap)?;
    let entries = entry::entries(&stsd).map_err(wrap)?;
    let number = match used {
        Descriptions::One(number) => number,
        Descriptions::Several => 1,
    };
    let raw = usize::try_from(number).ok().and_then(|number| entries.get(number.checked_sub(1)?));
    let raw = raw.ok_or_else(|| wrap(stsd.malformed(4, format!("has no sample description {number}"))))?;
    let found = entry::read(raw).map_err(|error| match error {
        EntryError::Index(error) => TrackError::Index { what: raw.kind, error },
        EntryError::Ignored { what, cause, reason } => TrackError::Ignored { what, cause, reason },
    })?;
    let ignored = |cause, reason: &str| TrackError::Ignored { what: raw.kind, cause, reason: reason.to_owned() };
    if used == Descriptions::Several {
        return Err(ignored(
            IgnoredCause::SeveralDescriptions,
            "its coding changes on the way (several sample descriptions)",
        ));
    }
    if !is_in_this_file(minf, raw).map_err(wrap)? {
        return Err(ignored(IgnoredCause::NotCarried, "its media is in another file"));
    }
    Ok(found)
}

/// Whether the data reference of `entry` (`dref`, §8.7.2) is this file; so it is if nothing is said.
fn is_in_this_file(minf: &Node<'_>, entry: &RawEntry<'_>) -> Result<bool, IndexError> {
    const SELF_CONTAINED: u8 = 1;
    let mut fields = entry.node.fields();
    fields.skip(6)?;
    let number = usize::from(fields.u16()?);
    let Some(dinf) = minf.find(*b"dinf")? else { return Ok(true) };
    let Some(dref) = dinf.find(*b"dref")? else { return Ok(true) };
    let Some(reference) = dref.children_from(8).nth(number.saturating_sub(1)) else { return Ok(true) };
    Ok(reference?.body.get(3).is_none_or(|flags| flags & SELF_CONTAINED != 0))
}

/// The edit of a track; the whole media without an edit list.
fn edit(trak: &Node<'_>, heading: &Heading, movie: Option<Timescale>) -> Result<Edit, IndexError> {
    let Some(edts) = trak.find(*b"edts")? else { return Ok(Edit::default()) };
    let Some(elst) = edts.find(*b"elst")? else { return Ok(Edit::default()) };
    let movie = movie.ok_or_else(|| elst.malformed(0, "the movie it refers to has a timescale of zero"))?;
    edits::read(&elst, Scales { movie, media: heading.timescale })
}

fn video_format(heading: &Heading, picture: Picture) -> VideoFormat {
    let Picture { width, height, sample_aspect, colour } = picture;
    let sample_aspect = sample_aspect.or_else(|| aspect_of_size(heading.header.size, (width, height)));
    VideoFormat {
        width,
        height,
        sample_aspect: sample_aspect.unwrap_or((1, 1)),
        matrix: heading.header.matrix,
        rotation: rotation(heading.header.matrix),
        colour,
    }
}

/// The sample aspect ratio by which the track's display size differs from the coded one.
///
/// It is used where no `pasp` is; a difference of less than a sample is rounding.
fn aspect_of_size(display: (u32, u32), (width, height): (u16, u16)) -> Option<(u32, u32)> {
    let (shown_width, shown_height) = (u64::from(display.0), u64::from(display.1));
    let (width, height) = (u64::from(width), u64::from(height));
    let scaled_width = (width * shown_height).checked_div(height)?;
    if shown_width == 0 || shown_height == 0 || shown_width.abs_diff(scaled_width) <= 1 << 16 {
        return None;
    }
    let (horizontal, vertical) = (shown_width * height, shown_height * width);
    let divisor = greatest_common_divisor(horizontal, vertical);
    Some((u32::try_from(horizontal / divisor).ok()?, u32::try_from(vertical / divisor).ok()?))
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// The turn in a matrix (§6.2.2); none where it does anything else.
fn rotation(matrix: [i32; 9]) -> Rotation {
    const ONE: i32 = 1 << 16;
    match [matrix[0], matrix[1], matrix[3], matrix[4]] {
        [0, ONE, b, 0] if b == -ONE => Rotation::Quarter,
        [a, 0, 0, d] if a == -ONE && d == -ONE => Rotation::Half,
        [0, a, ONE, 0] if a == -ONE => Rotation::ThreeQuarters,
        _ => Rotation::None,
    }
}
