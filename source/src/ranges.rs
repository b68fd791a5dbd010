//! Sets of bytes of a file, as ranges.

use std::{collections::BTreeMap, fmt, ops::Range};

/// A set of byte offsets, kept as the fewest disjoint ranges.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ByteRanges {
    /// Start → end of ranges that are not empty and do not touch.
    ranges: BTreeMap<u64, u64>,
}

impl ByteRanges {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `range`.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let Range { mut start, mut end } = range;
        if let Some((&before, &before_end)) = self.ranges.range(..=start).next_back()
            && before_end >= start
        {
            start = before;
            end = end.max(before_end);
        }
        while let Some((&next, &next_end)) = self.ranges.range(start..=end).next() {
            end = end.max(next_end);
            self.ranges.remove(&next);
        }
        self.ranges.insert(start, end);
    }

    /// Takes `range` out.
    pub fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let touched: Vec<Range<u64>> = self.overlapping(range.clone()).collect();
        for part in touched {
            self.ranges.remove(&part.start);
            if part.start < range.start {
                self.ranges.insert(part.start, range.start);
            }
            if part.end > range.end {
                self.ranges.insert(range.end, part.end);
            }
        }
    }

    /// Whether every byte of `range` is in the set.
    pub fn contains(&self, range: Range<u64>) -> bool {
        range.is_empty() || self.ranges.range(..=range.start).next_back().is_some_and(|(_, &end)| end >= range.end)
    }

    /// Whether some byte of `range` is in the set.
    pub fn intersects(&self, range: Range<u64>) -> bool {
        self.overlapping(range).next().is_some()
    }

    /// The parts of `range` that are not in the set.
    #[must_use]
    pub fn missing_from(&self, range: Range<u64>) -> Self {
        let mut missing = Self::from(range.clone());
        for part in self.overlapping(range) {
            missing.remove(part);
        }
        missing
    }

    /// The parts of `range` that are in the set.
    #[must_use]
    pub fn within(&self, range: Range<u64>) -> Self {
        let clipped = self.overlapping(range.clone()).map(|part| part.start.max(range.start)..part.end.min(range.end));
        clipped.collect()
    }

    /// The ranges, ascending; they neither overlap nor touch.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ranges.iter().map(|(&start, &end)| start..end)
    }

    /// How many bytes are in the set.
    pub fn len(&self) -> u64 {
        self.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether no byte is in the set.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges of which a byte is in `range`, whole.
    fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let first = self.ranges.range(..=range.start).next_back().filter(|(_, end)| **end > range.start);
        let from = first.map_or(range.start, |(&start, _)| start);
        let until = if range.is_empty() { from } else { range.end };
        self.ranges.range(from..until).map(|(&start, &end)| start..end)
    }
}

impl From<Range<u64>> for ByteRanges {
    fn from(range: Range<u64>) -> Self {
        Self::from_iter([range])
    }
}

impl FromIterator<Range<u64>> for ByteRanges {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut set = Self::new();
        set.extend(ranges);
        set
    }
}

impl Extend<Range<u64>> for ByteRanges {
    fn extend<I: IntoIterator<Item = Range<u64>>>(&mut self, ranges: I) {
        for range in ranges {
            self.insert(range);
        }
    }
}

impl fmt::Debug for ByteRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The same set, slowly.
    fn bytes(ranges: &ByteRanges) -> BTreeSet<u64> {
        ranges.iter().flatten().collect()
    }

    fn range() -> impl Strategy<Value = Range<u64>> {
        (0..64_u64, 0..24_u64).prop_map(|(start, len)| start..start + len)
    }

    proptest! {
        #[test]
        fn it_is_a_set_of_bytes(steps in prop::collection::vec((any::<bool>(), range()), 0..24), asked in range()) {
            let (mut ranges, mut model) = (ByteRanges::new(), BTreeSet::new());
            for (insert, range) in steps {
                if insert {
                    ranges.insert(range.clone());
                    model.extend(range);
                } else {
                    ranges.remove(range.clone());
                    model.retain(|byte| !range.contains(byte));
                }
            }
            prop_assert_eq!(&bytes(&ranges), &model);
            prop_assert_eq!(ranges.len(), model.len() as u64);
            prop_assert_eq!(ranges.is_empty(), model.is_empty());
            let apart = ranges.iter().zip(ranges.iter().skip(1)).all(|(one, next)| one.end < next.start);
            prop_assert!(apart, "{:?} could be fewer", ranges);

            let inside: BTreeSet<u64> = asked.clone().filter(|byte| model.contains(byte)).collect();
            prop_assert_eq!(ranges.contains(asked.clone()), inside.len() as u64 == asked.end - asked.start);
            prop_assert_eq!(ranges.intersects(asked.clone()), !inside.is_empty());
            let outside: BTreeSet<u64> = asked.clone().filter(|byte| !model.contains(byte)).collect();
            prop_assert_eq!(bytes(&ranges.missing_from(asked.clone())), outside);
            prop_assert_eq!(bytes(&ranges.within(asked)), inside);
        }
    }
}
