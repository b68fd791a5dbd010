//! Judges that are not ours.

pub mod browser;
pub mod curl;
pub mod ffmpeg;
pub mod grpcurl;
pub mod playlists;
pub mod strace;
pub mod written;
