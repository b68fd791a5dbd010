//! Encoded pictures: which of their segments are there, and in which spans the others are made.

use crate::error::Problem;
use crate::job::Fence;
use crate::pb;
use std::ops::RangeInclusive;

/// Segments of a track at the most: a week of four seconds each.
const MOST: u32 = 151_200;

/// The segments of an encoded track. Numbers of segments count from 1, those of spans from 0.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EncodedSegments {
    /// Object name of the media index that says when each segment and picture begins.
    pub object: String,
    /// Hash of the plan and of how it is encoded.
    pub plan: String,
    /// Version of the stored index's form.
    pub format: u32,
    /// Segments of the plan, at least one.
    pub count: u32,
    /// Segments of a span, at least one.
    pub span: u32,
    /// Configuration of the decoder; empty until the first segment is there.
    pub configuration: Vec<u8>,
    /// Bytes of those that are there.
    pub bytes: u64,
    /// Bits a second of the fastest of those.
    pub peak: u64,
    /// Ascending, apart from each other.
    runs: Vec<pb::SegmentRun>,
}

/// A segment that was made and stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredSegment {
    /// From 1.
    pub number: u32,
    /// Number of the lease under which it lies.
    pub fence: Fence,
    /// Its bytes.
    pub size: u64,
    /// Bits a second while it plays.
    pub bit_rate: u64,
    /// Configuration of its decoder.
    pub configuration: Vec<u8>,
}

impl EncodedSegments {
    /// The number of the lease under which segment `number` lies, if it is there.
    pub fn fence_of(&self, number: u32) -> Option<Fence> {
        let after = self.runs.partition_point(|run| run.first <= number);
        let run = self.runs.get(after.checked_sub(1)?)?;
        (number - run.first < run.count).then_some(Fence(run.fence))
    }

    /// Whether segment `number` is there.
    pub fn has(&self, number: u32) -> bool {
        self.fence_of(number).is_some()
    }

    /// How many are there.
    pub fn there(&self) -> u32 {
        self.runs.iter().map(|run| run.count).sum()
    }

    /// Whether all are there.
    pub fn is_whole(&self) -> bool {
        self.there() == self.count
    }

    /// Notes a segment; says whether it was missing. Of two that were made of one place the first counts.
    ///
    /// # Errors
    /// Where the plan has no such segment, or where it does not fit those that are there.
    pub fn record(&mut self, segment: &StoredSegment) -> Result<bool, Problem> {
        let StoredSegment { number, fence, size, bit_rate, ref configuration } = *segment;
        if number == 0 || number > self.count {
            return Err(Problem::field("number", format!("must be 1 to {}, is {number}", self.count)));
        }
        if configuration.is_empty() || configuration.len() > 4096 {
            return Err(Problem::field("configuration", "is no decoder's"));
        }
        if self.has(number) {
            return Ok(false);
        }
        if !self.configuration.is_empty() && self.configuration != *configuration {
            let words = "is not that of the segments before: they were encoded by another build of ffmpeg";
            return Err(Problem::field("configuration", words));
        }
        self.configuration.clone_from(configuration);
        self.bytes = self.bytes.saturating_add(size);
        self.peak = self.peak.max(bit_rate);
        self.insert(number, fence.0);
        Ok(true)
    }

    /// Adds a segment that is not there, to its neighbours where they lie under the same lease.
    fn insert(&mut self, number: u32, fence: u64) {
        let after = self.runs.partition_point(|run| run.first < number);
        let before = after.checked_sub(1);
        let follows = before.is_some_and(|at| {
            let run = &self.runs[at];
            run.first + run.count == number && run.fence == fence
        });
        let precedes = self.runs.get(after).is_some_and(|run| run.first == number + 1 && run.fence == fence);
        match (before.filter(|_| follows), precedes) {
            (Some(at), true) => {
                let next = self.runs.remove(after);
                self.runs[at].count += 1 + next.count;
            }
            (Some(at), false) => self.runs[at].count += 1,
            (None, true) => {
                let next = &mut self.runs[after];
                (next.first, next.count) = (number, next.count + 1);
            }
            (None, false) => self.runs.insert(after, pb::SegmentRun { first: number, count: 1, fence }),
        }
    }

    /// Number of spans.
    pub fn spans(&self) -> u32 {
        self.count.div_ceil(self.span)
    }

    /// The span that segment `number` is of.
    pub fn span_of(&self, number: u32) -> u32 {
        number.saturating_sub(1) / self.span
    }

    /// The segments of span `span`; none beyond the last.
    pub fn segments_of(&self, span: u32) -> RangeInclusive<u32> {
        let first = span.saturating_mul(self.span).saturating_add(1);
        first..=first.saturating_add(self.span - 1).min(self.count)
    }

    /// The first segment of span `span` that is not there.
    pub fn missing(&self, span: u32) -> Option<u32> {
        self.segments_of(span).find(|number| !self.has(*number))
    }
}

