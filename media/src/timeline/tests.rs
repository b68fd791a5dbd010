use super::*;
use crate::made::{sound, video};
use crate::track::{Edit, SampleTable};

/// A GOP of 10 with B-frames two deep: the first picture is composed two frames late.
fn reordered(edit: Edit, shift: i32) -> Track {
    let mut track = video(20, 10);
    let samples = track.samples.range(0..20).enumerate().map(|(i, sample)| {
        let cts = [48, 96, 24, 24, 48][i % 5] - shift;
        Sample { cts, ..sample }
    });
    track.samples = SampleTable::from_samples(samples.collect());
    track.edit = edit;
    track
}

fn first(track: &Track) -> (Option<u64>, Written, i64) {
    let timeline = Timeline::of(track);
    let i = timeline.kept().start;
    let sample = track.samples.get(i).unwrap();
    (timeline.edit_start(), timeline.written(i, sample), timeline.shown(i, sample))
}

/// What players compute from a fragment and the init segment equals when a sample is shown.
fn assert_consistent(track: &Track) {
    let timeline = Timeline::of(track);
    let edit = i64::try_from(timeline.edit_start().unwrap_or(0)).unwrap();
    let factor = i64::from(timeline.timescale().get() / track.timescale.get());
    let shift = timeline.shift().map_or(0, |shift| shift.ticks);
    let (mut end, mut hidden) = (None, Vec::new());
    for i in timeline.kept() {
        let sample = track.samples.get(i).unwrap();
        let written = timeline.written(i, sample);
        let found = written.time + i64::from(written.composition) - edit;
        if shift > 0 && media_time(sample) <= track.edit.start {
            hidden.push(found - factor * track.edit.delay);
        } else {
            assert_eq!(found, factor * timeline.shown(i, sample) + shift, "sample {i}");
        }
        assert!(end.is_none_or(|end| end == written.time), "fragments have no holes: sample {i}");
        end = Some(written.time + i64::from(written.duration));
    }
    hidden.sort_unstable();
    assert!(hidden.iter().copied().eq(0..=shift) || shift == 0, "each for a tick, the last at the start: {hidden:?}");
    assert!(timeline.shift().is_none_or(|shift| shift.timescale.duration(shift.ticks).as_micros() < 1000));
}

#[test]
fn reordering_is_an_edit() {
    let track = reordered(Edit { start: 48, ..Edit::default() }, 0);
    assert_eq!(first(&track), (Some(48), Written { time: 0, duration: 24, composition: 48 }, 0));
    assert_consistent(&track);
}

#[test]
fn negative_offsets_become_an_edit() {
    let track = reordered(Edit::default(), 48);
    assert_eq!(first(&track), (Some(24), Written { time: 0, duration: 24, composition: 24 }, 0));
    assert_consistent(&track);
}

#[test]
fn pictures_that_are_a_little_late_stretch_the_first_sample() {
    let track = reordered(Edit { start: 48, delay: 58, end: None, ..Edit::default() }, 0);
    assert_eq!(first(&track), (None, Written { time: 0, duration: 34, composition: 58 }, 58));
    assert_consistent(&track);
}

#[test]
fn late_pictures_leave_decode_times_to_a_still() {
    for (shift, offset) in [(0, 48), (30, 24)] {
        let track = reordered(Edit { start: 48 - i64::from(shift), delay: 1848, end: None, ..Edit::default() }, shift);
        let written = Written { time: 1848, duration: 24, composition: offset };
        assert_eq!(first(&track), (Some(offset.into()), written, 1848));
        assert_eq!(Timeline::of(&track).still().unwrap().entry(0).written.composition, offset);
        assert_consistent(&track);
    }
    // A first picture that straddles the start of the edit.
    let mut track = video(20, 10);
    track.edit = Edit { start: 11, delay: 1800, ..Edit::default() };
    assert_eq!(first(&track), (Some(11), Written { time: 1800, duration: 24, composition: 11 }, 1800));
    assert_consistent(&track);
}

