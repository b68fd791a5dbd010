//! VP9's configuration, which Matroska does not need and MP4 does: made of a key frame's header.

use super::block::Head;
use crate::track::Colour;

/// Colour code points (ISO/IEC 23091-2) that mean nothing is known.
const UNSPECIFIED: u8 = 2;

/// The `color_space` of RGB.
const RGB: u8 = 7;

/// What a key frame's uncompressed header (VP9 bitstream specification §7.2) says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct KeyFrame {
    profile: u8,
    depth: u8,
    /// `chroma_subsampling` of `vpcC`: 0 and 1 are 4:2:0, 2 is 4:2:2, 3 is 4:4:4, 4 is 4:4:0.
    chroma: u8,
    full_range: bool,
    /// `matrixCoefficients` that its colour space stands for.
    matrix: u8,
}

/// The payload of `vpcC` (VP Codec ISO Media File Format Binding) for pictures of `pixels`, `rate` of which are shown a
/// second; none where `head` does not begin a key frame. A level is taken from `private` (WebM's VP9 codec features) where it
/// is there.
pub(super) fn configuration(
    head: &Head,
    private: &[u8],
    colour: Option<Colour>,
    pixels: u64,
    rate: f64,
) -> Option<Vec<u8>> {
    let frame = KeyFrame::read(head)?;
    let said = colour.map(|colour| [colour.primaries, colour.transfer, colour.matrix].map(u8::try_from));
    let said = said.map(|codes| codes.map(|code| code.unwrap_or(UNSPECIFIED)));
    let [primaries, transfer, matrix] = said.unwrap_or([UNSPECIFIED, UNSPECIFIED, frame.matrix]);
    let full_range = frame.full_range || colour.is_some_and(|colour| colour.full_range);
    let level = said_level(private).unwrap_or_else(|| level(pixels, rate));
    let packed = frame.depth << 4 | frame.chroma << 1 | u8::from(full_range);
    Some(vec![1, 0, 0, 0, frame.profile, level, packed, primaries, transfer, matrix, 0, 0])
}

impl KeyFrame {
    fn read(head: &Head) -> Option<Self> {
        let mut bits = Bits { head, at: 0 };
        let marker = bits.take(2);
        let profile = bits.take(1) | bits.take(1) << 1;
        if marker != 2 || (profile == 3 && bits.take(1) != 0) {
            return None;
        }
        let [shown_again, not_key, _shown, _resilient] = [bits.take(1), bits.take(1), bits.take(1), bits.take(1)];
        let sync_code = [bits.take(8), bits.take(8), bits.take(8)];
        if shown_again != 0 || not_key != 0 || sync_code != [0x49, 0x83, 0x42] {
            return None;
        }
        let depth = match profile {
            0 | 1 => 8,
            _ => 10 + 2 * bits.take(1),
        };
        let space = bits.take(3);
        let full_range = space == RGB || bits.take(1) == 1;
        let chroma = match (profile & 1, space) {
            (0, _) => 1,
            (_, RGB) => 3,
            _ => match (bits.take(1), bits.take(1)) {
                (1, 1) => 1,
                (1, 0) => 2,
                (0, 1) => 4,
                _ => 3,
            },
        };
        // §7.2.2, `color_space`: BT.601, BT.709, SMPTE 170, SMPTE 240, BT.2020, RGB.
        let matrix = match space {
            1 => 5,
            2 => 1,
            3 => 6,
            4 => 7,
            5 => 9,
            RGB => 0,
            _ => UNSPECIFIED,
        };
        Some(Self { profile, depth, chroma, full_range, matrix })
    }
}

/// Bits of a frame's beginning, most significant first; zeros behind it.
struct Bits<'a> {
    head: &'a Head,
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> u8 {
        let bit = |at: usize| self.head.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
        let value = (self.at..self.at + count).fold(0, |value, at| value << 1 | bit(at));
        self.at += count;
        value
    }
}

