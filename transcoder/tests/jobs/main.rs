//! A whole transcoder over a catalog in memory: jobs from their lease to their result, judged by ffmpeg.

mod catalog;
mod clips;
mod corpus;
mod delete;
mod ingest;
mod leases;

mod mesh;
mod pictures;
mod progress;
mod similarity;
