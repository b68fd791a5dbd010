//! Sound: decoder configurations for players, and how long a frame lasts, which most of the time only the frame knows.

use super::block::Head;
use super::entry::Entry;
use crate::codec::Codec;
use crate::codec::aac::AacConfig;
use crate::index::IgnoredCause;
use crate::track::AudioFormat;

/// What is to be known of sound before its frames.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Description {
    pub codec: Codec,
    pub format: AudioFormat,
    pub frames: Frames,
    /// Samples at the beginning that are not heard.
    pub skip: u32,
}

/// How many samples of one channel a frame has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Frames {
    /// Always as many.
    Fixed(u32),
    /// As its first bytes say.
    Opus,
    /// The same.
    Flac,
    /// The same.
    Mp3,
    /// The same.
    Eac3,
}

type Refusal = (IgnoredCause, String);

/// What `entry` says of its sound; why it is not played, otherwise.
pub(super) fn describe(entry: &Entry) -> Result<Description, Refusal> {
    match entry.codec.as_str() {
        "A_OPUS" => opus(entry),
        "A_FLAC" => flac(entry),
        "A_MPEG/L3" => said(entry, Codec::Mp3, Frames::Mp3),
        "A_EAC3" => said(entry, Codec::Eac3 { dec3: Vec::new() }, Frames::Eac3),
        codec if is_or_is_of(codec, "A_AC3") => said(entry, Codec::Ac3 { dac3: Vec::new() }, Frames::Fixed(1536)),
        codec if is_or_is_of(codec, "A_AAC") => aac(entry),
        codec => Err((IgnoredCause::NotCarried, format!("{} is not played", name(codec)))),
    }
}

