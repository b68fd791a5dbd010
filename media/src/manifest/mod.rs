//! What players and pages read first: HLS playlists, the DASH manifest, the storyboard's WebVTT and JSON.

pub mod address;
mod bitrate;
pub mod dash;
pub mod hls;
mod rate;
#[cfg(test)]
mod tests;
pub mod vtt;
