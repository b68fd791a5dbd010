//! Takes jobs from the catalog and does them: reads media indexes, drives ffmpeg for pictures, deletes what is removed;
//! streams progress. Owns no database and knows nothing of HTTP.

pub mod ffmpeg;
pub mod jpeg;
pub mod picture;
