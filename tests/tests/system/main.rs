//! The binaries `vidstream` and `vidctl`, driven as people drive them, judged by ffprobe, ffmpeg, Chromium,
//! Firefox, players of others, curl and grpcurl.

mod apart;
mod architecture;
mod bad_input;
mod barcode;
mod browser;
mod commands;
mod deletion;
mod distributed;
mod doctor;
mod durability;
mod edge;
mod expiry;
mod far;
mod garbage;
mod http;
mod kill;
mod meshes;
mod metrics;
mod outdated;
mod playback;
mod players;
mod playlists;
mod points;
mod pressure;
mod queue;
mod reflection;
mod requests;
mod settings;
mod space;
mod storyboard;
mod together;
mod traces;
mod upload;
mod verdicts;
mod views;
