//! The binaries `vidstream` and `vidctl`, driven as people drive them, judged by ffprobe, ffmpeg, Chromium, curl and
//! grpcurl.

mod architecture;
mod bad_input;
mod browser;
mod commands;
mod deletion;
mod durability;
mod edge;
mod expiry;
mod http;
mod kill;
mod playback;
mod points;
mod pressure;
mod queue;
mod reflection;
mod settings;
mod space;
mod storyboard;
mod together;
mod upload;
