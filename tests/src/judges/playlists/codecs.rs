//! Codec strings out of sample entries (RFC 6381, and each codec's own binding), written anew for judging.

use super::boxes::take;
use super::track::SampleEntry;
use std::fmt::Write as _;

/// The string of `entry`, in the longest form that its codec has.
pub fn of(entry: &SampleEntry) -> Result<String, String> {
    let child = |kind: &[u8; 4]| entry.child(kind).ok_or_else(|| format!("no {}", kind.escape_ascii()));
    match &entry.kind {
        b"avc1" => {
            let [profile, constraints, level] = take(child(b"avcC")?, 1)?;
            Ok(format!("avc1.{profile:02x}{constraints:02x}{level:02x}"))
        }
        b"hvc1" => hevc(child(b"hvcC")?),
        b"vp09" => vp9(child(b"vpcC")?),
        b"av01" => av1(child(b"av1C")?),
        b"mp4a" => Ok(format!("mp4a.40.{}", aac_object(child(b"esds")?)?)),
        b"Opus" => child(b"dOps").map(|_| "opus".to_owned()),
        b"fLaC" => child(b"dfLa").map(|_| "fLaC".to_owned()),
        other => Err(format!("{} is no sample entry that players take", other.escape_ascii())),
    }
}

/// `given` in the longest form, what it leaves out being the default; as it is where the codec has only one form.
pub fn longest(given: &str) -> String {
    let parts: Vec<_> = given.split('.').collect();
    match (parts[0], parts.len()) {
        ("vp09", 4) => format!("{given}.01.01.01.01.00"),
        ("avc1", _) => given.to_ascii_lowercase(),
        _ => given.to_owned(),
    }
}

/// ISO/IEC 14496-15 annex E.3.
fn hevc(record: &[u8]) -> Result<String, String> {
    let [profile] = take(record, 1)?;
    let compatibility = u32::from_be_bytes(take(record, 2)?).reverse_bits();
    let constraints: [u8; 6] = take(record, 6)?;
    let [level] = take(record, 12)?;
    let space = ["", "A", "B", "C"][usize::from(profile >> 6)];
    let tier = ["L", "H"][usize::from(profile >> 5 & 1)];
    let mut text = format!("hvc1.{space}{}.{compatibility:x}.{tier}{level}", profile & 0x1f);
    let mut constraints = constraints.as_slice();
    while let [rest @ .., 0] = constraints {
        constraints = rest;
    }
    for byte in constraints {
        let _ = write!(text, ".{byte:x}");
    }
    Ok(text)
}

/// VP Codec ISO Media File Format Binding, "Codecs Parameter String".
fn vp9(record: &[u8]) -> Result<String, String> {
    let [profile, level, packed, primaries, transfer, matrix] = take(record, 4)?;
    let (depth, chroma, full) = (packed >> 4, packed >> 1 & 7, packed & 1);
    Ok(format!(
        "vp09.{profile:02}.{level:02}.{depth:02}.{chroma:02}.{primaries:02}.{transfer:02}.{matrix:02}.{full:02}"
    ))
}

/// AV1 Codec ISO Media File Format Binding §5; colour is optional and left out.
fn av1(record: &[u8]) -> Result<String, String> {
    let [first, second] = take(record, 1)?;
    let tier = if second & 0x80 == 0 { "M" } else { "H" };
    let depth = [8, 8, 10, 12][usize::from(second >> 5 & 3)];
    Ok(format!("av01.{}.{:02}{tier}.{depth:02}", first >> 5, first & 0x1f))
}

/// The object type of an `esds` (ISO/IEC 14496-1 §7.2.6.5, ISO/IEC 14496-3 §1.6.2.1): the extension's where the
/// configuration says one at its end.
fn aac_object(esds: &[u8]) -> Result<u32, String> {
    let configuration = descriptor(esds.get(4..).unwrap_or_default(), &[(3, 3), (4, 13), (5, 0)])?;
    let [first, second] = take(configuration, 0)?;
    let object = u32::from(first >> 3);
    let rate = (first & 7) << 1 | second >> 7;
    if object == 31 || rate == 15 {
        return Err("an object type or a rate that this judge can't read".to_owned());
    }
    // After 16 bits of a configuration of three parts: the sync word of an extension, its type, whether SBR is there.
    match take::<3>(configuration, 2) {
        Ok([0x56, 0xe5, sbr]) if sbr & 0x80 != 0 => {
            // Then four bits of its rate, and the same of parametric stereo.
            let parametric = take(configuration, 4).map(u32::from_be_bytes).is_ok_and(|bits| bits << 5 >> 20 == 0xa91);
            Ok(if parametric { 29 } else { 5 })
        }
        _ => Ok(object),
    }
}

/// What lies in descriptors within each other, each given by its tag and the bytes to skip in it.
fn descriptor<'a>(mut bytes: &'a [u8], path: &[(u8, usize)]) -> Result<&'a [u8], String> {
    for (tag, skip) in path {
        let (&found, mut rest) = bytes.split_first().ok_or("no descriptor")?;
        if found != *tag {
            return Err(format!("descriptor {found}, not {tag}"));
        }
        let mut length = 0;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            length = length << 7 | usize::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                break;
            }
        }
        bytes = rest.get(..length).and_then(|body| body.get(*skip..)).ok_or("a short descriptor")?;
    }
    Ok(bytes)
}

