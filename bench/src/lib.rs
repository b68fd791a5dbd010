//! What the tables have in common: media, processes and what they cost, medians, Markdown.

pub mod client;
pub mod collector;
pub mod cost;
pub mod library;
pub mod link;
pub mod load;
pub mod media;
pub mod mesh;
pub mod s3;
pub mod table;