/// The level in WebM's VP9 codec features: an ID, a length of 1 and a value each.
fn said_level(private: &[u8]) -> Option<u8> {
    const LEVEL: u8 = 2;
    let (features, _) = private.as_chunks::<3>();
    let said = features.iter().find(|[id, len, _]| (*id, *len) == (LEVEL, 1)).map(|[_, _, level]| *level);
    said.filter(|level| (10..=62).contains(level))
}

/// The least level (VP9 levels and decoder testing, table of levels) that such pictures fit, by their size and rate.
fn level(pixels: u64, rate: f64) -> u8 {
    const LEVELS: [(u8, u64, f64); 14] = [
        (10, 36_864, 829_440.0),
        (11, 73_728, 2_764_800.0),
        (20, 122_880, 4_608_000.0),
        (21, 245_760, 9_216_000.0),
        (30, 552_960, 20_736_000.0),
        (31, 983_040, 36_864_000.0),
        (40, 2_228_224, 83_558_400.0),
        (41, 2_228_224, 160_432_128.0),
        (50, 8_912_896, 311_951_360.0),
        (51, 8_912_896, 588_251_136.0),
        (52, 8_912_896, 1_176_502_272.0),
        (60, 35_651_584, 1_176_502_272.0),
        (61, 35_651_584, 2_353_004_544.0),
        (62, 35_651_584, 4_706_009_088.0),
    ];
    #[expect(clippy::cast_precision_loss, reason = "pixels are far below 2^53")]
    let samples = pixels as f64 * rate;
    let fits = |(_, size, speed): &&(u8, u64, f64)| pixels <= *size && samples <= *speed;
    LEVELS.iter().find(fits).map_or(62, |(level, _, _)| *level)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(bytes: &[u8]) -> Head {
        let mut head = Head::default();
        head[..bytes.len()].copy_from_slice(bytes);
        head
    }

    #[test]
    fn key_frames_of_every_profile() {
        let of = |bytes: &[u8]| KeyFrame::read(&head(bytes));
        let plain = KeyFrame { profile: 0, depth: 8, chroma: 1, full_range: false, matrix: UNSPECIFIED };
        assert_eq!(of(&[0x82, 0x49, 0x83, 0x42, 0x00]), Some(plain));
        assert_eq!(of(&[0x82, 0x49, 0x83, 0x42, 0x50]), Some(KeyFrame { matrix: 1, full_range: true, ..plain }));
        // Profile 1 in 4:4:4, profile 2 of ten and of twelve bits.
        let found = of(&[0xa2, 0x49, 0x83, 0x42, 0b0100_0000]).unwrap();
        assert_eq!((found.profile, found.chroma), (1, 3));
        assert_eq!(
            of(&[0x92, 0x49, 0x83, 0x42, 0b0101_0000]).map(|f| (f.profile, f.depth, f.matrix)),
            Some((2, 10, 9))
        );
        assert_eq!(of(&[0x92, 0x49, 0x83, 0x42, 0b1101_0000]).map(|f| f.depth), Some(12));
        for other in [&[0x86, 0x49, 0x83, 0x42][..], &[0x82, 0x49, 0x83, 0x43], &[0x8a, 0x49, 0x83, 0x42], &[0x42], &[]]
        {
            assert_eq!(of(other), None, "{other:x?}");
        }
    }

    #[test]
    fn levels() {
        let key = head(&[0x82, 0x49, 0x83, 0x42, 0x00]);
        let of = |private: &[u8], pixels, rate| configuration(&key, private, None, pixels, rate).unwrap()[5];
        assert_eq!(of(&[], 1280 * 720, 30.0), 31);
        assert_eq!(of(&[], 1920 * 1080, 60.0), 41);
        assert_eq!(of(&[1, 1, 0, 2, 1, 21, 3, 1, 8], 1920 * 1080, 60.0), 21);
        assert_eq!(of(&[2, 1, 255], 64 * 64, 1.0), 10);
        assert_eq!(of(&[], u64::MAX, f64::MAX), 62);
    }
}
