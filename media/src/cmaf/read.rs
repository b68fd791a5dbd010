//! How to read scattered ranges: one span across the holes while that is cheap, else the ranges themselves.

use std::ops::Range;

/// One span is read across all holes while it is at most this many times what is needed.
const SPANNED_PER_NEEDED: u64 = 4;
/// Holes up to this are read and thrown away rather than paid for with another request.
const SMALL_GAP: u64 = 256 * 1024;

/// What to read, in the order in which it is sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadPlan {
    /// Spans of the file; each can be read on its own, and in parallel with others.
    pub spans: Vec<Span>,
}

/// One contiguous read, and what of it to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// What to read.
    pub range: Range<u64>,
    /// What of it to send: ranges of the file, ascending, within `range`.
    pub pieces: Vec<Range<u64>>,
}

impl ReadPlan {
    /// How to read `ranges`, which are sent in the order given.
    pub fn new(ranges: &[Range<u64>]) -> Self {
        let ranges = ranges.iter().filter(|r| r.start < r.end);
        let needed = ranges.clone().fold(0_u64, |sum, r| sum.saturating_add(r.end - r.start));
        // Ranges that go backwards can't be cut out of one pass over a span.
        let ascending = ranges.clone().is_sorted_by(|a, b| a.end <= b.start);
        let spanned = match (ranges.clone().next(), ranges.clone().next_back()) {
            (Some(first), Some(last)) if ascending => last.end - first.start,
            _ => u64::MAX,
        };
        let gap = if spanned <= needed.saturating_mul(SPANNED_PER_NEEDED) { u64::MAX } else { SMALL_GAP };
        let mut spans: Vec<Span> = Vec::new();
        for range in ranges {
            match spans.last_mut() {
                Some(span) if range.start >= span.range.end && range.start - span.range.end <= gap => {
                    span.range.end = range.end;
                    span.pieces.push(range.clone());
                }
                _ => spans.push(Span { range: range.clone(), pieces: vec![range.clone()] }),
            }
        }
        Self { spans }
    }

    /// Bytes read.
    pub fn spanned(&self) -> u64 {
        self.spans.iter().map(|span| span.range.end - span.range.start).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KIB: u64 = 1024;

    #[test]
    fn dense_ranges_are_one_span() {
        let plan = ReadPlan::new(&[0..100, 200..300, 350..400]);
        assert_eq!(plan.spans, [Span { range: 0..400, pieces: vec![0..100, 200..300, 350..400] }]);
    }

    #[test]
    fn sparse_ranges_are_read_apart_but_for_small_gaps() {
        let plan = ReadPlan::new(&[0..KIB, 10 * KIB..11 * KIB, 5000 * KIB..5001 * KIB]);
        let spans: Vec<_> = plan.spans.iter().map(|s| s.range.clone()).collect();
        assert_eq!(spans, [0..11 * KIB, 5000 * KIB..5001 * KIB]);
    }

    #[test]
    fn ranges_that_go_backwards_keep_their_order() {
        let plan = ReadPlan::new(&[500..600, 100..200, 200..250]);
        let spans: Vec<_> = plan.spans.iter().map(|s| s.range.clone()).collect();
        assert_eq!(spans, [500..600, 100..250]);
    }

    #[test]
    fn nothing_needs_no_read() {
        assert_eq!(ReadPlan::new(&[]).spans, []);
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_ranges(ranges in prop::collection::vec((0u64..1 << 40, 1u64..1 << 20), 0..30), sort: bool) {
            let mut ranges: Vec<_> = ranges.into_iter().map(|(start, len)| start..start + len).collect();
            if sort {
                ranges.sort_by_key(|r| r.start);
                ranges.dedup_by(|b, a| b.start < a.end);
            }
            let plan = ReadPlan::new(&ranges);
            let pieces: Vec<_> = plan.spans.iter().flat_map(|s| s.pieces.clone()).collect();
            prop_assert_eq!(&pieces, &ranges);
            for span in &plan.spans {
                prop_assert!(span.pieces.iter().all(|p| p.start >= span.range.start && p.end <= span.range.end));
            }
        }
    }
}
