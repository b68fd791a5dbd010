//! The binaries `vidstream` and `vidctl`, driven as people drive them, judged by ffprobe, ffmpeg, Chromium, curl and
//! grpcurl.

mod architecture;
mod bad_input;
mod browser;
mod clips;
mod commands;
mod deletion;
mod http;
mod judges;
mod kill;
mod playback;
mod reflection;
mod server;
mod settings;
mod storyboard;
mod upload;
mod vidctl;
