//! What of a file is to be sent next: what somebody waits for, then the rest in order.

use crate::ranges::Ranges;
use std::ops::Range;
use vidstream_proto::upload::GRANULE;

/// The longest piece that is sent, bytes. A quarter of what is allowed: 1.4 GB over loopback took 1.7 s with it and 2.2 s
/// with the longest, whose buffers are too large for an allocator to use again.
const PIECE: u64 = 256 << 10;

/// The plan of one stream of pieces.
#[derive(Debug)]
pub struct Plan {
    size: u64,
    /// Handed out in this stream, or durable.
    sent: Ranges,
    durable: Ranges,
    /// Where the part before which everything was handed out ends.
    cursor: u64,
    wants: Vec<Range<u64>>,
}

impl Plan {
    /// For a file of `size` bytes of which `durable` need not be sent.
    pub fn new(size: u64, durable: &[Range<u64>], wants: &[Range<u64>]) -> Self {
        let mut plan = Self { size, sent: Ranges::default(), durable: Ranges::default(), cursor: 0, wants: vec![] };
        plan.hear(durable, wants);
        plan
    }

    /// Takes in what the server says: more is durable, other ranges are wanted.
    pub fn hear(&mut self, durable: &[Range<u64>], wants: &[Range<u64>]) {
        for range in durable {
            let range = range.start.min(self.size)..range.end.min(self.size);
            self.durable.insert(range.clone());
            self.sent.insert(range);
        }
        self.wants = wants.iter().map(|want| self.on_grid(want)).collect();
    }

    /// The next piece: never longer than [`PIECE`], never across a multiple of it (so never across a cell). None when
    /// everything was handed out.
    pub fn next(&mut self) -> Option<Range<u64>> {
        let wanted = self.wants.iter().find_map(|want| self.sent.first_gap(want.start, want.end));
        let gap = if let Some(gap) = wanted {
            gap
        } else {
            let gap = self.sent.first_gap(self.cursor, self.size)?;
            self.cursor = gap.start;
            gap
        };
        let piece_end = (gap.start / PIECE + 1) * PIECE;
        let piece = gap.start..gap.end.min(piece_end);
        self.sent.insert(piece.clone());
        Some(piece)
    }

    /// Bytes that are durable.
    pub fn durable_bytes(&self) -> u64 {
        self.durable.bytes()
    }

    /// Bytes handed out or durable.
    pub fn sent_bytes(&self) -> u64 {
        self.sent.bytes()
    }

    /// Whether everything is durable.
    pub fn is_done(&self) -> bool {
        self.durable_bytes() == self.size
    }

    /// The whole granules that a want touches.
    fn on_grid(&self, want: &Range<u64>) -> Range<u64> {
        let end = want.end.min(self.size);
        want.start / GRANULE * GRANULE..end.div_ceil(GRANULE).saturating_mul(GRANULE).min(self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    fn rest(plan: &mut Plan) -> Vec<Range<u64>> {
        std::iter::from_fn(|| plan.next()).collect()
    }

    #[test]
    fn wants_go_first() {
        let size = 5 * PIECE + 7;
        let mut plan = Plan::new(size, &[], &[]);
        assert_eq!(plan.next(), Some(0..PIECE));
        plan.hear(&[], std::slice::from_ref(&(5 * PIECE - 1..size)));
        assert_eq!(plan.next(), Some(5 * PIECE - GRANULE..5 * PIECE));
        assert_eq!(plan.next(), Some(5 * PIECE..size));
        assert_eq!(plan.next(), Some(PIECE..2 * PIECE));
        plan.hear(&[], &[]);
        assert_eq!(rest(&mut plan), [2 * PIECE..3 * PIECE, 3 * PIECE..4 * PIECE, 4 * PIECE..5 * PIECE - GRANULE]);
        assert!(!plan.is_done());
        plan.hear(std::slice::from_ref(&(0..size)), &[]);
        assert!(plan.is_done());
    }

    #[test]
    fn what_is_durable_is_not_sent() {
        let mut plan = Plan::new(2 * PIECE, &[0..GRANULE, PIECE..2 * PIECE], &[]);
        assert_eq!(rest(&mut plan), std::slice::from_ref(&(GRANULE..PIECE)));
    }

    #[test]
    fn ranges_beyond_the_file_do_no_harm() {
        let mut plan = Plan::new(10, std::slice::from_ref(&(20..u64::MAX)), &[5..u64::MAX, 100..200]);
        assert_eq!(rest(&mut plan), std::slice::from_ref(&(0..10)));
        assert_eq!(plan.durable_bytes(), 0);
    }

    proptest! {
        #[test]
        fn every_byte_is_sent_once_in_lawful_pieces(
            size in 1u64..40 * MIB,
            durable in prop::collection::vec((0u64..640, 1u64..64), 0..6),
            wants in prop::collection::vec((0u64..40 * MIB, 1u64..4 * MIB), 0..4),
        ) {
            let durable: Vec<_> = durable
                .iter()
                .map(|(start, length)| start * GRANULE..((start + length) * GRANULE).min(size))
                .filter(|range| !range.is_empty())
                .collect();
            let wants: Vec<_> = wants.iter().map(|(start, length)| *start..start + length).collect();
            let mut plan = Plan::new(size, &durable, &wants);
            let before = plan.durable_bytes();
            let pieces = rest(&mut plan);
            for piece in &pieces {
                prop_assert!(piece.start.is_multiple_of(GRANULE));
                prop_assert!(piece.end.is_multiple_of(GRANULE) || piece.end == size);
                prop_assert_eq!(piece.start / MIB, (piece.end - 1) / MIB);
            }
            prop_assert_eq!(before + pieces.iter().map(|p| p.end - p.start).sum::<u64>(), size);
            plan.hear(&pieces, &[]);
            prop_assert!(plan.is_done());
        }
    }
}
