//! Codecs that can be carried, with the configuration a player needs, and their RFC 6381 strings.

pub mod aac;
mod strings;

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
            | Self::Flac { dfla: bytes } => bytes,
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
        }
    }
}
