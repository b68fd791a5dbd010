//! Small decoded pictures: planar 4:2:0, full range, BT.601, which is what a JPEG holds (JFIF 1.02).

use bytes::Bytes;
use std::fmt;

/// Width and height in pixels, both even and at least 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    width: u32,
    height: u32,
}

impl Size {
    /// Longest side, as a JPEG can have it.
    const LONGEST: u32 = 65_500;

    /// `width` × `height`; none if a side is odd, zero or longer than a JPEG's.
    pub fn new(width: u32, height: u32) -> Option<Self> {
        let fits = |side: u32| side > 0 && side <= Self::LONGEST && side.is_multiple_of(2);
        (fits(width) && fits(height)).then_some(Self { width, height })
    }

    /// Width in pixels.
    pub fn width(self) -> usize {
        self.width as usize
    }

    /// Height in pixels.
    pub fn height(self) -> usize {
        self.height as usize
    }

    /// Bytes of a picture: luma, and two planes of a quarter.
    pub fn bytes(self) -> usize {
        self.luma() * 3 / 2
    }

    /// The size after a quarter turn.
    #[must_use]
    pub fn turned(self) -> Self {
        Self { width: self.height, height: self.width }
    }

    fn luma(self) -> usize {
        self.width() * self.height()
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// A plane of a picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plane {
    /// Brightness, at full size.
    Luma,
    /// Blue difference, at half width and height.
    Cb,
    /// Red difference, at half width and height.
    Cr,
}

impl Plane {
    /// All three, in the order in which they are stored.
    pub const ALL: [Self; 3] = [Self::Luma, Self::Cb, Self::Cr];

    /// Width, height and first byte of the plane in a picture of `size`.
    pub fn layout(self, size: Size) -> (usize, usize, usize) {
        let (width, height) = (size.width(), size.height());
        match self {
            Self::Luma => (width, height, 0),
            Self::Cb => (width / 2, height / 2, size.luma()),
            Self::Cr => (width / 2, height / 2, size.luma() * 5 / 4),
        }
    }
}

/// A decoded picture.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    size: Size,
    bytes: Bytes,
}

impl Picture {
    /// The picture of `size` with these planes one after the other; none if their length is another.
    pub fn new(size: Size, bytes: Bytes) -> Option<Self> {
        (bytes.len() == size.bytes()).then_some(Self { size, bytes })
    }

    /// As [`Picture::new`] from planes in the levels of video (luma 16 to 235, chroma 16 to 240; ITU-R BT.601 §2.5.3), which
    /// become those of JPEG (0 to 255; JFIF 1.02).
    pub fn of_video(size: Size, bytes: Bytes) -> Option<Self> {
        const LUMA: [u8; 256] = full_range(16, 219);
        const CHROMA: [u8; 256] = full_range(128, 224);
        let mut bytes = Vec::from(bytes);
        let (luma, chroma) = bytes.split_at_mut_checked(size.luma())?;
        for level in luma {
            *level = LUMA[usize::from(*level)];
        }
        for level in chroma {
            *level = CHROMA[usize::from(*level)];
        }
        Self::new(size, bytes.into())
    }

    /// Its size.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The rows of a plane, from above.
    pub fn rows(&self, plane: Plane) -> impl Iterator<Item = &[u8]> {
        let (width, height, start) = plane.layout(self.size);
        self.bytes[start..start + width * height].chunks_exact(width)
    }

    /// Mean and standard deviation of the luma, 0 to 255.
    #[expect(clippy::cast_precision_loss, reason = "sums of at most 2^40 are exact")]
    pub fn luma_statistics(&self) -> (f64, f64) {
        let (mut sum, mut squares) = (0_u64, 0_u64);
        for byte in self.rows(Plane::Luma).flatten() {
            sum += u64::from(*byte);
            squares += u64::from(*byte) * u64::from(*byte);
        }
        let count = self.size.luma() as f64;
        let mean = sum as f64 / count;
        (mean, (squares as f64 / count - mean * mean).max(0.0).sqrt())
    }
}

/// Where each level goes when `range` levels become 255 and `zero` (of luma black, of chroma grey) becomes JPEG's.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
const fn full_range(zero: i32, range: i32) -> [u8; 256] {
    let mut levels = [0; 256];
    let target = if zero == 128 { 128 } else { 0 };
    let mut level = 0;
    while level < 256 {
        let twice = (level - zero) * 255 * 2;
        let nearest = (twice + if twice < 0 { -range } else { range }) / (2 * range) + target;
        levels[level as usize] = if nearest < 0 {
            0
        } else if nearest > 255 {
            255
        } else {
            nearest
        } as u8;
        level += 1;
    }
    levels
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Picture({})", self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_video_become_those_of_a_jpeg() {
        let size = Size::new(4, 2).expect("even");
        let video = vec![16, 235, 126, 0, 255, 17, 15, 234, 16, 240, 128, 127];
        let picture = Picture::of_video(size, video.into()).expect("fits");
        assert_eq!(&picture.bytes[..8], [0, 255, 128, 0, 255, 1, 0, 254]);
        assert_eq!(&picture.bytes[8..], [0, 255, 128, 127]);
        assert!(Picture::of_video(size, vec![16; 11].into()).is_none());
        assert!(Picture::of_video(size, vec![16; 7].into()).is_none());
    }

    #[test]
    fn sizes_are_even_and_fit_a_jpeg() {
        assert!(Size::new(320, 180).is_some());
        for (width, height) in [(0, 2), (3, 2), (2, 3), (65_502, 2)] {
            assert_eq!(Size::new(width, height), None);
        }
    }

    #[test]
    fn planes_lie_one_after_the_other() {
        let size = Size::new(4, 2).expect("even");
        let picture = Picture::new(size, Bytes::from_static(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])).expect("fits");
        let rows = |plane| picture.rows(plane).map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(rows(Plane::Luma), [[1, 2, 3, 4], [5, 6, 7, 8]]);
        assert_eq!(rows(Plane::Cb), [[9, 10]]);
        assert_eq!(rows(Plane::Cr), [[11, 12]]);
        assert!(Picture::new(size, Bytes::from_static(&[0; 11])).is_none());
    }

    #[test]
    fn statistics_tell_a_flat_picture() {
        let size = Size::new(2, 2).expect("even");
        let flat = Picture::new(size, Bytes::from_static(&[16, 16, 16, 16, 128, 128])).expect("fits");
        assert_eq!(flat.luma_statistics(), (16.0, 0.0));
        let chequered = Picture::new(size, Bytes::from_static(&[0, 200, 0, 200, 128, 128])).expect("fits");
        assert_eq!(chequered.luma_statistics(), (100.0, 100.0));
    }
}
