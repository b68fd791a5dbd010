//! A still before pictures that start late: the first of them, again and again.
//!
//! Firefox throws away the rest of a GOP whose first picture lasts for seconds, and what nothing lasts over is a gap. So the
//! first keyframe, whose bytes are in the file, is shown from zero on, as often as it takes to have no long segment.

use crate::cmaf::segment::Entry;
use crate::fill::{Span, is_worth_it};
use crate::plan::TARGET;
use crate::time::Timescale;
use crate::timeline::Written;
use crate::track::Sample;

/// The first keyframe of a track, shown from zero to the time that it has in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Still {
    keyframe: Sample,
    /// Composition offset of all its copies, which is its own.
    composition: u32,
    /// When they are shown.
    pub span: Span,
}

impl Still {
    /// What is missing for `wait` ticks before `keyframe`, which a fragment gives the offset `composition`. None where it
    /// is too little or too much, or more than the fields of a fragment can say.
    pub fn before(keyframe: Sample, composition: u32, wait: i64, timescale: Timescale) -> Option<Self> {
        let time = timescale.duration(wait);
        if keyframe.size == 0 || !is_worth_it(time) {
            return None;
        }
        // As long as segments aim to be, because each is a segment of its own then: the shorter, the more bytes are sent.
        let pictures = i64::try_from(time.as_millis().div_ceil(TARGET.as_millis())).ok()?;
        Some(Self { keyframe, composition, span: Span::new(wait, pictures, wait / pictures)? })
    }

    /// Ticks that it is shown for.
    pub fn duration(self) -> i64 {
        self.span.duration()
    }

    /// Media time at which an edit starts that shows the first copy at zero.
    pub fn edit_start(self) -> i64 {
        self.composition.into()
    }

    /// The copy `number`, counted from 0, as a fragment describes it.
    pub fn entry(self, number: usize) -> Entry {
        let (time, duration) = self.span.place(number);
        Entry {
            sample: self.keyframe,
            written: Written { time, duration, composition: self.composition },
            silence: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made::{VIDEO_TICKS, video};
    use crate::timeline::Timeline;
    use crate::track::Track;
    use proptest::prelude::*;

    fn of(track: &Track) -> Option<Still> {
        Timeline::of(track).still()
    }

    fn late(ticks: i64) -> Track {
        let mut track = video(100, 50);
        track.edit.delay = ticks;
        track
    }

    #[test]
    fn late_pictures_are_a_still_first() {
        let second = i64::from(VIDEO_TICKS);
        for (wait, pictures) in [(61, 1), (3 * second, 1), (4 * second, 1), (4 * second + 1, 2), (30 * second, 8)] {
            let still = of(&late(wait)).unwrap();
            assert_eq!((still.span.count, still.duration()), (pictures, wait));
            assert!((0..pictures).all(|i| i64::from(still.entry(i).written.duration) <= 4 * second), "{wait}");
        }
    }

    #[test]
    fn a_still_that_is_not_needed_or_not_possible() {
        let second = i64::from(VIDEO_TICKS);
        assert_eq!(of(&late(0)), None);
        assert_eq!(of(&late(second / 10)), None, "a tenth of a second");
        assert!(of(&late(3600 * second)).is_some());
        assert_eq!(of(&late(3600 * second + 1)), None);
        // A keyframe that none is: pictures before it in the order in which they are shown, or no keyframe at all.
        let shown_before = |changed: usize, change: fn(&mut Sample)| {
            let mut track = late(3 * second);
            let samples = track.samples.range(0..100).enumerate().map(|(i, mut sample)| {
                if i == changed {
                    change(&mut sample);
                }
                sample
            });
            track.samples = crate::track::SampleTable::from_samples(samples.collect());
            of(&track).is_some()
        };
        assert!(shown_before(1, |_| ()));
        assert!(!shown_before(0, |first| first.cts = 72), "the second is shown first");
        assert!(!shown_before(0, |first| first.sync = false));
        assert!(!shown_before(0, |first| first.size = 0));
        // Pictures before the edit are decoded first, and not to be seen.
        let mut cut = late(3 * second);
        cut.edit.start = 24 * 15;
        assert_eq!(of(&cut), None);
    }

    proptest! {
        #[test]
        fn copies_touch_and_end_where_the_first_picture_is(wait in 0_i64..4_000_000, timescale in 1_u32..2_000_000) {
            let sample = Sample { size: 1, ..Sample::default() };
            let timescale = Timescale::new(timescale).unwrap();
            if let Some(still) = Still::before(sample, 7, wait, timescale) {
                let mut written = (0..still.span.count).map(|i| still.entry(i).written);
                let end = written.try_fold(0, |end, w| (end == w.time).then_some(w.time + i64::from(w.duration)));
                prop_assert_eq!(end, Some(wait));
                let first = still.entry(0).written.duration;
                prop_assert!(timescale.duration(first.into()) <= TARGET + timescale.duration(wait / i64::from(first) + 1));
            }
        }
    }
}
