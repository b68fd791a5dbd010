//! What the parameter sets of HEVC say of colour: video usability information (ITU-T H.265 annex E). Files say it beside them,
//! too, or do not, or say something else; a decoder goes by the sets.

use crate::track::Colour;

/// The kind of a sequence parameter set (§7.4.2.2).
const SPS: u8 = 33;
/// What an aspect of its own is told by (table E.1).
const EXTENDED_SAR: u32 = 255;
/// Sets of reference pictures, and pictures of one, at most (§7.4.3.2.1, §A.4).
const MOST_SETS: u32 = 64;
const MOST_PICTURES: usize = 16;

/// The colour of the first SPS in an `hvcC` (ISO/IEC 14496-15 §8.3.3.1), where it says one.
pub(super) fn colour(hvcc: &[u8]) -> Option<Colour> {
    let sps = first_sps(hvcc)?;
    // A header of two bytes, then the payload without the bytes that only keep it from looking like a start code (§7.3.1.1).
    let mut payload = Vec::with_capacity(sps.len());
    for (at, byte) in sps.iter().enumerate().skip(2) {
        if !(*byte == 3 && at >= 4 && sps[at - 2..at] == [0, 0]) {
            payload.push(*byte);
        }
    }
    Reader { bytes: &payload, bit: 0 }.colour()
}

fn first_sps(hvcc: &[u8]) -> Option<&[u8]> {
    let (&arrays, mut rest) = hvcc.get(22..)?.split_first()?;
    for _ in 0..arrays {
        let (&kind, after) = rest.split_first()?;
        let (count, after) = after.split_first_chunk()?;
        rest = after;
        for _ in 0..u16::from_be_bytes(*count) {
            let (length, after) = rest.split_first_chunk()?;
            let (set, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            if kind & 0x3f == SPS {
                return Some(set);
            }
            rest = after;
        }
    }
    None
}

/// Bits from the most significant one on. Every reading is none where they have ended.
struct Reader<'a> {
    bytes: &'a [u8],
    bit: usize,
}

