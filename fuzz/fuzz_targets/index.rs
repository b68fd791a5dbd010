//! Any bytes as an MP4 file: an index or an error.

#![no_main]

mod followed;

use libfuzzer_sys::fuzz_target;
use vidstream_media::mp4::index_bytes_within;

fuzz_target!(|file: &[u8]| {
    if let Ok(index) = index_bytes_within(file, followed::LIMITS) {
        followed::follow(index, file.len() as u64);
    }
});
