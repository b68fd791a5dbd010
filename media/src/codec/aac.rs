//! `AudioSpecificConfig` (ISO/IEC 14496-3 §1.6.2.1): what an AAC decoder must know.

/// What an `AudioSpecificConfig` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AacConfig {
    /// The outermost audio object type: 2 is AAC-LC, 5 HE-AAC (SBR), 29 HE-AAC v2 (PS).
    pub object_type: u8,
    /// Rate of the decoder's output in hertz: with explicit SBR, the extended one.
    pub sample_rate: u32,
    /// `channelConfiguration` (table 1.19) of the core; 0 where a program config element says it.
    pub configuration: u8,
    /// Channels of the decoder's output; 0 where the configuration doesn't say.
    pub channels: u16,
    /// Samples of the core coder in an access unit: 1024 or 960 (SBR doubles them at its own rate).
    pub frame_length: u16,
}

/// `samplingFrequencyIndex` (table 1.18).
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// Channels by `channelConfiguration` (table 1.19); 0 is in the program config element.
const CHANNELS: [u16; 15] = [0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 24, 8];

const SBR: u8 = 5;
const PS: u8 = 29;

impl AacConfig {
    /// Reads `asc`; none if it is cut off, reserved or not of the AAC family (object types 1 to 4, alone or below SBR and PS).
    pub fn parse(asc: &[u8]) -> Option<Self> {
        let mut bits = Bits { bytes: asc, at: 0 };
        let mut object_type = object_type(&mut bits)?;
        let mut sample_rate = rate(&mut bits)?;
        let channel_configuration = bits.take(4)?;
        let mut extension = None;
        if object_type == SBR || object_type == PS {
            extension = Some(object_type);
            sample_rate = rate(&mut bits)?;
            object_type = self::object_type(&mut bits)?;
        }
        if !(1..=4).contains(&object_type) {
            return None;
        }
        let frame_length = if bits.take(1)? == 1 { 960 } else { 1024 };
        if bits.take(1)? == 1 {
            bits.take(14)?;
        }
        bits.take(1)?;
        let mut channels = *CHANNELS.get(channel_configuration as usize)?;
        if channel_configuration == 0 {
            channels = program_config_channels(&mut bits)?;
        } else if extension.is_none() {
            (extension, sample_rate) = trailing_extension(&mut bits, sample_rate);
        }
        if extension == Some(PS) && channels == 1 {
            channels = 2;
        }
        if sample_rate == 0 {
            return None;
        }
        let configuration = u8::try_from(channel_configuration).ok()?;
        let object_type = extension.unwrap_or(object_type);
        Some(Self { object_type, sample_rate, configuration, channels, frame_length })
    }
}

fn object_type(bits: &mut Bits<'_>) -> Option<u8> {
    let short = bits.take(5)?;
    let object_type = if short == 31 { 32 + bits.take(6)? } else { short };
    u8::try_from(object_type).ok()
}

fn rate(bits: &mut Bits<'_>) -> Option<u32> {
    match bits.take(4)? {
        15 => bits.take(24),
        index => RATES.get(index as usize).copied(),
    }
}

/// The backward compatible signalling of SBR and PS behind the core's configuration.
fn trailing_extension(bits: &mut Bits<'_>, core_rate: u32) -> (Option<u8>, u32) {
    let mut read = || {
        let is_sbr = bits.take(11)? == 0x2b7 && object_type(bits)? == SBR && bits.take(1)? == 1;
        if !is_sbr {
            return None;
        }
        let rate = rate(bits)?;
        let has_ps = bits.take(11) == Some(0x548) && bits.take(1) == Some(1);
        Some((Some(if has_ps { PS } else { SBR }), rate))
    };
    read().unwrap_or((None, core_rate))
}

/// Channels of a `program_config_element` (§4.4.1.1): single and pair elements, front, side and back, and low frequency.
fn program_config_channels(bits: &mut Bits<'_>) -> Option<u16> {
    bits.take(10)?;
    let mut elements = 0;
    for _ in 0..3 {
        elements += bits.take(4)?;
    }
    let low_frequency = bits.take(2)?;
    bits.take(3 + 4)?;
    for mixdown_bits in [4, 4, 3] {
        if bits.take(1)? == 1 {
            bits.take(mixdown_bits)?;
        }
    }
    let mut channels = low_frequency;
    for _ in 0..elements {
        channels += 1 + bits.take(1)?;
        bits.take(4)?;
    }
    u16::try_from(channels).ok()
}

/// Bits, most significant first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for at in self.at..self.at + count {
            let byte = *self.bytes.get(at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - at % 8) & 1);
        }
        self.at += count;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(object_type: u8, sample_rate: u32, channels: u16) -> AacConfig {
        let mono_core = object_type == PS || channels == 1;
        let configuration = if mono_core { 1 } else { u8::try_from(channels).unwrap() };
        AacConfig { object_type, sample_rate, configuration, channels, frame_length: 1024 }
    }

    #[test]
    fn plain_and_extended() {
        assert_eq!(AacConfig::parse(&[0x12, 0x10]), Some(config(2, 44_100, 2)));
        assert_eq!(AacConfig::parse(&[0x11, 0xb0]), Some(config(2, 48_000, 6)));
        // SBR signalled first: 24 kHz core, 48 kHz out.
        assert_eq!(AacConfig::parse(&[0x2b, 0x11, 0x88, 0x00]), Some(config(5, 48_000, 2)));
        // PS over a mono core.
        assert_eq!(AacConfig::parse(&[0xeb, 0x09, 0x88, 0x00]), Some(config(29, 48_000, 2)));
        // SBR signalled behind the core's configuration.
        assert_eq!(AacConfig::parse(&[0x13, 0x10, 0x56, 0xe5, 0x98]), Some(config(5, 48_000, 2)));
        // The same place with SBR absent.
        assert_eq!(AacConfig::parse(&[0x12, 0x10, 0x56, 0xe5, 0x00]), Some(config(2, 44_100, 2)));
    }

    #[test]
    fn rates_outside_the_table() {
        // 5 bits of type, index 15, 24 bits of rate, 4 of channels.
        let bits = 0b0_0010_1111_u64 << 28 | 37_800 << 4 | 1;
        let bytes = (bits << (64 - 37)).to_be_bytes();
        assert_eq!(AacConfig::parse(&bytes), Some(config(2, 37_800, 1)));
    }

    #[test]
    fn not_aac_or_cut_off() {
        assert_eq!(AacConfig::parse(&[]), None);
        assert_eq!(AacConfig::parse(&[0x12]), None);
        // ALS (object type 36) and a reserved rate.
        assert_eq!(AacConfig::parse(&[0xf8, 0x88, 0, 0]), None);
        assert_eq!(AacConfig::parse(&[0x16, 0x90]), None);
    }
}