/// The number of channels that a decoder gives: from the codec's own configuration where that says it.
pub fn channels(entry: &SampleEntry) -> Result<u16, String> {
    match &entry.kind {
        b"mp4a" => {
            let esds = entry.child(b"esds").ok_or("no esds")?;
            let configuration = descriptor(esds.get(4..).unwrap_or_default(), &[(3, 3), (4, 13), (5, 0)])?;
            let channels = take::<1>(configuration, 1)?[0] >> 3 & 0xf;
            Ok(match channels {
                // In a program config element: the entry's word is taken.
                0 => entry.sound.0,
                7 => 8,
                one => one.into(),
            })
        }
        b"Opus" => Ok(take::<1>(entry.child(b"dOps").ok_or("no dOps")?, 1)?[0].into()),
        b"fLaC" => {
            let info = entry.child(b"dfLa").ok_or("no dfLa")?;
            Ok((take::<1>(info, 4 + 4 + 12)?[0] >> 1 & 7).wrapping_add(1).into())
        }
        other => Err(format!("{} is no sound", other.escape_ascii())),
    }
}

/// Samples a second that a decoder gives: of FLAC by its own information, whose rates the sample entry can't all hold.
pub fn sample_rate(entry: &SampleEntry) -> u32 {
    let info = entry.child(b"dfLa").and_then(|info| take(info, 4 + 4 + 10).ok()).map(u32::from_be_bytes);
    info.map_or(entry.sound.1, |bits| bits >> 12)
}

/// The transfer characteristics that `colr` says (ISO/IEC 14496-12 §12.1.5).
pub fn transfer(entry: &SampleEntry) -> Option<u16> {
    let colour = entry.child(b"colr").filter(|colour| colour.starts_with(b"nclx"))?;
    take(colour, 6).map(u16::from_be_bytes).ok()
}

/// Horizontal and vertical spacing of `pasp`; 1:1 where there is none.
pub fn spacing(entry: &SampleEntry) -> (u32, u32) {
    let word = |body, at| take(body, at).map_or(1, u32::from_be_bytes);
    entry.child(b"pasp").map_or((1, 1), |pasp| (word(pasp, 0), word(pasp, 4)))
}

/// Tells a NAL unit by the first byte of its header.
pub type Tell = fn(u8) -> NalUnit;

/// The bytes of lengths before NAL units, and how to tell them; none for codecs without NAL units.
pub fn nal_units(entry: &SampleEntry) -> Option<(usize, Tell)> {
    let size = |record: &[u8], at: usize| record.get(at).map(|byte| usize::from(byte & 3) + 1);
    match &entry.kind {
        b"avc1" | b"avc3" => Some((size(entry.child(b"avcC")?, 4)?, |head| match head & 0x1f {
            5 => NalUnit::Sync,
            1..=4 => NalUnit::Picture,
            _ => NalUnit::Other,
        })),
        b"hvc1" | b"hev1" => Some((size(entry.child(b"hvcC")?, 21)?, |head| match head >> 1 & 0x3f {
            16..=21 => NalUnit::Sync,
            0..=9 => NalUnit::Picture,
            _ => NalUnit::Other,
        })),
        _ => None,
    }
}

/// What a NAL unit is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NalUnit {
    /// A slice of a picture where decoding can start.
    Sync,
    /// A slice of another picture.
    Picture,
    /// Parameter sets and remarks.
    Other,
}

/// Whether `sample` of a codec without NAL units is a key frame; none where this judge can't tell.
pub fn is_key_frame(entry: &SampleEntry, sample: &[u8]) -> Option<bool> {
    match &entry.kind {
        // Uncompressed header (VP9 §6.2): marker, profile, show_existing_frame, frame_type.
        b"vp09" => {
            let first = *sample.first()?;
            let wide = first >> 4 & 3 == 3;
            let bits = if wide { first << 5 } else { first << 4 };
            Some(bits >> 6 == 0)
        }
        // A sync sample has its sequence header (AV1 ISOBMFF §2.4): the first OBU, or after a temporal delimiter.
        b"av01" => {
            let kind = |byte: u8| byte >> 3 & 0xf;
            let first = *sample.first()?;
            let after = if kind(first) == 2 { sample.get(2).copied() } else { Some(first) };
            Some(after.is_some_and(|byte| kind(byte) == 1))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_types_are_read_out_of_descriptors() {
        let esds = |asc: &[u8]| {
            let asc_len = u8::try_from(asc.len()).unwrap();
            let mut bytes = vec![0, 0, 0, 0, 3, 0x80, 20 + asc_len, 0, 0, 0, 4, 15 + asc_len];
            bytes.extend([0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, asc_len]);
            bytes.extend(asc);
            bytes
        };
        assert_eq!(aac_object(&esds(&[0x12, 0x10])), Ok(2));
        assert_eq!(aac_object(&esds(&[0x2b, 0x11, 0x88, 0x00])), Ok(5));
        assert_eq!(aac_object(&esds(&[0x13, 0x08, 0x56, 0xe5, 0x98])), Ok(5));
        assert_eq!(aac_object(&esds(&[0x13, 0x08, 0x56, 0xe5, 0x9d, 0x48, 0x80, 0])), Ok(29));
        assert!(aac_object(&esds(&[])).is_err());
    }

    #[test]
    fn short_strings_are_made_long() {
        assert_eq!(longest("vp09.00.31.08"), "vp09.00.31.08.01.01.01.01.00");
        assert_eq!(longest("avc1.64001F"), "avc1.64001f");
    }
}
