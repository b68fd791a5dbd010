//! Any bytes as a file of captions: an error, or what is written is read as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vidstream_media::captions::Captions;

fuzz_target!(|file: &[u8]| {
    if let Ok(captions) = Captions::read(file) {
        assert_eq!(Captions::read(captions.webvtt().as_bytes()).as_ref(), Ok(&captions));
    }
});
