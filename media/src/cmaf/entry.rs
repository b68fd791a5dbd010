//! Sample entries (ISO/IEC 14496-12 §12.1.3, §12.2.3), rebuilt for players.
//!
//! Never copied: Chromium refuses the QuickTime sound description that every MOV with AAC has, and `AVPlayer` takes only
//! `avc1` and `hvc1`, not the names for parameter sets in the samples.

use super::boxes::{put, put_full, put_u16, put_u32, put_zeros};
use crate::codec::Codec;
use crate::track::{AudioFormat, Track, TrackKind, VideoFormat};

/// Appends the sample entry of `track`.
pub(super) fn put_sample_entry(out: &mut Vec<u8>, track: &Track) {
    let (name, configuration) = match &track.codec {
        Codec::H264 { avcc } => (*b"avc1", Configuration::Box(*b"avcC", avcc)),
        Codec::Hevc { hvcc } => (*b"hvc1", Configuration::Box(*b"hvcC", hvcc)),
        Codec::Vp9 { vpcc } => (*b"vp09", Configuration::Box(*b"vpcC", vpcc)),
        Codec::Av1 { av1c } => (*b"av01", Configuration::Box(*b"av1C", av1c)),
        Codec::Aac { asc } => (*b"mp4a", Configuration::Esds(asc)),
        Codec::Opus { dops } => (*b"Opus", Configuration::Box(*b"dOps", dops)),
        Codec::Flac { dfla } => (*b"fLaC", Configuration::Box(*b"dfLa", dfla)),
        Codec::Mp3 => (*b".mp3", Configuration::None),
        Codec::Ac3 { dac3 } => (*b"ac-3", Configuration::Box(*b"dac3", dac3)),
        Codec::Eac3 { dec3 } => (*b"ec-3", Configuration::Box(*b"dec3", dec3)),
        Codec::Pcm { coding } => (coding.first_chunk().copied().unwrap_or(*b"lpcm"), Configuration::None),
        Codec::Foreign { entry } => {
            (entry.first_chunk().copied().unwrap_or(*b"mp4v"), Configuration::Boxes(entry.get(4..).unwrap_or_default()))
        }
    };
    if let (Codec::Foreign { entry }, TrackKind::Audio(_)) = (&track.codec, &track.kind) {
        put(out, name, |out| out.extend_from_slice(entry.get(4..).unwrap_or_default()));
        return;
    }
    put(out, name, |out| {
        put_zeros(out, 6);
        put_u16(out, 1);
        match &track.kind {
            TrackKind::Video(format) => put_visual(out, format),
            TrackKind::Audio(format) => put_audio(out, *format),
        }
        match configuration {
            Configuration::Box(kind, payload) => put(out, kind, |out| out.extend_from_slice(payload)),
            Configuration::None => {}
            Configuration::Boxes(boxes) => out.extend_from_slice(boxes),
            Configuration::Esds(asc) => put_full(out, *b"esds", 0, 0, |out| put_es_descriptor(out, asc)),
        }
        // What is foreign brought its own along.
        if let TrackKind::Video(format) = &track.kind
            && !matches!(track.codec, Codec::Foreign { .. })
        {
            put_aspect_and_colour(out, format);
        }
    });
}

enum Configuration<'a> {
    None,
    Boxes(&'a [u8]),
    Box([u8; 4], &'a [u8]),
    Esds(&'a [u8]),
}

fn put_visual(out: &mut Vec<u8>, format: &VideoFormat) {
    put_zeros(out, 16);
    put_u16(out, format.width);
    put_u16(out, format.height);
    put_u32(out, 0x48_0000);
    put_u32(out, 0x48_0000);
    put_zeros(out, 4);
    put_u16(out, 1);
    put_zeros(out, 32);
    put_u16(out, 0x18);
    put_u16(out, 0xffff);
}

fn put_aspect_and_colour(out: &mut Vec<u8>, format: &VideoFormat) {
    let (horizontal, vertical) = format.sample_aspect;
    if horizontal != vertical {
        put(out, *b"pasp", |out| {
            put_u32(out, horizontal);
            put_u32(out, vertical);
        });
    }
    if let Some(colour) = format.colour {
        put(out, *b"colr", |out| {
            out.extend_from_slice(b"nclx");
            put_u16(out, colour.primaries);
            put_u16(out, colour.transfer);
            put_u16(out, colour.matrix);
            out.push(u8::from(colour.full_range) << 7);
        });
    }
}

fn put_audio(out: &mut Vec<u8>, format: AudioFormat) {
    put_zeros(out, 8);
    put_u16(out, format.channels);
    put_u16(out, 16);
    put_zeros(out, 4);
    // The field holds 16 bits: a higher rate is said as its largest half, quarter, … that fits (Encapsulation of FLAC
    // in ISO BMFF §3.3.1); decoders take the true one from their configuration.
    let mut rate = format.sample_rate;
    while rate > u32::from(u16::MAX) {
        rate /= 2;
    }
    put_u32(out, rate << 16);
}

/// `ES_Descriptor` of AAC (ISO/IEC 14496-1 §7.2.6.5; ISO/IEC 14496-14 §3.1.2).
fn put_es_descriptor(out: &mut Vec<u8>, asc: &[u8]) {
    put_descriptor(out, 0x03, |out| {
        put_u16(out, 0);
        out.push(0);
        put_descriptor(out, 0x04, |out| {
            // MPEG-4 audio, an audio stream, buffer size and bit rates unknown.
            out.extend_from_slice(&[0x40, 0x15]);
            put_zeros(out, 3 + 4 + 4);
            put_descriptor(out, 0x05, |out| out.extend_from_slice(asc));
        });
        put_descriptor(out, 0x06, |out| out.push(2));
    });
}

/// A descriptor with its size in base 128, most significant first, as few bytes as it takes (§8.3.3).
fn put_descriptor(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let mut content = Vec::new();
    body(&mut content);
    out.push(tag);
    let groups = (1..=4).find(|n| content.len() >> (7 * n) == 0).expect("a configuration is far below 256 MiB");
    for group in (0..groups).rev() {
        let more = if group > 0 { 0x80 } else { 0 };
        let bits = u8::try_from(content.len() >> (7 * group) & 0x7f).expect("seven bits");
        out.push(more | bits);
    }
    out.extend_from_slice(&content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_descriptors_are_base_128() {
        for (len, size) in [(0, vec![0]), (127, vec![127]), (128, vec![0x81, 0]), (16384, vec![0x81, 0x80, 0])] {
            let mut out = Vec::new();
            put_descriptor(&mut out, 5, |out| put_zeros(out, len));
            assert_eq!(out[1..=size.len()], size);
            assert_eq!(out.len(), 1 + size.len() + len);
        }
    }

    #[test]
    fn rates_beyond_the_field_are_halved() {
        for (rate, said) in [(48_000, 48_000_u32), (96_000, 48_000), (192_000, 48_000), (176_400, 44_100)] {
            let mut out = Vec::new();
            put_audio(&mut out, AudioFormat { sample_rate: rate, channels: 2 });
            assert_eq!(out[16..], (said << 16).to_be_bytes());
        }
    }
}
