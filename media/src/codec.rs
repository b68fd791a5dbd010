//! Codecs that can be carried, with the configuration a player needs, and their RFC 6381 strings.

pub mod aac;
pub mod foreign;
mod sets;
mod strings;
mod vui;

use crate::track::Colour;

/// A codec and its decoder configuration, in the form that an ISO BMFF sample entry carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Codec {
    /// H.264/AVC; the payload of `avcC` (ISO/IEC 14496-15 §5.3.3.1).
    H264 {
        /// `AVCDecoderConfigurationRecord`.
        avcc: Vec<u8>,
    },
    /// H.265/HEVC; the payload of `hvcC` (ISO/IEC 14496-15 §8.3.3.1).
    Hevc {
        /// `HEVCDecoderConfigurationRecord`.
        hvcc: Vec<u8>,
    },
    /// VP9; the payload of `vpcC` (VP Codec ISO Media File Format Binding), version and flags included.
    Vp9 {
        /// `VPCodecConfigurationBox` payload.
        vpcc: Vec<u8>,
    },
    /// AV1; the payload of `av1C` (AV1 Codec ISO Media File Format Binding §2.3).
    Av1 {
        /// `AV1CodecConfigurationRecord`.
        av1c: Vec<u8>,
    },
    /// AAC; the `AudioSpecificConfig` (ISO/IEC 14496-3 §1.6.2.1) out of `esds`.
    Aac {
        /// `AudioSpecificConfig`.
        asc: Vec<u8>,
    },
    /// Opus; the payload of `dOps` (Encapsulation of Opus in ISO BMFF §4.3.2).
    Opus {
        /// `OpusSpecificBox` payload.
        dops: Vec<u8>,
    },
    /// MP3 (ISO/IEC 11172-3 and 13818-3 layer III), which needs no configuration.
    Mp3,
    /// AC-3; the payload of `dac3` (ETSI TS 102 366 annex F.4), empty where a file has none.
    Ac3 {
        /// `AC3SpecificBox` payload.
        dac3: Vec<u8>,
    },
    /// E-AC-3; the payload of `dec3` (ETSI TS 102 366 annex F.6), empty where a file has none.
    Eac3 {
        /// `EC3SpecificBox` payload.
        dec3: Vec<u8>,
    },
    /// Uncompressed sound; a sample of the index is a run of frames, as many as a chunk of the file has.
    Pcm {
        /// Type of the sample entry, such as `sowt`, then the bits of a value (one byte).
        coding: Vec<u8>,
    },
    /// A coding that no player takes and ffmpeg decodes; the type of the sample entry, then its boxes, or of sound its whole body.
    Foreign {
        /// Type and rest of the sample entry.
        entry: Vec<u8>,
    },
    /// FLAC; the payload of `dfLa` (Encapsulation of FLAC in ISO BMFF §3.3.2), version and flags included.
    Flac {
        /// `FLACSpecificBox` payload.
        dfla: Vec<u8>,
    },
}

impl Codec {
    /// The value of a `codecs` parameter (RFC 6381), of the sample entry that players take (`hvc1`, `avc1`).
    pub fn codec_string(&self) -> String {
        match self {
            Self::H264 { avcc } => strings::h264(avcc),
            Self::Hevc { hvcc } => strings::hevc(hvcc),
            Self::Vp9 { vpcc } => strings::vp9(vpcc),
            Self::Av1 { av1c } => strings::av1(av1c),
            Self::Aac { asc } => strings::aac(asc),
            Self::Opus { .. } => "opus".to_owned(),
            Self::Flac { .. } => "fLaC".to_owned(),
            Self::Mp3 => "mp4a.6b".to_owned(),
            Self::Ac3 { .. } => "ac-3".to_owned(),
            Self::Eac3 { .. } => "ec-3".to_owned(),
            Self::Pcm { coding: entry } | Self::Foreign { entry } => {
                String::from_utf8_lossy(entry.get(..4).unwrap_or_default()).trim_end().to_owned()
            }
        }
    }

    /// The decoder's configuration, whichever it is.
    pub fn configuration(&self) -> &[u8] {
        match self {
            Self::H264 { avcc: bytes }
            | Self::Hevc { hvcc: bytes }
            | Self::Vp9 { vpcc: bytes }
            | Self::Av1 { av1c: bytes }
            | Self::Aac { asc: bytes }
            | Self::Opus { dops: bytes }
            | Self::Flac { dfla: bytes }
            | Self::Ac3 { dac3: bytes }
            | Self::Eac3 { dec3: bytes }
            | Self::Pcm { coding: bytes }
            | Self::Foreign { entry: bytes } => bytes,
            Self::Mp3 => &[],
        }
    }

    /// Whether decoding can begin with what the configuration holds: H.264 with an SPS and a PPS in it, HEVC with a VPS too.
    pub fn has_parameter_sets(&self) -> bool {
        match self {
            Self::H264 { avcc } => sets::h264(avcc),
            Self::Hevc { hvcc } => sets::hevc(hvcc),
            _ => true,
        }
    }

    /// The colour that the configuration says pictures have, which decoders go by: of HEVC, whose files are the ones that say
    /// something else beside it, or nothing.
    pub fn colour(&self) -> Option<Colour> {
        match self {
            Self::Hevc { hvcc } => vui::colour(hvcc),
            _ => None,
        }
    }

    /// The name people know it by.
    pub fn name(&self) -> &'static str {
        match self {
            Self::H264 { .. } => "H.264",
            Self::Hevc { .. } => "HEVC",
            Self::Vp9 { .. } => "VP9",
            Self::Av1 { .. } => "AV1",
            Self::Aac { .. } => "AAC",
            Self::Opus { .. } => "Opus",
            Self::Flac { .. } => "FLAC",
            Self::Mp3 => "MP3",
            Self::Ac3 { .. } => "AC-3",
            Self::Eac3 { .. } => "E-AC-3",
            Self::Pcm { .. } => "uncompressed sound (PCM)",
            Self::Foreign { entry } => entry.first_chunk().and_then(foreign::name).unwrap_or("its coding"),
        }
    }
}