impl TryFrom<pb::EncodedSegments> for EncodedSegments {
    type Error = Problem;

    fn try_from(segments: pb::EncodedSegments) -> Result<Self, Problem> {
        let pb::EncodedSegments { object, plan, format, count, span, configuration, runs, bytes, peak } = segments;
        if !(1..=MOST).contains(&count) || span == 0 {
            return Err(Problem::field("encoded.segments", format!("are 1 to {MOST}, in spans of at least one")));
        }
        let mut next = 1;
        for run in &runs {
            let end = run.first.checked_add(run.count).filter(|end| run.count > 0 && *end <= count + 1);
            next = end
                .filter(|_| run.first >= next)
                .ok_or_else(|| Problem::field("encoded.segments.runs", "are not apart, in order and in the plan"))?;
        }
        Ok(Self { object, plan, format, count, span, configuration, bytes, peak, runs })
    }
}

impl From<EncodedSegments> for pb::EncodedSegments {
    fn from(segments: EncodedSegments) -> Self {
        let EncodedSegments { object, plan, format, count, span, configuration, runs, bytes, peak } = segments;
        Self { object, plan, format, count, span, configuration, runs, bytes, peak }
    }
}

impl TryFrom<pb::RecordSegmentRequest> for StoredSegment {
    type Error = Problem;

    fn try_from(request: pb::RecordSegmentRequest) -> Result<Self, Problem> {
        let pb::RecordSegmentRequest { fence, number, size, bit_rate, configuration, .. } = request;
        Ok(Self { number, fence: Fence(fence), size, bit_rate, configuration })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segments(count: u32, span: u32) -> EncodedSegments {
        let plan = pb::EncodedSegments { count, span, ..pb::EncodedSegments::default() };
        plan.try_into().expect("a plan")
    }

    fn stored(number: u32, fence: u64) -> StoredSegment {
        StoredSegment {
            number,
            fence: Fence(fence),
            size: 10,
            bit_rate: 100 + u64::from(number),
            configuration: vec![1],
        }
    }

    proptest! {
        #[test]
        fn what_was_recorded_is_there(order in proptest::collection::vec((1..=20_u32, 1..=2_u64), 0..60)) {
            let (mut segments, mut first) = (segments(20, 3), std::collections::BTreeMap::new());
            for (number, fence) in order {
                let new = segments.record(&stored(number, fence)).expect("in the plan");
                prop_assert_eq!(new, !first.contains_key(&number));
                first.entry(number).or_insert(fence);
            }
            for number in 0..=21 {
                prop_assert_eq!(segments.fence_of(number).map(|fence| fence.0), first.get(&number).copied());
            }
            prop_assert_eq!(segments.there() as usize, first.len());
            prop_assert_eq!(segments.bytes, 10 * first.len() as u64);
            let apart = segments.runs.windows(2).all(|two| {
                let end = two[0].first + two[0].count;
                end < two[1].first || end == two[1].first && two[0].fence != two[1].fence
            });
            prop_assert!(apart);
            let wire = pb::EncodedSegments::from(segments.clone());
            prop_assert_eq!(EncodedSegments::try_from(wire).expect("it was one"), segments);
        }
    }

    #[test]
    fn spans_have_all_segments_once() {
        let mut plan = segments(10, 4);
        assert_eq!(plan.spans(), 3);
        let all: Vec<u32> = (0..3).flat_map(|span| plan.segments_of(span)).collect();
        assert_eq!(all, (1..=10).collect::<Vec<_>>());
        assert!(all.iter().all(|number| plan.segments_of(plan.span_of(*number)).contains(number)));
        assert!(plan.segments_of(3).is_empty());
        for number in [5, 7, 9, 10] {
            plan.record(&stored(number, 1)).expect("in the plan");
        }
        assert_eq!((0..4).map(|span| plan.missing(span)).collect::<Vec<_>>(), [Some(1), Some(6), None, None]);
        assert_eq!((plan.peak, plan.is_whole()), (110, false));
    }

    #[test]
    fn nonsense_is_refused() {
        let mut plan = segments(3, 1);
        assert!(plan.record(&stored(0, 1)).is_err() && plan.record(&stored(4, 1)).is_err());
        plan.record(&stored(1, 1)).expect("in the plan");
        let other = StoredSegment { configuration: vec![2], ..stored(2, 1) };
        assert!(plan.record(&other).expect_err("of another build").to_string().contains("another build"));
        let run = |first, count| pb::SegmentRun { first, count, fence: 1 };
        for runs in [vec![run(0, 1)], vec![run(1, 0)], vec![run(1, 4)], vec![run(2, 1), run(1, 1)]] {
            let wire = pb::EncodedSegments { count: 3, span: 1, runs, ..pb::EncodedSegments::default() };
            assert!(EncodedSegments::try_from(wire).is_err());
        }
    }
}
