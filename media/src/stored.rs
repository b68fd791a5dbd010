//! The stored form of a media index: small, and open in milliseconds.
//!
//! Numbers are varints (LEB128; signed ones zigzag), texts and byte strings a length and their bytes, options a byte
//! that is 0 or 1 and the value. In order:
//!
//! - `VSMI`, the version of the form (one byte, 2), the container (0 MP4, 1 MOV, 2 Matroska, 3 WebM), the file's size;
//! - the number of tracks, and of each: id, timescale, language and name (options), codec (one byte, `codec_code`) and its configuration, kind (0 video: width, height, sample aspect, matrix of nine signed
//!   numbers, quarter turns, colour as an option; 1 audio: rate, channels), edit (delay and start signed, end an
//!   option, one byte of its parts), open GOP (one byte), the sample table without places (module `samples`);
//! - the layout of all tracks' samples (module `samples::layout`);
//! - where the file is cut off (an option);
//! - the number of ignored tracks, and of each: id, what, cause (one byte), reason;
//! - CRC-32C of all bytes before it, four bytes, least significant first.
//!
//! Whatever is read is checked as if it came from a stranger: a damaged index is an error, never a panic.

mod fields;

use crate::codec::Codec;
use crate::index::{Container, IgnoredCause, IgnoredTrack, MediaIndex};
use crate::samples::stored::Unplaced;
use crate::samples::{SampleTable, layout};
use crate::time::Timescale;
use crate::track::{AudioFormat, Colour, Edit, Parts, Rotation, Track, TrackKind, VideoFormat};
use fields::{Input, Output};

const MAGIC: &[u8; 4] = b"VSMI";
/// Version of the stored form.
pub const VERSION: u8 = 2;

/// Why stored bytes are no media index.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoredIndexError {
    /// Something else is stored there.
    #[error("not a stored media index")]
    NotAnIndex,
    /// It was written by another version of this program: the source must be indexed again.
    #[error("the stored media index has version {0}, and version {VERSION} is read")]
    Version(u8),
    /// Its bytes changed since it was written.
    #[error("the stored media index is damaged: {0}")]
    Damaged(&'static str),
}

impl MediaIndex {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Output::default();
        out.raw(MAGIC);
        out.byte(VERSION);
        out.byte(container_code(self.container));
        out.number(self.file_size);
        out.number(self.tracks.len() as u64);
        self.tracks.iter().for_each(|track| put_track(&mut out, track));
        let tables: Vec<_> = self.tracks.iter().map(|track| &track.samples).collect();
        out.with(|bytes| layout::put(&tables, bytes));
        out.optional(self.cut_off, Output::number);
        out.number(self.ignored.len() as u64);
        for track in &self.ignored {
            out.number(track.id.into());
            out.text(&track.what);
            out.byte(cause_code(track.cause) | if track.is_video { VIDEO } else { 0 });
            out.text(&track.reason);
        }
        out.finish()
    }

    /// Reads the stored form.
    pub fn decode(stored: &[u8]) -> Result<Self, StoredIndexError> {
        let Some([magic @ .., version]) = stored.first_chunk::<5>() else { return Err(StoredIndexError::NotAnIndex) };
        if magic != MAGIC {
            return Err(StoredIndexError::NotAnIndex);
        }
        if *version != VERSION {
            return Err(StoredIndexError::Version(*version));
        }
        let mut input = Input::checked(stored, MAGIC.len() + 1)?;
        let container = container(input.byte()?)?;
        let file_size = input.number()?;
        let (mut tracks, tables): (Vec<_>, Vec<_>) = input.list(track)?.into_iter().unzip();
        let tables = input.with(|bytes| layout::take(bytes, tables, file_size))?;
        for (track, samples) in tracks.iter_mut().zip(tables) {
            track.samples = samples;
        }
        let cut_off = input.optional(Input::number)?;
        let ignored = input.list(|input| {
            let (id, what) = (input.narrow()?, input.text()?);
            let code = input.byte()?;
            let (is_video, cause) = (code & VIDEO != 0, cause(code & !VIDEO)?);
            Ok(IgnoredTrack { id, what, is_video, cause, reason: input.text()? })
        })?;
        input.end()?;
        let duration = tracks.iter().map(Track::duration).max().unwrap_or_default();
        Ok(Self { container, file_size, tracks, ignored, duration, cut_off })
    }
}