/// The second picture is shown before the first: that is no still, and the first is stretched however late it is.
#[test]
fn late_pictures_before_their_keyframe_stretch_it() {
    let mut track = reordered(Edit { delay: 1848, ..Edit::default() }, 0);
    let samples = track.samples.range(0..20).enumerate();
    let samples = samples.map(|(i, sample)| Sample { cts: if i == 0 { 48 } else { sample.cts - 24 }, ..sample });
    track.samples = SampleTable::from_samples(samples.collect());
    let timeline = Timeline::of(&track);
    assert_eq!((timeline.still(), timeline.edit_start()), (None, None));
    assert_eq!(first(&track).1.time, 0);
    assert_consistent(&track);
}

#[test]
fn late_sound_moves_decode_times() {
    let mut track = sound(10);
    track.edit = Edit { start: 1024, delay: 48_000, end: None, ..Edit::default() };
    assert_eq!(first(&track), (None, Written { time: 46_976, duration: 1024, composition: 0 }, 46_976));
    assert_consistent(&track);
}

#[test]
fn priming_is_kept_and_said() {
    let mut track = sound(10);
    track.edit.start = 2112;
    assert_eq!(first(&track), (Some(2112), Written { time: 0, duration: 1024, composition: 0 }, -2112));
}

#[test]
fn a_first_picture_that_straddles_the_start_shows_at_zero() {
    let mut track = video(20, 10);
    track.edit.start = 11;
    assert_eq!(first(&track), (Some(11), Written { time: 0, duration: 24, composition: 11 }, 0));
    assert_eq!(Timeline::of(&track).shift(), None);
    assert_consistent(&track);
}

#[test]
fn an_edit_within_a_gop_hides_what_it_needs() {
    let mut track = video(40, 10);
    track.edit = Edit { start: 24 * 15 + 5, delay: 0, end: Some(24 * 33), ..Edit::default() };
    let timeline = Timeline::of(&track);
    assert_eq!((timeline.kept(), timeline.starts_between_keyframes()), (10..33, false));
    assert_eq!(timeline.shift(), Some(Shift { ticks: 5, timescale: Timescale::new(600 * 9).unwrap() }));
    assert_eq!(first(&track).1.time, 0);
    assert_consistent(&track);
    let mut reordered = reordered(Edit { start: 24 * 8, ..Edit::default() }, 0);
    assert_consistent(&reordered);
    for delay in [0, 7, 1800] {
        for start in 0..24 * 20 {
            reordered.edit = Edit { delay, start, ..Edit::default() };
            assert_consistent(&reordered);
        }
    }
}

#[test]
fn sound_is_shifted_with_the_pictures() {
    let mut track = sound(100);
    track.edit.start = 1024;
    let shift = Shift { ticks: 5, timescale: Timescale::new(5400).unwrap() };
    assert_eq!(Timeline::shifted(&track, Some(shift)).edit_start(), Some(1024 - 44));
}

/// A clock of billions of ticks can't be made finer: then it is said that the beginning is missed.
#[test]
fn what_cannot_be_squeezed_is_told() {
    let mut track = video(40, 10);
    track.timescale = Timescale::new(1_000_000_000).unwrap();
    track.edit.start = 24 * 15;
    let timeline = Timeline::of(&track);
    assert!(timeline.starts_between_keyframes() && timeline.shift().is_none());
    assert_eq!(first(&track).0, Some(24 * 5));
    assert_consistent(&track);
}

#[test]
fn references_of_the_last_pictures_are_kept() {
    // Decode order I P b b: the P after the end is needed by the pictures before it.
    let track = reordered(Edit { start: 48, delay: 0, end: Some(48 + 24 * 3), ..Edit::default() }, 0);
    let shown: Vec<_> = Timeline::of(&track).kept().map(|i| media_time(track.samples.get(i).unwrap())).collect();
    assert_eq!(shown, [48, 120, 72, 96]);
}
