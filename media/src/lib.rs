//! Containers and packaging as pure functions: bytes in, values out.
//!
//! This crate reads the index out of an MP4, MOV, Matroska or WebM file, plans segments, and writes what players fetch (fMP4 headers,
//! HLS and DASH manifests, WebVTT). It does no I/O: a reader says which byte range it needs next and is given it, which
//! is also what becomes a *want* of an upload. It knows nothing of gRPC, storage, async or ffmpeg.

pub mod captions;
pub mod cmaf;
pub mod codec;
pub mod encoded;
mod fill;
mod gathering;
pub mod index;
pub mod indexer;
mod language;
#[cfg(test)]
mod made;
pub mod manifest;
pub mod matroska;
pub mod mp4;
pub mod picture;
pub mod plan;
pub mod playable;
pub mod presentation;
pub mod remedy;
mod samples;
mod silence;
mod still;
pub mod stored;
pub mod storyboard;
pub mod time;
pub mod timeline;
pub mod track;
