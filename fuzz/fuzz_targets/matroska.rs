//! Any bytes as a Matroska file: an index or an error.

#![no_main]

mod followed;

use libfuzzer_sys::fuzz_target;
use vidstream_media::indexer::Step;
use vidstream_media::matroska::Indexer;

fuzz_target!(|file: &[u8]| {
    let mut indexer = Indexer::new(file.len() as u64, followed::LIMITS);
    let mut bytes: &[u8] = &[];
    while let Ok(step) = indexer.step(bytes) {
        match step {
            Step::Need(range) | Step::Await(range) => {
                let at = |offset| usize::try_from(offset).expect("within the file");
                bytes = &file[at(range.start)..at(range.end)];
            }
            Step::Done(index) => return followed::follow(*index, file.len() as u64),
        }
    }
});
