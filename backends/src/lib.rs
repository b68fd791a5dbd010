//! The three things `VidStream` keeps outside its own memory: [`objects`] hold bytes, the job [`queue`] carries bells,
//! the event [`bus`] carries notices.
//!
//! Each is a small object-safe trait, an embedded implementation chosen by a URL, and one contract suite that every
//! implementation passes. Nothing here knows what a video is.

pub mod bus;
pub mod objects;
pub mod probe;
pub mod queue;
pub mod retry;
pub mod url;
