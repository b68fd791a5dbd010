//! One number of each sample of a block, packed: the smallest as a base, the rest as multiples of their common divisor
//! in as few bits as the largest needs. Where most are zero, a mask says which are not and only those follow.
//!
//! Layout: a byte with the width in bits and, as its highest bit, whether a mask follows; the base (signed varint); if
//! the width is not zero, the divisor (varint); the mask, one bit a sample; the values, least significant bit first.

use super::varint;

/// Samples in a block.
pub(super) const BLOCK: usize = 128;

const MASKED: u8 = 0x80;

/// Appends `values`, at most [`BLOCK`] of them.
pub(super) fn pack(values: &[i64], out: &mut Vec<u8>) {
    let dense = Frame::of(values.iter().copied());
    let set = values.iter().copied().filter(|&value| value != 0);
    let sparse = Frame::of(set.clone());
    let dense_bits = values.len() * dense.width as usize;
    let sparse_bits = values.len().next_multiple_of(8) + set.clone().count() * sparse.width as usize;
    if dense_bits <= sparse_bits {
        dense.put(0, out);
        dense.put_values(values.iter().copied(), out);
        return;
    }
    sparse.put(MASKED, out);
    for eight in values.chunks(8) {
        out.push(eight.iter().rev().fold(0, |mask, &value| mask << 1 | u8::from(value != 0)));
    }
    sparse.put_values(set, out);
}

/// Takes a column of `out.len()` values, at most [`BLOCK`], off the front of `bytes`; none if it is cut off.
pub(super) fn unpack(bytes: &mut &[u8], out: &mut [i64]) -> Option<()> {
    let (&form, rest) = bytes.split_first()?;
    *bytes = rest;
    let frame = Frame::take(u32::from(form & !MASKED), bytes)?;
    if form & MASKED == 0 {
        let packed = frame.take_packed(out.len(), bytes)?;
        if frame.width == 0 {
            out.fill(frame.base);
            return Some(());
        }
        for (at, value) in out.iter_mut().enumerate() {
            *value = frame.value(packed, at);
        }
        return Some(());
    }
    let mask = bytes.split_off(..out.len().div_ceil(8))?;
    let is_set = |at: usize| mask[at / 8] >> (at % 8) & 1 == 1;
    let packed = frame.take_packed((0..out.len()).filter(|&at| is_set(at)).count(), bytes)?;
    let mut next = 0;
    for (at, value) in out.iter_mut().enumerate() {
        *value = 0;
        if is_set(at) {
            *value = frame.value(packed, next);
            next += 1;
        }
    }
    Some(())
}

/// How the values of a column are written: `base + divisor × (width bits)`.
#[derive(Clone, Copy)]
struct Frame {
    width: u32,
    base: i64,
    divisor: u64,
}

impl Frame {
    fn of(values: impl Iterator<Item = i64> + Clone) -> Self {
        let base = values.clone().min().unwrap_or(0);
        let above = values.map(|value| value.wrapping_sub(base).cast_unsigned());
        let divisor = above.clone().fold(0, greatest_common_divisor).max(1);
        let largest = above.max().unwrap_or(0) / divisor;
        Self { width: u64::BITS - largest.leading_zeros(), base, divisor }
    }

    fn put(self, form: u8, out: &mut Vec<u8>) {
        out.push(form | self.width.to_le_bytes()[0]);
        varint::put_signed(out, self.base);
        if self.width > 0 {
            varint::put(out, self.divisor);
        }
    }

    fn take(width: u32, bytes: &mut &[u8]) -> Option<Self> {
        if width > u64::BITS {
            return None;
        }
        let base = varint::take_signed(bytes)?;
        let divisor = if width > 0 { varint::take(bytes)? } else { 1 };
        Some(Self { width, base, divisor })
    }

    fn put_values(self, values: impl Iterator<Item = i64>, out: &mut Vec<u8>) {
        let (mut pending, mut bits) = (0u128, 0);
        for value in values {
            let scaled = value.wrapping_sub(self.base).cast_unsigned() / self.divisor;
            pending |= u128::from(scaled) << bits;
            bits += self.width;
            while bits >= 8 {
                out.push(pending.to_le_bytes()[0]);
                pending >>= 8;
                bits -= 8;
            }
        }
        if bits > 0 {
            out.push(pending.to_le_bytes()[0]);
        }
    }

    /// The bytes from which `count` values are read: what follows them is there too, so that loads are wide.
    fn take_packed<'a>(self, count: usize, bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
        let packed = *bytes;
        bytes.split_off(..(count * self.width as usize).div_ceil(8))?;
        Some(packed)
    }

    fn value(self, packed: &[u8], at: usize) -> i64 {
        let bit = at * self.width as usize;
        let scaled = load(packed, bit, self.width);
        self.base.wrapping_add(scaled.wrapping_mul(self.divisor).cast_signed())
    }
}

/// `width` bits at `bit`; bytes behind the end count as zeros.
fn load(bytes: &[u8], bit: usize, width: u32) -> u64 {
    let (at, shift) = (bit / 8, bit % 8);
    let rest = bytes.get(at..).unwrap_or_default();
    let mask = u64::MAX.checked_shr(u64::BITS - width).unwrap_or(0);
    if shift + width as usize <= 64
        && let Some(word) = rest.first_chunk()
    {
        return u64::from_le_bytes(*word) >> shift & mask;
    }
    let mut word = [0; 16];
    let len = rest.len().min(9);
    word[..len].copy_from_slice(&rest[..len]);
    let masked = u128::from_le_bytes(word) >> shift & u128::from(mask);
    u64::try_from(masked).expect("the mask has 64 bits")
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn there_and_back(values: &[i64]) -> Vec<i64> {
        let mut bytes = vec![0xaa];
        pack(values, &mut bytes);
        bytes.push(0xbb);
        let mut rest = &bytes[1..];
        let mut out = vec![7; values.len()];
        unpack(&mut rest, &mut out).expect("a column");
        assert_eq!(rest, [0xbb]);
        out
    }

    proptest! {
        #[test]
        fn any_numbers_come_back(values in proptest::collection::vec(any::<i64>(), 0..=BLOCK)) {
            prop_assert_eq!(there_and_back(&values), values);
        }

        #[test]
        fn small_and_sparse_numbers_come_back(
            values in proptest::collection::vec(prop_oneof![3 => Just(0), 1 => -5000i64..70_000], 0..=BLOCK),
            factor in 1i64..5000,
        ) {
            let values: Vec<_> = values.into_iter().map(|value| value * factor).collect();
            prop_assert_eq!(there_and_back(&values), values);
        }

        #[test]
        fn any_bytes_are_harmless(bytes in proptest::collection::vec(any::<u8>(), 0..300), count in 0..=BLOCK) {
            let _ = unpack(&mut &bytes[..], &mut vec![0; count]);
        }
    }

    #[test]
    fn columns_are_as_small_as_they_say() {
        let size = |values: &[i64]| {
            let mut bytes = Vec::new();
            pack(values, &mut bytes);
            bytes.len()
        };
        assert_eq!(size(&[1024; 128]), 3);
        let offsets: Vec<i64> = (0..128).map(|i| i % 4 * 3003).collect();
        assert_eq!(size(&offsets), 1 + 1 + 2 + 32);
        let mut gaps = [0; 128];
        gaps[5] = 100_000;
        gaps[9] = 70_001;
        gaps[77] = 90_002;
        assert_eq!(size(&gaps), 1 + 3 + 1 + 16 + (3usize * 15).div_ceil(8));
    }
}
