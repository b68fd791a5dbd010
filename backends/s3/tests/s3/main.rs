//! The store on real servers: the contract, what breaks, and what a person is told.

mod contract;
mod faults;
mod opening;
mod presigned;
mod setup;
mod streaming;
