//! A source's bytes: how they are divided, what of them is there, how pieces become extents, and a reader of any range
//! that waits for what has not come.
//!
//! Nothing here serves or calls gRPC, and nothing knows of ffmpeg: records are reached through two small traits,
//! [`records::Recorder`] and [`records::Records`], which the services implement with the catalog's client.

pub mod checksum;
pub mod extents;
pub mod made;
pub mod names;
pub mod page;
pub mod ranges;
pub mod reader;
pub mod records;
#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "files in tests are small")]
mod testing;
mod wants;
pub mod writer;
