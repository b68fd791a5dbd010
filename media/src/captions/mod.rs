//! Captions as text: files of people (WebVTT, SubRip) become cues, and cues become WebVTT that holds nothing else.
//!
//! Everything is taken from strangers, so nothing is copied as it is: times are read and written anew, and of texts
//! what [`tags`] knows is kept. Styles, regions and comments are left out; a style sheet may name addresses. Work and memory
//! are a small multiple of what is given.

mod encoding;
mod settings;
mod srt;
mod tags;
#[cfg(test)]
mod tests;
mod time;
mod vtt;

use crate::language;
use std::fmt::Write as _;
use std::time::Duration;
use thiserror::Error;

/// The most cues that are taken of one file. A long film has some thousands.
pub const MAX_CUES: usize = 100_000;
/// Nothing begins or ends later, as nothing that is played does.
const LONGEST: Duration = Duration::from_hours(48);

/// The shortest tag for the language of `tag` (RFC 5646 §4.1), such as `de` for `ger`.
pub fn shortest_tag(tag: &str) -> String {
    let (language, rest) = tag.split_at(tag.find('-').unwrap_or(tag.len()));
    let short = language::from_code(language).unwrap_or_else(|| language.to_owned());
    format!("{short}{rest}")
}

/// Text that is shown for a time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cue {
    /// When it appears, on the presentation's clock.
    pub start: Duration,
    /// When it goes; later than `start` by a millisecond at the least.
    pub end: Duration,
    /// Where it stands, as WebVTT writes it; mostly empty.
    settings: String,
    /// The text as WebVTT writes it: escaped, tags balanced, no empty lines.
    text: String,
}

/// Cues in the order in which they appear.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Captions {
    cues: Vec<Cue>,
}

/// Why there is nothing to show in a file.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum CaptionsError {
    /// The bytes are no text.
    #[error("it is not text in UTF-8 (byte {at} is not), nor in UTF-16 with a byte order mark; save it as UTF-8")]
    Encoding {
        /// Where the first wrong byte is.
        at: usize,
    },
    /// UTF-16 with half a character.
    #[error("it has the byte order mark of UTF-16 and is not UTF-16; save it as UTF-8")]
    Utf16,
    /// Neither format.
    #[error("it is neither WebVTT nor SubRip (SRT): no line has times such as `00:00:01,000 --> 00:00:02,500`")]
    Unknown,
    /// There are times, but nothing that can be shown.
    #[error("it has no cue: each is empty, or ends before it begins, or begins after 48 hours")]
    NoCue,
    /// More than [`MAX_CUES`].
    #[error("it has more than {MAX_CUES} cues")]
    TooMany,
}

impl Captions {
    /// Reads a WebVTT or SubRip file, told apart by the first line.
    ///
    /// # Errors
    /// Where it is neither, or has nothing to show.
    pub fn read(file: &[u8]) -> Result<Self, CaptionsError> {
        let text = encoding::text(file)?;
        if !text.contains(time::ARROW) {
            return Err(CaptionsError::Unknown);
        }
        let mut captions = Self::default();
        if vtt::is_vtt(&text) {
            vtt::cues(&text).try_for_each(|cue| captions.push(cue))?;
        } else {
            srt::cues(&text).try_for_each(|cue| captions.push(cue))?;
        }
        if captions.cues.is_empty() {
            return Err(CaptionsError::NoCue);
        }
        // WebVTT §4.1: each starts where the one before does, or later.
        captions.cues.sort_by_key(|cue| (cue.start, cue.end));
        Ok(captions)
    }

    /// Adds a cue, unless there is nothing to see of it.
    fn push(&mut self, cue: Cue) -> Result<(), CaptionsError> {
        let millisecond = Duration::from_millis(1);
        if cue.text.is_empty() || cue.end < cue.start + millisecond || cue.end > LONGEST {
            return Ok(());
        }
        if self.cues.len() == MAX_CUES {
            return Err(CaptionsError::TooMany);
        }
        self.cues.push(cue);
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.cues.len()
    }

    /// Whether nothing is ever shown.
    pub fn is_empty(&self) -> bool {
        self.cues.is_empty()
    }

    /// The cues.
    pub fn cues(&self) -> &[Cue] {
        &self.cues
    }

    /// As a WebVTT file (W3C WebVTT §4), which says besides that its times are those of the media
    /// (`X-TIMESTAMP-MAP`, RFC 8216 §3.5): players of HLS ask for it, all others pass it over.
    pub fn webvtt(&self) -> String {
        let mut out = String::from("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n");
        for cue in &self.cues {
            let _ = write!(out, "\n{} --> {}", time::written(cue.start), time::written(cue.end));
            if !cue.settings.is_empty() {
                let _ = write!(out, " {}", cue.settings);
            }
            let _ = writeln!(out, "\n{}", cue.text);
        }
        out
    }
}
