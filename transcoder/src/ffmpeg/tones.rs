//! Light of a wider range to what every screen shows: one chain for what is encoded, for tiles and for posters.

use vidstream_media::track::{Colour, VideoFormat};

/// Perceptual quantisation and hybrid log-gamma (ISO/IEC 23091-2 §8.2).
const WIDE: [u16; 2] = [16, 18];
/// What a file says that does not say it.
const UNSPECIFIED: u16 = 2;
/// Primaries and matrix of wide light where a file leaves them open: BT.2020, not of constant luminance.
const BT2020: u16 = 9;

/// How pictures are written whose light goes beyond what every screen shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tones(Colour);

impl Tones {
    /// The tones of pictures that are PQ or HLG; none of all others.
    pub fn of(format: &VideoFormat) -> Option<Self> {
        let colour = format.colour.filter(|colour| WIDE.contains(&colour.transfer))?;
        let open = |code| if code == UNSPECIFIED { BT2020 } else { code };
        Some(Self(Colour { primaries: open(colour.primaries), matrix: open(colour.matrix), ..colour }))
    }

    #[cfg(test)]
    pub(super) fn of_codes(primaries: u16, transfer: u16, matrix: u16) -> Self {
        Self(Colour { primaries, transfer, matrix, full_range: false })
    }

    /// Linear, mapped by a curve that keeps details in highlights, in the colours and levels of HD video. What comes in is named
    /// by the index: what the pictures themselves say may be nothing, and then nothing would come out.
    pub(super) fn filters(self) -> String {
        let Colour { primaries, transfer, matrix, full_range } = self.0;
        let range = if full_range { "full" } else { "limited" };
        format!(
            "zscale=tin={transfer}:pin={primaries}:min={matrix}:rin={range}:t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,\
             tonemap=tonemap=hable:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv420p"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vidstream_media::track::Rotation;

    fn format(colour: Option<Colour>) -> VideoFormat {
        let (width, height, sample_aspect) = (1920, 1080, (1, 1));
        VideoFormat { width, height, sample_aspect, matrix: [0; 9], rotation: Rotation::None, colour }
    }

    #[test]
    fn only_wide_light_is_mapped() {
        let colour = |transfer| Colour { primaries: 9, transfer, matrix: 9, full_range: false };
        for (transfer, wide) in [(1, false), (2, false), (14, false), (16, true), (18, true)] {
            assert_eq!(Tones::of(&format(Some(colour(transfer)))).is_some(), wide, "{transfer}");
        }
        assert_eq!(Tones::of(&format(None)), None);
    }

    #[test]
    fn what_is_left_open_is_what_wide_light_usually_has() {
        let open = Colour { primaries: 2, transfer: 16, matrix: 2, full_range: true };
        let filters = Tones::of(&format(Some(open))).expect("it is wide").filters();
        assert!(filters.starts_with("zscale=tin=16:pin=9:min=9:rin=full:t=linear"), "{filters}");
        let display_p3 = Colour { primaries: 12, transfer: 18, matrix: 1, full_range: false };
        let filters = Tones::of(&format(Some(display_p3))).expect("it is wide").filters();
        assert!(filters.starts_with("zscale=tin=18:pin=12:min=1:rin=limited:"), "{filters}");
    }
}
