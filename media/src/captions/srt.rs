//! Cues of a SubRip file. The format has no specification; this takes what is found in files: numbers that are missing or wrong,
//! empty lines within a text, points for commas, coordinates behind the times.

use super::tags::{self, Dialect};
use super::{Cue, settings, time};
use std::time::Duration;

/// The cues of `text`.
pub(super) fn cues(text: &str) -> impl Iterator<Item = Cue> {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        loop {
            let Some((start, end, _)) = time::line(lines.next()?) else { continue };
            let mut own: Vec<&str> = Vec::new();
            while let Some(line) = lines.next_if(|line| time::line(line).is_none()) {
                own.push(line);
            }
            // The number of the next cue, which stands alone behind an empty line, is no text of this one.
            if lines.peek().is_some() {
                own.truncate(own.iter().rposition(|line| !line.trim().is_empty()).map_or(0, |last| last + 1));
                let number = own.last().is_some_and(|line| line.trim().bytes().all(|b| b.is_ascii_digit()));
                if number && (own.len() == 1 || own[own.len() - 2].trim().is_empty()) {
                    own.pop();
                }
            }
            return Some(cue(start, end, &own.join("\n")));
        }
    })
}

fn cue(start: Duration, end: Duration, text: &str) -> Cue {
    // Of the places that players of SubRip know from ASS, the top is the one that is used: there is writing below.
    let top = ["{\\an7}", "{\\an8}", "{\\an9}"].iter().any(|place| text.contains(place));
    let settings = if top { settings::TOP.to_owned() } else { String::new() };
    Cue { start, end, settings, text: tags::kept(text, Dialect::SubRip) }
}
