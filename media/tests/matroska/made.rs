//! Clips as ffmpeg writes them, one test a kind.

use crate::clip::{AV1, FLAC, HEVC, OPUS, VP9};
use crate::clips::{folder, make};
use crate::same::{same_index, same_packaged};
use crate::streams::{AAC, H264, PICTURE, SOUND};
use vidstream_media::index::{Container, IgnoredCause, MediaIndex};

/// Makes a clip out of `parts` and judges its index and what is packaged; the codecs it must have.
fn check(name: &str, parts: &[&[&str]], codecs: &[&str]) -> MediaIndex {
    let folder = folder();
    let path = make(folder.path(), name, parts);
    let index = same_index(&path);
    let found: Vec<_> = index.tracks.iter().map(|track| track.codec.name()).collect();
    assert_eq!(found, codecs, "{name}");
    same_packaged(&path);
    index
}

#[test]
fn h264_with_b_frames_and_aac() {
    let index = check("film.mkv", &[PICTURE, SOUND, H264, AAC], &["H.264", "AAC"]);
    assert_eq!((index.container, index.cut_off), (Container::Matroska, None));
    assert!(!index.tracks[0].open_gop);
    let pictures = &index.tracks[0];
    let even = pictures.samples.range(0..225).all(|sample| sample.duration == 1000);
    assert!(pictures.timescale.get() == 25_000 && even, "what was rounded is even again");
    assert!((8.98..9.06).contains(&index.duration.as_secs_f64()), "{:?}", index.duration);
}

#[test]
fn h264_without_b_frames_and_of_the_rate_of_ntsc() {
    check("plain.mkv", &[PICTURE, SOUND, H264, AAC, &["-bf", "0"]], &["H.264", "AAC"]);
    check("ntsc.mkv", &[PICTURE, SOUND, H264, AAC, &["-r", "30000/1001", "-bf", "3"]], &["H.264", "AAC"]);
}

#[test]
fn h264_of_variable_rate() {
    let uneven = &["-vf", "select='mod(n,7)*mod(n+1,5)*mod(n,3)'", "-fps_mode", "vfr"];
    check("variable.mkv", &[PICTURE, SOUND, H264, AAC, uneven], &["H.264", "AAC"]);
}

#[test]
fn hevc_and_flac() {
    check("hevc.mkv", &[PICTURE, SOUND, HEVC, FLAC], &["HEVC", "FLAC"]);
}

#[test]
fn vp9_and_opus() {
    let index = check("film.webm", &[PICTURE, SOUND, VP9, OPUS], &["VP9", "Opus"]);
    assert_eq!(index.container, Container::WebM);
    assert_eq!(index.tracks[1].edit.start, 312, "the encoder's delay is not heard");
    assert!((8.98..9.03).contains(&index.duration.as_secs_f64()), "{:?}", index.duration);
}

#[test]
fn av1_and_opus() {
    check("av1.webm", &[PICTURE, SOUND, AV1, OPUS], &["AV1", "Opus"]);
}

/// As a browser's recorder or a pipe writes it: segment and clusters of unknown size, no cues, no duration.
#[test]
fn live() {
    let live = &["-live", "1", "-cluster_time_limit", "700"];
    check("live.webm", &[PICTURE, SOUND, VP9, OPUS, &["-f", "webm"], live], &["VP9", "Opus"]);
    check("live.mkv", &[PICTURE, SOUND, H264, AAC, &["-f", "matroska"], live], &["H.264", "AAC"]);
}

#[test]
fn sound_of_other_rates_and_alone() {
    let slow = &["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration=9"];
    check("cd.mkv", &[PICTURE, slow, H264, AAC], &["H.264", "AAC"]);
    check("sound.mka", &[SOUND, FLAC], &["FLAC"]);
    check("sound.webm", &[SOUND, OPUS], &["Opus"]);
    for lasts in ["2.5", "60"] {
        check("short.webm", &[SOUND, OPUS, &["-frame_duration", lasts]], &["Opus"]);
    }
}

#[test]
fn late_sound_and_late_pictures() {
    let tardy = &["-itsoffset", "1.5"];
    check("late-sound.mkv", &[PICTURE, tardy, SOUND, H264, AAC], &["H.264", "AAC"]);
    let folder = folder();
    let both = make(folder.path(), "both.mkv", &[PICTURE, SOUND, H264, AAC]);
    let both = both.to_str().expect("text");
    let copied = &["-itsoffset", "3", "-i", both, "-i", both, "-map", "0:v", "-map", "1:a", "-c", "copy"];
    check("late.mkv", &[copied], &["H.264", "AAC"]);
}

#[test]
fn sounds_with_languages_and_titles() {
    let maps = &["-map", "0:v", "-map", "1:a", "-map", "1:a", "-map", "1:a"];
    let told = &["-metadata:s:a:0", "language=ger", "-metadata:s:a:1", "language=eng"];
    let title = &["-metadata:s:a:1", "title=Director's comments", "-af:a:1", "volume=0.5"];
    let parts: &[&[&str]] = &[PICTURE, SOUND, maps, H264, &["-c:a:0", "aac", "-c:a:1", "aac", "-c:a:2", "libopus"]];
    let index = check("sounds.mkv", &[parts, &[told, title]].concat(), &["H.264", "AAC", "AAC", "Opus"]);
    let told: Vec<_> = index.tracks.iter().map(|t| (t.language.as_deref(), t.name.as_deref())).collect();
    assert_eq!(told, [(None, None), (Some("de"), None), (Some("en"), Some("Director's comments")), (None, None)]);
}

#[test]
fn anamorphic() {
    check("wide.mkv", &[PICTURE, H264, &["-vf", "setsar=4/3"]], &["H.264"]);
}

#[test]
fn open_groups_of_pictures() {
    let x264 = &["-x264-params", "open-gop=1:keyint=15:min-keyint=15:scenecut=0"];
    let folder = folder();
    let path = make(folder.path(), "open.mkv", &[PICTURE, H264, &["-preset", "veryfast"], x264]);
    let index = same_index(&path);
    assert!(index.tracks[0].samples.sync_samples().count() > 1 && index.tracks[0].open_gop);
}

/// What players do not take is listed with the reason, and never fails the file.
#[test]
fn codecs_that_are_not_carried() {
    let folder = folder();
    let vorbis = make(folder.path(), "vorbis.mkv", &[PICTURE, SOUND, H264, &["-c:a", "libvorbis"]]);
    let index = same_index(&vorbis);
    assert_eq!(index.tracks.len(), 1);
    assert_eq!(index.ignored[0].reason, "Vorbis sound is not played");
    let vp8 = make(folder.path(), "vp8.webm", &[PICTURE, SOUND, &["-c:v", "libvpx", "-cpu-used", "8"], OPUS]);
    let index = same_index(&vp8);
    let lost = index.lost_pictures().expect("pictures that are meant to be there");
    assert_eq!((lost.cause, lost.reason.as_str()), (IgnoredCause::NotCarried, "VP8 video is not played"));
}

/// Sound that players do not take in fragments is indexed, for whoever encodes it.
#[test]
fn sounds_that_players_do_not_take() {
    for (coder, name) in [("libmp3lame", "MP3"), ("ac3", "AC-3"), ("eac3", "E-AC-3")] {
        let folder = folder();
        let index = same_index(&make(folder.path(), "sound.mkv", &[PICTURE, SOUND, H264, &["-c:a", coder]]));
        assert_eq!(index.tracks[1].codec.name(), name);
    }
}
