//! All of VidStream, or some of its services, in one process: settings, the data directory and how the services are wired. The
//! binary adds signals and the log; tests run several meshes side by side, as there are no globals.

pub mod args;
mod backends;
pub mod data_dir;
pub mod ending;
mod ffmpeg;
mod front;
mod listeners;
mod open;
pub mod roles;
pub mod settings;
mod sight;
pub mod wiring;
