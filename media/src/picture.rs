//! The size at which a picture is shown, and sizes that fit a box.

use crate::track::{Rotation, VideoFormat};

/// Width and height after the sample aspect ratio, before rotation.
pub fn unrotated_size(format: &VideoFormat) -> (u32, u32) {
    let (horizontal, vertical) = format.sample_aspect;
    if horizontal == 0 || vertical == 0 {
        return (format.width.into(), format.height.into());
    }
    let (across, down) = (u64::from(horizontal), u64::from(vertical));
    let shown = (u64::from(format.width) * across * 2 + down) / (down * 2);
    (u32::try_from(shown).unwrap_or(u32::MAX).max(1), format.height.into())
}

/// Width and height as people see the picture: after sample aspect and rotation.
pub fn display_size(format: &VideoFormat) -> (u32, u32) {
    let (width, height) = unrotated_size(format);
    match format.rotation {
        Rotation::None | Rotation::Half => (width, height),
        Rotation::Quarter | Rotation::ThreeQuarters => (height, width),
    }
}

/// The largest even size of the proportions of `shape` that fits a square of `side`; never an enlargement, but for
/// rounding to even.
pub fn fitted(shape: (u32, u32), side: u32) -> (u32, u32) {
    let longest = shape.0.max(shape.1).max(1);
    let side = side.min(longest);
    let even = |length: u32| {
        let halves = (u64::from(length) * u64::from(side) + u64::from(longest)) / (u64::from(longest) * 2);
        u32::try_from(halves * 2).expect("not above the side plus one").clamp(2, side.next_multiple_of(2))
    };
    (even(shape.0), even(shape.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(width: u16, height: u16, sample_aspect: (u32, u32), rotation: Rotation) -> VideoFormat {
        VideoFormat { width, height, sample_aspect, matrix: [0; 9], rotation, colour: None }
    }

    #[test]
    fn display_size_has_square_samples_and_is_upright() {
        assert_eq!(display_size(&format(704, 576, (16, 11), Rotation::None)), (1024, 576));
        assert_eq!(display_size(&format(1920, 1080, (1, 1), Rotation::Quarter)), (1080, 1920));
        assert_eq!(display_size(&format(640, 480, (0, 0), Rotation::Half)), (640, 480));
        assert_eq!(display_size(&format(u16::MAX, 1, (u32::MAX, 1), Rotation::None)), (u32::MAX, 1));
    }

    #[test]
    fn tiles_fit_and_are_even() {
        for (size, tile) in [
            ((1920, 1080), (320, 180)),
            ((1080, 1920), (180, 320)),
            ((854, 480), (320, 180)),
            ((176, 144), (176, 144)),
            ((161, 121), (162, 122)),
            ((1_000_000, 1), (320, 2)),
            ((1, 1), (2, 2)),
        ] {
            assert_eq!(fitted(size, 320), tile, "{size:?}");
        }
    }
}
