//! ffmpeg as a filter: encoded bytes go in through a pipe, small raw pictures come out through a pipe. It never opens a
//! file and never sees the network, and it is given only what `media` wrote.

pub mod args;
pub mod cage;
pub mod child;
pub mod decode;
pub mod encode;
pub mod filter;
mod grip;
mod known;
mod needs;
pub mod normalise;
pub mod plan;
pub mod program;

pub use child::ChildError;
pub use decode::{DecodeError, Pictures};
pub use plan::Decode;
pub use program::Program;
