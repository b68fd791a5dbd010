//! What clients were promised, and the lies they caught on the way.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

/// A file that somebody sends.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The upload's id.
    pub upload: String,
    /// The video that shows it.
    pub video: String,
    /// BLAKE3 of the whole file.
    pub blake3: blake3::Hash,
    /// Ranges that were acknowledged as durable, each as it was heard.
    pub acknowledged: Vec<Range<u64>>,
    /// Completing it was answered.
    pub completed: bool,
    /// Whether it is a video that must play; anything else must fail with a reason.
    pub plays: bool,
}

/// Somebody who watched enough of a video for a view.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Which.
    pub video: String,
    /// When the report was answered.
    pub answered: Instant,
}

/// What was said of one video's title last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Titled {
    /// The answer's revision.
    pub revision: i64,
    /// The title that was set.
    pub title: String,
}

/// Everything that clients were promised.
#[derive(Clone, Default, Debug)]
pub struct History {
    /// Uploads, by their ids.
    pub sent: HashMap<String, Sent>,
    /// Reports of viewers, each of a viewer of its own.
    pub watched: Vec<Watched>,
    /// When a process that keeps reports of viewers was killed.
    pub kills: Vec<Instant>,
    /// The last answered change of each video's title.
    pub titled: HashMap<String, Titled>,
    /// Videos whose removal was answered; those of `true` for good, with all they had.
    pub removed: HashMap<String, bool>,
    /// What clients were told that can't be.
    pub lies: Vec<String>,
}

/// The history as clients share it.
#[derive(Clone, Default, Debug)]
pub struct Book(Arc<Mutex<History>>);

impl Book {
    /// To write into it.
    pub fn open(&self) -> MutexGuard<'_, History> {
        // A client that panics fails the test by itself.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Bytes of an upload that were acknowledged so far.
    pub fn acknowledged(&self, upload: &str) -> u64 {
        let book = self.open();
        union(book.sent.get(upload).map_or(&[], |sent| &sent.acknowledged))
            .iter()
            .map(|range| range.end - range.start)
            .sum()
    }

    /// Bytes of all uploads that were acknowledged so far.
    pub fn all_acknowledged(&self) -> u64 {
        let book = self.open();
        let ranges = book.sent.values().flat_map(|sent| union(&sent.acknowledged));
        ranges.map(|range| range.end - range.start).sum()
    }

    /// Something that can't be was answered.
    pub fn lie(&self, words: String) {
        eprintln!("a lie: {words}");
        self.open().lies.push(words);
    }
}

/// The ranges joined: ascending, disjoint, not touching.
pub fn union(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut sorted = ranges.to_vec();
    sorted.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// What of `promised` is not in `kept`.
pub fn missing(promised: &[Range<u64>], kept: &[Range<u64>]) -> Vec<Range<u64>> {
    let kept = union(kept);
    let lies_in = |range: &Range<u64>| kept.iter().any(|kept| kept.start <= range.start && range.end <= kept.end);
    union(promised).into_iter().filter(|range| !lies_in(range)).collect()
}
