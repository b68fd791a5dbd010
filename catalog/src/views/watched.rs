//! What was watched of a video: a set of its media time.

use std::ops::Range;
use std::time::Duration;
use vidstream_source::ranges::ByteRanges;

/// Intervals that are remembered, at the most. Who jumps about more than this watches little at each place.
const MOST: usize = 64;

/// A union of intervals of media time, to the millisecond.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Watched {
    /// In milliseconds: sets of ranges are the same whatever they are ranges of.
    ranges: ByteRanges,
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Watched {
    /// Adds what another one has.
    pub fn join(&mut self, other: &Self) {
        self.ranges.extend(other.ranges.iter());
        self.bound();
    }

    /// Media time in it.
    pub fn total(&self) -> Duration {
        Duration::from_millis(self.ranges.len())
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The intervals, ascending, apart.
    pub fn intervals(&self) -> Vec<Range<Duration>> {
        let time = |range: Range<u64>| Duration::from_millis(range.start)..Duration::from_millis(range.end);
        self.ranges.iter().map(time).collect()
    }

    /// Forgets the shortest intervals where there are too many.
    fn bound(&mut self) {
        let mut lengths: Vec<u64> = self.ranges.iter().map(|range| range.end - range.start).collect();
        if lengths.len() <= MOST {
            return;
        }
        lengths.sort_unstable();
        let shortest = lengths[lengths.len() - MOST];
        let long = |range: &Range<u64>| range.end - range.start >= shortest;
        self.ranges = self.ranges.iter().filter(long).take(MOST).collect();
    }
}

impl FromIterator<Range<Duration>> for Watched {
    fn from_iter<I: IntoIterator<Item = Range<Duration>>>(intervals: I) -> Self {
        let ranges = intervals.into_iter().map(|range| millis(range.start)..millis(range.end));
        let mut watched = Self { ranges: ranges.collect() };
        watched.bound();
        watched
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn watched(ranges: &[(u64, u64)]) -> Watched {
        ranges.iter().map(|(start, len)| Duration::from_millis(*start)..Duration::from_millis(start + len)).collect()
    }

    proptest! {
        #[test]
        fn it_is_bounded_and_never_more_than_was_played(
            reports in prop::collection::vec(prop::collection::vec((0..500_u64, 0..20_u64), 0..80), 1..6)
        ) {
            let mut joined = Watched::default();
            for report in &reports {
                let report = watched(report);
                joined.join(&report);
                let before = joined.clone();
                joined.join(&report);
                prop_assert_eq!(&joined, &before, "a report that comes twice adds nothing");
            }
            let played: std::collections::BTreeSet<u64> =
                reports.iter().flatten().flat_map(|(start, len)| *start..start + len).collect();
            prop_assert!(joined.total() <= Duration::from_millis(played.len() as u64));
            prop_assert!(joined.intervals().len() <= MOST);
            let again: Watched = joined.intervals().into_iter().collect();
            prop_assert_eq!(again, joined);
        }
    }

    #[test]
    fn the_longest_intervals_are_kept() {
        let mut many: Vec<(u64, u64)> = (0..100).map(|n| (n * 1000, 10 + n)).collect();
        many.push((0, 500));
        let kept = watched(&many);
        assert_eq!(kept.intervals().len(), MOST);
        assert!(kept.intervals().contains(&(Duration::ZERO..Duration::from_millis(500))));
        assert!(kept.intervals().contains(&(Duration::from_secs(99)..Duration::from_millis(99_109))));
    }
}
