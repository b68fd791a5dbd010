//! All of VidStream in one process: settings, the data directory and how the services are wired. The binary adds signals and
//! the log; tests run several meshes side by side, as there are no globals.

pub mod args;
pub mod data_dir;
mod open;
pub mod settings;
mod sight;
pub mod wiring;