fn put_track(out: &mut Output, track: &Track) {
    out.number(track.id.into());
    out.number(track.timescale.get().into());
    out.optional(track.language.as_deref(), Output::text);
    out.optional(track.name.as_deref(), Output::text);
    out.byte(codec_code(&track.codec));
    out.bytes(track.codec.configuration());
    match &track.kind {
        TrackKind::Video(format) => {
            out.byte(0);
            put_video(out, format);
        }
        TrackKind::Audio(format) => {
            out.byte(1);
            out.number(format.sample_rate.into());
            out.number(format.channels.into());
        }
    }
    out.signed(track.edit.delay);
    out.signed(track.edit.start);
    out.optional(track.edit.end, Output::signed);
    out.byte(match track.edit.parts {
        Parts::One => 0,
        Parts::Several => 1,
        Parts::Speed => 2,
    });
    out.byte(track.open_gop.into());
    out.with(|bytes| track.samples.put(bytes));
}

fn put_video(out: &mut Output, format: &VideoFormat) {
    out.number(format.width.into());
    out.number(format.height.into());
    out.number(format.sample_aspect.0.into());
    out.number(format.sample_aspect.1.into());
    format.matrix.iter().for_each(|&number| out.signed(number.into()));
    out.byte(match format.rotation {
        Rotation::None => 0,
        Rotation::Quarter => 1,
        Rotation::Half => 2,
        Rotation::ThreeQuarters => 3,
    });
    out.optional(format.colour, |out, colour| {
        out.number(colour.primaries.into());
        out.number(colour.transfer.into());
        out.number(colour.matrix.into());
        out.byte(colour.full_range.into());
    });
}

/// A track without samples, and its table, which has no places yet.
fn track(input: &mut Input<'_>) -> Result<(Track, Unplaced), StoredIndexError> {
    let id = input.narrow()?;
    let timescale = Timescale::new(input.narrow()?).ok_or(StoredIndexError::Damaged("a timescale of zero"))?;
    let language = input.optional(Input::text)?;
    let name = input.optional(Input::text)?;
    let code = input.byte()?;
    let codec = codec(code, input.bytes()?.to_vec())?;
    let kind = match input.byte()? {
        0 => TrackKind::Video(video(input)?),
        1 => TrackKind::Audio(AudioFormat { sample_rate: input.narrow()?, channels: input.narrow()? }),
        _ => return Err(StoredIndexError::Damaged("a kind of track")),
    };
    let (delay, start, end) = (input.signed()?, input.signed()?, input.optional(Input::signed)?);
    let edit = Edit { delay, start, end, parts: parts(input.byte()?)? };
    let open_gop = input.flag()?;
    let table = input.with(Unplaced::take)?;
    let end = edit.end.unwrap_or_else(|| table.end_pts());
    if edit.delay < 0 || edit.start < 0 || end < edit.start {
        return Err(StoredIndexError::Damaged("an edit"));
    }
    let samples = SampleTable::default();
    Ok((Track { id, timescale, language, name, codec, kind, edit, samples, open_gop }, table))
}

fn parts(code: u8) -> Result<Parts, StoredIndexError> {
    match code {
        0 => Ok(Parts::One),
        1 => Ok(Parts::Several),
        2 => Ok(Parts::Speed),
        _ => Err(StoredIndexError::Damaged("the parts of an edit")),
    }
}

