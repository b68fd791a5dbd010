//! Names of objects: validated once, so that no implementation has to escape or distrust them.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

/// Longest name in bytes. S3 allows 1024, of which a store's own prefix may take 255 and a slash.
const LONGEST_NAME: usize = 768;
/// Longest segment in bytes; file systems allow no more.
const LONGEST_SEGMENT: usize = 255;

/// The name of an object: segments of `A-Z a-z 0-9 - _ .` joined by `/`, none empty or beginning with a dot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(Arc<str>);

/// What names begin with: whole segments, or nothing for all names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectPrefix(Arc<str>);

/// Why a text can't be the name of an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} can't name an object: {reason}")]
pub struct InvalidName {
    name: String,
    reason: &'static str,
}

impl ObjectName {
    /// The name as text, without a leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name lies below `prefix`.
    pub fn is_below(&self, prefix: &ObjectPrefix) -> bool {
        prefix.0.is_empty() || self.0.strip_prefix(&*prefix.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl ObjectPrefix {
    /// The prefix of every name.
    pub fn all() -> Self {
        Self(Arc::from(""))
    }

    /// The prefix as text, without slashes around it; empty for [`all`](Self::all).
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name `rest` (one or more segments) below this prefix.
    pub fn name(&self, rest: &str) -> Result<ObjectName, InvalidName> {
        self.joined(rest).parse()
    }

    /// The prefix `rest` (one or more segments) below this prefix.
    pub fn below(&self, rest: &str) -> Result<Self, InvalidName> {
        self.joined(rest).parse()
    }

    fn joined(&self, rest: &str) -> String {
        if self.0.is_empty() { rest.to_owned() } else { format!("{}/{rest}", self.0) }
    }
}

impl FromStr for ObjectName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        match flaw(name) {
            Some(reason) => Err(InvalidName { name: shortened(name), reason }),
            None => Ok(Self(Arc::from(name))),
        }
    }
}

impl FromStr for ObjectPrefix {
    type Err = InvalidName;

    fn from_str(prefix: &str) -> Result<Self, InvalidName> {
        prefix.parse().map(|ObjectName(text)| Self(text))
    }
}

fn flaw(name: &str) -> Option<&'static str> {
    if name.len() > LONGEST_NAME {
        return Some("it is longer than 768 bytes");
    }
    name.split('/').find_map(segment_flaw)
}

fn segment_flaw(segment: &str) -> Option<&'static str> {
    if segment.is_empty() {
        return Some("a segment is empty");
    }
    if segment.starts_with('.') {
        return Some("a segment begins with a dot");
    }
    if segment.len() > LONGEST_SEGMENT {
        return Some("a segment is longer than 255 bytes");
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (!segment.bytes().all(plain)).then_some("only A-Z a-z 0-9 - _ . are allowed in a segment")
}

/// Enough of a refused name to recognise it in a log.
fn shortened(name: &str) -> String {
    name.chars().take(100).collect()
}

macro_rules! text {
    ($type:ty) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

text!(ObjectName);
text!(ObjectPrefix);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_store_are_refused() {
        let long = format!("a/{}", "b".repeat(256));
        let longer = "a/".repeat(384) + "b";
        for name in
            ["", "/a", "a/", "a//b", "..", "a/../b", ".", "a/.hidden", "a b", "a\\b", "a\0", "ä", &long, &longer]
        {
            assert!(name.parse::<ObjectName>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_prefix_ends_at_a_segment() {
        let prefix: ObjectPrefix = "sources/1".parse().unwrap();
        let inside = prefix.name("bytes/0").unwrap();
        assert!(inside.is_below(&prefix));
        assert!(inside.is_below(&ObjectPrefix::all()));
        assert!(!"sources/10".parse::<ObjectName>().unwrap().is_below(&prefix));
        assert!(!"sources/1".parse::<ObjectName>().unwrap().is_below(&prefix));
    }
}
