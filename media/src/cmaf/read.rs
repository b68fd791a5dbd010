//! How to read scattered ranges: one span across the holes while that is cheap, else the ranges themselves.

use std::ops::Range;

/// One span is read across all holes while it is at most this many times what is needed.
const SPANNED_PER_NEEDED: u64 = 4;
/// What a batch reads at the most, unless it is one span.
const BATCH_BYTES: u64 = 256 * 1024;
/// Spans of a batch at the most.
const BATCH_SPANS: usize = 64;

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

impl Span {
    /// Bytes read.
    pub fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Whether nothing is read.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }
}

impl ReadPlan {
    /// How to read `ranges`, which are sent in the order given, from a store where holes of up to `small_gap` bytes are
    /// rather read and thrown away than paid for with another read.
    pub fn new(ranges: &[Range<u64>], small_gap: u64) -> Self {
        let ranges = ranges.iter().filter(|r| r.start < r.end);
        let needed = ranges.clone().fold(0_u64, |sum, r| sum.saturating_add(r.end - r.start));
        // Ranges that go backwards can't be cut out of one pass over a span.
        let ascending = ranges.clone().is_sorted_by(|a, b| a.end <= b.start);
        let spanned = match (ranges.clone().next(), ranges.clone().next_back()) {
            (Some(first), Some(last)) if ascending => last.end - first.start,
            _ => u64::MAX,
        };
        let gap = if spanned <= needed.saturating_mul(SPANNED_PER_NEEDED) { u64::MAX } else { small_gap };
        let mut spans: Vec<Span> = Vec::new();
        for range in ranges {
            match spans.last_mut() {
                Some(span) if range.start >= span.range.end && range.start - span.range.end <= gap => {
                    span.range.end = range.end;
                    match span.pieces.last_mut() {
                        // Pieces that touch are one.
                        Some(piece) if piece.end == range.start => piece.end = range.end,
                        _ => span.pieces.push(range.clone()),
                    }
                }
                _ => spans.push(Span { range: range.clone(), pieces: vec![range.clone()] }),
            }
        }
        Self { spans }
    }

    /// Bytes read.
    pub fn spanned(&self) -> u64 {
        self.spans.iter().map(Span::len).sum()
    }

