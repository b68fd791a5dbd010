//! What clips are made of besides [`crate::streams`], as arguments of ffmpeg.

/// VP9 with a keyframe every 2 s.
pub const VP9: &[&str] = &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "50"];
/// AV1 with a keyframe every 2 s.
pub const AV1: &[&str] = &["-c:v", "libsvtav1", "-preset", "12", "-g", "50"];
/// HEVC with B-frames and a keyframe every 2 s.
pub const HEVC: &[&str] =
    &["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=50:bframes=3:open-gop=0"];
/// Opus.
pub const OPUS: &[&str] = &["-c:a", "libopus", "-b:a", "48k"];
/// FLAC.
pub const FLAC: &[&str] = &["-c:a", "flac"];
