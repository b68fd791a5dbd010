//! What the reads of one reader wait for, together.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::ranges::ByteRanges;

/// The ranges that somebody waits for now.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    ranges: Mutex<BTreeMap<u64, Range<u64>>>,
}

/// One wait among them. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Want<'wants> {
    all: &'wants Wants,
    key: u64,
}

impl Wants {
    /// A wait for nothing yet.
    pub(crate) fn begin(&self) -> Want<'_> {
        let mut ranges = self.lock();
        let key = ranges.last_key_value().map_or(0, |(last, _)| last + 1);
        ranges.insert(key, 0..0);
        Want { all: self, key }
    }

    /// All that is waited for, no byte twice.
    pub(crate) fn ranges(&self) -> ByteRanges {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Range<u64>>> {
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Want<'_> {
    /// Waits for `range` and for nothing else.
    pub(crate) fn set(&self, range: Range<u64>) {
        self.all.lock().insert(self.key, range);
    }
}

impl Drop for Want<'_> {
    fn drop(&mut self) {
        self.all.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_want_ends_with_its_waiter() {
        let wants = Wants::default();
        let (one, two) = (wants.begin(), wants.begin());
        one.set(0..10);
        two.set(5..20);
        assert_eq!(wants.ranges(), (0..20).into());
        two.set(15..20);
        assert_eq!(wants.ranges(), ByteRanges::from_iter([0..10, 15..20]));
        drop(one);
        let three = wants.begin();
        three.set(40..50);
        assert_eq!(wants.ranges(), ByteRanges::from_iter([15..20, 40..50]));
        drop((two, three));
        assert!(wants.ranges().is_empty());
    }
}
