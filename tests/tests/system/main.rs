//! The binaries `vidstream` and `vidctl`, driven as people drive them, judged by ffprobe, ffmpeg, Chromium, curl and
//! grpcurl.

mod architecture;
mod bad_input;
mod browser;
mod commands;
mod deletion;
mod edge;
mod garbage;
mod http;
mod kill;
mod playback;
mod pressure;
mod queue;
mod reflection;
mod settings;
mod storyboard;
mod upload;
mod views;
