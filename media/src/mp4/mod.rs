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

pub use crate::indexer::{IndexError, Limits, Step, index_bytes, index_bytes_within};
pub use indexer::Indexer;
