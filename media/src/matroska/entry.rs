//! `TrackEntry` (RFC 9559 §5.1.4.1): what a file says of a track before its blocks.

use super::ebml::{Child, Element};
use super::ids;
use crate::index::IgnoredCause;
use crate::indexer::IndexError;
use crate::track::Colour;

/// Bytes of a decoder configuration at most: it is repeated in every init segment.
const LONGEST_CONFIGURATION: usize = 64 << 10;

/// Nanoseconds that are believed of a delay or of how long a frame lasts: 100 s.
const LONGEST_NANOS: u64 = 100_000_000_000;

/// What a track is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Kind {
    Video,
    Audio,
    Subtitle,
    #[default]
    Other,
}

/// A track, as its entry describes it.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Entry {
    pub number: u64,
    pub kind: Kind,
    pub enabled: bool,
    pub codec: String,
    pub private: Vec<u8>,
    /// Nanoseconds that a frame lasts.
    pub default_duration: Option<u64>,
    /// Nanoseconds of sound before what is heard.
    pub codec_delay: u64,
    pub language: Option<String>,
    pub language_tag: Option<String>,
    pub name: Option<String>,
    pub picture: Picture,
    pub sound: Sound,
    /// What was done to its frames that can't be undone by where they lie, and why it is then not played.
    pub encoded: Option<(IgnoredCause, &'static str)>,
}

/// `Video`.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Picture {
    pub width: u64,
    pub height: u64,
    pub display: Option<(u64, u64)>,
    /// What the display size counts: 0 pixels, 3 an aspect ratio.
    pub display_unit: u64,
    /// Columns and rows that are cut off.
    pub cropped: (u64, u64),
    pub colour: Option<Colour>,
    /// Degrees, counterclockwise.
    pub roll: f64,
}

/// `Audio`.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Sound {
    pub sample_rate: f64,
    pub channels: u64,
    pub bit_depth: u64,
}

impl Default for Sound {
    fn default() -> Self {
        Self { sample_rate: 8000.0, channels: 1, bit_depth: 0 }
    }
}

impl Entry {
    /// Reads a `TrackEntry`.
    pub fn read(element: &Element<'_>) -> Result<Self, IndexError> {
        let mut entry = Self { enabled: true, ..Self::default() };
        for child in element.children() {
            entry.take(&child?, element)?;
        }
        Ok(entry)
    }

    fn take(&mut self, child: &Child<'_, '_>, element: &Element<'_>) -> Result<(), IndexError> {
        match child.id {
            ids::TRACK_NUMBER => self.number = child.unsigned()?,
            ids::TRACK_TYPE => {
                self.kind = match child.unsigned()? {
                    1 => Kind::Video,
                    2 => Kind::Audio,
                    17 => Kind::Subtitle,
                    _ => Kind::Other,
                }
            }
            ids::FLAG_ENABLED => self.enabled = child.unsigned()? != 0,
            ids::CODEC_ID => self.codec = child.text(),
            ids::CODEC_PRIVATE if child.body.len() > LONGEST_CONFIGURATION => {
                return Err(element.malformed(0, "its decoder configuration is absurdly long"));
            }
            ids::CODEC_PRIVATE => self.private = child.body.to_vec(),
            ids::DEFAULT_DURATION => {
                self.default_duration = Some(child.unsigned()?).filter(|nanos| (1..=LONGEST_NANOS).contains(nanos));
            }
            ids::CODEC_DELAY => self.codec_delay = child.unsigned()?.min(LONGEST_NANOS),
            ids::LANGUAGE => self.language = Some(child.text()),
            ids::LANGUAGE_BCP47 => self.language_tag = Some(child.text()),
            ids::NAME => self.name = crate::mp4::names::given(child.body, false),
            ids::VIDEO => self.picture = Picture::read(&child.open("Video"))?,
            ids::AUDIO => self.sound = Sound::read(&child.open("Audio"))?,
            ids::CONTENT_ENCODINGS => self.encoded = encoded(&child.open("ContentEncodings"))?,
            _ => {}
        }
        Ok(())
    }
}

