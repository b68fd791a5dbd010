//! The binaries `vidstream` and `vidctl`, driven as people drive them, judged by ffprobe, ffmpeg, Chromium,
//! Firefox, players of others, curl and grpcurl.

mod architecture;
mod bad_input;
mod barcode;
mod browser;
mod commands;
mod deletion;
mod edge;
mod http;
mod kill;
mod meshes;
mod playback;
mod players;
mod playlists;
mod queue;
mod reflection;
mod settings;
mod storyboard;
mod upload;
mod verdicts;
