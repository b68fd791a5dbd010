use super::*;
use crate::cmaf::segment::{Entry, SegmentLayout};
use crate::indexer::index_bytes;
use crate::made;
use crate::timeline::Written;
use proptest::prelude::*;

const LOOK: Look = Look { size: (640, 360), tone_mapped: false };
const CONFIGURATION: [u8; 13] = [1, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0, 1, 0x67, 1, 0, 1, 0x68];

fn presented(track: Track) -> Presentation {
    Presentation::new(made::index(vec![track]))
}

/// A plan, and when each of its segments begins, in seconds.
fn planned(source: &Presentation) -> (Planned, Vec<f64>) {
    let planned = Planned::of(&source.video().unwrap(), LOOK).unwrap();
    let scale = source.video().unwrap().plan.timescale;
    let begins = (1..=planned.count()).map(|number| scale.seconds(planned.shown(planned.first(number)).unwrap()));
    let begins = begins.collect();
    (planned, begins)
}

#[test]
fn segments_begin_where_those_of_the_source_do() {
    let source = presented(made::video(1000, 100));
    let (planned, begins) = planned(&source);
    assert_eq!(begins, [0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 24.0, 28.0, 32.0, 36.0]);
    let video = source.video().unwrap();
    assert_eq!(planned.span_len(&video), 4);
    let span = planned.span(&video, 5..=8);
    let expected = SpanPlan {
        feed: 5..=8,
        from: Some(16 * 600),
        until: Some(32 * 600),
        keyframes: vec![16 * 600, 20 * 600, 24 * 600, 28 * 600],
        lag: LAG,
        timescale: video.plan.timescale,
    };
    assert_eq!(span, expected);
    let whole = planned.span(&video, 1..=10);
    assert_eq!((whole.feed, whole.from, whole.until), (1..=10, None, None));
}

#[test]
fn pictures_without_keyframes_are_cut_anew_and_decoded_once() {
    let source = presented(made::video(1000, 2000));
    let (planned, begins) = planned(&source);
    assert_eq!(begins.len(), 10);
    assert!(begins.windows(2).all(|two| (3.9..4.1).contains(&(two[1] - two[0]))), "{begins:?}");
    let video = source.video().unwrap();
    assert_eq!(planned.span_len(&video), planned.count(), "a second span would decode the first one again");
    let day = presented(made::video(25 * 86_400, 25 * 100_000));
    let (long, _) = self::planned(&day);
    assert_eq!((long.count(), long.span_len(&day.video().unwrap())), (21_600, 4096), "times are one argument");
    // From the only keyframe on, whatever is left out.
    assert_eq!(planned.span(&video, 4..=10).feed, 1..=1);
}

#[test]
fn cuts_that_are_near_are_one_and_long_ones_several() {
    // Keyframes every 10 s.
    let (_, begins) = planned(&presented(made::video(1000, 250)));
    assert!(begins.windows(2).all(|two| two[1] - two[0] < 6.0), "{begins:?}");
    assert!([0.0, 10.0, 20.0, 30.0].iter().all(|own| begins.contains(own)), "{begins:?}");
    // So large that the source is cut at each keyframe, every 0.4 s.
    let mut track = made::video(500, 10);
    let samples = track.samples.range(0..500).map(|sample| Sample { size: 4 << 20, ..sample });
    track.samples = SampleTable::from_samples(samples.collect());
    let (_, begins) = planned(&presented(track));
    assert!(begins.windows(2).all(|two| two[1] - two[0] >= 2.0), "{begins:?}");
}

#[test]
fn few_pictures_have_a_plan_too() {
    for frames in 1..6 {
        let (planned, begins) = planned(&presented(made::video(frames, 100)));
        assert_eq!((planned.count(), begins), (1, vec![0.0]), "{frames} pictures");
    }
}

