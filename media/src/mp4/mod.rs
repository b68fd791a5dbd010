//! MP4 and MOV files (ISO/IEC 14496-12, `QuickTime` File Format): from their own tables to a [`MediaIndex`].
//!
//! Nothing in a file is believed: tables must be there as bytes before anything is allocated for them, counts have
//! limits, and whatever contradicts itself ends in an [`IndexError`] that names the box and its place.

mod audio;
mod boxes;
mod columns;
mod edits;
mod entry;
mod fragments;
mod indexer;
mod movie;
pub(crate) mod names;
mod sieve;
pub mod sniff;
mod tables;
mod track;
mod video;

pub use crate::indexer::{IndexError, Limits, Step};
pub use indexer::Indexer;

use crate::index::MediaIndex;

/// Indexes a file whose bytes are all at hand: for tests and small files.
pub fn index_bytes(file: &[u8]) -> Result<MediaIndex, IndexError> {
    index_bytes_within(file, Limits::default())
}

/// The same within other limits than the usual ones.
pub fn index_bytes_within(file: &[u8], limits: Limits) -> Result<MediaIndex, IndexError> {
    let mut indexer = Indexer::new(file.len() as u64, limits);
    let mut bytes: &[u8] = &[];
    loop {
        match indexer.step(bytes)? {
            Step::Need(range) | Step::Await(range) => {
                let at = |offset| usize::try_from(offset).unwrap_or(file.len()).min(file.len());
                bytes = &file[at(range.start)..at(range.end)];
            }
            Step::Done(index) => return Ok(*index),
        }
    }
}
