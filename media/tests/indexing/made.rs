//! Clips as ffmpeg writes them, one test a kind.

use crate::clips::{folder, make};
use crate::judge;
use std::time::Duration;
use vidstream_media::index::{Container, IgnoredCause, MediaIndex};
use vidstream_media::track::{Rotation, TrackKind};

const PICTURE: &[&str] = &["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=3"];
const SOUND: &[&str] = &["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=3"];
const H264: &[&str] = &["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-pix_fmt", "yuv420p"];
const AAC: &[&str] = &["-c:a", "aac", "-b:a", "64k"];

/// Makes a clip out of `parts` and compares it with ffprobe; the codecs it must have, in the order of the index.
fn check(name: &str, parts: &[&[&str]], codecs: &[&str]) -> MediaIndex {
    let folder = folder();
    let index = judge::same_as_ffprobe(&make(folder.path(), name, parts));
    let found: Vec<_> = index.tracks.iter().map(|track| track.codec.name()).collect();
    assert_eq!(found, codecs, "{name}");
    index
}

fn presented(index: &MediaIndex) -> Duration {
    index.duration
}

#[test]
fn index_last() {
    let index = check("last.mp4", &[PICTURE, SOUND, H264, AAC], &["H.264", "AAC"]);
    assert_eq!((index.container, presented(&index)), (Container::Mp4, Duration::from_secs(3)));
    assert!(index.tracks[0].edit.start > 0, "B-frames begin late and an edit says so");
    assert!(!index.tracks[0].open_gop);
}

#[test]
fn a_stored_index_is_compact() {
    let picture = &["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30:duration=20"];
    let sound = &["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=20"];
    let index = check("longer.mp4", &[picture, sound, H264, AAC], &["H.264", "AAC"]);
    let samples: usize = index.tracks.iter().map(|track| track.samples.len()).sum();
    let stored = index.encode().len();
    assert!(stored <= 3 * samples, "{stored} bytes for {samples} samples");
}

#[test]
fn index_first() {
    let parts = [PICTURE, SOUND, H264, AAC, &["-movflags", "+faststart"]];
    check("first.mp4", &parts, &["H.264", "AAC"]);
}

#[test]
fn ntsc_rate_and_cd_sound() {
    let picture = &["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30000/1001:duration=3"];
    let sound = &["-f", "lavfi", "-i", "sine=sample_rate=44100:duration=3"];
    check("ntsc.mp4", &[picture, sound, H264, AAC], &["H.264", "AAC"]);
}

#[test]
fn variable_rate() {
    let drop = ["-vf", "select='gt(mod(n\\,7)\\,2)+lt(n\\,10)'", "-fps_mode", "vfr"];
    let index = check("variable.mp4", &[PICTURE, &drop, H264], &["H.264"]);
    let durations: std::collections::HashSet<_> = index.tracks[0].samples.range(0..60).map(|s| s.duration).collect();
    assert!(durations.len() > 1, "the rate varies");
}

#[test]
fn no_b_frames() {
    let h264 = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "10", "-pix_fmt", "yuv420p"];
    let index = check("plain.mp4", &[PICTURE, &h264], &["H.264"]);
    assert_eq!(index.tracks[0].samples.sync_samples().collect::<Vec<_>>(), [0, 10, 20, 30, 40, 50, 60, 70]);
}

#[test]
fn every_picture_is_a_keyframe() {
    let index = check("intra.mp4", &[PICTURE, H264, &["-g", "1"]], &["H.264"]);
    assert_eq!(index.tracks[0].samples.sync_samples().count(), 75);
}

#[test]
fn negative_composition_offsets() {
    let parts = [PICTURE, H264, &["-movflags", "+negative_cts_offsets"]];
    let index = check("negative.mp4", &parts, &["H.264"]);
    assert!(index.tracks[0].samples.min_cts() < 0);
}

#[test]
fn open_groups_of_pictures() {
    let x264 = ["-x264-params", "open-gop=1:keyint=15:min-keyint=15:scenecut=0"];
    let h264 = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-pix_fmt", "yuv420p", "-movflags", "+faststart"];
    let folder = folder();
    let path = make(folder.path(), "open.mp4", &[PICTURE, &h264, &x264]);
    let index = judge::same_as_ffprobe(&path);
    // ffmpeg's muxer marks recovery points that are no IDR as sync samples.
    assert!(index.tracks[0].samples.sync_samples().count() > 1 && index.tracks[0].open_gop);
}

#[test]
fn hevc() {
    let hevc = ["-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-x265-params", "log-level=none"];
    check("hevc.mp4", &[PICTURE, &hevc], &["HEVC"]);
    check("hevc.mov", &[PICTURE, &hevc, &["-tag:v", "hvc1"]], &["HEVC"]);
}

#[test]
fn vp9_with_opus() {
    let coding = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"];
    check("vp9.mp4", &[PICTURE, SOUND, &coding, &["-g", "25"]], &["VP9", "Opus"]);
}

#[test]
fn av1_with_flac() {
    let sound = ["-c:a", "flac", "-strict", "experimental"];
    let picture = ["-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-g", "25"];
    check("av1.mp4", &[PICTURE, SOUND, &picture, &sound], &["AV1", "FLAC"]);
}

#[test]
fn quicktime_with_aac() {
    let index = check("sound.mov", &[PICTURE, SOUND, H264, AAC], &["H.264", "AAC"]);
    assert_eq!(index.container, Container::Mov);
    // Above 65,535 Hz the sound description has version 2, below it has 1.
    let high = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=96000:duration=3"];
    check("high.mov", &[PICTURE, &high, H264, AAC], &["H.264", "AAC"]);
}

