//! The media index judged by ffprobe: every sample of every track, for clips as tools write them, for the corpus, and
//! for files that were bent by hand; and what becomes of files that are not fit.

mod bent;
mod boxes;
#[path = "../packaging/clips.rs"]
mod clips;
mod corpus;
mod fragmented;
mod judge;
mod made;
mod mutated;