fn is_or_is_of(codec: &str, family: &str) -> bool {
    codec.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn missing() -> Refusal {
    (IgnoredCause::Configuration, "its decoder configuration is missing".to_owned())
}

fn lacks(what: &str) -> Refusal {
    (IgnoredCause::Configuration, format!("its decoder configuration lacks {what}"))
}

/// Sound whose rate and channels nothing but the entry says.
fn said(entry: &Entry, codec: Codec, frames: Frames) -> Result<Description, Refusal> {
    let unknown = || (IgnoredCause::Configuration, "it says nothing of its rate or its channels".to_owned());
    let rate = entry.sound.sample_rate.round();
    if !(1.0..=1e6).contains(&rate) {
        return Err(unknown());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a sane rate")]
    let sample_rate = rate as u32;
    let channels = u16::try_from(entry.sound.channels).ok().filter(|channels| *channels > 0).ok_or_else(unknown)?;
    Ok(with_delay(entry, codec, AudioFormat { sample_rate, channels }, frames))
}

fn with_delay(entry: &Entry, codec: Codec, format: AudioFormat, frames: Frames) -> Description {
    let samples = u128::from(entry.codec_delay) * u128::from(format.sample_rate) + 500_000_000;
    let skip = u32::try_from(samples / 1_000_000_000).unwrap_or(0);
    Description { codec, format, frames, skip }
}

fn aac(entry: &Entry) -> Result<Description, Refusal> {
    const SBR: u8 = 5;
    const PS: u8 = 29;
    let made;
    let asc = if entry.private.is_empty() {
        made = old_aac(entry).ok_or_else(missing)?;
        &made
    } else {
        &entry.private
    };
    let Some(config) = AacConfig::parse(asc) else {
        let what = "an AAC configuration that is carried (LC, HE, HE v2)";
        return Err((IgnoredCause::Configuration, format!("it lacks {what}")));
    };
    let of_entry = u16::try_from(entry.sound.channels).unwrap_or(0);
    let channels = if config.channels > 0 { config.channels } else { of_entry };
    // Frames are those of the core coder, of half the rate.
    let doubled = u32::from(matches!(config.object_type, SBR | PS)) + 1;
    let frames = Frames::Fixed(u32::from(config.frame_length) * doubled);
    let format = AudioFormat { sample_rate: config.sample_rate, channels };
    Ok(with_delay(entry, Codec::Aac { asc: asc.clone() }, format, frames))
}

/// The configuration of files of before 2005, which have it in the codec's name: `A_AAC/MPEG4/LC`.
fn old_aac(entry: &Entry) -> Option<Vec<u8>> {
    const RATES: [u32; 13] =
        [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
    let object_type = match entry.codec.split('/').nth(2)? {
        "MAIN" => 1_u16,
        "LC" => 2,
        "SSR" => 3,
        "LTP" => 4,
        _ => return None,
    };
    let rate = RATES.iter().position(|rate| (entry.sound.sample_rate - f64::from(*rate)).abs() < 1.0)?;
    let channels = u16::try_from(entry.sound.channels).ok().filter(|channels| (1..=6).contains(channels))?;
    let bits = object_type << 11 | u16::try_from(rate).ok()? << 7 | channels << 3;
    Some(bits.to_be_bytes().to_vec())
}

/// `OpusHead` (RFC 7845 §5.1) as `dOps` (Encapsulation of Opus in ISO BMFF §4.3.2), which counts its version anew and has
/// the other end first.
fn opus(entry: &Entry) -> Result<Description, Refusal> {
    let head = entry.private.strip_prefix(b"OpusHead").ok_or_else(missing)?;
    let Some((&[version, channels, skip_low, skip_high, r0, r1, r2, r3, gain_low, gain_high, family], mapping)) =
        head.split_first_chunk()
    else {
        return Err(lacks("its end"));
    };
    // Lower versions than 16 are compatible.
    if version > 15 || channels == 0 {
        return Err(lacks("a version that is known"));
    }
    let mut dops = vec![0, channels, skip_high, skip_low, r3, r2, r1, r0, gain_high, gain_low, family];
    if family > 0 {
        dops.extend_from_slice(mapping.get(..2 + usize::from(channels)).ok_or_else(|| lacks("its channels"))?);
    }
    Ok(Description {
        codec: Codec::Opus { dops },
        // Opus is always decoded at 48 kHz, whatever the input's rate was.
        format: AudioFormat { sample_rate: 48_000, channels: channels.into() },
        frames: Frames::Opus,
        skip: u16::from_le_bytes([skip_low, skip_high]).into(),
    })
}

/// The stream info block (RFC 9639 §8.2) as `dfLa`; comments and pictures are left out.
fn flac(entry: &Entry) -> Result<Description, Refusal> {
    const LAST: u8 = 0x80;
    let blocks = entry.private.strip_prefix(b"fLaC").ok_or_else(missing)?;
    let Some((&[kind, 0, 0, 34], info)) = blocks.split_first_chunk() else { return Err(lacks("a stream info block")) };
    let info: &[u8; 34] = info.first_chunk().ok_or_else(|| lacks("its end"))?;
    let packed = u32::from_be_bytes([info[10], info[11], info[12], info[13]]);
    let (sample_rate, channels) = (packed >> 12, packed >> 9 & 7);
    if kind & !LAST != 0 || sample_rate == 0 {
        return Err(lacks("a stream info block"));
    }
    let dfla = [&[0, 0, 0, 0, LAST, 0, 0, 34], &info[..]].concat();
    let channels = u16::try_from(channels + 1).unwrap_or(1);
    Ok(with_delay(entry, Codec::Flac { dfla }, AudioFormat { sample_rate, channels }, Frames::Flac))
}

impl Frames {
    /// Samples of the frame that begins with `head`; none where it is no frame.
    pub fn samples(self, head: &Head) -> Option<u32> {
        match self {
            Self::Fixed(samples) => Some(samples),
            Self::Opus => opus_samples(head),
            Self::Flac => flac_samples(head),
            Self::Mp3 => {
                let [0xff, second, ..] = *head else { return None };
                // MPEG-1, or the lower rates of MPEG-2, which have half a frame (ISO/IEC 13818-3 §2.4.2.3).
                Some(if second >> 3 & 3 == 3 { 1152 } else { 576 })
            }
            // ETSI TS 102 366 annex E.1.2: a rate of two more bits has six blocks.
            Self::Eac3 => {
                let [0x0b, 0x77, _, _, rates, ..] = *head else { return None };
                let blocks = [1, 2, 3, 6][usize::from(rates >> 4 & 3)];
                Some(256 * if rates >> 6 == 3 { 6 } else { blocks })
            }
        }
    }
}

/// Samples of an Opus packet (RFC 6716 §3.1).
fn opus_samples(head: &Head) -> Option<u32> {
    let frame = match head[0] >> 3 {
        configuration @ 0..12 => [480, 960, 1920, 2880][usize::from(configuration & 3)],
        configuration @ 12..16 => [480, 960][usize::from(configuration & 1)],
        configuration => [120, 240, 480, 960][usize::from(configuration & 3)],
    };
    let frames = match head[0] & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(head[1] & 0x3f),
    };
    // A packet has at most 120 ms.
    Some(frame * frames).filter(|samples| (1..=5760).contains(samples))
}

/// Samples of a FLAC frame (RFC 9639 §9.1).
fn flac_samples(head: &Head) -> Option<u32> {
    let &[0xff, 0xf8 | 0xf9, sizes, _, ref numbered @ ..] = head else { return None };
    // The frame's or sample's number is written like a character of UTF-8, of up to seven bytes.
    let number = (numbered[0].leading_ones() as usize).max(1);
    let after = numbered.get(number..)?;
    match sizes >> 4 {
        0 => None,
        1 => Some(192),
        code @ 2..=5 => Some(144 << code),
        6 => Some(u32::from(*after.first()?) + 1),
        7 => after.first_chunk().map(|size| u32::from(u16::from_be_bytes(*size)) + 1),
        code => Some(1 << code),
    }
}

/// What people call a sound that is not played.
fn name(codec: &str) -> String {
    let known = match codec {
        "A_VORBIS" => "Vorbis sound",
        "A_TRUEHD" | "A_MLP" => "TrueHD sound",
        "A_ALAC" => "Apple Lossless sound",
        "A_MPEG/L2" => "MP2 sound",
        "A_MPEG/L1" => "MP1 sound",
        "A_WAVPACK4" => "WavPack sound",
        "A_TTA1" => "True Audio sound",
        "A_MS/ACM" => "sound in a form of Windows (ACM)",
        codec if codec.starts_with("A_DTS") => "DTS sound",
        codec if codec.starts_with("A_PCM") => "uncompressed sound (PCM)",
        codec if codec.starts_with("A_REAL") => "RealAudio sound",
        codec if codec.starts_with("A_QUICKTIME") => "sound in a form of QuickTime",
        _ => return format!("its coding ({})", super::printable(codec)),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(bytes: &[u8]) -> Head {
        let mut head = Head::default();
        head[..bytes.len()].copy_from_slice(bytes);
        head
    }

    fn entry(codec: &str, private: &[u8]) -> Entry {
        Entry { codec: codec.to_owned(), private: private.to_vec(), ..Entry::default() }
    }

    #[test]
    fn opus_packets_of_every_form() {
        for (bytes, samples) in [
            (&[0x00][..], Some(480)),
            (&[0x18], Some(2880)),
            (&[0x60], Some(480)),
            (&[0x68], Some(960)),
            (&[0xf8], Some(960)),
            (&[0xe0], Some(120)),
            (&[0xfd], Some(1920)),
            (&[0xfb, 3], Some(2880)),
            (&[0xfb, 0x83], Some(2880)),
            (&[0xfb, 0], None),
            (&[0xfb, 7], None),
        ] {
            assert_eq!(Frames::Opus.samples(&head(bytes)), samples, "{bytes:x?}");
        }
    }

    #[test]
    fn flac_frames_of_every_form() {
        for (bytes, samples) in [
            (&[0xff, 0xf8, 0xc9, 0x18, 0][..], Some(4096)),
            (&[0xff, 0xf8, 0x19, 0x18, 0], Some(192)),
            (&[0xff, 0xf8, 0x59, 0x18, 0], Some(4608)),
            (&[0xff, 0xf8, 0x69, 0x18, 0xc4, 0x80, 0x7f], Some(128)),
            (&[0xff, 0xf9, 0x79, 0x18, 0xfe, 1, 2, 3, 4, 5, 6, 0x03, 0xe7], Some(1000)),
            (&[0xff, 0xf8, 0x09, 0x18, 0], None),
            (&[0xff, 0xe8, 0xc9, 0x18, 0], None),
        ] {
            assert_eq!(Frames::Flac.samples(&head(bytes)), samples, "{bytes:x?}");
        }
    }

    #[test]
    fn opus_heads_become_boxes() {
        let head = [b"OpusHead", &[1, 2, 0x38, 1, 0x80, 0xbb, 0, 0, 0xff, 0xfe, 0][..]].concat();
        let found = describe(&entry("A_OPUS", &head)).unwrap();
        let dops = vec![0, 2, 1, 0x38, 0, 0, 0xbb, 0x80, 0xfe, 0xff, 0];
        assert_eq!((found.codec, found.skip), (Codec::Opus { dops }, 312));
        assert!(describe(&entry("A_OPUS", &head[..18])).is_err());
        let surround = [&head[..18], &[1, 1, 1, 0, 1]].concat();
        let Codec::Opus { dops } = describe(&entry("A_OPUS", &surround)).unwrap().codec else { panic!("Opus") };
        assert_eq!(dops[10..], [1, 1, 1, 0, 1]);
        assert!(describe(&entry("A_OPUS", &surround[..22])).is_err());
    }

    #[test]
    fn aac_of_before_it_had_a_configuration() {
        let mut old = entry("A_AAC/MPEG4/LC", &[]);
        (old.sound.sample_rate, old.sound.channels) = (44_100.0, 2);
        let found = describe(&old).unwrap();
        assert_eq!((found.codec, found.frames), (Codec::Aac { asc: vec![0x12, 0x10] }, Frames::Fixed(1024)));
        old.codec = "A_AAC".to_owned();
        assert!(describe(&old).is_err());
        // SBR: 24 kHz core, 48 kHz out.
        let sbr = describe(&entry("A_AAC", &[0x2b, 0x11, 0x88, 0x00])).unwrap();
        assert_eq!((sbr.format.sample_rate, sbr.frames), (48_000, Frames::Fixed(2048)));
    }

    #[test]
    fn sounds_that_are_not_played_have_names() {
        let reason = |codec| describe(&entry(codec, &[])).unwrap_err().1;
        assert_eq!(reason("A_VORBIS"), "Vorbis sound is not played");
        assert_eq!(reason("A_DTS/LOSSLESS"), "DTS sound is not played");
        assert_eq!(reason("A_\u{7}<x>"), "its coding (A_<x>) is not played");
    }
}
