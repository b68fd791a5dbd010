//! Sample descriptions (`stsd`, ISO/IEC 14496-12 §8.5.2): which codec a track has, and its configuration.

use super::boxes::{FourCc, Node};
use super::{audio, names, video};
use crate::codec::{Codec, foreign};
use crate::index::IgnoredCause;
use crate::indexer::IndexError;
use crate::track::AudioFormat;

/// Coded size, shape and colour, as far as the sample entry says.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Picture {
    pub width: u16,
    pub height: u16,
    /// `pasp`, where present and sane.
    pub sample_aspect: Option<(u32, u32)>,
    pub colour: Option<crate::track::Colour>,
}

/// A sample entry that can be played.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Entry {
    Video(Codec, Picture),
    Audio(Codec, AudioFormat),
}

/// Why a sample entry can't be played.
#[derive(Debug)]
pub(super) enum EntryError {
    /// A box is wrong.
    Index(IndexError),
    /// Everything may be right, and it is not for us.
    Ignored { what: FourCc, cause: IgnoredCause, reason: String },
}

impl From<IndexError> for EntryError {
    fn from(error: IndexError) -> Self {
        Self::Index(error)
    }
}

/// A sample entry: its type and its body.
pub(super) struct RawEntry<'a> {
    pub kind: FourCc,
    pub node: Node<'a>,
    /// Whether a version number in it may mean a `QuickTime` sound description (`stsd` version 0).
    pub quicktime_versions: bool,
}

impl RawEntry<'_> {
    /// The same entry is of no use, because of `reason`.
    pub fn ignored(&self, cause: IgnoredCause, reason: impl Into<String>) -> EntryError {
        EntryError::Ignored { what: self.kind, cause, reason: reason.into() }
    }
}

/// All entries of `stsd`, at most a few of which anybody uses.
pub(super) fn entries<'a>(stsd: &Node<'a>) -> Result<Vec<RawEntry<'a>>, IndexError> {
    const MOST: usize = 64;
    let (version, _, mut fields) = stsd.full()?;
    let count = fields.u32()?;
    let mut entries = Vec::new();
    for child in stsd.children_from(8).take(MOST.min(count as usize)) {
        let child = child?;
        entries.push(RawEntry { kind: child.kind, node: child.open(stsd), quicktime_versions: version == 0 });
    }
    Ok(entries)
}

/// Bytes of a decoder configuration at most: it is repeated in every init segment.
const LONGEST_CONFIGURATION: usize = 64 << 10;

/// What the samples of `entry` are.
pub(super) fn read(entry: &RawEntry<'_>) -> Result<Entry, EntryError> {
    let found = read_any(entry)?;
    let (Entry::Video(codec, _) | Entry::Audio(codec, _)) = &found;
    if codec.configuration().len() > LONGEST_CONFIGURATION {
        return Err(entry.ignored(IgnoredCause::Configuration, "its decoder configuration is absurdly long"));
    }
    Ok(found)
}

fn read_any(entry: &RawEntry<'_>) -> Result<Entry, EntryError> {
    match &entry.kind.0 {
        b"avc1" | b"avc2" | b"avc3" | b"avc4" | b"hvc1" | b"hev1" | b"vp09" | b"av01" => video::read(entry),
        b"mp4a" | b"Opus" | b"fLaC" | b"ac-3" | b"ec-3" | b".mp3" | b"ms\0\x55" => audio::read(entry),
        kind if audio::is_pcm(*kind) || foreign::is_sound(kind) => audio::read(entry),
        kind if foreign::is_picture(kind) => video::read(entry),
        b"encv" | b"enca" | b"enct" | b"encs" | b"encm" | b"drms" | b"drmi" => {
            Err(entry.ignored(IgnoredCause::Encrypted, "it is encrypted"))
        }
        kind => {
            let name = names::sample_entry(*kind);
            let name = name.map_or_else(|| format!("its coding ({})", entry.kind), str::to_owned);
            Err(entry.ignored(IgnoredCause::NotCarried, format!("{name} is not played")))
        }
    }
}
