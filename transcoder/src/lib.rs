//! Takes jobs from the catalog and does them: reads media indexes, drives ffmpeg for pictures, deletes what is removed;
//! streams progress. Owns no database and knows nothing of HTTP.

mod beat;
mod catalog;
mod config;
mod examine;
mod ffmpeg;
mod jobs;
mod jpeg;
mod made;
mod pace;
mod picture;
mod place;
mod progress;
mod records;
mod service;
mod waveform;
mod worker;

pub use config::{Builder, Config, Encoding, Transcoder};
pub use ffmpeg::cage::{Layers, NoBubblewrap};
pub use ffmpeg::program::{Limits, Program, ProgramError};
pub use service::Service;

#[cfg(test)]
mod testing;
