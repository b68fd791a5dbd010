//! A checker of playlists, manifests and what they name: one rule a line of a table, each with its source.
//!
//! It reads what players read, through HTTP, and shares no code with what wrote it. Apple's rules are those of the "HLS
//! authoring specification for Apple devices", by chapter, as its numbers change.

pub mod boxes;
pub mod codecs;
pub mod m3u8;
mod rules;
pub mod show;
pub mod track;

pub use rules::RULES;
pub use show::{Files, Show};

/// Something that has to hold for every video.
#[derive(Clone, Copy)]
pub struct Rule {
    /// What it says.
    pub name: &'static str,
    /// Where it is said.
    pub source: &'static str,
    /// What breaks it, in words.
    pub check: fn(&Show) -> Vec<String>,
}

/// What of `files` breaks which rule.
pub fn violations(files: &Files) -> Vec<String> {
    let show = Show::read(files.clone());
    let broken = |rule: &Rule| {
        let found = (rule.check)(&show).into_iter();
        found.map(|what| format!("{} ({}): {what}", rule.name, rule.source)).collect::<Vec<_>>()
    };
    RULES.iter().flat_map(broken).collect()
}

/// Fetches everything that players fetch of the video at `base` (`http://…/videos/ID`) and applies every rule.
pub fn check(base: &str) {
    let found = violations(&Files::fetch(base));
    assert!(found.is_empty(), "{base} breaks rules:\n{}", found.join("\n"));
}
