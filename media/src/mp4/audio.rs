//! Audio sample entries (ISO/IEC 14496-12 §12.2.3) and `QuickTime` sound descriptions of the codecs that are carried.

use super::boxes::Node;
use super::entry::{Entry, EntryError, RawEntry};
use super::error::IndexError;
use crate::codec::Codec;
use crate::codec::aac::AacConfig;
use crate::index::IgnoredCause;
use crate::track::AudioFormat;

/// Bytes of an ISO audio sample entry, and of a `QuickTime` sound description version 0, before its boxes.
const FIXED: usize = 28;

pub(super) fn read(entry: &RawEntry<'_>) -> Result<Entry, EntryError> {
    let node = &entry.node;
    let mut fields = node.fields();
    fields.skip(8)?;
    let version = fields.u16()?;
    fields.skip(6)?;
    let channels = fields.u16()?;
    fields.skip(FIXED - 18)?;
    // QuickTime File Format, "Sound Sample Description": version 1 adds four numbers, version 2 says its own length.
    let boxes = match version {
        1 if entry.quicktime_versions => FIXED + 16,
        2 if entry.quicktime_versions => (fields.u32()? as usize).saturating_sub(8).max(FIXED),
        _ => FIXED,
    };
    match &entry.kind.0 {
        b"Opus" => opus(entry, boxes),
        b"fLaC" => flac(entry, boxes),
        _ => mp4a(entry, boxes, channels),
    }
}

fn find<'a>(node: &Node<'a>, start: usize, kind: [u8; 4]) -> Result<Option<Node<'a>>, IndexError> {
    for child in node.children_from(start) {
        let child = child?;
        if child.kind.0 == kind {
            return Ok(Some(child.open(node)));
        }
    }
    Ok(None)
}

fn missing(entry: &RawEntry<'_>) -> EntryError {
    entry.ignored(IgnoredCause::Configuration, "its decoder configuration is missing")
}

fn mp4a(entry: &RawEntry<'_>, boxes: usize, entry_channels: u16) -> Result<Entry, EntryError> {
    let node = &entry.node;
    let mut esds = find(node, boxes, *b"esds")?;
    if esds.is_none()
        && let Some(wave) = find(node, boxes, *b"wave")?
    {
        esds = wave.find(*b"esds")?;
    }
    let decoder = DecoderConfig::read(&esds.ok_or_else(|| missing(entry))?)?;
    // MPEG-4 audio, and the three profiles of MPEG-2 AAC (ISO/IEC 14496-1 table 5).
    if !matches!(decoder.object_type, 0x40 | 0x66..=0x68) {
        let name = match decoder.object_type {
            0x69 | 0x6b => "MP3 sound".to_owned(),
            0xa5 => "AC-3 sound".to_owned(),
            0xa6 => "E-AC-3 sound".to_owned(),
            0xa9..=0xac => "DTS sound".to_owned(),
            0xdd => "Vorbis sound".to_owned(),
            other => format!("its coding (mp4a.{other:x})"),
        };
        return Err(entry.ignored(IgnoredCause::NotCarried, format!("{name} is not played")));
    }
    let Some(config) = AacConfig::parse(decoder.specific) else {
        let what = "an AAC configuration that is carried (LC, HE, HE v2)";
        return Err(entry.ignored(IgnoredCause::Configuration, format!("it lacks {what}")));
    };
    let channels = if config.channels > 0 { config.channels } else { entry_channels };
    if channels == 0 {
        return Err(entry.ignored(IgnoredCause::Configuration, "it says nothing of its channels"));
    }
    let format = AudioFormat { sample_rate: config.sample_rate, channels };
    Ok(Entry::Audio(Codec::Aac { asc: decoder.specific.to_vec() }, format))
}

/// What `esds` (ISO/IEC 14496-14 §6.7.2) says of the decoder.
struct DecoderConfig<'a> {
    object_type: u8,
    /// `DecoderSpecificInfo`; empty if there is none.
    specific: &'a [u8],
}

impl<'a> DecoderConfig<'a> {
    fn read(esds: &Node<'a>) -> Result<Self, IndexError> {
        let bad = |problem| esds.malformed(4, problem);
        let body = esds.body.get(4..).unwrap_or_default();
        let es = descriptor(body, 3).ok_or_else(|| bad("has no elementary stream descriptor"))?;
        let decoder = Self::after_stream_header(es).and_then(|rest| descriptor(rest, 4));
        let decoder = decoder.ok_or_else(|| bad("has no decoder configuration"))?;
        let (&object_type, _) = decoder.split_first().ok_or_else(|| bad("has an empty decoder configuration"))?;
        let specific = decoder.get(13..).and_then(|rest| descriptor(rest, 5)).unwrap_or_default();
        Ok(Self { object_type, specific })
    }

