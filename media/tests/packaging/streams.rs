//! What clips are made of, as arguments of ffmpeg.

/// A moving picture of 25 frames a second.
pub const PICTURE: &[&str] = &["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=9"];
/// A tone that starts with the picture.
pub const SOUND: &[&str] = &["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=9"];
/// H.264 with B-frames and a keyframe every 2 s.
pub const H264: &[&str] = &["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "50", "-pix_fmt", "yuv420p"];
/// AAC.
pub const AAC: &[&str] = &["-c:a", "aac", "-b:a", "64k"];
