//! One test a kind of file.

use crate::clips::{folder, make};
use crate::judge::{self, Frame};
use crate::streams::{AAC, H264, PICTURE, SOUND};
use crate::written::{presentation, write};
use std::collections::HashSet;
use std::path::Path;

/// Packages `source` and compares what ffmpeg makes of the result with what it makes of the file.
pub fn assert_same(source: &Path) {
    let folder = folder();
    let presentation = presentation(source);
    let written = write(&presentation, source, folder.path());
    let sounds = presentation.audio().count();
    let pictures = presentation.video().into_iter().count();
    // Each group of sound is a variant, and ffmpeg takes every variant's picture for a stream.
    let groups: HashSet<_> = presentation.audio().map(|a| a.track.codec.name()).collect();
    for output in [&written.master, &written.manifest] {
        let what = format!("{} of {}", output.file_name().expect("a name").display(), source.display());
        let variants = if *output == written.master { groups.len().max(1) } else { 1 };
        let found = (judge::streams(output, "v"), judge::streams(output, "a"));
        assert_eq!(found, (pictures * variants, sounds), "{what}");
        let streams = (0..pictures).map(|i| format!("v:{i}")).chain((0..sounds).map(|i| format!("a:{i}")));
        for stream in streams {
            let (expected, found) = (judge::packets(source, &stream), judge::packets(output, &stream));
            assert!(!expected.is_empty(), "{what}: {stream}");
            assert_eq!(found.len(), expected.len(), "{what}: packets of {stream}");
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert_eq!(found, expected, "{what}: packet {i} of {stream}");
            }
            let (expected, found) = (judge::frames(source, &stream), judge::frames(output, &stream));
            let (expected, found) = if stream.starts_with('a') { settled(expected, found) } else { (expected, found) };
            assert_eq!(found.len(), expected.len(), "{what}: frames of {stream}");
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert_eq!(found, expected, "{what}: frame {i} of {stream}");
            }
        }
    }
}

/// Sound from its second frame on: the first is partly or wholly an encoder's priming, which ffmpeg trims in a file but
/// not through its HLS and DASH demuxers.
fn settled(mut expected: Vec<Frame>, mut found: Vec<Frame>) -> (Vec<Frame>, Vec<Frame>) {
    expected.remove(0);
    found.retain(|frame| frame.time >= expected[0].time);
    (expected, found)
}

fn check(name: &str, parts: &[&[&str]]) {
    let folder = folder();
    assert_same(&make(folder.path(), name, parts));
}

const SLOW_SOUND: &[&str] = &["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration=9"];
const TARDY: &[&str] = &["-itsoffset", "1.5"];

#[test]
fn index_last() {
    check("last.mp4", &[PICTURE, SOUND, H264, AAC]);
}

#[test]
fn index_first() {
    check("first.mp4", &[PICTURE, SOUND, H264, AAC, &["-movflags", "+faststart"]]);
}

#[test]
fn ntsc_rate() {
    check("ntsc.mp4", &[PICTURE, SOUND, H264, AAC, &["-r", "30000/1001"]]);
}

#[test]
fn variable_rate() {
    let uneven = &["-vf", "select='mod(n,7)*mod(n+1,5)*mod(n,3)'", "-fps_mode", "vfr"];
    check("variable.mp4", &[PICTURE, SOUND, H264, AAC, uneven]);
}

#[test]
fn no_b_frames() {
    check("plain.mp4", &[PICTURE, SOUND, H264, AAC, &["-bf", "0"]]);
}

#[test]
fn long_gop() {
    check("long.mp4", &[PICTURE, SOUND, H264, AAC, &["-g", "250"]]);
}

#[test]
fn hevc() {
    let hevc =
        &["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=50", "-tag:v", "hvc1"];
    check("hevc.mp4", &[PICTURE, SOUND, hevc, AAC]);
}

