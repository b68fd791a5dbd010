//! Files put together by hand: what tools seldom write, and what none should.

use crate::ebml::{
    block, cluster, element, endless, file, h264, head, info, joined, number, opus, packet, raw_block, tracks,
};
use vidstream_media::index::{IgnoredCause, MediaIndex};
use vidstream_media::indexer::{IndexError, Indexer, Limits, Step, index_bytes, index_bytes_within};
use vidstream_media::track::{Sample, Track};

fn samples(track: &Track) -> Vec<Sample> {
    track.samples.range(0..track.samples.len()).collect()
}

/// Pictures every 40 ms, each a keyframe if `key` says so.
fn pictures(times: &[i16], key: impl Fn(usize) -> bool) -> Vec<Vec<u8>> {
    let picture = |(i, time): (usize, &i16)| block(1, *time, if key(i) { 0x80 } else { 0 }, &[7; 20]);
    times.iter().enumerate().map(picture).collect()
}

fn sentence(file: &[u8]) -> String {
    index_bytes(file).expect_err("an error").to_string()
}

/// Three frames a block, in every form that there is: each follows the one before.
#[test]
fn laces_of_every_form() {
    let [a, b, c] = [packet(5), packet(300), packet(7)];
    let frames = [&a[..], &b, &c].concat();
    let xiph = [&[2, 5, 255, 45][..], &frames].concat();
    // 5, then 295 more: a signed number of two bytes.
    let ebml = [&[2, 0x85, 0x61, 0x26][..], &frames].concat();
    let fixed = [&[2][..], &a, &a, &a].concat();
    let blocks = [block(1, 0, 0x82, &xiph), block(1, 60, 0x86, &ebml), block(1, 120, 0x84, &fixed)];
    let index = index_bytes(&file(&[info(1_000_000), tracks(&[opus(1, &[])]), cluster(0, &blocks)])).expect("an index");
    let found = samples(&index.tracks[0]);
    assert_eq!(found.iter().map(|sample| sample.size).collect::<Vec<_>>(), [5, 300, 7, 5, 300, 7, 5, 5, 5]);
    assert!(found.iter().zip(0..).all(|(sample, i)| (sample.dts, sample.duration) == (960 * i, 960)), "{found:?}");
}

/// Times are rounded, and recorders lose sound: what is less than half a frame off follows, what is more does not.
#[test]
fn sound_is_on_its_grid_unless_some_is_lost() {
    let times = [0, 21, 39, 61, 80, 150, 171, 100, 210];
    let blocks: Vec<_> = times.iter().map(|time| block(1, *time, 0x80, &packet(9))).collect();
    let index = index_bytes(&file(&[tracks(&[opus(1, &[])]), cluster(0, &blocks)])).expect("an index");
    let found: Vec<_> = samples(&index.tracks[0]).iter().map(|sample| sample.dts).collect();
    // 150 ms are believed; what then claims to be earlier than what is before it is not.
    assert_eq!(found, [0, 960, 1920, 2880, 3840, 7200, 8160, 9120, 10_080]);
}

#[test]
fn the_end_of_sound_is_not_heard() {
    let padded = element(0xa0, &joined(&[element(0xa1, &raw_block(1, 20, 0, &packet(9))), number(0x75a2, 15_000_000)]));
    let blocks = [block(1, 0, 0x80, &packet(9)), padded];
    let index = index_bytes(&file(&[tracks(&[opus(1, &[])]), cluster(0, &blocks)])).expect("an index");
    assert_eq!((index.tracks[0].edit.start, index.tracks[0].edit.end), (312, Some(1200)));
}

/// A delay that is said is taken off every time, whatever the codec, and so much is not heard.
#[test]
fn delays_of_codecs() {
    let delayed = number(0x56aa, 6_500_000);
    let blocks = [block(1, 100, 0x80, &[7; 20]), block(2, 100, 0x80, &packet(9)), block(2, 121, 0x80, &packet(9))];
    let index = index_bytes(&file(&[tracks(&[h264(1, &[]), opus(2, &delayed)]), cluster(0, &blocks)]));
    let index = index.expect("an index");
    assert_eq!(index.tracks.iter().map(|track| track.edit.delay).collect::<Vec<_>>(), [0, 0]);
    let asc = element(0x63a2, &[0x11, 0x90]);
    let parts = [number(0xd7, 2), number(0x83, 2), element(0x86, b"A_AAC"), asc, number(0x56aa, 21_333_333)];
    let index = index_bytes(&file(&[tracks(&[h264(1, &[]), element(0xae, &joined(&parts))]), cluster(0, &blocks)]));
    let sound = &index.expect("an index").tracks[1];
    assert_eq!((sound.edit.delay, sound.edit.start, sound.edit.end), (0, 1024, None));
}

