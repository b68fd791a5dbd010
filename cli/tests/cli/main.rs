//! The binary against a gateway of a few lines: what it prints, what it sends, what it exits with.

mod binary;
mod download;
mod fake;
mod help;
mod upload;
mod videos;
mod waiting;
