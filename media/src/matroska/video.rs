//! Pictures: decoder configurations for players, shape, turn and colour.

use super::block::Head;
use super::entry::{Entry, Picture};
use super::vp9;
use crate::codec::Codec;
use crate::index::IgnoredCause;
use crate::track::{Rotation, VideoFormat};

/// What is to be known of pictures before their frames.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Description {
    pub codec: Configured,
    pub format: VideoFormat,
}

/// A decoder's configuration.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Configured {
    /// It is there.
    Known(Codec),
    /// VP9's follows from the first key frame, and from what the file says (which may be empty).
    Vp9(Vec<u8>),
}

type Refusal = (IgnoredCause, String);

/// What `entry` says of its pictures; why they are not played, otherwise.
pub(super) fn describe(entry: &Entry) -> Result<Description, Refusal> {
    let codec = codec(entry)?;
    let mut format = format(&entry.picture)?;
    if let Configured::Known(codec) = &codec {
        format.colour = codec.colour().or(format.colour);
    }
    Ok(Description { codec, format })
}

fn codec(entry: &Entry) -> Result<Configured, Refusal> {
    let private = || match entry.private.clone() {
        empty if empty.is_empty() => Err(configuration("its decoder configuration is missing")),
        bytes => Ok(bytes),
    };
    Ok(Configured::Known(match entry.codec.as_str() {
        "V_MPEG4/ISO/AVC" => Codec::H264 { avcc: whole(private()?, h264_sets)? },
        "V_MPEGH/ISO/HEVC" => Codec::Hevc { hvcc: whole(private()?, hevc_sets)? },
        "V_AV1" => match private()? {
            av1c if av1c.len() >= 4 && av1c[0] == 0x81 => Codec::Av1 { av1c },
            _ => return Err(configuration("its decoder configuration lacks a version that is known")),
        },
        "V_VP9" => return Ok(Configured::Vp9(entry.private.clone())),
        codec => return Err((IgnoredCause::NotCarried, format!("{} is not played", name(codec)))),
    }))
}

fn configuration(reason: &str) -> Refusal {
    (IgnoredCause::Configuration, reason.to_owned())
}

/// A record of version 1 whose parameter sets are all there.
fn whole(record: Vec<u8>, sets: fn(&[u8]) -> Option<()>) -> Result<Vec<u8>, Refusal> {
    if record.first() != Some(&1) {
        return Err(configuration("its decoder configuration lacks a version that is known"));
    }
    match sets(&record) {
        Some(()) => Ok(record),
        None => Err(configuration("its decoder configuration is cut off")),
    }
}

/// Passes the parameter sets of `avcC` (ISO/IEC 14496-15 §5.3.3.1).
fn h264_sets(avcc: &[u8]) -> Option<()> {
    let mut rest = avcc.get(5..)?;
    for mask in [0x1f, 0xff] {
        let (count, after) = rest.split_first()?;
        rest = (0..count & mask).try_fold(after, |rest, _| after_set(rest))?;
    }
    Some(())
}

/// Passes the parameter sets of `hvcC` (§8.3.3.1).
fn hevc_sets(hvcc: &[u8]) -> Option<()> {
    let (arrays, mut rest) = hvcc.get(22..)?.split_first()?;
    for _ in 0..*arrays {
        let (count, after) = rest.get(1..)?.split_first_chunk()?;
        rest = (0..u16::from_be_bytes(*count)).try_fold(after, |rest, _| after_set(rest))?;
    }
    Some(())
}

/// What follows a set and its length of 16 bits.
fn after_set(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.get(usize::from(u16::from_be_bytes(*length))..)
}

impl Configured {
    /// The codec of pictures whose first key frame begins with `key`, `rate` of which are shown a second.
    pub fn codec(self, format: &VideoFormat, key: Option<&Head>, rate: f64) -> Result<Codec, Refusal> {
        match self {
            Self::Known(codec) => Ok(codec),
            Self::Vp9(private) => {
                let pixels = u64::from(format.width) * u64::from(format.height);
                let made = key.and_then(|key| vp9::configuration(key, &private, format.colour, pixels, rate));
                let vpcc = made.ok_or(configuration("its first key frame is none of VP9"))?;
                Ok(Codec::Vp9 { vpcc })
            }
        }
    }
}

fn format(picture: &Picture) -> Result<VideoFormat, Refusal> {
    let side = |side: u64| u16::try_from(side).ok().filter(|side| *side > 0);
    let (Some(width), Some(height)) = (side(picture.width), side(picture.height)) else {
        return Err(configuration(&format!("its pictures have a size of {}×{}", picture.width, picture.height)));
    };
    let rotation = rotation(picture.roll);
    Ok(VideoFormat {
        width,
        height,
        sample_aspect: sample_aspect(picture).unwrap_or((1, 1)),
        matrix: matrix(rotation),
        rotation,
        colour: picture.colour,
    })
}

