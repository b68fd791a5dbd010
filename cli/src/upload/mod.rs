//! Sending a file: what to send next, reading and summing it, the stream of pieces, and carrying on after an outage.

pub mod file;
mod plan;
mod reader;
mod session;
mod tree;

pub use file::SourceFile;
pub use session::send;