impl Reader<'_> {
    /// `u(1)`.
    fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.bit / 8)?;
        let flag = byte >> (7 - self.bit % 8) & 1 == 1;
        self.bit += 1;
        Some(flag)
    }

    /// `u(n)` of at most 32 bits.
    fn bits(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |value: u32, _| Some(value << 1 | u32::from(self.flag()?)))
    }

    fn skip(&mut self, bits: usize) {
        self.bit += bits;
    }

    /// `ue(v)` (§9.2).
    fn number(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
        }
        // More do not fit, and none has them.
        if zeros > 31 { None } else { Some((1 << zeros) - 1 + self.bits(zeros)?) }
    }

    fn numbers(&mut self, count: u32) -> Option<()> {
        (0..count).try_for_each(|_| self.number().map(drop))
    }

    /// `seq_parameter_set_rbsp` (§7.3.2.2) up to the colour of its `vui_parameters` (§E.2.1).
    fn colour(&mut self) -> Option<Colour> {
        self.skip(4);
        let sub_layers = self.bits(3)?;
        self.skip(1);
        self.profile(sub_layers)?;
        self.number()?;
        if self.number()? == 3 {
            self.skip(1);
        }
        self.numbers(2)?;
        if self.flag()? {
            self.numbers(4)?;
        }
        self.numbers(2)?;
        let order_bits = self.number()? + 4;
        let layers = if self.flag()? { sub_layers + 1 } else { 1 };
        self.numbers(3 * layers)?;
        self.numbers(6)?;
        if self.flag()? && self.flag()? {
            self.scaling_lists()?;
        }
        self.skip(2);
        if self.flag()? {
            self.skip(8);
            self.numbers(2)?;
            self.skip(1);
        }
        self.reference_sets()?;
        if self.flag()? {
            let pictures = self.number()?.min(32);
            self.skip((pictures * (order_bits.min(16) + 1)) as usize);
        }
        self.skip(2);
        if self.flag()? { self.usability() } else { None }
    }

    /// `profile_tier_level` (§7.3.3).
    fn profile(&mut self, sub_layers: u32) -> Option<()> {
        const PROFILE: usize = 88;
        const LEVEL: usize = 8;
        self.skip(PROFILE + LEVEL);
        let present: Option<Vec<_>> = (0..sub_layers).map(|_| Some((self.flag()?, self.flag()?))).collect();
        if sub_layers > 0 {
            self.skip(2 * (8 - sub_layers as usize));
        }
        for (profile, level) in present? {
            self.skip(if profile { PROFILE } else { 0 } + if level { LEVEL } else { 0 });
        }
        Some(())
    }

    /// `scaling_list_data` (§7.3.4).
    fn scaling_lists(&mut self) -> Option<()> {
        for size in 0..4 {
            for _ in (0..6).step_by(if size == 3 { 3 } else { 1 }) {
                if self.flag()? {
                    // A first coefficient of its own, of large ones. Signed numbers are as long as others.
                    self.numbers(u32::from(size > 1) + 64.min(1 << (4 + 2 * size)))?;
                } else {
                    self.number()?;
                }
            }
        }
        Some(())
    }

    /// All `st_ref_pic_set` (§7.3.7). How long one is depends on the pictures of the one before.
    fn reference_sets(&mut self) -> Option<()> {
        let count = self.number().filter(|count| *count <= MOST_SETS)?;
        let mut before: Vec<i64> = Vec::new();
        for set in 0..count {
            before = if set > 0 && self.flag()? { self.predicted_set(&before)? } else { self.own_set()? };
        }
        Some(())
    }

    /// The distances of a set's pictures.
    fn own_set(&mut self) -> Option<Vec<i64>> {
        let counts = [self.number()?, self.number()?];
        let mut distances = Vec::new();
        for (count, sign) in counts.into_iter().zip([-1, 1]) {
            let mut distance = 0;
            for _ in 0..count {
                distance += sign * (i64::from(self.number()?) + 1);
                self.skip(1);
                distances.push(distance);
            }
            if distances.len() > MOST_PICTURES {
                return None;
            }
        }
        Some(distances)
    }

    /// The same by those of the set before (7-61, 7-62).
    fn predicted_set(&mut self, before: &[i64]) -> Option<Vec<i64>> {
        let sign = if self.flag()? { -1 } else { 1 };
        let moved = sign * (i64::from(self.number()?) + 1);
        let mut distances = Vec::new();
        for distance in before.iter().chain([&0]) {
            let used = self.flag()?;
            if (used || self.flag()?) && distance + moved != 0 {
                distances.push(distance + moved);
            }
        }
        // As they are counted: those before from the nearest on, then those behind.
        distances.sort_by_key(|distance| (*distance > 0, distance.abs()));
        Some(distances)
    }

    fn usability(&mut self) -> Option<Colour> {
        if self.flag()? && self.bits(8)? == EXTENDED_SAR {
            self.skip(32);
        }
        if self.flag()? {
            self.skip(1);
        }
        if !self.flag()? {
            return None;
        }
        self.skip(3);
        let full_range = self.flag()?;
        if !self.flag()? {
            return None;
        }
        let mut code = || self.bits(8).and_then(|code| u16::try_from(code).ok());
        Some(Colour { primaries: code()?, transfer: code()?, matrix: code()?, full_range })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record with this SPS alone.
    fn record(sps: &str) -> Vec<u8> {
        let sps: Vec<u8> =
            (0..sps.len()).step_by(2).map(|at| u8::from_str_radix(&sps[at..at + 2], 16).unwrap()).collect();
        [&[1; 22][..], &[1, 0xa1, 0, 1], &u16::try_from(sps.len()).unwrap().to_be_bytes(), &sps].concat()
    }

    #[test]
    fn what_encoders_write() {
        let code = |sps| colour(&record(sps)).map(|colour| [colour.primaries, colour.transfer, colour.matrix]);
        // x265: PQ; nothing, with lists for scaling and many sets of reference pictures.
        let pq = "42010102200000030090000003000003003fa005020171f2b6595952930bc05a848804820000030002000003003210";
        assert_eq!(code(pq), Some([9, 16, 9]));
        let plain = "42010101600000030090000003000003003fa00502016965959a49395e02d0100000030010000003019080";
        assert_eq!(code(plain), None);
        // Phones: PQ, and HLG beneath Dolby Vision.
        let phone = "420101022000000300b00000030000030096a003c0801107cad96bb9324ba94848804817685094";
        assert_eq!(code(phone), Some([9, 16, 9]));
        let hlg = "420101022000000300b0000003000003005da00280802d1362057b9165535091209008";
        assert_eq!(code(hlg), Some([9, 18, 9]));
        assert!(!colour(&record(hlg)).expect("said").full_range);
    }

    #[test]
    fn what_is_cut_off_says_nothing() {
        let record = record("420101022000000300b0000003000003005da00280802d1362057b9165535091209008");
        for length in 0..record.len() - 1 {
            assert_eq!(colour(&record[..length]), None, "{length}");
        }
        let noise: Vec<u8> = (0..2000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
        for start in 0..noise.len() - 64 {
            let sps = [&[1; 22][..], &[1, 0x21, 0, 1, 0, 60], &noise[start..start + 60]].concat();
            // Whatever comes of it: it comes.
            let _ = colour(&sps);
        }
    }
}
