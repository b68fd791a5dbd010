//! Cues of a WebVTT file (W3C WebVTT §6.1), read as leniently as browsers do.

use super::tags::{self, Dialect};
use super::{Cue, settings, time};

/// Whether it says that it is WebVTT.
pub(super) fn is_vtt(text: &str) -> bool {
    text.strip_prefix("WEBVTT").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n']))
}

/// The cues of `text`. Blocks of styles, regions and comments have no line of times, and so are passed over.
pub(super) fn cues(text: &str) -> impl Iterator<Item = Cue> {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        loop {
            let line = lines.next()?;
            // A comment may say anything but an arrow, so a line of times in one is none of it.
            let Some((start, end, rest)) = time::line(line) else { continue };
            let mut payload = String::new();
            while let Some(line) = lines.next_if(|line| !line.is_empty() && !line.contains(time::ARROW)) {
                payload.push_str(line);
                payload.push('\n');
            }
            let text = tags::kept(&payload, Dialect::WebVtt);
            return Some(Cue { start, end, settings: settings::kept(rest), text });
        }
    })
}
