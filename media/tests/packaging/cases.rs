//! One test a kind of file.

use crate::clips::{folder, make};
use crate::judge::{self, Frame};
use crate::streams::{AAC, H264, PICTURE, SOUND};
use crate::written::{presentation, write};
use std::collections::HashSet;
use std::path::Path;

/// Packages `source` and compares what ffmpeg makes of the result with what it makes of the file. More than that is only
/// what fills the wait before a track that starts late: silence, or the first picture again and again.
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
            let (expected, mut found) = (judge::packets(source, &stream), judge::packets(output, &stream));
            assert!(!expected.is_empty(), "{what}: {stream}");
            let filling =
                if stream.starts_with('a') { silent(&found, &expected[0]) } else { stills(&found, &expected[0]) };
            found.drain(..filling);
            assert_eq!(found.len(), expected.len(), "{what}: packets of {stream}");
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert_eq!(found, expected, "{what}: packet {i} of {stream}");
            }
            let (expected, found) = (judge::frames(source, &stream), judge::frames(output, &stream));
            let (expected, found) =
                if stream.starts_with('a') { settled(expected, found) } else { shown(expected, found) };
            assert_eq!(found.len(), expected.len(), "{what}: frames of {stream}");
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert_eq!(found, expected, "{what}: frame {i} of {stream}");
            }
        }
    }
}

/// Packets of silence before the first one of the file, which starts late.
fn silent(found: &[judge::Packet], first: &judge::Packet) -> usize {
    found.iter().position(|packet| packet.time == first.time).unwrap_or(0)
}

/// Packets before the first one of the file, `first`: where that is seconds late they are its copies, from zero on.
fn stills(found: &[judge::Packet], first: &judge::Packet) -> usize {
    let copies = found.iter().position(|packet| packet.time == first.time).expect("the first picture at its time");
    assert!(found[..copies].iter().all(|copy| (&copy.size, &copy.hash) == (&first.size, &first.hash)));
    assert_eq!(copies > 0, micros(&first.time) > 100_000, "filled where more than a tenth of a second is missing");
    assert!(copies == 0 || micros(&found[0].time) == 0, "from zero on");
    copies
}

