//! The truth about videos, sources, records and jobs.
//!
//! [`Catalog`] serves `vidstream.v1.CatalogService` over a [`store`]. Every write is to one row, by compare-and-set; what
//! follows from it in other rows is derived right after ([settling](sources)), and again by the [sweep] when a crash came
//! between. So nothing needs a transaction, and anything may be killed at any moment.

mod again;
mod answers;
mod apply;
mod bells;
mod captions;
mod catalog;
mod config;
mod examine;
mod feed;
mod figures;
mod garbage;
mod jobs;
mod leases;
mod lists;
mod notices;
mod owner;
mod purge;
mod requests;
mod room;
mod search;
mod segments;
mod service;
mod show;
mod sources;
pub mod store;
mod sweep;
mod time;
mod upload;
mod videos;
mod views;
mod wanted;
mod wants;
mod watch;

pub use crate::catalog::{Builder, Catalog};
pub use crate::config::Config;
pub use crate::feed::Position;