#[test]
fn slides_are_decoded_when_they_are_shown() {
    let mut track = made::video(3, 1);
    let hours = [0, 10, 20].map(|hour| i64::from(hour * 3600 * made::VIDEO_TICKS));
    let samples =
        track.samples.range(0..3).zip(hours).map(|(sample, dts)| Sample { dts, duration: 21_600_000, ..sample });
    track.samples = SampleTable::from_samples(samples.collect());
    let source = presented(track);
    let (planned, begins) = planned(&source);
    assert_eq!((planned.lag(), begins.len()), (0, 3));
    assert_eq!(planned.span(&source.video().unwrap(), 1..=3).lag, 0);
    let written = encoder(&planned, 1..=3, |_| {});
    assert_eq!(segments(&planned, 1..=3, &written, 100).len(), 3);
}

#[test]
fn a_plan_is_stored_and_read() {
    let (planned, begins) = planned(&presented(made::video(1000, 30)));
    let stored = planned.presentation().index().encode();
    let read = Planned::new(Presentation::new(MediaIndex::decode(&stored).unwrap())).unwrap();
    assert_eq!(read.count() as usize, begins.len());
    assert_eq!(read.presentation().index(), planned.presentation().index());
    for number in 1..=read.count() {
        assert_eq!(read.segment_at(read.first(number)), Some(number));
        assert_eq!(read.segment_at(read.first(number) + 1), None);
    }
}

/// What an encoder writes for some segments: `lag` pictures are decoded ahead of being shown, in the order that `order` makes.
fn encoder(planned: &Planned, numbers: RangeInclusive<u32>, order: fn(&mut [i64])) -> Vec<u8> {
    encoder_of(planned, numbers, order, usize::MAX)
}

/// The same, which can decode so many pictures of each segment at the most.
fn encoder_of(planned: &Planned, numbers: RangeInclusive<u32>, order: fn(&mut [i64]), most: usize) -> Vec<u8> {
    let track = planned.rendition().track;
    let mut init = presented(Track { codec: Codec::H264 { avcc: CONFIGURATION.to_vec() }, ..track.clone() });
    init = Presentation::new(init.index().clone());
    let mut out = init.video().unwrap().init();
    let edit = track.edit.start;
    for number in numbers {
        let places = planned.first(number)..planned.first(number + 1);
        let mut shown: Vec<i64> = places.clone().map(|place| planned.shown(place).unwrap()).collect();
        shown.truncate(most);
        let first = shown[0];
        order(&mut shown);
        // Times of decoding of its own: they are not looked at but for the sum.
        let entries = shown.iter().enumerate().map(|(i, shown)| {
            let time = first + i64::try_from(i).unwrap();
            let composition = u32::try_from(shown + edit - time).unwrap();
            let sample = Sample { offset: 0, size: 5, dts: 0, cts: 0, duration: 1, sync: i == 0 };
            Entry { sample, written: Written { time, duration: 1, composition }, silence: None }
        });
        let entries: Vec<_> = entries.collect();
        out.extend(SegmentLayout::new(number, &entries).header);
        out.extend(shown.iter().flat_map(|shown| format!("{:05}", shown % 100_000).into_bytes()));
    }
    out
}

/// Of three pictures the first is decoded first, then the third, then the one between.
fn between(shown: &mut [i64]) {
    for three in shown[1..].chunks_exact_mut(2) {
        three.swap(0, 1);
    }
}