/// A recording of what began hours before begins at zero, its tracks as far apart as they were.
#[test]
fn clocks_that_count_on() {
    let blocks = [pictures(&[0, 40, 80], |i| i == 0), vec![block(2, 30, 0x80, &packet(9))]].concat();
    let both = tracks(&[h264(1, &[]), opus(2, &[])]);
    let index = index_bytes(&file(&[both, cluster(36_000_000, &blocks)])).expect("an index");
    assert_eq!(index.tracks[0].edit.delay, 0);
    // Heard after what the decoder leaves out, whose time is not taken off without a codec delay.
    assert_eq!(index.tracks[1].edit.delay, 30 * 48 + 312);
    assert!(index.duration.as_secs() < 2, "{:?}", index.duration);
}

#[test]
fn ticks_of_other_lengths() {
    for (nanos, timescale, frames) in [(1_000_000, 1000, 40), (100_000, 10_000, 40), (22_675, 1_000_000, 907)] {
        let blocks = pictures(&[0, 40, 80], |i| i == 0);
        let index = index_bytes(&file(&[info(nanos), tracks(&[h264(1, &[])]), cluster(5, &blocks)])).expect("an index");
        let track = &index.tracks[0];
        assert_eq!((track.timescale.get(), samples(track)[0].duration), (timescale, frames), "{nanos}");
    }
    let absurd = file(&[info(0), tracks(&[h264(1, &[])])]);
    assert!(sentence(&absurd).contains("units of 0 nanoseconds"), "{}", sentence(&absurd));
}

#[test]
fn what_was_done_to_frames_is_told() {
    // Encodings of the scope of frames, of a kind and with what it says.
    let encoded = |kind: u64, algorithm: u64, settings: &[u8]| {
        let compression = element(0x5034, &[number(0x4254, algorithm), element(0x4255, settings)].concat());
        let parts = [number(0x5032, 1), number(0x5033, kind), compression];
        element(0x6d80, &element(0x6240, &joined(&parts)))
    };
    let of = |encoding: Vec<u8>| {
        let blocks = [pictures(&[0, 40], |i| i == 0), vec![block(2, 0, 0x80, &packet(9))]].concat();
        index_bytes(&file(&[tracks(&[h264(1, &encoding), opus(2, &[])]), cluster(0, &blocks)]))
    };
    assert_eq!(of(encoded(0, 3, &[])).expect("nothing is left out").tracks.len(), 2);
    let stripped = of(encoded(0, 3, &[0])).expect("sound is left");
    assert_eq!((stripped.tracks.len(), stripped.ignored[0].cause), (1, IgnoredCause::NotCarried));
    assert!(stripped.ignored[0].reason.contains("header stripping"), "{:?}", stripped.ignored);
    let packed = of(encoded(0, 0, &[])).expect("sound is left");
    assert!(packed.lost_pictures().is_some_and(|track| track.reason.contains("zlib")), "{:?}", packed.ignored);
    // Sound alone of an encrypted film is of no use.
    let error = of(encoded(1, 0, &[])).expect_err("encrypted").to_string();
    assert!(error.contains("track 1 (V_MPEG4/ISO/AVC): it is encrypted"), "{error}");
}

/// Sizes that are not known, of a segment and its clusters, and what ends them.
#[test]
fn endless_clusters() {
    let first = endless(0x1f43_b675, &[number(0xe7, 0), joined(&pictures(&[0, 40], |i| i == 0))].concat());
    let second = endless(0x1f43_b675, &[number(0xe7, 80), joined(&pictures(&[0, 40], |i| i == 0))].concat());
    let parts = [tracks(&[h264(1, &[])]), first, element(0x1c53_bb6b, &[1; 9]), second];
    let segment = |segment: Vec<u8>| [head("webm"), segment].concat();
    let known = index_bytes(&segment(element(0x1853_8067, &joined(&parts)))).expect("an index");
    let endless = segment(endless(0x1853_8067, &joined(&parts)));
    let index = index_bytes(&endless).expect("an index");
    assert_eq!((index.tracks[0].samples.len(), known.tracks[0].samples.len(), index.cut_off), (4, 4, None));
    // A few bytes that some tool left are nothing; behind an end that is known, they are not even looked at.
    let trailing = [&segment(element(0x1853_8067, &joined(&parts)))[..], &[0; 7]].concat();
    assert_eq!(index_bytes(&trailing).expect("an index").cut_off, None);
    // Another file behind it is not played, and not passed over in silence.
    let doubled = index_bytes(&[&endless[..], &endless].concat()).expect("an index");
    assert_eq!((doubled.tracks[0].samples.len(), doubled.cut_off), (4, Some(endless.len() as u64)));
}

