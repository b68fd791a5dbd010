//! Reading playlists line by line (RFC 8216 §4.1, §4.2), leniently: what is wrong is for the rules to say.

use std::time::Duration;

/// A playlist.
#[derive(Clone, Debug)]
pub struct Playlist {
    /// As it was sent.
    pub text: String,
    /// What is neither blank nor a comment.
    pub lines: Vec<Line>,
}

/// A line that means something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// `#EXT…`, and what follows its colon.
    Tag(String, String),
    /// An address.
    Uri(String),
}

/// A segment as a media playlist names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// `EXTINF`; none where it can't be read.
    pub duration: Option<Duration>,
    /// Its address.
    pub uri: String,
}

impl Playlist {
    /// Reads `text`.
    pub fn read(text: &str) -> Self {
        let line = |line: &str| match line.strip_prefix("#EXT") {
            Some(_) => {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                Some(Line::Tag(name.to_owned(), value.to_owned()))
            }
            None if line.is_empty() || line.starts_with('#') => None,
            None => Some(Line::Uri(line.to_owned())),
        };
        Self { text: text.to_owned(), lines: text.lines().filter_map(line).collect() }
    }

    /// Values of all tags called `name`.
    pub fn tags<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter_map(move |line| match line {
            Line::Tag(tag, value) if tag == name => Some(value.as_str()),
            _ => None,
        })
    }

    /// Whether there is a tag called `name`.
    pub fn has(&self, name: &str) -> bool {
        self.tags(name).next().is_some()
    }

    /// The number that the tag `name` holds.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.tags(name).next()?.parse().ok()
    }

    /// `EXT-X-MAP`'s address.
    pub fn map(&self) -> Option<String> {
        Attributes::read(self.tags("#EXT-X-MAP").next()?).quoted("URI")
    }

    /// The segments, in order.
    pub fn entries(&self) -> Vec<Entry> {
        let mut duration = None;
        let mut entries = Vec::new();
        for line in &self.lines {
            match line {
                Line::Tag(name, value) if name == "#EXTINF" => duration = value.split(',').next().and_then(seconds),
                Line::Tag(..) => {}
                Line::Uri(uri) => entries.push(Entry { duration: duration.take(), uri: uri.clone() }),
            }
        }
        entries
    }

    /// The attributes of each `EXT-X-STREAM-INF`, and the address below it.
    pub fn variants(&self) -> Vec<(Attributes, Option<String>)> {
        let next = |i: usize| match self.lines.get(i + 1) {
            Some(Line::Uri(uri)) => Some(uri.clone()),
            _ => None,
        };
        let variant = |(i, line): (usize, &Line)| match line {
            Line::Tag(name, value) if name == "#EXT-X-STREAM-INF" => Some((Attributes::read(value), next(i))),
            _ => None,
        };
        self.lines.iter().enumerate().filter_map(variant).collect()
    }

    /// The attributes of each `EXT-X-MEDIA`.
    pub fn media(&self) -> Vec<Attributes> {
        self.tags("#EXT-X-MEDIA").map(Attributes::read).collect()
    }
}

/// A decimal number of seconds, as `EXTINF` has it (§4.3.2.1), exact to the nanosecond.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 9 {
        return None;
    }
    Some(Duration::new(whole.parse().ok()?, format!("{part:0<9}").parse().ok()?))
}

/// An attribute list (§4.2).
#[derive(Clone, Default, Debug)]
pub struct Attributes {
    /// Names and values as they stand, quotes included.
    pub all: Vec<(String, String)>,
    /// What could not be read as an attribute.
    pub rest: String,
}

impl Attributes {
    /// Reads a list up to what is no attribute.
    pub fn read(text: &str) -> Self {
        let mut list = Self { all: Vec::new(), rest: text.to_owned() };
        while let Some((attribute, rest)) = attribute(&list.rest) {
            list.all.push(attribute);
            list.rest = rest;
        }
        list
    }

    /// The value of `name` as it stands.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The quoted string that `name` holds.
    pub fn quoted(&self, name: &str) -> Option<String> {
        Some(self.get(name)?.strip_prefix('"')?.strip_suffix('"')?.to_owned())
    }

    /// The number that `name` holds.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }
}

/// The first attribute of `text`, and what follows its comma.
fn attribute(text: &str) -> Option<((String, String), String)> {
    let (name, value) = text.split_once('=')?;
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-') {
        return None;
    }
    let end = match value.strip_prefix('"') {
        Some(quoted) => quoted.find('"')? + 2,
        None => value.find(',').unwrap_or(value.len()),
    };
    let (value, rest) = value.split_at(end);
    if value.is_empty() || (!value.starts_with('"') && value.contains(['"', ' ', '\t'])) {
        return None;
    }
    let rest = if rest.is_empty() { rest } else { rest.strip_prefix(',').filter(|rest| !rest.is_empty())? };
    Some(((name.to_owned(), value.to_owned()), rest.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attribute_lists_are_read_up_to_what_is_wrong() {
        let read = |text| {
            let list = Attributes::read(text);
            (list.all.len(), list.rest)
        };
        assert_eq!(read("A=1,B=\"x,y=z\",C-2=NO"), (3, String::new()));
        assert_eq!(read("A=1,,B=2"), (1, ",B=2".to_owned()));
        for wrong in ["a=1", "A=", "A", "A=\"x", "A=x\"y", "A=1,", "A=x y", "=1"] {
            assert!(!Attributes::read(wrong).rest.is_empty(), "{wrong}");
        }
    }

    #[test]
    fn seconds_are_decimal() {
        assert_eq!(seconds("4.010667"), Some(Duration::from_micros(4_010_667)));
        assert_eq!(seconds("4"), Some(Duration::from_secs(4)));
        for wrong in ["", ".5", "4.", "-1", "+1", "1e3", "4,0", " 4"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