    /// Spans that are worth reading together, in order: small ones up to 256 KiB, larger ones alone. Whoever reads some
    /// batches at once holds so many times 256 KiB, however the ranges lie.
    pub fn batches(self) -> Vec<Vec<Span>> {
        let mut batches: Vec<Vec<Span>> = Vec::new();
        let mut bytes = 0_u64;
        for span in self.spans {
            bytes = bytes.saturating_add(span.len());
            match batches.last_mut() {
                Some(batch) if bytes <= BATCH_BYTES && batch.len() < BATCH_SPANS => batch.push(span),
                _ => {
                    bytes = span.len();
                    batches.push(vec![span]);
                }
            }
        }
        batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KIB: u64 = 1024;
    const GAP: u64 = 256 * KIB;

    #[test]
    fn dense_ranges_are_one_span() {
        let plan = ReadPlan::new(&[0..100, 200..300, 350..400], 0);
        assert_eq!(plan.spans, [Span { range: 0..400, pieces: vec![0..100, 200..300, 350..400] }]);
    }

    #[test]
    fn sparse_ranges_are_read_apart_but_for_small_gaps() {
        let plan = ReadPlan::new(&[0..KIB, 10 * KIB..11 * KIB, 5000 * KIB..5001 * KIB], GAP);
        let spans: Vec<_> = plan.spans.iter().map(|s| s.range.clone()).collect();
        assert_eq!(spans, [0..11 * KIB, 5000 * KIB..5001 * KIB]);
    }

    #[test]
    fn ranges_that_go_backwards_keep_their_order() {
        let plan = ReadPlan::new(&[500..600, 100..200, 200..250], GAP);
        let spans: Vec<_> = plan.spans.iter().map(|s| s.range.clone()).collect();
        assert_eq!(spans, [500..600, 100..250]);
    }

    #[test]
    fn nothing_needs_no_read() {
        assert_eq!(ReadPlan::new(&[], GAP).spans, []);
    }

    #[test]
    fn sound_between_pictures_is_read_alone_where_that_is_cheap() {
        // 50 Mbit/s at 30 frames a second, some sound after each frame.
        let sound: Vec<_> = (0..180).map(|frame| frame * 208_900 + 208_000..(frame + 1) * 208_900).collect();
        assert_eq!(ReadPlan::new(&sound, 8 * KIB).spanned(), 180 * 900);
        assert_eq!(ReadPlan::new(&sound, GAP).spans.len(), 1, "far away, the pictures are cheaper than 180 requests");
    }

    /// Ranges as they may lie in a file, ascending where `sort` says so.
    fn ranges(sort: bool, at_most: usize) -> impl Strategy<Value = Vec<Range<u64>>> {
        let starts = prop_oneof![0_u64..1 << 22, 0_u64..1 << 40];
        prop::collection::vec((starts, 1_u64..1 << 16), 0..at_most).prop_map(move |ranges| {
            let mut ranges: Vec<_> = ranges.into_iter().map(|(start, len)| start..start + len).collect();
            if sort {
                ranges.sort_by_key(|r| r.start);
                ranges.dedup_by(|b, a| b.start < a.end);
            }
            ranges
        })
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_ranges(
            ranges in any::<bool>().prop_flat_map(|sort| ranges(sort, 30)),
            gap in prop_oneof![Just(0), Just(8 * KIB), Just(GAP)],
        ) {
            let plan = ReadPlan::new(&ranges, gap);
            let bytes = |ranges: &[Range<u64>]| ranges.iter().map(|r| r.end - r.start).sum::<u64>();
            let pieces: Vec<_> = plan.spans.iter().flat_map(|s| s.pieces.clone()).collect();
            prop_assert_eq!(bytes(&pieces), bytes(&ranges));
            // In order: cut at every border, both say the same.
            let mut left = pieces.into_iter();
            let mut piece = 0..0;
            for range in &ranges {
                if piece.is_empty() {
                    piece = left.next().expect("as many bytes");
                }
                prop_assert_eq!(piece.start, range.start);
                piece.start = range.end;
                prop_assert!(piece.start <= piece.end);
            }
            for span in &plan.spans {
                prop_assert!(span.pieces.iter().all(|p| p.start >= span.range.start && p.end <= span.range.end));
                prop_assert!(span.pieces.is_sorted_by(|a, b| a.end < b.start));
            }
        }

        /// What is thrown away: three times what is needed at the most, or the gaps that are not worth a read.
        #[test]
        fn reading_costs_what_it_may(ranges in ranges(true, 60), gap in prop_oneof![Just(0), Just(8 * KIB), Just(GAP)]) {
            let plan = ReadPlan::new(&ranges, gap);
            let needed: u64 = ranges.iter().map(|r| r.end - r.start).sum();
            let small: u64 = ranges.windows(2).map(|two| two[1].start - two[0].end).filter(|hole| *hole <= gap).sum();
            let spanned = ranges.first().map_or(0, |first| ranges[ranges.len() - 1].end - first.start);
            prop_assert_eq!(plan.spanned(), if spanned <= 4 * needed { spanned } else { needed + small });
            // And no two reads are so near each other that one would do.
            prop_assert!(plan.spans.windows(2).all(|two| two[1].range.start - two[0].range.end > gap));
        }

        #[test]
        fn batches_are_the_spans_and_bounded(ranges in any::<bool>().prop_flat_map(|sort| ranges(sort, 200))) {
            let plan = ReadPlan::new(&ranges, 8 * KIB);
            let batches = plan.clone().batches();
            prop_assert_eq!(batches.concat(), plan.spans);
            for batch in batches {
                prop_assert!(!batch.is_empty() && batch.len() <= BATCH_SPANS);
                prop_assert!(batch.len() == 1 || batch.iter().map(Span::len).sum::<u64>() <= BATCH_BYTES);
            }
        }
    }
}
