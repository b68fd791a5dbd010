//! What one ffmpeg is to do, as a value.

use super::tones::Tones;
use crate::picture::Size;
use vidstream_media::codec::{Codec, foreign};
use vidstream_media::picture::display_size;
use vidstream_media::track::{Rotation, VideoFormat};

/// From this reduction on the loop filter can't be seen in the result, and is a tenth of the work.
const UNSEEN: u32 = 3;

/// Fed pictures to raw ones, one each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decode {
    /// What decodes.
    pub decoder: Decoder,
    /// Size of a picture that comes out, upright.
    pub size: Size,
    /// Turn that makes it upright.
    pub rotation: Rotation,
    /// Light of a wider range, which is brought to what every screen shows.
    pub tones: Option<Tones>,
    /// Whether the smoothing of block edges can be left out.
    pub skip_loop_filter: bool,
    /// Where not all that is fed is to come out: the times of those that are, ticks of the feed.
    pub only: Vec<i64>,
}

/// The decoders that may run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decoder {
    /// H.264.
    H264,
    /// HEVC.
    Hevc,
    /// VP9.
    Vp9,
    /// AV1.
    Av1,
    /// What no player takes, by ffmpeg's names of its decoders.
    Foreign(&'static str),
}

impl Decoder {
    /// The decoder of a video codec; none for sound.
    pub fn of(codec: &Codec) -> Option<Self> {
        match codec {
            Codec::H264 { .. } => Some(Self::H264),
            Codec::Hevc { .. } => Some(Self::Hevc),
            Codec::Vp9 { .. } => Some(Self::Vp9),
            Codec::Av1 { .. } => Some(Self::Av1),
            Codec::Foreign { entry } => entry.first_chunk().and_then(foreign::decoders).map(Self::Foreign),
            Codec::Aac { .. }
            | Codec::Opus { .. }
            | Codec::Flac { .. }
            | Codec::Mp3
            | Codec::Ac3 { .. }
            | Codec::Eac3 { .. }
            | Codec::Pcm { .. } => None,
        }
    }
}

impl Decode {
    /// Pictures of `size` from the keyframes of a video of this codec and format.
    pub fn new(decoder: Decoder, format: &VideoFormat, size: Size) -> Self {
        let (width, height) = display_size(format);
        let (small_width, small_height) = (size.width(), size.height());
        let reduced = |whole: u32, small: usize| u64::from(whole) >= u64::from(UNSEEN) * small as u64;
        Self {
            decoder,
            size,
            rotation: format.rotation,
            tones: Tones::of(format),
            skip_loop_filter: reduced(width, small_width) && reduced(height, small_height),
            only: Vec::new(),
        }
    }

    /// The same of a feed of all pictures, of which those at these times come out.
    #[must_use]
    pub fn only(self, only: Vec<i64>) -> Self {
        // Pictures are made of what is decoded before them, so what is left out there is seen in the end.
        Self { skip_loop_filter: false, only, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_filter_is_left_out_where_it_is_not_seen() {
        let format = |width, height| VideoFormat {
            width,
            height,
            sample_aspect: (1, 1),
            matrix: [0; 9],
            rotation: Rotation::None,
            colour: None,
        };
        let tile = Size::new(320, 180).expect("even");
        assert!(Decode::new(Decoder::H264, &format(1920, 1080), tile).skip_loop_filter);
        assert!(!Decode::new(Decoder::H264, &format(640, 360), tile).skip_loop_filter);
    }
}
