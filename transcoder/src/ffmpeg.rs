//! ffmpeg as a filter: encoded bytes go in through a pipe, small raw pictures or fragments come out through a pipe. It
//! never opens a file and never sees the network. It is given what `media` wrote, or, of a file that can't be indexed, the
//! upload in order, by one named demuxer.

pub mod args;
pub mod cage;
pub mod child;
pub mod decode;
pub mod encode;
pub mod filter;
mod grip;
mod known;
pub mod listen;
mod needs;
pub mod normalise;
pub mod plan;
pub mod program;
pub mod run;
pub mod tones;

pub use child::ChildError;
pub use decode::{DecodeError, Pictures};
pub use plan::Decode;
pub use program::Program;
pub use run::{Run, Runs};
