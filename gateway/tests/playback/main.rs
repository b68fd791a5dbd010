//! Playback over a catalog in memory and a real object store, judged by hand-made requests and by ffmpeg.

mod answers;
mod catalog;
mod freshness;
mod judged;
mod judges;
mod world;
