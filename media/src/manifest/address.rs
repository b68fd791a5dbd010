//! Addresses of what a manifest names, all relative: `{base}v1/init.mp4`, `{base}v1/1.m4s`, `{base}v1/playlist.m3u8`.

use crate::presentation::TrackName;

/// File name of an init segment, beside the media playlist that names it.
pub const INIT: &str = "init.mp4";
/// File name of a media playlist.
pub const PLAYLIST: &str = "playlist.m3u8";
/// File name of captions, beside the media playlist that names them.
pub const TEXT: &str = "text.vtt";

/// File name of segment `number`, counted from 1.
pub fn segment(number: u32) -> String {
    format!("{number}.m4s")
}

/// The number in the file name of a segment; none where the name is not one.
pub fn segment_number(file: &str) -> Option<u32> {
    let number = file.strip_suffix(".m4s")?.parse().ok()?;
    (number > 0 && segment(number) == file).then_some(number)
}

/// The address of `file` of `track` below `base`, which is empty or ends in a slash.
pub(super) fn below(base: &str, track: TrackName, file: &str) -> String {
    format!("{base}{track}/{file}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_as_written_are_segments() {
        assert_eq!(segment_number("1.m4s"), Some(1));
        assert_eq!(segment_number("4294967295.m4s"), Some(u32::MAX));
        for file in ["0.m4s", "01.m4s", "+1.m4s", "1.mp4", ".m4s", "4294967296.m4s", "1.m4s/"] {
            assert_eq!(segment_number(file), None, "{file}");
        }
    }
}
