//! Sets of byte ranges.

use std::ops::Range;

/// A set of bytes: ascending ranges, none empty, none touching another.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// Adds `range`.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        // All ranges that overlap or touch it become one.
        let from = self.0.partition_point(|r| r.end < range.start);
        let to = self.0.partition_point(|r| r.start <= range.end);
        let joined = self.0[from..to].iter().fold(range, |j, r| j.start.min(r.start)..j.end.max(r.end));
        self.0.splice(from..to, [joined]);
    }

    /// The first bytes at or after `from` and before `to` that are not in the set.
    pub fn first_gap(&self, from: u64, to: u64) -> Option<Range<u64>> {
        let next = self.0.partition_point(|r| r.end <= from);
        let start = self.0.get(next).filter(|r| r.start <= from).map_or(from, |r| r.end);
        let end = self.0[next..].iter().find(|r| r.start > start).map_or(to, |r| r.start.min(to));
        (start < end).then_some(start..end)
    }

    /// How many bytes are in it.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|r| r.end - r.start).sum()
    }
}

impl Extend<Range<u64>> for Ranges {
    fn extend<T: IntoIterator<Item = Range<u64>>>(&mut self, ranges: T) {
        ranges.into_iter().for_each(|range| self.insert(range));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_set_of_ranges_is_a_set_of_bytes(
            ranges in prop::collection::vec((0u64..40, 0u64..12), 0..12), from in 0u64..60, to in 0u64..60,
        ) {
            let mut set = Ranges::default();
            set.extend(ranges.iter().map(|(start, length)| *start..start + length));
            let holds = |byte: u64| ranges.iter().any(|(start, length)| (*start..start + length).contains(&byte));
            prop_assert_eq!(set.bytes(), (0..100).filter(|b| holds(*b)).count() as u64);
            prop_assert!(set.0.windows(2).all(|two| two[0].end < two[1].start));
            let first = (from..to).find(|b| !holds(*b));
            let gap = first.map(|start| start..(start..to).find(|b| holds(*b)).unwrap_or(to));
            prop_assert_eq!(set.first_gap(from, to), gap);
        }
    }
}
