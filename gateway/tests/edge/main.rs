//! The edge through its own clients, over a catalog and a transcoder in memory and a real object store.

mod catalog;
mod chunks;
mod completion;
mod http;
mod pressure;
mod streams;
mod transcoder;
mod videos;
mod world;