#[test]
fn hevc_with_its_parameter_sets_in_band_too() {
    let hevc =
        &["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=50:repeat-headers=1"];
    check("hev1.mp4", &[PICTURE, SOUND, hevc, AAC, &["-tag:v", "hev1"]]);
}

#[test]
fn vp9() {
    check(
        "vp9.mp4",
        &[PICTURE, SOUND, &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "50"], AAC],
    );
}

#[test]
fn av1() {
    check("av1.mp4", &[PICTURE, SOUND, &["-c:v", "libsvtav1", "-preset", "12", "-g", "50"], AAC]);
}

#[test]
fn quicktime_with_aac() {
    check("quicktime.mov", &[PICTURE, SOUND, H264, AAC]);
}

#[test]
fn several_sound_tracks() {
    let maps = &["-map", "0:v", "-map", "1:a", "-map", "1:a", "-map", "1:a"];
    let languages = &["-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu"];
    check(
        "several.mp4",
        &[PICTURE, SOUND, maps, H264, AAC, languages, &["-af:a:1", "volume=0.5", "-af:a:2", "volume=0.2"]],
    );
}

#[test]
fn sound_of_several_codecs() {
    let maps = &["-map", "0:v", "-map", "1:a", "-map", "1:a"];
    check("codecs.mp4", &[PICTURE, SOUND, maps, H264, &["-c:a:0", "aac", "-c:a:1", "libopus"]]);
}

#[test]
fn rotated() {
    let folder = folder();
    let upright = make(folder.path(), "upright.mp4", &[PICTURE, SOUND, H264, AAC]);
    let upright = upright.to_str().expect("text");
    assert_same(&make(folder.path(), "rotated.mp4", &[&["-i", upright, "-c", "copy", "-metadata:s:v", "rotate=90"]]));
}

/// Fragments with a base of their own and without any, and a frame each. Those behind a movie that has samples itself are
/// judged by their packets only (`indexing/fragmented.rs`): ffmpeg trims such sound by an edit that covers the movie alone.
#[test]
fn fragmented() {
    for flags in [
        "frag_keyframe+empty_moov+default_base_moof",
        "frag_keyframe+empty_moov+omit_tfhd_offset",
        "frag_every_frame+empty_moov",
        "frag_keyframe+delay_moov+negative_cts_offsets",
    ] {
        check("fragmented.mp4", &[PICTURE, SOUND, H264, AAC, &["-movflags", flags]]);
    }
}

#[test]
fn opus() {
    check("opus.mp4", &[PICTURE, SOUND, H264, &["-c:a", "libopus"]]);
}

#[test]
fn flac() {
    check("flac.mp4", &[PICTURE, SOUND, H264, &["-c:a", "flac", "-strict", "-2"]]);
}

#[test]
fn sound_only() {
    check("sound.m4a", &[SOUND, AAC]);
}

#[test]
fn pictures_only() {
    check("pictures.mp4", &[PICTURE, H264]);
}

#[test]
fn sound_starts_late() {
    check("late-sound.mp4", &[PICTURE, TARDY, SOUND, H264, AAC]);
}

/// Pictures late by `seconds`: copied, because ffmpeg fills the wait with pictures where it encodes.
fn check_late_pictures(seconds: &str) {
    let folder = folder();
    let both = make(folder.path(), "both.mp4", &[PICTURE, SOUND, H264, AAC]);
    let both = both.to_str().expect("text");
    let copied = &["-itsoffset", seconds, "-i", both, "-i", both, "-map", "0:v", "-map", "1:a", "-c", "copy"];
    let late = make(folder.path(), "late.mp4", &[copied]);
    let lateness = presentation(&late).video().expect("a video").plan.timeline.lateness();
    assert!(lateness > 0, "the clip starts late");
    assert_same(&late);
}

#[test]
fn pictures_start_a_little_late() {
    check_late_pictures("0.3");
}

#[test]
fn pictures_start_seconds_late() {
    check_late_pictures("3");
}

#[test]
fn compact_disc_rate() {
    check("cd.mp4", &[PICTURE, SLOW_SOUND, H264, AAC]);
}
