//! Many watchers of one gateway, over a catalog in memory whose feed the tests write.
#![expect(clippy::unwrap_used, reason = "where a test can't go on it fails")]

mod catalog;
mod sharing;
mod world;