/// The shape of a sample that follows from the size at which pictures are shown; none where it is square, or differs from
/// that by less than a sample.
fn sample_aspect(picture: &Picture) -> Option<(u32, u32)> {
    const ASPECT: u64 = 3;
    let (shown_width, shown_height) = picture.display.filter(|_| matches!(picture.display_unit, 0..=ASPECT))?;
    let width = picture.width.checked_sub(picture.cropped.0)?;
    let height = picture.height.checked_sub(picture.cropped.1)?;
    let (across, down) = (shown_width.checked_mul(height)?, shown_height.checked_mul(width)?);
    let smallest = if picture.display_unit == 0 { shown_width.max(shown_height) } else { 0 };
    if across == 0 || down == 0 || across.abs_diff(down) < smallest {
        return None;
    }
    let divisor = greatest_common_divisor(across, down);
    let (across, down) = (across / divisor, down / divisor);
    (across != down).then_some((u32::try_from(across).ok()?, u32::try_from(down).ok()?))
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// The quarter turn that `roll`, degrees counterclockwise, is; none where it is anything else.
fn rotation(roll: f64) -> Rotation {
    let is = |degrees: f64| (roll.rem_euclid(360.0) - degrees).abs() < 0.5;
    match () {
        () if is(90.0) => Rotation::ThreeQuarters,
        () if is(180.0) => Rotation::Half,
        () if is(270.0) => Rotation::Quarter,
        () => Rotation::None,
    }
}

/// The matrix of a turn as `tkhd` has it (ISO/IEC 14496-12 §6.2.2).
fn matrix(rotation: Rotation) -> [i32; 9] {
    const ONE: i32 = 1 << 16;
    let [a, b, c, d] = match rotation {
        Rotation::None => [ONE, 0, 0, ONE],
        Rotation::Quarter => [0, ONE, -ONE, 0],
        Rotation::Half => [-ONE, 0, 0, -ONE],
        Rotation::ThreeQuarters => [0, -ONE, ONE, 0],
    };
    [a, b, 0, c, d, 0, 0, 0, 1 << 30]
}

/// What people call a coding of pictures that are not played.
fn name(codec: &str) -> String {
    let known = match codec {
        "V_VP8" => "VP8 video",
        "V_MPEG1" => "MPEG-1 video",
        "V_MPEG2" => "MPEG-2 video",
        "V_MS/VFW/FOURCC" => "video in a form of Windows (VfW)",
        "V_THEORA" => "Theora video",
        "V_PRORES" => "ProRes video",
        "V_MJPEG" => "JPEG picture coding",
        "V_FFV1" => "FFV1 video",
        "V_UNCOMPRESSED" => "uncompressed video",
        "V_MPEGI/ISO/VVC" => "VVC video",
        codec if codec.starts_with("V_MPEG4/") => "MPEG-4 Part 2 video",
        codec if codec.starts_with("V_REAL/") => "RealVideo",
        codec if codec.starts_with("V_QUICKTIME") => "video in a form of QuickTime",
        _ => return format!("its coding ({})", super::printable(codec)),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u64, height: u64, display: (u64, u64), display_unit: u64) -> Picture {
        Picture { width, height, display: Some(display), display_unit, ..Picture::default() }
    }

    #[test]
    fn shapes_of_samples() {
        assert_eq!(sample_aspect(&picture(720, 576, (1024, 576), 0)), Some((64, 45)));
        assert_eq!(sample_aspect(&picture(720, 576, (16, 9), 3)), Some((64, 45)));
        assert_eq!(sample_aspect(&picture(1280, 720, (1280, 720), 0)), None);
        assert_eq!(sample_aspect(&picture(1366, 768, (1365, 768), 0)), None, "rounded");
        assert_eq!(sample_aspect(&picture(1920, 1080, (16, 9), 3)), None);
        assert_eq!(sample_aspect(&picture(1920, 1080, (16, 9), 4)), None, "unknown");
        assert_eq!(sample_aspect(&picture(1920, 1080, (0, 9), 3)), None);
        assert_eq!(sample_aspect(&picture(u64::MAX, 7, (u64::MAX, 9), 0)), None);
        let cropped = Picture { cropped: (0, 8), ..picture(1920, 1088, (1920, 1080), 0) };
        assert_eq!(sample_aspect(&cropped), None);
    }

    #[test]
    fn records_that_are_cut_off_are_refused() {
        let avcc = [1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 1, 0x67, 1, 0, 1, 0x68];
        let of = |codec: &str, private: &[u8]| {
            let entry = Entry { codec: codec.to_owned(), private: private.to_vec(), ..Entry::default() };
            super::codec(&entry).map_err(|(cause, _)| cause)
        };
        let known = Ok(Configured::Known(Codec::H264 { avcc: avcc.to_vec() }));
        assert_eq!(of("V_MPEG4/ISO/AVC", &avcc), known);
        for len in 0..avcc.len() {
            assert_eq!(of("V_MPEG4/ISO/AVC", &avcc[..len]), Err(IgnoredCause::Configuration), "{len}");
        }
        assert_eq!(of("V_MPEG4/ISO/AVC", &[0, 0, 0, 1, 0x67]), Err(IgnoredCause::Configuration));
        assert_eq!(of("V_AV1", &[0x81, 0]), Err(IgnoredCause::Configuration));
        assert_eq!(of("V_VP8", &[]), Err(IgnoredCause::NotCarried));
    }

    #[test]
    fn turns() {
        for (roll, turned) in [(0.0, Rotation::None), (-90.0, Rotation::Quarter), (180.0, Rotation::Half)] {
            assert_eq!(rotation(roll), turned);
        }
        assert_eq!((rotation(f64::NAN), rotation(45.0)), (Rotation::None, Rotation::None));
    }
}
