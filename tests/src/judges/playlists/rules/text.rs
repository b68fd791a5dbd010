//! Rules about what is sent, and about playlists as text.

use crate::judges::playlists::m3u8::{Attributes, Line, Playlist};
use crate::judges::playlists::show::Show;

pub fn answers(show: &Show) -> Vec<String> {
    let bad = show.files.0.iter().filter(|(_, file)| file.status != 200 || file.bytes.is_empty());
    bad.map(|(uri, file)| format!("{uri}: {} with {} bytes", file.status, file.bytes.len())).collect()
}

pub fn relative(show: &Show) -> Vec<String> {
    let below = |uri: &&str| !uri.contains(':') && !uri.starts_with('/') && !uri.split('/').any(|part| part == "..");
    let mut bad = Vec::new();
    for (name, playlist) in show.playlists() {
        let lines = playlist.lines.iter().filter_map(|line| match line {
            Line::Uri(uri) => Some(uri.clone()),
            Line::Tag(_, value) => Attributes::read(value).quoted("URI"),
        });
        bad.extend(lines.filter(|uri| !below(&uri.as_str())).map(|uri| format!("{name}: {uri}")));
    }
    bad
}

pub fn content_types(show: &Show) -> Vec<String> {
    let expected = |uri: &str| match uri.rsplit_once('.').map(|(_, ending)| ending) {
        Some("m3u8") => &["application/vnd.apple.mpegurl"][..],
        Some("mpd") => &["application/dash+xml"],
        Some("vtt") => &["text/vtt"],
        _ => &["video/mp4", "audio/mp4"],
    };
    let bad = show.files.0.iter().filter(|(uri, file)| !expected(uri).contains(&file.kind.as_str()));
    bad.map(|(uri, file)| format!("{uri}: {}", file.kind)).collect()
}

pub fn characters(show: &Show) -> Vec<String> {
    let mut bad = Vec::new();
    for (uri, _) in show.playlists() {
        match std::str::from_utf8(show.files.bytes(uri)) {
            Err(error) => bad.push(format!("{uri}: {error}")),
            Ok(text) => {
                let wrong = |c: &char| *c == '\u{feff}' || (c.is_control() && *c != '\n' && *c != '\r');
                bad.extend(text.chars().find(wrong).map(|c| format!("{uri}: {c:?}")));
            }
        }
    }
    bad
}

pub fn first_line(show: &Show) -> Vec<String> {
    let bad = show.playlists().filter(|(_, playlist)| playlist.text.lines().next() != Some("#EXTM3U"));
    bad.map(|(uri, _)| uri.to_owned()).collect()
}

/// Tags of each kind of playlist that are known; whether it may be there only once.
const MULTIVARIANT: &[(&str, bool)] = &[("#EXT-X-MEDIA", false), ("#EXT-X-STREAM-INF", false)];
const MEDIA: &[(&str, bool)] = &[
    ("#EXT-X-TARGETDURATION", true),
    ("#EXT-X-MEDIA-SEQUENCE", true),
    ("#EXT-X-PLAYLIST-TYPE", true),
    ("#EXT-X-ENDLIST", true),
    ("#EXT-X-MAP", false),
    ("#EXTINF", false),
];
const EITHER: &[(&str, bool)] = &[("#EXTM3U", true), ("#EXT-X-VERSION", true), ("#EXT-X-INDEPENDENT-SEGMENTS", true)];

pub fn one_kind(show: &Show) -> Vec<String> {
    let mut bad = Vec::new();
    for (i, (uri, playlist)) in show.playlists().enumerate() {
        let foreign = if i == 0 { MEDIA } else { MULTIVARIANT };
        let found = foreign.iter().filter(|(tag, _)| playlist.has(tag));
        bad.extend(found.map(|(tag, _)| format!("{uri}: {tag}")));
    }
    bad
}

pub fn tags(show: &Show) -> Vec<String> {
    let known: Vec<_> = [MULTIVARIANT, MEDIA, EITHER].concat();
    let mut bad = Vec::new();
    for (uri, playlist) in show.playlists() {
        for line in &playlist.lines {
            let Line::Tag(name, _) = line else { continue };
            match known.iter().find(|(tag, _)| tag == name) {
                None => bad.push(format!("{uri}: {name} is unknown")),
                Some((_, true)) if playlist.tags(name).count() > 1 => bad.push(format!("{uri}: {name} more than once")),
                Some(_) => {}
            }
        }
    }
    bad
}

pub fn version(show: &Show) -> Vec<String> {
    let bad = show.playlists().filter(|(_, playlist)| playlist.number("#EXT-X-VERSION").is_none_or(|v| v < 7));
    bad.map(|(uri, _)| uri.to_owned()).collect()
}

/// Tags that hold attribute lists, with their values.
fn lists(playlist: &Playlist) -> impl Iterator<Item = (&str, Attributes)> {
    ["#EXT-X-MEDIA", "#EXT-X-STREAM-INF", "#EXT-X-MAP"]
        .into_iter()
        .flat_map(|tag| playlist.tags(tag).map(move |value| (tag, Attributes::read(value))))
}

pub fn attributes(show: &Show) -> Vec<String> {
    let mut bad = Vec::new();
    for (uri, playlist) in show.playlists() {
        for (tag, list) in lists(playlist) {
            if !list.rest.is_empty() {
                bad.push(format!("{uri}: {tag} at {}", list.rest));
            }
            let twice =
                list.all.iter().enumerate().filter(|(i, (name, _))| list.all[..*i].iter().any(|o| o.0 == *name));
            bad.extend(twice.map(|(_, (name, _))| format!("{uri}: {tag} has {name} twice")));
        }
    }
    bad
}

pub fn types(show: &Show) -> Vec<String> {
    let mut bad = Vec::new();
    for (uri, playlist) in show.playlists() {
        for (tag, list) in lists(playlist) {
            let wrong = list.all.iter().filter(|(name, value)| !fits(tag, name, value));
            bad.extend(wrong.map(|(name, value)| format!("{uri}: {tag} {name}={value}")));
        }
    }
    bad
}

/// Whether `value` is what `tag` may say of `name`.
fn fits(tag: &str, name: &str, value: &str) -> bool {
    let quoted = value.len() > 2 && value.starts_with('"');
    let integer = |text: &str| !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit());
    match (tag, name) {
        ("#EXT-X-STREAM-INF", "BANDWIDTH" | "AVERAGE-BANDWIDTH") => integer(value),
        ("#EXT-X-STREAM-INF", "RESOLUTION") => value.split_once('x').is_some_and(|(w, h)| integer(w) && integer(h)),
        ("#EXT-X-STREAM-INF", "FRAME-RATE") => {
            value.split_once('.').is_some_and(|(whole, part)| integer(whole) && integer(part) && part.len() == 3)
        }
        ("#EXT-X-STREAM-INF", "VIDEO-RANGE") => matches!(value, "SDR" | "HLG" | "PQ"),
        ("#EXT-X-STREAM-INF", "CLOSED-CAPTIONS") => value == "NONE" || quoted,
        ("#EXT-X-MEDIA", "TYPE") => matches!(value, "AUDIO" | "SUBTITLES"),
        ("#EXT-X-MEDIA", "DEFAULT" | "AUTOSELECT" | "FORCED") => matches!(value, "YES" | "NO"),
        ("#EXT-X-STREAM-INF", "CODECS" | "AUDIO" | "SUBTITLES")
        | ("#EXT-X-MEDIA", "GROUP-ID" | "NAME" | "LANGUAGE" | "CHANNELS" | "URI")
        | ("#EXT-X-MAP", "URI") => quoted,
        _ => false,
    }
}
