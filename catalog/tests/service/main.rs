//! The whole service through the contract's client, on files that are closed and opened again.

mod jobs;
mod uploads;
mod world;