fn video(input: &mut Input<'_>) -> Result<VideoFormat, StoredIndexError> {
    let (width, height) = (input.narrow()?, input.narrow()?);
    let sample_aspect = (input.narrow()?, input.narrow()?);
    if sample_aspect.0 == 0 || sample_aspect.1 == 0 {
        return Err(StoredIndexError::Damaged("a sample aspect ratio"));
    }
    let mut matrix = [0; 9];
    for number in &mut matrix {
        *number = i32::try_from(input.signed()?).map_err(|_| StoredIndexError::Damaged("a matrix"))?;
    }
    let rotation = match input.byte()? {
        0 => Rotation::None,
        1 => Rotation::Quarter,
        2 => Rotation::Half,
        3 => Rotation::ThreeQuarters,
        _ => return Err(StoredIndexError::Damaged("a rotation")),
    };
    let colour = input.optional(|input| {
        let (primaries, transfer, matrix) = (input.narrow()?, input.narrow()?, input.narrow()?);
        Ok(Colour { primaries, transfer, matrix, full_range: input.flag()? })
    })?;
    Ok(VideoFormat { width, height, sample_aspect, matrix, rotation, colour })
}

fn codec_code(codec: &Codec) -> u8 {
    match codec {
        Codec::H264 { .. } => 0,
        Codec::Hevc { .. } => 1,
        Codec::Vp9 { .. } => 2,
        Codec::Av1 { .. } => 3,
        Codec::Aac { .. } => 4,
        Codec::Opus { .. } => 5,
        Codec::Flac { .. } => 6,
        Codec::Mp3 => 7,
        Codec::Ac3 { .. } => 8,
        Codec::Eac3 { .. } => 9,
        Codec::Pcm { .. } => 10,
        Codec::Foreign { .. } => 11,
    }
}

fn codec(code: u8, configuration: Vec<u8>) -> Result<Codec, StoredIndexError> {
    Ok(match code {
        0 => Codec::H264 { avcc: configuration },
        1 => Codec::Hevc { hvcc: configuration },
        2 => Codec::Vp9 { vpcc: configuration },
        3 => Codec::Av1 { av1c: configuration },
        4 => Codec::Aac { asc: configuration },
        5 => Codec::Opus { dops: configuration },
        6 => Codec::Flac { dfla: configuration },
        7 => Codec::Mp3,
        8 => Codec::Ac3 { dac3: configuration },
        9 => Codec::Eac3 { dec3: configuration },
        10 => Codec::Pcm { coding: configuration },
        11 => Codec::Foreign { entry: configuration },
        _ => return Err(StoredIndexError::Damaged("a codec")),
    })
}

fn container_code(container: Container) -> u8 {
    match container {
        Container::Mp4 => 0,
        Container::Mov => 1,
        Container::Matroska => 2,
        Container::WebM => 3,
    }
}

fn container(code: u8) -> Result<Container, StoredIndexError> {
    match code {
        0 => Ok(Container::Mp4),
        1 => Ok(Container::Mov),
        2 => Ok(Container::Matroska),
        3 => Ok(Container::WebM),
        _ => Err(StoredIndexError::Damaged("a container")),
    }
}

/// Causes by their code.
const CAUSES: [IgnoredCause; 8] = [
    IgnoredCause::NotCarried,
    IgnoredCause::Auxiliary,
    IgnoredCause::Surplus,
    IgnoredCause::Encrypted,
    IgnoredCause::Configuration,
    IgnoredCause::SeveralDescriptions,
    IgnoredCause::Empty,
    IgnoredCause::Damaged,
];

/// Added to the cause of a track that shows pictures.
const VIDEO: u8 = 0x80;

fn cause_code(cause: IgnoredCause) -> u8 {
    match cause {
        IgnoredCause::NotCarried => 0,
        IgnoredCause::Auxiliary => 1,
        IgnoredCause::Surplus => 2,
        IgnoredCause::Encrypted => 3,
        IgnoredCause::Configuration => 4,
        IgnoredCause::SeveralDescriptions => 5,
        IgnoredCause::Empty => 6,
        IgnoredCause::Damaged => 7,
    }
}

fn cause(code: u8) -> Result<IgnoredCause, StoredIndexError> {
    CAUSES.get(usize::from(code)).copied().ok_or(StoredIndexError::Damaged("a cause"))
}

#[cfg(test)]
mod tests;
