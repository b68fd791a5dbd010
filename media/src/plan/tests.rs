use super::*;
use crate::made::{VIDEO_TICKS, index, samples, sound, video};
use proptest::prelude::*;

fn seconds(plan: &TrackPlan) -> Vec<f64> {
    (0..plan.segments().len()).map(|i| plan.timescale.seconds(plan.start(i))).collect()
}

#[test]
fn video_is_cut_at_the_keyframes_nearest_to_four_seconds() {
    for (gop, expected) in [
        (50, vec![0.0, 4.0, 8.0, 12.0, 16.0]),
        (63, vec![0.0, 5.04, 10.08, 15.12]),
        (250, vec![0.0, 10.0]),
        (1, vec![0.0, 4.0, 8.0, 12.0, 16.0]),
    ] {
        let plan = Plan::new(&index(vec![video(500, gop)]));
        assert_eq!(seconds(&plan.tracks()[0]), expected, "GOP of {gop}");
    }
}

#[test]
fn no_segment_is_a_crumb() {
    let plan = Plan::new(&index(vec![video(110, 50)]));
    assert_eq!(seconds(&plan.tracks()[0]), [0.0], "0.4 s are left after 4 s");
}

#[test]
fn much_data_is_cut_earlier() {
    let mut track = video(500, 25);
    track.samples = samples(500, 24, 1 << 20, |i| i % 25 == 0);
    let plan = Plan::new(&index(vec![track]));
    assert!(plan.tracks()[0].segments().iter().all(|s| s.len < 33 << 20));
}

#[test]
fn sound_follows_the_cuts_of_the_video() {
    let plan = Plan::new(&index(vec![video(500, 50), sound(938)]));
    let cuts: Vec<_> = plan.tracks()[1].segments().iter().map(|s| s.time).collect();
    // The first access unit at or after 4, 8, 12, 16 s of 48 kHz.
    assert_eq!(cuts, [0, 192_512, 384_000, 576_512, 768_000]);
}

#[test]
fn sound_alone_and_sound_that_goes_on_are_cut_every_four_seconds() {
    let alone = Plan::new(&index(vec![sound(600)]));
    assert_eq!(alone.tracks()[0].segments().len(), 3, "12.8 s; 0.8 s are a crumb");
    let longer = Plan::new(&index(vec![video(250, 50), sound(1000)]));
    let ends: Vec<_> = longer.tracks()[1].segments().iter().map(|s| s.time / 48_000).collect();
    assert_eq!(ends, [0, 4, 8, 10, 14, 18], "the video ends at 10 s, the sound at 21.3");
}

#[test]
fn a_late_track_keeps_its_place() {
    let mut late = sound(938);
    late.edit.delay = 30 * 48_000;
    let filled = Plan::new(&index(vec![video(1500, 50), late.clone()]));
    let filled = &filled.tracks()[1];
    assert_eq!(filled.segments()[0].time, 0);
    assert!((0..filled.segments().len()).all(|i| filled.media_ticks(i) <= 5 * 48_000), "silence is cut as sound is");
    late.codec = crate::codec::Codec::Flac { dfla: Vec::new() };
    let plan = Plan::new(&index(vec![video(1500, 50), late]));
    let plan = &plan.tracks()[1];
    assert_eq!((plan.segments()[0].time, plan.start(0)), (30 * 48_000, 0));
    assert_eq!(plan.ticks(0), plan.media_ticks(0) + 30 * 48_000);
    assert!(plan.media_ticks(0) <= 4 * 48_000);
}

#[test]
fn pictures_that_start_late_are_a_still_first() {
    let mut late = video(500, 50);
    late.edit.delay = 3 * i64::from(VIDEO_TICKS);
    let plan = Plan::new(&index(vec![late.clone()]));
    let plan = &plan.tracks()[0];
    assert_eq!(seconds(plan), [0.0, 3.0, 7.0, 11.0, 15.0, 19.0]);
    assert_eq!(plan.end(), 23 * i64::from(VIDEO_TICKS));
    let keyframe = late.samples.get(0).unwrap();
    let bytes = keyframe.offset..keyframe.offset + u64::from(keyframe.size);
    assert_eq!(plan.layout(&late, 1).unwrap().ranges, std::slice::from_ref(&bytes));
    assert_eq!(plan.layout(&late, 2).unwrap().ranges[0], bytes, "it is there again at its own time");
    let second = plan.timeline.written(1, late.samples.get(1).unwrap());
    assert_eq!(second.time, 3 * i64::from(VIDEO_TICKS) + 24);
    // However late: no segment is longer than others, and sound is cut with the pictures.
    late.edit.delay = 30 * i64::from(VIDEO_TICKS) + 1;
    let plan = Plan::new(&index(vec![late, sound(2340)]));
    let [pictures, sound] = plan.tracks() else { panic!("two tracks") };
    assert!((0..pictures.segments().len()).all(|i| pictures.ticks(i) <= 5 * i64::from(VIDEO_TICKS)));
    assert!(pictures.segments().iter().all(|segment| segment.sync));
    assert_eq!(pictures.segments().len(), sound.segments().len());
}

#[test]
fn the_fingerprint_follows_the_cuts() {
    let of = |gop| Plan::new(&index(vec![video(500, gop), sound(938)])).fingerprint_bytes();
    assert_eq!(of(50), of(50));
    assert_ne!(of(50), of(63));
}

proptest! {
    /// Whatever a file says, each kept sample is in one segment, in order, and no segment is empty.
    #[test]
    fn segments_are_a_partition(
        steps in prop::collection::vec((0u32..3000, 0u32..5000, any::<bool>(), -50i32..50), 1..400),
        sounds in prop::collection::vec(0u32..5000, 0..400),
        delay in prop_oneof![Just(0i64), 0i64..100_000, Just(i64::MAX)],
        start in prop_oneof![Just(0i64), 0i64..2000, any::<i64>()],
        end in prop::option::of(any::<i64>()),
    ) {
        let mut dts = 0;
        let table = steps.iter().map(|&(duration, size, sync, cts)| {
            let sample = crate::track::Sample { offset: 0, size, dts, cts, duration, sync };
            dts += i64::from(duration);
            sample
        }).collect();
        let mut track = video(1, 1);
        track.samples = crate::track::SampleTable::from_samples(table);
        track.edit = crate::track::Edit { delay, start, end, ..crate::track::Edit::default() };
        let mut audio = sound(1);
        audio.samples = samples(u32::try_from(sounds.len()).unwrap(), sounds.first().copied().unwrap_or(1), 9, |_| true);
        audio.edit = crate::track::Edit { delay: start.max(0), start: delay, end: None, ..crate::track::Edit::default() };
        let index = index(vec![track, audio]);
        let plan = Plan::new(&index);
        for (track, plan) in index.tracks.iter().zip(plan.tracks()) {
            let kept = super::places(&plan.timeline, plan.fill);
            let firsts: Vec<_> = plan.segments().iter().map(|s| s.first).collect();
            prop_assert!(firsts.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(firsts.first().copied(), (!kept.is_empty()).then_some(kept.start));
            prop_assert!(firsts.last().is_none_or(|last| *last < kept.end));
            for (number, segment) in (1..).zip(plan.segments()) {
                prop_assert_eq!(plan.layout(track, number).unwrap().total_len, segment.len);
            }
        }
    }
}
