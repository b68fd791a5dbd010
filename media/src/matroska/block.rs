//! Blocks (RFC 9559 §10): whose frames they hold, when, and how several frames share one (lacing).

use super::ebml;

/// Bytes of a frame that are looked at: enough for the headers of Opus, FLAC, Dolby sound and VP9.
pub(super) const HEAD: usize = 24;

/// Bytes of a block that are needed to read it, where it is not laced: a track number, a time, flags and the frame's head.
pub(super) const BEGINNING: usize = 8 + 2 + 1 + HEAD;

/// The first bytes of a frame, zeros behind its end.
pub(super) type Head = [u8; HEAD];

/// What a block begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BlockHeader {
    /// Track number.
    pub track: u64,
    /// Time from the cluster's, in its ticks.
    pub time: i16,
    /// Of a `SimpleBlock`: decoding can start here.
    pub keyframe: bool,
    pub lacing: Lacing,
    /// Bytes of it.
    pub len: usize,
}

/// How frames share a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lacing {
    /// There is one.
    None,
    /// Sizes as sums of bytes.
    Xiph,
    /// All of one size.
    Fixed,
    /// Sizes as differences of numbers of variable length.
    Ebml,
}

/// A frame of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    /// Where it begins, counted from the block's first byte.
    pub at: u64,
    /// Bytes.
    pub size: u32,
    pub head: Head,
}

impl BlockHeader {
    /// Reads the header that `block` begins with; none where it is cut off.
    pub fn read(block: &[u8]) -> Option<Self> {
        let (track, len) = ebml::number(block)?;
        let &[high, low, flags] = block.get(len..)?.first_chunk()?;
        let lacing = match flags >> 1 & 3 {
            0 => Lacing::None,
            1 => Lacing::Xiph,
            2 => Lacing::Fixed,
            _ => Lacing::Ebml,
        };
        let time = i16::from_be_bytes([high, low]);
        Some(Self { track, time, keyframe: flags & 0x80 != 0, lacing, len: len + 3 })
    }
}

/// The frames of a block of `size` bytes, of which `block` are all, or at least [`BEGINNING`] where it is not laced. What is
/// wrong, otherwise.
pub(super) fn frames(header: &BlockHeader, block: &[u8], size: u64) -> Result<Vec<Frame>, &'static str> {
    let all = size.checked_sub(header.len as u64).ok_or("it is shorter than its header")?;
    let body = block.get(header.len..).unwrap_or_default();
    if header.lacing == Lacing::None {
        let size = u32::try_from(all).map_err(|_| "a frame of more than 4 GiB")?;
        return Ok(vec![Frame { at: header.len as u64, size, head: head(body, 0, all) }]);
    }
    let (sizes, start) = laced(header.lacing, body, all).ok_or("its lacing does not add up")?;
    let mut at = start as u64;
    let frame = |size: u64| {
        let frame = Frame { at: header.len as u64 + at, size: u32::try_from(size).ok()?, head: head(body, at, size) };
        at += size;
        Some(frame)
    };
    sizes.into_iter().map(frame).collect::<Option<_>>().ok_or("a frame of more than 4 GiB")
}

/// The sizes of frames that share `body`, all of `all` bytes, and where the first of them begins.
fn laced(lacing: Lacing, body: &[u8], all: u64) -> Option<(Vec<u64>, usize)> {
    let (&count, mut rest) = body.split_first()?;
    let before_last = usize::from(count);
    let mut sizes: Vec<u64> = Vec::with_capacity(before_last + 1);
    match lacing {
        Lacing::None => {}
        Lacing::Fixed => {
            let (each, left) = ((all - 1) / (before_last as u64 + 1), (all - 1) % (before_last as u64 + 1));
            if left > 0 {
                return None;
            }
            sizes.resize(before_last, each);
        }
        Lacing::Xiph => {
            for _ in 0..before_last {
                let last = rest.iter().position(|byte| *byte < 255)?;
                let (size, after) = rest.split_at(last + 1);
                sizes.push(size.iter().map(|byte| u64::from(*byte)).sum());
                rest = after;
            }
        }
        Lacing::Ebml => {
            for number in 0..before_last {
                let (size, len) = if number == 0 {
                    ebml::number(rest).map(|(size, len)| (size.cast_signed(), len))?
                } else {
                    let before = sizes.last()?.cast_signed();
                    ebml::signed_number(rest).map(|(more, len)| (before + more, len))?
                };
                // Bounded by the block, so sums can't overflow.
                sizes.push(u64::try_from(size).ok().filter(|size| *size <= all)?);
                rest = rest.get(len..)?;
            }
        }
    }
    let start = body.len() - rest.len();
    let used = sizes.iter().try_fold(start as u64, |sum, size| sum.checked_add(*size))?;
    sizes.push(all.checked_sub(used)?);
    Some((sizes, start))
}

