use super::*;
use crate::made::{VIDEO_TICKS, index, sound, video};
use crate::track::{Rotation, SampleTable};
use proptest::prelude::*;

fn at(seconds: f64) -> Keyframe {
    let time = Duration::from_secs_f64(seconds);
    let ticks = i64::try_from(time.as_millis()).unwrap();
    Keyframe { sample: usize::try_from(ticks).unwrap(), ticks, time }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn intervals_follow_the_duration() {
    let minutes = |n: u64| seconds(n * 60);
    for (duration, expected) in [
        (seconds(3), seconds(1)),
        (seconds(250), Duration::from_millis(2500)),
        (minutes(10), seconds(5)),
        (minutes(20), seconds(5)),
        (minutes(60), seconds(15)),
        (minutes(120), seconds(30)),
    ] {
        assert_eq!(interval(duration), expected, "{duration:?}");
    }
}

#[test]
fn tiles_are_nearest_keyframes_once_each() {
    let shown = [at(0.0), at(2.4), at(2.6), at(9.0)];
    let chosen = nearest(&shown, (0..10).map(seconds));
    let chosen: Vec<_> = chosen.iter().map(|k| k.time.as_millis()).collect();
    assert_eq!(chosen, [0, 2400, 2600, 9000]);
    let tiles = tiles(&shown, seconds(10));
    let bounds: Vec<_> = tiles.iter().map(|t| (t.start.as_millis(), t.end.as_millis())).collect();
    assert_eq!(bounds, [(0, 1200), (1200, 2500), (2500, 5800), (5800, 10_000)]);
}

#[test]
fn ten_minutes_have_a_tile_every_five_seconds() {
    let board = Storyboard::plan(&index(vec![video(15_000, 50)])).unwrap();
    assert_eq!((board.tile_width, board.tile_height), (320, 180));
    assert_eq!((board.tiles.len(), board.columns, board.rows, board.sheets()), (120, 10, 10, 2));
    assert_eq!(board.place(119), Place { sheet: 1, x: 9 * 320, y: 180 });
    assert_eq!((board.sheet_size(0), board.sheet_size(1)), ((3200, 1800), (3200, 360)));
    assert_eq!(board.tiles[1].keyframe.time, seconds(4), "of 4 s and 6 s the earlier");
}

#[test]
fn all_pictures_give_a_tile_wherever_one_is_wanted() {
    // A minute with one keyframe, at its beginning.
    let rare = index(vec![video(1500, 1500)]);
    assert!(keyframes_are_rare(&rare) && !keyframes_are_rare(&index(vec![video(1500, 250)])));
    assert_eq!(Storyboard::plan(&rare).unwrap().tiles.len(), 1);
    let board = Storyboard::of_all_pictures(&rare).unwrap();
    assert_eq!(board.tiles.len(), 60);
    assert!(board.tiles.iter().zip(0..).all(|(tile, n)| tile.keyframe.time == seconds(n)), "{board:?}");
    assert_eq!(board.tiles[7].keyframe.sample, 175);
    let mut open = video(250, 25);
    open.open_gop = true;
    assert_eq!(Storyboard::of_all_pictures(&index(vec![open])).unwrap().tiles.len(), 10);
    assert_eq!(Storyboard::of_all_pictures(&index(vec![sound(100)])), Err(NoStoryboard::NoVideo));
    // A picture that stays for minutes, and one behind it: there is no other.
    let mut still = video(2, 2);
    still.samples = SampleTable::from_samples(
        still
            .samples
            .range(0..2)
            .map(|sample| crate::track::Sample { duration: VIDEO_TICKS * 300, dts: sample.dts * 7500, ..sample })
            .collect(),
    );
    assert!(!keyframes_are_rare(&index(vec![still])));
}

#[test]
fn a_phone_film_has_upright_tiles() {
    let mut track = video(250, 25);
    let TrackKind::Video(format) = &mut track.kind else { unreachable!() };
    format.rotation = Rotation::Quarter;
    let board = Storyboard::plan(&index(vec![track])).unwrap();
    assert_eq!((board.tile_width, board.tile_height), (180, 320));
}

#[test]
fn what_has_no_storyboard_says_why() {
    assert_eq!(Storyboard::plan(&index(vec![sound(100)])), Err(NoStoryboard::NoVideo));
    let mut open = video(250, 25);
    open.open_gop = true;
    assert_eq!(Storyboard::plan(&index(vec![open.clone()])), Err(NoStoryboard::OpenGop));
    // Nothing is before the first keyframe, so that one can be a poster.
    let first: Vec<_> = poster_candidates(&index(vec![open])).unwrap().iter().map(|keyframe| keyframe.sample).collect();
    assert_eq!(first, [0]);
    let mut none = video(250, 25);
    none.samples = SampleTable::from_samples(none.samples.range(1..20).collect());
    assert_eq!(Storyboard::plan(&index(vec![none])), Err(NoStoryboard::NoKeyframe));
}

#[test]
fn keyframes_outside_the_edit_are_not_shown() {
    let mut track = video(250, 25);
    // From 1.5 s (within a GOP) to 5 s.
    track.edit.start = i64::from(VIDEO_TICKS) * 3 / 2;
    track.edit.end = Some(i64::from(VIDEO_TICKS) * 5);
    let board = Storyboard::plan(&index(vec![track])).unwrap();
    let times: Vec<_> = board.tiles.iter().map(|t| t.keyframe.time.as_millis()).collect();
    assert_eq!(times, [500, 1500, 2500]);
}

#[test]
fn the_feed_is_one_fragment_a_keyframe() {
    let index = index(vec![video(250, 25)]);
    let posters = poster_candidates(&index).unwrap();
    let samples: Vec<_> = posters.iter().map(|k| k.sample).collect();
    assert_eq!(samples, [25, 50, 75, 125, 175, 200]);
    let feed = Feed::new(&index, posters).unwrap();
    let ranges: Vec<_> = feed.fragments().map(|f| f.ranges).collect();
    assert_eq!(
        ranges.concat().iter().map(|r| r.start).collect::<Vec<_>>(),
        samples.iter().map(|s| *s as u64 * 10_000).collect::<Vec<_>>()
    );
}

proptest! {
    #[test]
    fn tiles_cover_the_video_and_sheets_stay_small(frames in 1u32..100_000, gop in 1u32..3000, width in 1u16.., height in 1u16..) {
        let mut track = video(frames, gop);
        let TrackKind::Video(format) = &mut track.kind else { unreachable!() };
        (format.width, format.height) = (width, height);
        let board = Storyboard::plan(&index(vec![track])).unwrap();
        prop_assert!(board.tile_width <= TILE_SIDE && board.tile_height <= TILE_SIDE);
        prop_assert_eq!((board.tile_width % 2, board.tile_height % 2), (0, 0));
        prop_assert_eq!(board.tiles[0].start, Duration::ZERO);
        prop_assert_eq!(board.tiles.last().unwrap().end, board.duration);
        for pair in board.tiles.windows(2) {
            prop_assert!(pair[0].end == pair[1].start && pair[0].keyframe.time < pair[1].keyframe.time);
        }
        for tile in &board.tiles {
            prop_assert!(tile.start <= tile.keyframe.time && tile.keyframe.time <= tile.end);
        }
        for sheet in 0..board.sheets() {
            let (width, height) = board.sheet_size(sheet);
            prop_assert!(u64::from(width) * u64::from(height) <= SHEET_PIXELS);
            for number in board.tiles_of(sheet) {
                let place = board.place(number);
                prop_assert_eq!(place.sheet, sheet);
                prop_assert!(place.x + board.tile_width <= width && place.y + board.tile_height <= height);
            }
        }
    }
}

#[test]
fn pictures_that_were_made_are_named_as_planned() {
    let index = index(vec![video(15_000, 50)]);
    let board = Storyboard::plan(&index).unwrap();
    let times: Vec<_> = board.tiles.iter().map(|tile| tile.keyframe.ticks).collect();
    let made = |grid, times: &[i64]| {
        Storyboard::of_pictures(index.duration, (320, 180), grid, index.tracks[0].timescale, times)
    };
    let named = made((10, 10), &times).unwrap();
    assert_eq!(named.tiles.len(), board.tiles.len());
    for (number, (planned, tile)) in board.tiles.iter().zip(&named.tiles).enumerate() {
        assert_eq!((planned.start, planned.end, planned.keyframe.time), (tile.start, tile.end, tile.keyframe.time));
        assert_eq!(board.place(number), named.place(number));
    }
    assert_eq!(made((0, 10), &times), None);
    assert_eq!(made((1000, 1000), &times), None);
    assert_eq!(made((10, 10), &[2, 1]), None);
}