#[test]
fn what_is_missing_has_a_sentence() {
    let media = cluster(0, &pictures(&[0, 40], |i| i == 0));
    let behind = file(&[info(1_000_000), media.clone(), tracks(&[h264(1, &[])])]);
    assert!(sentence(&behind).contains("does not describe its tracks"), "{}", sentence(&behind));
    assert!(matches!(index_bytes(&file(&[info(1_000_000)])), Err(IndexError::NoTracks { .. })));
    assert!(matches!(index_bytes(&file(&[tracks(&[]), media.clone()])), Err(IndexError::NothingPlayable { .. })));
    assert!(matches!(index_bytes(&file(&[tracks(&[h264(1, &[])])])), Err(IndexError::ZeroDuration)));
    let other = [head("something"), element(0x1853_8067, &[])].concat();
    assert!(sentence(&other).contains("an EBML file of another kind"));
    let back: Vec<i16> = (0..60).map(|i| i % 30 * 40).collect();
    let back = file(&[tracks(&[h264(1, &[])]), cluster(0, &pictures(&back, |i| i == 0))]);
    assert!(sentence(&back).contains("pictures that are shown later"), "{}", sentence(&back));
    let twice = file(&[tracks(&[h264(1, &[]), opus(1, &[])]), media]);
    assert_eq!(index_bytes(&twice).expect("the first").ignored[0].reason, "another track has the same number");
}

#[test]
fn limits_hold() {
    let over = |parts: &[Vec<u8>], limits: Limits| match index_bytes_within(&file(parts), limits) {
        Err(IndexError::OverLimit { unit, .. }) => unit,
        other => panic!("{other:?}"),
    };
    let usual = Limits::default();
    let media = || cluster(0, &pictures(&[0, 40, 80], |i| i == 0));
    let three = [opus(1, &[]), opus(2, &[]), opus(3, &[])];
    assert_eq!(over(&[tracks(&three)], Limits { tracks: 2, ..usual }), "tracks");
    assert_eq!(over(&[tracks(&[h264(1, &[])]), media()], Limits { samples: 2, ..usual }), "samples");
    assert_eq!(over(&[tracks(&[h264(1, &[])]), media()], Limits { pixels: 4000, ..usual }), "pixels a picture");
    let far = [tracks(&[h264(1, &[])]), media(), cluster(9_000_000, &pictures(&[0], |_| true))];
    assert_eq!(over(&far, Limits { seconds: 3600, ..usual }), "seconds");
    let voids: Vec<_> = (0..30).map(|_| element(0xec, &[])).collect();
    assert_eq!(over(&voids, Limits { top_level_boxes: 20, ..usual }), "elements before its tracks");
    assert_eq!(over(&[tracks(&[opus(1, &[0xec; 2000])])], Limits { movie_bytes: 1000, ..usual }), "bytes");
}

/// Frames that are larger than what is read at once are passed over, and nothing is asked for twice.
#[test]
fn large_frames_are_passed_over() {
    let large = block(1, 0, 0x80, &vec![7; 9 << 20]);
    let parts = [tracks(&[h264(1, &[])]), cluster(0, &[large, block(1, 40, 0, &[7; 50])])];
    let file = file(&parts);
    let mut indexer = Indexer::new(file.len() as u64, Limits::default());
    let (mut bytes, mut read, mut steps) = (&[][..], 0, 0);
    let index = loop {
        match indexer.step(bytes).expect("an index") {
            Step::Need(range) | Step::Await(range) => {
                let at = |offset| usize::try_from(offset).expect("small");
                bytes = &file[at(range.start)..at(range.end)];
                (read, steps) = (read + bytes.len(), steps + 1);
            }
            Step::Done(index) => break index,
        }
    };
    assert_eq!(index.tracks[0].samples.len(), 2);
    assert!(read < 5 << 20 && steps <= 4, "{read} bytes in {steps} steps");
}

/// The samples of a file that was cut are those of the whole file whose bytes are all there.
#[test]
fn cut_off_anywhere() {
    let block_group = element(0xa0, &joined(&[element(0xa1, &raw_block(2, 20, 0, &packet(30))), number(0x9b, 20)]));
    let media = [
        cluster(
            0,
            &[pictures(&[0, 120, 40, 80], |i| i == 0), vec![block(2, 0, 0x80, &packet(30)), block_group]].concat(),
        ),
        cluster(160, &pictures(&[0, 40], |i| i == 0)),
    ];
    let whole = file(&[info(1_000_000), tracks(&[h264(1, &[]), opus(2, &[])]), media[0].clone(), media[1].clone()]);
    let all: Vec<_> = index_bytes(&whole).expect("an index").tracks.iter().map(samples).collect();
    let mut cut_off = 0;
    for len in 0..whole.len() {
        let Ok(MediaIndex { tracks, cut_off: cut, .. }) = index_bytes(&whole[..len]) else { continue };
        cut_off += usize::from(cut.is_some());
        assert!(cut.is_some_and(|at| at <= len as u64), "cut at {len}");
        for track in &tracks {
            let all = &all[usize::try_from(track.id).expect("small") - 1];
            let there = all.iter().filter(|sample| sample.offset + u64::from(sample.size) <= len as u64).count();
            let found = samples(track);
            assert!(found.len() <= there && found.iter().zip(all).all(|(a, b)| a.offset == b.offset), "cut at {len}");
        }
    }
    assert!(cut_off > 100, "{cut_off}");
}