/// Segments of a span, made in pieces of `step` bytes.
fn segments(planned: &Planned, numbers: RangeInclusive<u32>, stream: &[u8], step: usize) -> Vec<EncodedSegment> {
    let (mut cut, mut writer) = (Cut::default(), SpanWriter::new(planned.clone(), numbers));
    let fragments = stream.chunks(step).flat_map(|piece| cut.push(piece).unwrap());
    let made = fragments.collect::<Vec<_>>().iter().map(|fragment| writer.segment(fragment).unwrap()).collect();
    writer.finish().unwrap();
    assert_eq!(writer.configuration(), CONFIGURATION);
    made
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn spans_in_any_order_are_one_presentation(
        durations in proptest::collection::vec(1..40_u32, 3..900),
        gop in 1..300_u32,
        span in 1..5_u32,
        step in 1..5000_usize,
    ) {
        let mut track = made::video(u32::try_from(durations.len()).unwrap(), gop);
        let mut dts = 0;
        let samples = track.samples.range(0..durations.len()).zip(&durations).map(|(sample, duration)| {
            let sample = Sample { dts, duration: *duration, ..sample };
            dts += i64::from(*duration);
            sample
        });
        track.samples = SampleTable::from_samples(samples.collect());
        let source = presented(track);
        let (planned, _) = planned(&source);
        let mut stream = Vec::new();
        let mut all = Vec::new();
        let firsts: Vec<u32> = (1..=planned.count()).step_by(span as usize).collect();
        for first in firsts.into_iter().rev() {
            let numbers = first..=(first + span - 1).min(planned.count());
            let written = encoder(&planned, numbers.clone(), between);
            all.push(segments(&planned, numbers, &written, step));
        }
        let mut whole = planned.presentation().index().clone();
        whole.tracks[0].codec = Codec::H264 { avcc: CONFIGURATION.to_vec() };
        stream.extend(Presentation::new(whole).video().unwrap().init());
        let all: Vec<_> = all.into_iter().rev().flatten().collect();
        prop_assert_eq!(all.iter().map(|segment| segment.number).collect::<Vec<_>>(), (1..=planned.count()).collect::<Vec<_>>());
        for segment in &all {
            let keyframe = keyframe_of(&segment.bytes).unwrap();
            let bytes = &segment.bytes[usize::try_from(keyframe.start).unwrap()..usize::try_from(keyframe.end).unwrap()];
            let shown = planned.shown(planned.first(segment.number)).unwrap();
            prop_assert_eq!(bytes.to_vec(), format!("{:05}", shown % 100_000).into_bytes());
            stream.extend(&segment.bytes);
        }
        let index = index_bytes(&stream).unwrap();
        let (made, plan) = (&index.tracks[0], planned.rendition().track);
        prop_assert_eq!(made.samples.len(), plan.samples.len());
        prop_assert_eq!(made.samples.end_dts(), plan.samples.end_dts());
        let shown = |track: &Track| {
            let samples = track.samples.range(0..track.samples.len());
            let mut shown: Vec<i64> = samples.map(|s| s.dts + i64::from(s.cts) - track.edit.start).collect();
            shown.sort_unstable();
            shown
        };
        prop_assert_eq!(shown(made), shown(plan));
        prop_assert_eq!(
            made.samples.sync_samples().collect::<Vec<_>>(),
            (1..=planned.count()).map(|number| planned.first(number)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn nonsense_is_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0..2000_usize, keeps in any::<bool>()) {
        let (planned, _) = planned(&presented(made::video(300, 100)));
        let mut stream = encoder(&planned, 1..=3, between);
        if keeps {
            let at = at.min(stream.len());
            bytes.truncate(8);
            let end = (at + bytes.len()).min(stream.len());
            stream.splice(at..end, bytes.iter().copied());
        } else {
            stream = bytes;
        }
        let (mut cut, mut writer) = (Cut::default(), SpanWriter::new(planned, 1..=3));
        if let Ok(fragments) = cut.push(&stream) {
            for fragment in fragments {
                let _ = writer.segment(&fragment);
            }
        }
        let _ = keyframe_of(&stream);
    }
}

#[test]
fn what_is_missing_is_said() {
    let (planned, _) = planned(&presented(made::video(1000, 100)));
    let written = encoder(&planned, 1..=4, between);
    let fragments = Cut::default().push(&written).unwrap();
    let mut writer = SpanWriter::new(planned.clone(), 1..=4);
    writer.segment(&fragments[0]).unwrap();
    let hole = writer.segment(&fragments[3]).unwrap_err();
    assert_eq!(hole.to_string(), "no picture can be decoded from 4.0 to 12.0 seconds");
    writer.segment(&fragments[1]).unwrap();
    assert_eq!(writer.finish().unwrap_err().to_string(), "no picture can be decoded from 8.0 to 16.0 seconds");
    // Some pictures of a segment are missing at its end: the one before stays longer.
    let lacking = encoder_of(&planned, 1..=2, between, 90);
    let made = segments(&planned, 1..=2, &lacking, 1000);
    let mut stream = presented(planned.rendition().track.clone()).video().unwrap().init();
    stream.extend(made.iter().flat_map(|segment| &segment.bytes));
    let index = index_bytes(&stream).unwrap();
    assert_eq!(index.tracks[0].samples.len(), 180);
    assert_eq!(index.tracks[0].samples.end_dts(), 8 * 600);
}
