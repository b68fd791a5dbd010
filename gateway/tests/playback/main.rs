//! Playback over a catalog in memory and a real object store, judged by hand-made requests and by ffmpeg.
#![expect(clippy::unwrap_used, reason = "where a test can't go on it fails")]

mod answers;
mod catalog;
mod freshness;
mod judged;
mod judges;
mod reading;
mod requests;
mod world;
