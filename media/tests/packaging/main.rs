//! Packaging judged by ffmpeg: a presentation written to disk must give the packets, times and pictures of the file.

mod cases;
mod clips;
mod corpus;
mod judge;
mod keyframes;
mod streams;
mod written;
