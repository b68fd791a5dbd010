//! Any bytes as a stored media index, its checksum made right: an index or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vidstream_media::index::MediaIndex;
use vidstream_media::presentation::Presentation;

fuzz_target!(|bytes: &[u8]| {
    let mut stored = bytes.to_vec();
    // CRC-32C of what is before it, as `MediaIndex::encode` ends with.
    let sum = bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0x82f6_3b78 & (sum & 1).wrapping_neg()))
    });
    stored.extend((!sum).to_le_bytes());
    let Ok(index) = MediaIndex::decode(&stored) else { return };
    if index.tracks.iter().map(|track| track.samples.len()).sum::<usize>() > 20_000 {
        return;
    }
    let presentation = Presentation::new(index);
    for rendition in presentation.renditions() {
        for number in 1..=u32::try_from(rendition.plan.segments().len()).unwrap_or(0) {
            let _ = rendition.segment(number);
        }
    }
});
