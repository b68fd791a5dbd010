//! What the gateway keeps near of a store far away, and whom it sends there.

use super::Layers;
use super::values::{duration, not_empty, size};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use vidstream_backends::objects::ObjectsUrl;

/// A few readings at once, and more than anybody has.
const MEMORY: RangeInclusive<u64> = 16 << 20..=1 << 40;
/// More than the memory, or it would serve nobody.
const DISK: RangeInclusive<u64> = 64 << 20..=1 << 50;
/// What a slow client needs to get there, and what S3 allows.
const SIGNED: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(7 * 24);

/// What the gateway keeps of a store far away, and whom it sends there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edge {
    /// Bytes of what was read that are kept in memory; 0 for none, and where the store is no other machine's.
    pub cache_memory: u64,
    /// Where more of them are kept.
    pub cache_disk: Option<CacheDisk>,
    /// How long addresses are good by which clients read pictures from the store itself.
    pub presign: Option<Duration>,
}

/// Room on a disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CacheDisk {
    /// Where.
    pub folder: PathBuf,
    /// Bytes.
    pub size: u64,
}

impl Layers {
    /// What `cache-memory`, `cache-dir`, `cache-size` and `presign` say, for a store at `objects`.
    pub(super) fn edge(&mut self, objects: &ObjectsUrl) -> Edge {
        let memory = |value: &str| if value == "0" { Ok(0) } else { size(value, MEMORY) };
        let edge = Edge {
            cache_memory: self.read("cache-memory", 64 << 20, memory),
            cache_disk: self.cache_disk(),
            presign: self.read("presign", None, |value| match duration(value)? {
                life if SIGNED.contains(&life) => Ok(Some(life)),
                _ => Err(format!("`{value}` is not between 1m and 7d")),
            }),
        };
        if edge.cache_memory == 0 && edge.cache_disk.is_some() {
            self.refuse("cache-dir", "a cache on disk is behind one in memory; give --cache-memory some");
        }
        if let ObjectsUrl::File(_) = objects {
            let words = "files of this machine are in its system's own cache; it is for objects on S3";
            for name in ["cache-memory", "cache-dir"] {
                self.refuse(name, words);
            }
            self.refuse("presign", "files have no addresses that clients could be sent to; it is for objects on S3");
            return Edge { cache_memory: 0, cache_disk: None, presign: None };
        }
        edge
    }

    fn cache_disk(&mut self) -> Option<CacheDisk> {
        let folder = self.read("cache-dir", None, |value| not_empty(value).map(|folder| Some(PathBuf::from(folder))));
        let size = self.read("cache-size", None, |value| size(value, DISK).map(Some));
        let given = |name| self.values.contains_key(name);
        match (given("cache-dir"), given("cache-size")) {
            (true, false) => self.refuse("cache-dir", "how large may it become? say --cache-size"),
            (false, true) => self.refuse("cache-size", "of which folder? say --cache-dir"),
            _ => {}
        }
        Some(CacheDisk { folder: folder?, size: size? })
    }

    /// Notes that the setting `name`, if it was given, can't work.
    fn refuse(&mut self, name: &str, words: &str) {
        if let Some(given) = self.values.get(name) {
            self.mistakes.push(format!("{}: {words}", given.origin));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::{Edge, Settings};
    use std::time::Duration;

    const S3: (&str, &str) = ("objects", "s3://films?endpoint=http://127.0.0.1:9");

    fn edge(flags: &[(&'static str, &str)]) -> Result<Edge, Vec<String>> {
        let flags = flags.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Settings::resolve(None, [], flags).map(|settings| settings.edge).map_err(|mistakes| mistakes.0)
    }

    #[test]
    fn what_is_kept_is_for_a_store_far_away() {
        assert_eq!(edge(&[]), Ok(Edge { cache_memory: 0, cache_disk: None, presign: None }));
        assert_eq!(edge(&[S3]), Ok(Edge { cache_memory: 64 << 20, cache_disk: None, presign: None }));
        assert_eq!(edge(&[S3, ("cache-memory", "0")]).map(|edge| edge.cache_memory), Ok(0));
        let all = [S3, ("cache-memory", "1GiB"), ("cache-dir", "/x"), ("cache-size", "2GiB"), ("presign", "10m")];
        let all = edge(&all).expect("valid");
        assert_eq!((all.cache_memory, all.presign), (1 << 30, Some(Duration::from_mins(10))));
        assert_eq!(all.cache_disk.map(|disk| disk.size), Some(2 << 30));
    }

    #[test]
    fn what_can_not_work_together_is_refused_in_words() {
        for (flags, words) in [
            (&[("presign", "10m")][..], "--presign: files have no addresses"),
            (&[("cache-memory", "64MiB")], "--cache-memory: files of this machine"),
            (&[S3, ("presign", "8d")], "--presign: `8d` is not between 1m and 7d"),
            (&[S3, ("presign", "0s")], "--presign: `0s` is not between 1m and 7d"),
            (&[S3, ("cache-memory", "1MiB")], "--cache-memory: `1MiB` is not between 16MiB and 1024GiB"),
            (&[S3, ("cache-dir", "/x")], "--cache-dir: how large may it become?"),
            (&[S3, ("cache-size", "1GiB")], "--cache-size: of which folder?"),
            (
                &[S3, ("cache-memory", "0"), ("cache-dir", "/x"), ("cache-size", "1GiB")],
                "--cache-dir: a cache on disk is behind one in memory",
            ),
        ] {
            let mistakes = edge(flags).expect_err(words);
            assert_eq!(mistakes.len(), 1, "{mistakes:?}");
            assert!(mistakes[0].starts_with(words), "{mistakes:?}");
        }
    }
}
