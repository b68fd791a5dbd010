//! The whole service through the contract's client, on files that are closed and opened again.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod again;
mod bus;
mod captions;
mod crashes;
mod dying;
mod encoded;
mod feed;
mod garbage;
mod jobs;
mod lists;
mod owner;
mod place;
mod removal;
mod requests;
mod room;
mod scale;
mod segments;
mod uploads;
mod views;
mod wants;
mod world;
