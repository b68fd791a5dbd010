//! The edge through its own clients, over a catalog and a transcoder in memory and a real object store.

mod catalog;
mod streams;
mod transcoder;
mod world;
