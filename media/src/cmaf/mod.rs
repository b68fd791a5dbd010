//! Fragmented MP4 as players take it (CMAF, ISO/IEC 23000-19): init segments, fragment headers, and how to read the
//! bytes that follow them. All boxes are written, none is copied from the source.

mod boxes;
mod entry;
pub mod init;
pub mod read;
pub mod segment;

pub use init::{feed_init, init_segment};
pub use read::{ReadPlan, Span};
pub use segment::SegmentLayout;
