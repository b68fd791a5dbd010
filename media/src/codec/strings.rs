//! The `codecs` parameter (RFC 6381, and each codec's own binding), from the bytes of the decoder configuration.

use super::aac::AacConfig;
use std::fmt::Write as _;

/// `avc1.PPCCLL` (RFC 6381 §3.3): profile, constraints and level as in the record.
pub(super) fn h264(avcc: &[u8]) -> String {
    let [profile, constraints, level] = byte_range(avcc, 1);
    format!("avc1.{profile:02x}{constraints:02x}{level:02x}")
}

/// `hvc1.…` (ISO/IEC 14496-15 annex E.3).
pub(super) fn hevc(hvcc: &[u8]) -> String {
    let [first] = byte_range(hvcc, 1);
    let compatibility = u32::from_be_bytes(byte_range(hvcc, 2)).reverse_bits();
    let constraints: [u8; 6] = byte_range(hvcc, 6);
    let [level] = byte_range(hvcc, 12);
    let space = ["", "A", "B", "C"][usize::from(first >> 6)];
    let tier = if first & 0x20 == 0 { 'L' } else { 'H' };
    let mut text = format!("hvc1.{space}{}.{compatibility:x}.{tier}{level}", first & 0x1f);
    let used = constraints.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
    for byte in &constraints[..used] {
        let _ = write!(text, ".{byte:x}");
    }
    text
}

/// `vp09.PP.LL.DD`, with colour and chroma where they are not the default (VP Codec ISO Media File Format Binding).
pub(super) fn vp9(vpcc: &[u8]) -> String {
    let [profile, level, depth, primaries, transfer, matrix] = byte_range(vpcc, 4);
    let (bits, chroma, full_range) = (depth >> 4, depth >> 1 & 7, depth & 1);
    let mut text = format!("vp09.{profile:02}.{level:02}.{bits:02}");
    if (chroma, primaries, transfer, matrix, full_range) != (1, 1, 1, 1, 0) {
        let _ = write!(text, ".{chroma:02}.{primaries:02}.{transfer:02}.{matrix:02}.{full_range:02}");
    }
    text
}

/// `av01.P.LLT.DD` (AV1 Codec ISO Media File Format Binding §5).
pub(super) fn av1(av1c: &[u8]) -> String {
    let [first, second] = byte_range(av1c, 1);
    let tier = if second & 0x80 == 0 { 'M' } else { 'H' };
    let depth = match (second & 0x40 != 0, second & 0x20 != 0) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    };
    format!("av01.{}.{:02}{tier}.{depth:02}", first >> 5, first & 0x1f)
}

/// `mp4a.40.N` with the outermost object type.
pub(super) fn aac(asc: &[u8]) -> String {
    let object_type = AacConfig::parse(asc).map_or(2, |config| config.object_type);
    format!("mp4a.40.{object_type}")
}

/// `N` bytes from `start`; zeros where the record is shorter, which the index never lets through.
fn byte_range<const N: usize>(bytes: &[u8], start: usize) -> [u8; N] {
    bytes.get(start..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_in_the_specifications() {
        assert_eq!(h264(&[1, 0x64, 0x00, 0x1f, 0xff]), "avc1.64001f");
        let main10 = [1, 0x02, 0x20, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93];
        assert_eq!(hevc(&main10), "hvc1.2.4.L93.90");
        let main_high_tier = [1, 0x61, 0x60, 0, 0, 0, 0xb0, 0, 0, 0, 0, 1, 150];
        assert_eq!(hevc(&main_high_tier), "hvc1.A1.6.H150.b0.0.0.0.0.1");
        assert_eq!(vp9(&[1, 0, 0, 0, 0, 31, 0x82, 1, 1, 1, 0, 0]), "vp09.00.31.08");
        assert_eq!(vp9(&[1, 0, 0, 0, 2, 10, 0xa2, 9, 16, 9, 0, 0]), "vp09.02.10.10.01.09.16.09.00");
        assert_eq!(av1(&[0x81, 0x04, 0x0c, 0]), "av01.0.04M.08");
        assert_eq!(av1(&[0x81, 0x2d, 0xc0, 0]), "av01.1.13H.10");
        assert_eq!(aac(&[0x12, 0x10]), "mp4a.40.2");
        assert_eq!(aac(&[0x2b, 0x11, 0x88, 0x00]), "mp4a.40.5");
    }
}
