//! Audio sample entries (ISO/IEC 14496-12 §12.2.3) and `QuickTime` sound descriptions of the codecs that are carried.

use super::boxes::Node;
use super::entry::{Entry, EntryError, RawEntry};
use crate::codec::Codec;
use crate::codec::aac::AacConfig;
use crate::codec::foreign;
use crate::index::IgnoredCause;
use crate::indexer::IndexError;
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
    let said = || said(entry, version, channels);
    match &entry.kind.0 {
        b"Opus" => opus(entry, boxes),
        b"fLaC" => flac(entry, boxes),
        b"ac-3" => {
            let dac3 = payload(node, boxes, *b"dac3")?;
            let format = ac3_format(said()?, &dac3);
            Ok(Entry::Audio(Codec::Ac3 { dac3 }, format))
        }
        b"ec-3" => {
            let dec3 = payload(node, boxes, *b"dec3")?;
            let format = eac3_format(said()?, &dec3);
            Ok(Entry::Audio(Codec::Eac3 { dec3 }, format))
        }
        kind if foreign::is_sound(kind) => {
            // Only the standard's own form is written again as it is.
            if version != 0 {
                let name = foreign::name(kind).unwrap_or("its coding");
                return Err(entry.ignored(IgnoredCause::NotCarried, format!("{name} in an old form is not played")));
            }
            Ok(Entry::Audio(Codec::Foreign { entry: [&kind[..], node.body].concat() }, said()?))
        }
        b".mp3" | b"ms\0\x55" => Ok(Entry::Audio(Codec::Mp3, said()?)),
        kind if is_pcm(*kind) => {
            let bits = pcm_bits(entry, version, boxes)?;
            Ok(Entry::Audio(Codec::Pcm { coding: [&kind[..], &[bits]].concat() }, said()?))
        }
        _ => mp4a(entry, boxes, said),
    }
}

/// Whether sound of this sample entry is uncompressed, or a byte a value (G.711).
pub(super) fn is_pcm(kind: [u8; 4]) -> bool {
    const PCM: [&[u8; 4]; 13] = [
        b"sowt", b"twos", b"raw ", b"NONE", b"lpcm", b"ipcm", b"fpcm", b"in24", b"in32", b"fl32", b"fl64", b"ulaw",
        b"alaw",
    ];
    PCM.contains(&&kind)
}

/// Bits of a value of uncompressed sound.
fn pcm_bits(entry: &RawEntry<'_>, version: u16, boxes: usize) -> Result<u8, EntryError> {
    let node = &entry.node;
    let bits = match &entry.kind.0 {
        b"ulaw" | b"alaw" => 8,
        b"in24" => 24,
        b"in32" | b"fl32" => 32,
        b"fl64" => 64,
        // `pcmC` (ISO/IEC 23003-5 §4.3).
        b"ipcm" | b"fpcm" => match find(node, boxes, *b"pcmC")? {
            Some(pcmc) => pcmc.body.get(5).copied().unwrap_or(0).into(),
            None => 0,
        },
        _ => {
            let mut fields = node.fields();
            let at = if version == 2 && entry.quicktime_versions { FIXED + 20 } else { 18 };
            fields.skip(at)?;
            if at == 18 { fields.u16()?.into() } else { fields.u32()? }
        }
    };
    match u8::try_from(bits) {
        Ok(bits @ 1..=64) => Ok(bits),
        _ => Err(entry.ignored(IgnoredCause::Configuration, format!("its values have {bits} bits"))),
    }
}

/// Rate and channels as the sample entry itself says them.
fn said(entry: &RawEntry<'_>, version: u16, channels: u16) -> Result<AudioFormat, EntryError> {
    let mut fields = entry.node.fields();
    let format = if version == 2 && entry.quicktime_versions {
        fields.skip(FIXED + 4)?;
        let rate = f64::from_be_bytes(fields.array()?);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a sane rate")]
        let sample_rate = if (1.0..=1e9).contains(&rate) { rate as u32 } else { 0 };
        AudioFormat { sample_rate, channels: u16::try_from(fields.u32()?).unwrap_or(0) }
    } else {
        fields.skip(FIXED - 4)?;
        AudioFormat { sample_rate: fields.u32()? >> 16, channels }
    };
    if format.sample_rate == 0 || format.channels == 0 {
        return Err(entry.ignored(IgnoredCause::Configuration, "it says nothing of its rate or its channels"));
    }
    Ok(format)
}

/// The body of a box of configuration, empty where there is none.
fn payload(node: &Node<'_>, boxes: usize, kind: [u8; 4]) -> Result<Vec<u8>, IndexError> {
    Ok(find(node, boxes, kind)?.map(|found| found.body.to_vec()).unwrap_or_default())
}

/// Rate and channels of `dac3` (ETSI TS 102 366 annex F.4); sample entries say by custom two channels of whatever.
fn ac3_format(said: AudioFormat, dac3: &[u8]) -> AudioFormat {
    let Some([first, second]) = dac3.first_chunk() else { return said };
    dolby_format(said, first >> 6, second >> 3 & 7, second >> 2 & 1)
}

/// The same of the first substream of `dec3` (annex F.6).
fn eac3_format(said: AudioFormat, dec3: &[u8]) -> AudioFormat {
    let Some([_, _, first, second]) = dec3.first_chunk() else { return said };
    dolby_format(said, first >> 6, second >> 1 & 7, second & 1)
}

fn dolby_format(said: AudioFormat, rate: u8, mode: u8, low_frequency: u8) -> AudioFormat {
    const FULL_RANGE: [u16; 8] = [2, 1, 2, 3, 3, 4, 4, 5];
    let sample_rate = [48_000, 44_100, 32_000, said.sample_rate][usize::from(rate & 3)];
    AudioFormat { sample_rate, channels: FULL_RANGE[usize::from(mode & 7)] + u16::from(low_frequency) }
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

fn mp4a(
    entry: &RawEntry<'_>,
    boxes: usize,
    said: impl Fn() -> Result<AudioFormat, EntryError>,
) -> Result<Entry, EntryError> {
    let node = &entry.node;
    let mut esds = find(node, boxes, *b"esds")?;
    if esds.is_none()
        && let Some(wave) = find(node, boxes, *b"wave")?
    {
        esds = wave.find(*b"esds")?;
    }
    let decoder = DecoderConfig::read(&esds.ok_or_else(|| missing(entry))?)?;
    // As registered at mp4ra.org.
    match decoder.object_type {
        0x69 | 0x6b => return Ok(Entry::Audio(Codec::Mp3, said()?)),
        0xa5 => return Ok(Entry::Audio(Codec::Ac3 { dac3: Vec::new() }, said()?)),
        0xa6 => return Ok(Entry::Audio(Codec::Eac3 { dec3: Vec::new() }, said()?)),
        _ => {}
    }
    // MPEG-4 audio, and the three profiles of MPEG-2 AAC (ISO/IEC 14496-1 table 5).
    if !matches!(decoder.object_type, 0x40 | 0x66..=0x68) {
        let name = match decoder.object_type {
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
    let channels = if config.channels > 0 { config.channels } else { said()?.channels };
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
        let config = DecoderConfig::read(&Node { path: "esds".into(), offset: 0, body: &body, sieved: None }).unwrap();
        assert_eq!((config.object_type, config.specific), (0x40, &[0x12u8, 0x10][..]));
    }
}