/// Pictures without what is shown before the first one of the file, which must look the same.
fn shown(expected: Vec<Frame>, mut found: Vec<Frame>) -> (Vec<Frame>, Vec<Frame>) {
    let copies = found.iter().take_while(|frame| frame.time < expected[0].time).count();
    assert!(found.drain(..copies).all(|copy| copy.hash == expected[0].hash));
    (expected, found)
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

/// Fragments with a base of their own and without any. Those of a frame each, and those behind a movie that has samples
/// itself, are judged by their packets only (`indexing/fragmented.rs`): of such sound ffmpeg decodes some packets less. So
/// are negative composition offsets, which ffmpeg shows a picture late.
#[test]
fn fragmented() {
    for flags in ["frag_keyframe+empty_moov+default_base_moof", "frag_keyframe+empty_moov+omit_tfhd_offset"] {
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
    check("late-flac.mp4", &[PICTURE, TARDY, SOUND, H264, &["-c:a", "flac", "-strict", "-2"]]);
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

/// Silence is silence in every form: what ffmpeg decodes of it has no sound in it.
#[test]
fn silence_before_late_sound_is_silent() {
    for layout in ["mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1"] {
        let folder = folder();
        let sound = format!("sine=duration=4,aformat=channel_layouts={layout}:sample_rates=48000");
        let parts = [PICTURE, TARDY, &["-f", "lavfi", "-i", &sound], H264, AAC];
        let file = make(folder.path(), "late.mp4", &parts);
        let written = write(&presentation(&file), &file, folder.path());
        let loudest = judge::loudest(&written.master, "1.4");
        assert!(loudest < -90.0, "{layout}: {loudest} dB");
    }
    // An Opus decoder needs some packets until it says the same as one that began elsewhere, so its packets are compared.
    let folder = folder();
    let file = make(folder.path(), "late.mp4", &[PICTURE, TARDY, SOUND, H264, &["-c:a", "libopus"]]);
    let written = write(&presentation(&file), &file, folder.path());
    assert!(judge::loudest(&written.master, "1.4") < -90.0);
    let (expected, found) = (judge::packets(&file, "a:0"), judge::packets(&written.master, "a:0"));
    assert_eq!(found[silent(&found, &expected[0])..], expected);
}

#[test]
fn pictures_start_a_little_late() {
    check_late_pictures("0.1");
    check_late_pictures("0.3");
}

#[test]
fn pictures_start_seconds_late() {
    check_late_pictures("3");
    check_late_pictures("30");
}

/// A clip cut out of `parts` by copying, as phones do: its edit starts within a GOP.
///
/// What is on the screen at the start of the edit is there at zero, which follows from the specification and the whole
/// clip; ffmpeg drops that picture from the cut and moves the next one to zero instead.
fn check_cut(parts: &[&[&str]], from: &str) {
    let folder = folder();
    let whole = make(folder.path(), "whole.mp4", parts);
    let text = whole.to_str().expect("text");
    let cut = make(folder.path(), "cut.mp4", &[&["-ss", from, "-i", text, "-c", "copy"]]);
    let presentation = presentation(&cut);
    let timeline = &presentation.video().expect("a video").plan.timeline;
    assert!(timeline.shift().is_some(), "pictures are hidden");
    let start = micros(from);
    let mut pictures = judge::frames_in_micros(&whole, "v:0");
    for picture in &mut pictures {
        picture.time -= start;
    }
    let first = pictures.iter().rposition(|picture| picture.time <= 0).expect("a picture before the start");
    pictures.drain(..first);
    pictures[0].time = 0;
    let written = write(&presentation, &cut, folder.path());
    for output in [&written.master, &written.manifest] {
        let mut found = judge::frames_in_micros(output, "v:0");
        // What is before the start is shown for some ticks.
        found.drain(..found.len().checked_sub(pictures.len()).expect("all that is shown"));
        assert_shifted(&pictures, &found);
        // Its bits, because what a decoder makes of them depends on how many came before.
        let sound = |input| judge::packets(input, "a:0").into_iter().filter_map(heard).collect::<Vec<_>>();
        assert_shifted(&sound(&cut), &sound(output));
    }
}

/// A packet that is heard from its beginning on, its time in microseconds.
fn heard(packet: judge::Packet) -> Option<Frame> {
    let time = micros(&packet.time);
    (time >= 0).then_some(Frame { time, hash: packet.hash })
}

/// Seconds with at most six decimals in microseconds.
fn micros(seconds: &str) -> i64 {
    let (whole, decimals) = seconds.split_once('.').unwrap_or((seconds, ""));
    format!("{whole}{decimals:0<6}").parse().expect("seconds")
}

/// The same frames, all of them later by the same time, which is less than a millisecond.
fn assert_shifted(expected: &[Frame], found: &[Frame]) {
    let hashes = |frames: &[Frame]| frames.iter().map(|frame| frame.hash.clone()).collect::<Vec<_>>();
    assert!(hashes(found) == hashes(expected));
    let late: Vec<_> = found.iter().zip(expected).map(|(found, cut)| found.time - cut.time).collect();
    // Times in files are rounded to their ticks.
    let (least, most) = (late.iter().min().expect("frames"), late.iter().max().expect("frames"));
    assert!((-25..1000).contains(least) && most - least < 50, "{least} to {most} µs late");
}

#[test]
fn cut_within_a_gop() {
    check_cut(&[PICTURE, SOUND, H264, AAC], "1.31");
    check_cut(&[PICTURE, SOUND, H264, AAC, &["-bf", "0"]], "0.9");
    check_cut(&[PICTURE, SOUND, H264, AAC, &["-r", "30000/1001", "-g", "120"]], "3.5");
}

#[test]
fn compact_disc_rate() {
    check("cd.mp4", &[PICTURE, SLOW_SOUND, H264, AAC]);
}