    /// Passes the fixed and optional fields of an `ES_Descriptor` (ISO/IEC 14496-1 §7.2.6.5).
    fn after_stream_header(es: &[u8]) -> Option<&[u8]> {
        let flags = *es.get(2)?;
        let mut at = 3;
        if flags & 0x80 != 0 {
            at += 2;
        }
        if flags & 0x40 != 0 {
            at += 1 + usize::from(*es.get(at)?);
        }
        if flags & 0x20 != 0 {
            at += 2;
        }
        es.get(at..)
    }
}

/// The body of the first descriptor with `tag` (ISO/IEC 14496-1 §8.3.3), cut to the bytes that are there.
fn descriptor(mut bytes: &[u8], tag: u8) -> Option<&[u8]> {
    loop {
        let (&found, mut rest) = bytes.split_first()?;
        let mut length = 0usize;
        for _ in 0..4 {
            let (&byte, after) = rest.split_first()?;
            rest = after;
            length = length << 7 | usize::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                break;
            }
        }
        let body = &rest[..length.min(rest.len())];
        if found == tag {
            return Some(body);
        }
        bytes = &rest[body.len()..];
    }
}

fn opus(entry: &RawEntry<'_>, boxes: usize) -> Result<Entry, EntryError> {
    let dops = find(&entry.node, boxes, *b"dOps")?.ok_or_else(|| missing(entry))?;
    let mut fields = dops.fields();
    let [version, channels] = fields.array()?;
    fields.skip(9)?;
    if version != 0 || channels == 0 {
        return Err(dops.malformed(0, format!("version {version} with {channels} channels")).into());
    }
    // Opus is always decoded at 48 kHz, whatever the input's rate was (Encapsulation of Opus in ISO BMFF §4.3.1).
    let format = AudioFormat { sample_rate: 48_000, channels: channels.into() };
    Ok(Entry::Audio(Codec::Opus { dops: dops.body.to_vec() }, format))
}

fn flac(entry: &RawEntry<'_>, boxes: usize) -> Result<Entry, EntryError> {
    let dfla = find(&entry.node, boxes, *b"dfLa")?.ok_or_else(|| missing(entry))?;
    let (_, _, mut fields) = dfla.full()?;
    // The first metadata block must be STREAMINFO (RFC 9639 §8.2): block sizes, frame sizes, then rate and channels.
    let [kind, ..] = fields.array::<4>()?;
    fields.skip(10)?;
    let packed = fields.u32()?;
    fields.skip(20)?;
    let (sample_rate, channels) = (packed >> 12, packed >> 9 & 7);
    if kind & 0x7f != 0 || sample_rate == 0 {
        return Err(dfla.malformed(4, "does not begin with a stream info block").into());
    }
    let channels = u16::try_from(channels + 1).unwrap_or(1);
    Ok(Entry::Audio(Codec::Flac { dfla: dfla.body.to_vec() }, AudioFormat { sample_rate, channels }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_of_every_length_form() {
        assert_eq!(descriptor(&[5, 2, 0x12, 0x10], 5), Some(&[0x12, 0x10][..]));
        assert_eq!(descriptor(&[5, 0x80, 0x80, 0x80, 2, 0x12, 0x10], 5), Some(&[0x12, 0x10][..]));
        assert_eq!(descriptor(&[6, 1, 2, 5, 1, 7], 5), Some(&[7][..]));
        assert_eq!(descriptor(&[5, 0xff, 0xff, 0xff, 0x7f, 9], 5), Some(&[9][..]));
        assert_eq!(descriptor(&[6, 1, 2], 5), None);
        assert_eq!(descriptor(&[], 5), None);
    }

    #[test]
    fn optional_fields_of_the_stream_descriptor_are_passed() {
        let decoder = [4u8, 17, 0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 2, 0x12, 0x10];
        let mut es = vec![0, 1, 0xe0, 0, 9, 3, b'a', b'b', b'c', 0, 8];
        es.extend(decoder);
        let mut body = vec![0, 0, 0, 0, 3, u8::try_from(es.len()).unwrap()];
        body.extend(es);
        let config = DecoderConfig::read(&Node { path: "esds".into(), offset: 0, body: &body }).unwrap();
        assert_eq!((config.object_type, config.specific), (0x40, &[0x12u8, 0x10][..]));
    }
}
