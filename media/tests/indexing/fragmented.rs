//! Fragmented files: as tools write them, as old and careless ones did, and as a crash leaves them.

use crate::clips::{folder, make};
use crate::judge;
use std::path::{Path, PathBuf};
use vidstream_media::index::MediaIndex;
use vidstream_media::mp4::{IndexError, index_bytes};
use vidstream_media::track::Sample;

const PICTURE: &[&str] = &["-f", "lavfi", "-i", "testsrc2=size=128x72:rate=25:duration=4"];
const SOUND: &[&str] = &["-f", "lavfi", "-i", "sine=duration=4"];
const CODING: &[&str] =
    &["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "20", "-bf", "2", "-c:a", "aac"];

fn fragmented(folder: &Path, name: &str, flags: &str) -> PathBuf {
    make(folder, name, &[PICTURE, SOUND, CODING, &["-movflags", flags]])
}

fn samples(index: &MediaIndex, track: usize) -> Vec<Sample> {
    let samples = &index.tracks[track].samples;
    samples.range(0..samples.len()).collect()
}

/// The same file with all boxes of one kind called another.
fn renamed(file: &[u8], from: [u8; 4], to: [u8; 4]) -> Vec<u8> {
    let mut file = file.to_vec();
    let places: Vec<_> = file.windows(4).enumerate().filter(|(_, four)| **four == from).map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for at in places {
        file[at..at + 4].copy_from_slice(&to);
    }
    file
}

/// Each way in which ffmpeg says where samples lie: base offsets of this and of older specifications and none at all,
/// a fragment a GOP, a frame and a track, samples in the movie's own tables too, several runs, hints before and behind.
#[test]
fn as_tools_write_them() {
    let folder = folder();
    for (name, flags) in [
        ("default-base.mp4", "frag_keyframe+empty_moov+default_base_moof"),
        ("absolute-base.mp4", "frag_keyframe+empty_moov"),
        ("no-base.mp4", "frag_keyframe+empty_moov+omit_tfhd_offset"),
        ("a-frame-each.mp4", "frag_every_frame+empty_moov+default_base_moof"),
        ("a-track-each.mp4", "frag_keyframe+empty_moov+separate_moof"),
        ("after-tables.mp4", "frag_keyframe"),
        ("late-index.mp4", "frag_keyframe+delay_moov+default_base_moof"),
        ("negative.mp4", "frag_keyframe+delay_moov+negative_cts_offsets"),
        ("hinted.mp4", "frag_keyframe+delay_moov+global_sidx+default_base_moof"),
        ("dash.mp4", "dash+frag_keyframe"),
        ("cmaf.mp4", "cmaf+frag_keyframe+delay_moov"),
    ] {
        let index = judge::same_as_ffprobe(&fragmented(folder.path(), name, flags));
        assert_eq!((index.tracks.len(), index.cut_off), (2, None), "{name}");
    }
}

/// Smooth Streaming's fragments have no decode times (`tfdt`), and ten million ticks a second.
#[test]
fn smooth_streaming() {
    let folder = folder();
    let index = judge::same_as_ffprobe(&make(folder.path(), "smooth.ismv", &[PICTURE, SOUND, CODING]));
    assert_eq!(index.tracks.len(), 2);
}

#[test]
fn without_decode_times() {
    let folder = folder();
    let file = fragmented(folder.path(), "timed.mp4", "frag_keyframe+empty_moov+default_base_moof");
    let bytes = std::fs::read(file).expect("the clip");
    let untimed = index_bytes(&renamed(&bytes, *b"tfdt", *b"free")).expect("an index");
    assert_eq!(untimed, index_bytes(&bytes).expect("an index"));
}

/// OBS Studio writes fragments and, at the end, an ordinary index over them, the old one and all fragments then being
/// inside of one `mdat`. Without the end, it is a fragmented file.
#[test]
fn hybrid() {
    let folder = folder();
    let parts = fragmented(folder.path(), "parts.mp4", "frag_keyframe+empty_moov+default_base_moof");
    let parts = std::fs::read(parts).expect("the clip");
    let expected = index_bytes(&parts).expect("an index");
    let plain = make(folder.path(), "plain.mp4", &[PICTURE, SOUND, CODING]);
    let plain = std::fs::read(plain).expect("the clip");
    let ftyp = usize::from(parts[3]);
    let moov = plain.windows(4).rposition(|four| four == b"moov").expect("an index") - 4;
    let size = u32::try_from(parts.len() - ftyp + 8).expect("small");
    let hybrid = [&parts[..ftyp], &size.to_be_bytes(), b"mdat", &parts[ftyp..], &plain[moov..]].concat();
    // The offsets of this index point into another file: what counts is that it is the one that is read.
    let index = index_bytes(&hybrid).expect("an index");
    assert_eq!(index.tracks[0].samples.len(), expected.tracks[0].samples.len());
    assert_eq!(index.cut_off, None);
}

/// The samples of a file that was cut are those of the whole file whose bytes are all there.
#[test]
fn cut_off_anywhere() {
    let folder = folder();
    for flags in ["frag_keyframe+empty_moov+default_base_moof", "frag_every_frame+empty_moov+default_base_moof"] {
        let whole = std::fs::read(fragmented(folder.path(), "whole.mp4", flags)).expect("the clip");
        let expected = index_bytes(&whole).expect("an index");
        let first = whole.windows(4).position(|four| four == b"moof").expect("a fragment") - 4;
        let mut cut_off = 0;
        for len in (first..whole.len()).step_by(211) {
            let index = match index_bytes(&whole[..len]) {
                Ok(index) => index,
                Err(IndexError::ZeroDuration | IndexError::Truncated { .. }) => continue,
                Err(error) => panic!("cut at {len}: {error}"),
            };
            cut_off += usize::from(index.cut_off.is_some());
            assert_eq!(MediaIndex::decode(&index.encode()).as_ref(), Ok(&index));
            for track in &index.tracks {
                let of_whole = expected.tracks.iter().position(|other| other.id == track.id).expect("the track");
                let all = samples(&expected, of_whole);
                let found: Vec<Sample> = track.samples.range(0..track.samples.len()).collect();
                let there = |sample: &&Sample| sample.offset + u64::from(sample.size) <= len as u64;
                assert!(found.len() <= all.iter().take_while(there).count(), "cut at {len}");
                let but_last = found.len() - 1;
                assert_eq!(found[..but_last], all[..but_last], "cut at {len}");
            }
        }
        assert!(cut_off > 50, "{cut_off} cuts were noticed");
    }
}

/// A recorder that loses power leaves zeros where the file system had grown the file already.
#[test]
fn zeros_at_the_end() {
    let folder = folder();
    let whole = fragmented(folder.path(), "whole.mp4", "frag_keyframe+empty_moov+default_base_moof+skip_trailer");
    let whole = std::fs::read(whole).expect("the clip");
    let expected = index_bytes(&whole).expect("an index");
    let zeros = index_bytes(&[&whole[..], &[0; 5000]].concat()).expect("an index");
    assert_eq!(zeros.cut_off, Some(whole.len() as u64));
    assert_eq!((zeros.tracks, zeros.duration), (expected.tracks, expected.duration));
}

/// A part of a live stream counts on from where that began.
#[test]
fn starts_at_zero_whatever_its_clock_says() {
    let folder = folder();
    let flags = "frag_keyframe+empty_moov+default_base_moof+frag_discont";
    let copied: &[&str] = &["-copyts", "-output_ts_offset", "36000", "-movflags", flags];
    let live = make(folder.path(), "live.mp4", &[PICTURE, SOUND, CODING, copied]);
    let index = judge::same_as_ffprobe(&live);
    assert!(index.duration.as_secs() < 5, "{:?}", index.duration);
    let plain = fragmented(folder.path(), "plain.mp4", "frag_keyframe+empty_moov+default_base_moof");
    let plain = judge::same_as_ffprobe(&plain);
    for (track, other) in index.tracks.iter().zip(&plain.tracks) {
        assert_eq!((track.edit.delay, track.edit.start), (other.edit.delay, other.edit.start));
    }
}

/// What is not described before a fragment: one segment of a stream alone.
#[test]
fn a_segment_without_its_beginning() {
    let folder = folder();
    let whole = fragmented(folder.path(), "whole.mp4", "frag_keyframe+empty_moov+default_base_moof");
    let whole = std::fs::read(whole).expect("the clip");
    let first = whole.windows(4).position(|four| four == b"moof").expect("a fragment") - 4;
    let error = index_bytes(&whole[first..]).unwrap_err();
    assert!(matches!(error, IndexError::NoMovie { .. }), "{error}");
}
