//! Matroska and WebM: the index judged by ffprobe, packet by packet, and what is packaged from it by ffmpeg, frame by frame;
//! for clips as tools write them, for the corpus, for files that were bent by hand, and for noise.

mod bent;
mod clip;
#[path = "../packaging/clips.rs"]
#[allow(dead_code, reason = "shared with others that need all of it")]
mod clips;
mod corpus;
mod ebml;
#[path = "../packaging/judge.rs"]
#[allow(dead_code, reason = "shared with others that need all of it")]
mod judge;
mod made;
mod mutated;
mod same;
#[path = "../packaging/streams.rs"]
mod streams;
#[path = "../packaging/written.rs"]
mod written;
