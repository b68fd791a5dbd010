//! What sound looks like: how loud it is from its beginning to its end, as bars.

use crate::ffmpeg::filter::Sink;
use crate::ffmpeg::listen::RATE;
use crate::picture::{Picture, Plane, Size};
use bytes::Bytes;
use std::convert::Infallible;

/// Width and height of the picture.
const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;
/// Bars, and pixels that each has with the gap behind it, and without.
const BARS: usize = 160;
const STEP: usize = WIDTH as usize / BARS;
const BAR: usize = 6;
/// The longest and the shortest bar: silence is seen to be there.
const LONGEST: usize = 560;
const SHORTEST: usize = 4;
/// Luma, blue and red difference of the ground and of bars, in the levels of a JPEG.
const GROUND: [u8; 3] = [24, 134, 122];
const INK: [u8; 3] = [172, 146, 104];

/// Values of which the loudness is one number: a twentieth of a second.
const BLOCK: usize = RATE / 20;
const BYTES: usize = size_of::<i16>();

/// How loud sound is, while it is heard.
#[derive(Debug, Default)]
pub(crate) struct Loudness {
    /// Root of the mean square of each block, 0 to 32768.
    blocks: Vec<f64>,
    /// What has come of the next block.
    squares: f64,
    values: usize,
    /// The first byte of a value whose second has not come.
    half: Option<u8>,
}

impl Sink for Loudness {
    type Error = Infallible;

    async fn take(&mut self, bytes: Bytes) -> Result<(), Infallible> {
        self.hear(&bytes);
        Ok(())
    }
}

impl Loudness {
    fn hear(&mut self, mut bytes: &[u8]) {
        if let (Some(low), Some((high, rest))) = (self.half, bytes.split_first()) {
            self.half = None;
            self.value(i16::from_le_bytes([low, *high]));
            bytes = rest;
        }
        let (values, rest) = bytes.as_chunks::<BYTES>();
        for value in values {
            self.value(i16::from_le_bytes(*value));
        }
        self.half = rest.first().copied().or(self.half);
    }

    fn value(&mut self, value: i16) {
        self.squares += f64::from(value) * f64::from(value);
        self.values += 1;
        if self.values == BLOCK {
            self.blocks.push((self.squares / f64::from(u16::try_from(BLOCK).unwrap_or(u16::MAX))).sqrt());
            (self.squares, self.values) = (0.0, 0);
        }
    }

    /// The picture of what was heard; none where that is not even a block.
    pub(crate) fn drawn(&self) -> Option<Picture> {
        let last = self.blocks.len().checked_sub(1)?;
        let loudest = self.blocks.iter().copied().fold(1.0, f64::max);
        let length = |bar: usize| {
            let blocks = bar * self.blocks.len() / BARS..((bar + 1) * self.blocks.len()).div_ceil(BARS).min(last + 1);
            let loud = self.blocks[blocks].iter().copied().fold(0.0, f64::max);
            // By the root, as what is half as loud is not heard as half of it.
            pixels((loud / loudest).sqrt())
        };
        painted(&(0..BARS).map(length).collect::<Vec<_>>())
    }
}

/// How long a bar is, even, for a share of the longest.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what is in the picture")]
#[expect(clippy::cast_precision_loss, reason = "some hundred pixels")]
fn pixels(share: f64) -> usize {
    ((LONGEST as f64 * share) as usize & !1).clamp(SHORTEST, LONGEST)
}

/// Bars of these lengths around the middle.
fn painted(lengths: &[usize]) -> Option<Picture> {
    let size = Size::new(WIDTH, HEIGHT)?;
    let mut bytes = Vec::with_capacity(size.bytes());
    for (plane, (ground, ink)) in Plane::ALL.into_iter().zip(GROUND.into_iter().zip(INK)) {
        let (width, height, _) = plane.layout(size);
        let scale = size.width() / width;
        for row in 0..height {
            let (row, middle) = (row * scale, size.height() / 2);
            let from_middle = if row < middle { middle - scale - row } else { row - middle };
            let is_ink = |column: usize| {
                let column = column * scale;
                column % STEP < BAR && lengths.get(column / STEP).is_some_and(|length| from_middle < length / 2)
            };
            bytes.extend((0..width).map(|column| if is_ink(column) { ink } else { ground }));
        }
    }
    Picture::new(size, bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second of a value and its opposite.
    fn second(value: i16) -> Vec<u8> {
        (0..RATE).flat_map(|n| (if n % 2 == 0 { value } else { -value }).to_le_bytes()).collect()
    }

    /// Pixels of ink in each column of the picture.
    fn columns(picture: &Picture) -> Vec<usize> {
        let rows: Vec<_> = picture.rows(Plane::Luma).collect();
        (0..WIDTH as usize).map(|column| rows.iter().filter(|row| row[column] == INK[0]).count()).collect()
    }

    #[test]
    fn bars_are_as_long_as_the_sound_is_loud() {
        let sound = [second(0), second(4000), second(16_000), second(0)].concat();
        for step in [1, 3, 700, sound.len()] {
            let mut loudness = Loudness::default();
            sound.chunks(step).for_each(|chunk| loudness.hear(chunk));
            let columns = columns(&loudness.drawn().expect("it was heard"));
            let at = |tenths: usize| columns[WIDTH as usize * tenths / 10 / STEP * STEP];
            assert_eq!([at(1), at(4), at(6), at(9)], [SHORTEST, LONGEST / 2, LONGEST, SHORTEST], "in steps of {step}");
            assert_eq!(columns[BAR], 0, "between bars");
        }
    }

    #[test]
    fn little_sound_has_bars_too_and_none_has_no_picture() {
        let mut loudness = Loudness::default();
        loudness.hear(&second(9000)[..2 * BLOCK * BYTES]);
        assert!(columns(&loudness.drawn().expect("two blocks")).iter().step_by(STEP).all(|length| *length == LONGEST));
        let mut silence = Loudness::default();
        silence.hear(&second(0));
        assert!(columns(&silence.drawn().expect("silence")).iter().step_by(STEP).all(|length| *length == SHORTEST));
        assert!(Loudness::default().drawn().is_none());
    }
}