/// The first bytes of the frame of `size` bytes that begins `at` bytes into `body`.
fn head(body: &[u8], at: u64, size: u64) -> Head {
    let mut head = [0; HEAD];
    let there = usize::try_from(at).ok().and_then(|at| body.get(at..)).unwrap_or_default();
    let len = there.len().min(HEAD).min(usize::try_from(size).unwrap_or(HEAD));
    head[..len].copy_from_slice(&there[..len]);
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(lacing: Lacing) -> BlockHeader {
        BlockHeader { track: 1, time: -2, keyframe: true, lacing, len: 4 }
    }

    /// A block of these frames.
    fn written(lacing: Lacing, frames: &[Vec<u8>]) -> Vec<u8> {
        let bits = [(Lacing::Xiph, 2), (Lacing::Fixed, 4), (Lacing::Ebml, 6)];
        let bits = bits.iter().find(|(other, _)| *other == lacing).map_or(0, |(_, bits)| *bits);
        let mut block = vec![0x81, 0xff, 0xfe, 0x80 | bits];
        if lacing != Lacing::None {
            block.push(u8::try_from(frames.len() - 1).unwrap());
        }
        let sizes: Vec<i64> = frames.iter().map(|frame| i64::try_from(frame.len()).unwrap()).collect();
        for (i, size) in sizes[..sizes.len() - 1].iter().enumerate() {
            match lacing {
                Lacing::Xiph => {
                    block.extend(std::iter::repeat_n(255, usize::try_from(size / 255).unwrap()));
                    block.push(u8::try_from(size % 255).unwrap());
                }
                Lacing::Ebml => {
                    // Three bytes each: a size, then differences around 2²⁰ − 1.
                    let value = if i == 0 { *size } else { size - sizes[i - 1] + (1 << 20) - 1 };
                    block.extend(&u32::try_from(value | 1 << 21).unwrap().to_be_bytes()[1..]);
                }
                Lacing::None | Lacing::Fixed => {}
            }
        }
        block.extend(frames.concat());
        block
    }

    proptest! {
        #[test]
        fn laced_frames_come_back(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..700), 1..20),
            size in 0_usize..50,
        ) {
            let equal: Vec<_> = frames.iter().map(|frame| vec![frame.len().to_le_bytes()[0]; size]).collect();
            let cases =
                [(Lacing::Xiph, &frames), (Lacing::Ebml, &frames), (Lacing::Fixed, &equal), (Lacing::None, &frames)];
            for (lacing, frames) in cases {
                let frames = if lacing == Lacing::None { &frames[..1] } else { &frames[..] };
                let block = written(lacing, frames);
                prop_assert_eq!(BlockHeader::read(&block), Some(header(lacing)));
                let found = super::frames(&header(lacing), &block, block.len() as u64).unwrap();
                prop_assert_eq!(found.len(), frames.len());
                for (found, frame) in found.iter().zip(frames) {
                    let at = usize::try_from(found.at).unwrap();
                    prop_assert_eq!(&block[at..at + found.size as usize], &frame[..]);
                    let len = frame.len().min(HEAD);
                    prop_assert_eq!((&found.head[..len], &found.head[len..]), (&frame[..len], &[0; HEAD][len..]));
                }
            }
        }

        #[test]
        fn any_bytes_are_frames_within_the_block_or_none(block: Vec<u8>, more in 0_u64..9) {
            let Some(header) = BlockHeader::read(&block) else { return Ok(()) };
            let size = if header.lacing == Lacing::None { block.len() as u64 + more } else { block.len() as u64 };
            if let Ok(frames) = super::frames(&header, &block, size) {
                prop_assert!(frames.len() <= 256);
                let mut end = header.len as u64;
                for frame in frames {
                    prop_assert!(frame.at >= end);
                    end = frame.at + u64::from(frame.size);
                }
                prop_assert_eq!(end, size);
            }
        }
    }

    #[test]
    fn lacing_that_does_not_add_up() {
        for (lacing, body) in [
            (Lacing::Xiph, &[1, 4, 1, 2, 3][..]),
            (Lacing::Xiph, &[1, 255]),
            (Lacing::Fixed, &[1, 1, 2, 3]),
            (Lacing::Ebml, &[1, 0x84, 1, 2, 3]),
            (Lacing::Ebml, &[2, 0x81, 0x80, 7, 7]),
            (Lacing::Ebml, &[1]),
        ] {
            let block = [&[0x81, 0, 0, 0], body].concat();
            assert!(frames(&header(lacing), &block, block.len() as u64).is_err(), "{lacing:?} {body:?}");
        }
    }
}