impl Picture {
    fn read(element: &Element<'_>) -> Result<Self, IndexError> {
        let mut picture = Self::default();
        let (mut width, mut height) = (None, None);
        for child in element.children() {
            let child = child?;
            match child.id {
                ids::PIXEL_WIDTH => picture.width = child.unsigned()?,
                ids::PIXEL_HEIGHT => picture.height = child.unsigned()?,
                ids::DISPLAY_WIDTH => width = Some(child.unsigned()?),
                ids::DISPLAY_HEIGHT => height = Some(child.unsigned()?),
                ids::DISPLAY_UNIT => picture.display_unit = child.unsigned()?,
                // Bottom and top, left and right.
                id if ids::PIXEL_CROP[..2].contains(&id) => {
                    picture.cropped.1 = picture.cropped.1.saturating_add(child.unsigned()?);
                }
                id if ids::PIXEL_CROP[2..].contains(&id) => {
                    picture.cropped.0 = picture.cropped.0.saturating_add(child.unsigned()?);
                }
                ids::COLOUR => picture.colour = colour(&child.open("Colour"))?,
                ids::PROJECTION => picture.roll = roll(&child.open("Projection"))?,
                _ => {}
            }
        }
        picture.display = width.zip(height);
        Ok(picture)
    }
}

/// `Colour`; none where it says nothing.
fn colour(element: &Element<'_>) -> Result<Option<Colour>, IndexError> {
    const UNSPECIFIED: u16 = 2;
    const FULL: u64 = 2;
    let mut colour = Colour { primaries: UNSPECIFIED, transfer: UNSPECIFIED, matrix: UNSPECIFIED, full_range: false };
    for child in element.children() {
        let child = child?;
        let code = || child.unsigned().map(|code| u16::try_from(code).unwrap_or(UNSPECIFIED));
        match child.id {
            ids::PRIMARIES => colour.primaries = code()?,
            ids::TRANSFER_CHARACTERISTICS => colour.transfer = code()?,
            ids::MATRIX_COEFFICIENTS => colour.matrix = code()?,
            ids::RANGE => colour.full_range = child.unsigned()? == FULL,
            _ => {}
        }
    }
    let says_something = colour.full_range || [colour.primaries, colour.transfer, colour.matrix] != [UNSPECIFIED; 3];
    Ok(says_something.then_some(colour))
}

/// By how many degrees pictures are turned, counterclockwise.
fn roll(element: &Element<'_>) -> Result<f64, IndexError> {
    for child in element.children() {
        let child = child?;
        if child.id == ids::PROJECTION_POSE_ROLL {
            return child.float();
        }
    }
    Ok(0.0)
}

impl Sound {
    fn read(element: &Element<'_>) -> Result<Self, IndexError> {
        let mut sound = Self::default();
        for child in element.children() {
            let child = child?;
            match child.id {
                ids::SAMPLING_FREQUENCY => sound.sample_rate = child.float()?,
                ids::CHANNELS => sound.channels = child.unsigned()?,
                ids::BIT_DEPTH => sound.bit_depth = child.unsigned()?,
                _ => {}
            }
        }
        Ok(sound)
    }
}

/// What `ContentEncodings` (§5.1.4.1.31) do to frames, if anything.
fn encoded(element: &Element<'_>) -> Result<Option<(IgnoredCause, &'static str)>, IndexError> {
    for child in element.children() {
        let child = child?;
        if child.id != ids::CONTENT_ENCODING {
            continue;
        }
        let done = encoding(&child.open("ContentEncoding"))?;
        if done.is_some() {
            return Ok(done);
        }
    }
    Ok(None)
}

fn encoding(element: &Element<'_>) -> Result<Option<(IgnoredCause, &'static str)>, IndexError> {
    const FRAMES: u64 = 1;
    const COMPRESSION: u64 = 0;
    const HEADER_STRIPPING: u64 = 3;
    let (mut scope, mut kind, mut algorithm, mut settings) = (FRAMES, COMPRESSION, 0, 0);
    for child in element.children() {
        let child = child?;
        match child.id {
            ids::ENCODING_SCOPE => scope = child.unsigned()?,
            ids::ENCODING_TYPE => kind = child.unsigned()?,
            ids::COMPRESSION => {
                for child in child.open("ContentCompression").children() {
                    let child = child?;
                    match child.id {
                        ids::COMPRESSION_ALGORITHM => algorithm = child.unsigned()?,
                        ids::COMPRESSION_SETTINGS => settings = child.body.len(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    // A player is sent ranges of the file, so what is not in it can't be put before a frame.
    Ok(match (kind, algorithm) {
        _ if kind != COMPRESSION => Some((IgnoredCause::Encrypted, "it is encrypted")),
        (_, HEADER_STRIPPING) if settings == 0 || scope & FRAMES == 0 => None,
        (_, HEADER_STRIPPING) => {
            Some((IgnoredCause::NotCarried, "the beginnings of its frames are left out (header stripping)"))
        }
        _ => Some((IgnoredCause::NotCarried, "its frames are compressed once more (as by zlib)")),
    })
}
