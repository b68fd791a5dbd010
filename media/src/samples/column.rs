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
    let mut set = [0; BLOCK];
    let mut count = 0;
    for &value in values {
        set[count] = value;
        count += usize::from(value != 0);
    }
    let (dense, set) = (Frame::of(values), &set[..count]);
    let dense_bits = values.len() * dense.width as usize;
    let mask_bits = values.len().next_multiple_of(8);
    let sparse = if dense_bits > mask_bits { Frame::of(set) } else { dense };
    if dense_bits <= mask_bits + count * sparse.width as usize {
        dense.put(0, out);
        dense.put_values(values, out);
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
        return frame.take_values(bytes, out);
    }
    let mask = bytes.split_off(..out.len().div_ceil(8))?;
    let mut is_set = [false; BLOCK];
    for (at, is_set) in is_set.iter_mut().enumerate().take(out.len()) {
        *is_set = mask[at / 8] >> (at % 8) & 1 == 1;
    }
    let mut set = [0; BLOCK];
    let count = is_set.iter().filter(|&&is_set| is_set).count();
    frame.take_values(bytes, &mut set[..count])?;
    let mut next = 0;
    for (value, is_set) in out.iter_mut().zip(is_set) {
        *value = if is_set { set[next] } else { 0 };
        next += usize::from(is_set);
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
    fn of(values: &[i64]) -> Self {
        let (mut base, mut most) = (i64::MAX, i64::MIN);
        for &value in values {
            base = base.min(value);
            most = most.max(value);
        }
        if most <= base {
            return Self { width: 0, base: if values.is_empty() { 0 } else { base }, divisor: 1 };
        }
        let mut divisor = 0;
        for &value in values {
            divisor = greatest_common_divisor(value.wrapping_sub(base).cast_unsigned(), divisor);
            if divisor == 1 {
                break;
            }
        }
        let largest = most.wrapping_sub(base).cast_unsigned() / divisor;
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

    fn put_values(self, values: &[i64], out: &mut Vec<u8>) {
        if self.width == 0 {
            return;
        }
        let (mut pending, mut bits) = (0u64, 0);
        for &value in values {
            let above = value.wrapping_sub(self.base).cast_unsigned();
            let scaled = if self.divisor == 1 { above } else { above / self.divisor };
            pending |= scaled << bits;
            let filled = bits + self.width;
            if filled < u64::BITS {
                bits = filled;
                continue;
            }
            out.extend_from_slice(&pending.to_le_bytes());
            bits = filled - u64::BITS;
            pending = scaled.checked_shr(self.width - bits).unwrap_or(0);
        }
        out.extend_from_slice(&pending.to_le_bytes()[..bits.div_ceil(8) as usize]);
    }

    fn take_values(self, bytes: &mut &[u8], out: &mut [i64]) -> Option<()> {
        // What follows the column is there too, so that loads may be wide.
        let packed = *bytes;
        let width = self.width as usize;
        bytes.split_off(..(out.len() * width).div_ceil(8))?;
        if width == 0 {
            out.fill(self.base);
            return Some(());
        }
        let mask = u64::MAX >> (64 - width);
        for (i, value) in out.iter_mut().enumerate() {
            let (at, shift) = (i * width / 8, i * width % 8);
            let scaled = match packed[at..].first_chunk() {
                Some(word) if shift + width <= 64 => u64::from_le_bytes(*word) >> shift,
                _ => load(&packed[at..], shift),
            };
            *value = self.base.wrapping_add((scaled & mask).wrapping_mul(self.divisor).cast_signed());
        }
        Some(())
    }
}

/// 64 bits from bit `shift` of the first byte on; bytes behind the end count as zeros.
fn load(bytes: &[u8], shift: usize) -> u64 {
    let mut word = [0; 16];
    let len = bytes.len().min(9);
    word[..len].copy_from_slice(&bytes[..len]);
    let [low @ .., _, _, _, _, _, _, _, _] = word;
    let low = u64::from_le_bytes(low) >> shift;
    if shift == 0 { low } else { low | u64::from(word[8]) << (64 - shift) }
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