#[test]
fn sounds_that_players_do_not_take() {
    for (coder, name) in [("libmp3lame", "MP3"), ("ac3", "AC-3"), ("eac3", "E-AC-3")] {
        check("sound.mp4", &[PICTURE, SOUND, H264, &["-c:a", coder]], &["H.264", name]);
        check("sound.mov", &[PICTURE, SOUND, H264, &["-c:a", coder]], &["H.264", name]);
        check("alone.mp4", &[SOUND, &["-c:a", coder]], &[name]);
    }
    let apple = check("apple.mov", &[PICTURE, SOUND, H264, &["-c:a", "alac"]], &["H.264"]);
    assert_eq!(apple.ignored[0].reason, "Apple Lossless sound in an old form is not played");
    // Of the standard's form it is indexed, for who decodes it.
    check("apple.m4a", &[SOUND, &["-c:a", "alac"]], &["Apple Lossless sound"]);
}

/// Hundreds of millions of samples in two hours: the index has as many entries as the file has chunks.
#[test]
fn quicktime_with_uncompressed_sound() {
    for coder in ["pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s32be", "pcm_f32le", "pcm_u8", "pcm_alaw"] {
        let parts = [PICTURE, SOUND, H264, &["-c:a", coder]];
        let index = check("pcm.mov", &parts, &["H.264", "uncompressed sound (PCM)"]);
        assert!(index.tracks[1].samples.len() < 200, "{coder}: {}", index.tracks[1].samples.len());
    }
}

#[test]
fn several_sounds_with_languages_and_titles() {
    let maps = ["-map", "0:v", "-map", "1:a", "-map", "1:a", "-map", "1:a"];
    let told = ["-metadata:s:a:0", "language=ger", "-metadata:s:a:1", "language=eng"];
    let title = ["-metadata:s:a:1", "title=Director's comments", "-metadata:s:a:1", "handler_name=Director's comments"];
    let parts = [PICTURE, SOUND, &maps, H264, AAC, &told, &title];
    let index = check("sounds.mp4", &parts, &["H.264", "AAC", "AAC", "AAC"]);
    let told: Vec<_> = index.tracks.iter().map(|t| (t.language.as_deref(), t.name.as_deref())).collect();
    assert_eq!(told, [(None, None), (Some("de"), None), (Some("en"), Some("Director's comments")), (None, None)]);
}

#[test]
fn rotated() {
    let folder = folder();
    let flat = make(folder.path(), "flat.mp4", &[PICTURE, H264]);
    let flat = flat.to_str().expect("a plain path");
    let turns = [("90", Rotation::ThreeQuarters), ("180", Rotation::Half), ("270", Rotation::Quarter)];
    for (degrees, rotation) in turns {
        let name = format!("turned-{degrees}.mp4");
        let parts = ["-i", flat, "-c", "copy", "-metadata:s:v:0", &format!("rotate={degrees}")];
        let index = judge::same_as_ffprobe(&make(folder.path(), &name, &[&parts]));
        let TrackKind::Video(video) = &index.tracks[0].kind else { panic!("no video") };
        assert_eq!(video.rotation, rotation, "{degrees}");
    }
}

#[test]
fn anamorphic() {
    let index = check("wide.mp4", &[PICTURE, H264, &["-vf", "setsar=4/3"]], &["H.264"]);
    let TrackKind::Video(video) = &index.tracks[0].kind else { panic!("no video") };
    assert_eq!(video.sample_aspect, (4, 3));
}

#[test]
fn late_sound_and_late_pictures() {
    let late = |input: &[&'static str]| [&["-itsoffset", "0.6"], input].concat();
    let index = check("late-sound.mp4", &[PICTURE, &late(SOUND), H264, AAC], &["H.264", "AAC"]);
    let sound = &index.tracks[1];
    // ffmpeg takes the encoder's delay off the delay.
    assert!((sound.timescale.seconds(sound.edit.delay) - (0.6 - 1024.0 / 48_000.0)).abs() < 0.002);
    let parts = [&late(PICTURE), SOUND, H264, AAC, &["-fps_mode", "passthrough"]];
    let index = check("late-picture.mp4", &parts, &["H.264", "AAC"]);
    let picture = &index.tracks[0];
    let first = picture.samples.range(0..10).map(|s| s.dts + i64::from(s.cts)).min().expect("samples");
    let begins = picture.timescale.seconds(picture.edit.delay + first - picture.edit.start);
    assert!((begins - 0.6).abs() < 0.002, "{begins}: {:?}", picture.edit);
}

#[test]
fn chapters_and_cover_are_left_out() {
    let folder = folder();
    let chapters = folder.path().join("chapters.txt");
    let text = ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1500\ntitle=One\n[CHAPTER]\nTIMEBASE=1/1000\n\
        START=1500\nEND=3000\ntitle=Two\n";
    std::fs::write(&chapters, text).expect("a file");
    let cover = make(folder.path(), "cover.png", &[&["-f", "lavfi", "-i", "color=red:size=64x64", "-frames:v", "1"]]);
    let told = ["-f", "ffmetadata", "-i", chapters.to_str().unwrap(), "-i", cover.to_str().unwrap()];
    let maps = ["-map", "0", "-map", "2", "-map_metadata", "1", "-c:v:1", "copy", "-disposition:v:1", "attached_pic"];
    let path = make(folder.path(), "chapters.mp4", &[PICTURE, &told, &maps, H264, &["-c:v:1", "copy"]]);
    let index = judge::same_as_ffprobe(&path);
    assert_eq!(index.tracks.len(), 1);
    assert!(index.ignored.iter().all(|track| track.cause == IgnoredCause::NotCarried), "{:?}", index.ignored);
}

#[test]
fn sound_alone() {
    check("sound.m4a", &[SOUND, AAC], &["AAC"]);
}
