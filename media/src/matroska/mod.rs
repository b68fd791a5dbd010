//! Matroska and WebM files (RFC 9559, EBML by RFC 8794): from their tracks and blocks to a
//! [`MediaIndex`](crate::index::MediaIndex).
//!
//! A file has no table of its frames: where they lie and when they are shown is in the header of each block, so the file is
//! read once, in order, as it comes. What Matroska does not say is computed: decode times from the order in which
//! pictures are shown ([`times`]), the times of sound from how long its frames last ([`stream`]), the configurations that
//! MP4 needs ([`sound`], [`video`], [`vp9`]). Cues are hints, and not read.
//!
//! Nothing in a file is believed: whatever contradicts itself ends in an [`IndexError`](crate::indexer::IndexError) that names the element and its
//! place, or, behind frames that are whole, ends the file there.

mod block;
mod choice;
mod ebml;
mod entry;
mod ids;
mod indexer;
mod sound;
mod stream;
mod times;
mod video;
mod vp9;
mod walk;

pub use indexer::Indexer;

/// Whether a file that begins with these bytes is one of EBML.
pub fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(&ids::EBML.to_be_bytes())
}

/// The number of a track as an index has it.
fn track_id(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A text of a file as it may be shown: not long, without control characters.
fn printable(text: &str) -> String {
    const LONGEST: usize = 40;
    text.chars().filter(|c| !c.is_control() && *c != '\u{fffd}').take(LONGEST).collect()
}
