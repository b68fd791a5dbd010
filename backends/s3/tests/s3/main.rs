//! The store on real servers: the contract, what breaks, and what a person is told.

#![allow(clippy::unwrap_used, reason = "a test that can't go on ends")]

mod contract;
mod faults;
mod opening;
mod presigned;
mod setup;
mod streaming;
