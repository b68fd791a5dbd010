//! The storyboard's keyframes, fed to ffmpeg as the transcoder will: one picture each, the right one, at its true time.

use crate::clips::{folder, make};
use crate::judge::{self, Frame};
use crate::streams::{AAC, H264, PICTURE, SOUND};
use crate::written::{bytes, presentation};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use vidstream_media::storyboard::{Feed, Storyboard};

/// Decodes the keyframes of `source`'s storyboard and compares them with the frames that a whole decode has there.
fn assert_true(source: &Path) {
    let presentation = presentation(source);
    let board = Storyboard::plan(presentation.index()).expect("a storyboard");
    let feed = Feed::new(presentation.index(), board.tiles.iter().map(|tile| tile.keyframe)).expect("a feed");
    let bytes_in: Vec<u8> = feed.fragments().fold(feed.init(), |mut fed, fragment| {
        fed.extend(bytes(&fragment, source));
        fed
    });
    let out = decode(bytes_in.clone(), &["-enc_time_base", "-1", "-f", "framemd5", "-"]);
    let found: Vec<Frame> = judge::frame_hashes(&String::from_utf8(out).expect("text"));
    let whole = judge::frames(source, "v:0");
    let times: Vec<_> = board.tiles.iter().map(|tile| tile.keyframe.ticks).collect();
    assert_eq!(found.iter().map(|f| f.time).collect::<Vec<_>>(), times, "{}", source.display());
    assert!(found.len() >= 4, "{}: {} keyframes", source.display(), found.len());
    for frame in &found {
        assert!(whole.contains(frame), "{}: the picture at {}", source.display(), frame.time);
    }
    let scale = format!("scale={}:{}:flags=bilinear", board.tile_width, board.tile_height);
    let pictures =
        decode(bytes_in, &["-vf", &scale, "-threads", "1", "-q:v", "4", "-f", "image2pipe", "-c:v", "mjpeg", "-"]);
    assert_eq!(pictures.windows(3).filter(|w| *w == [0xff, 0xd8, 0xff]).count(), times.len());
}

fn decode(fed: Vec<u8>, output: &[&str]) -> Vec<u8> {
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error", "-nostats", "-copyts", "-threads", "1", "-probesize", "32", "-analyzeduration", "0"])
        .args(["-f", "mp4", "-i", "pipe:0", "-fps_mode", "passthrough"])
        .args(output)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("ffmpeg runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let feeder = thread::spawn(move || stdin.write_all(&fed).expect("ffmpeg reads all"));
    let mut out = Vec::new();
    child.stdout.take().expect("a pipe").read_to_end(&mut out).expect("ffmpeg writes");
    feeder.join().expect("the feeder ends");
    assert!(child.wait().expect("ffmpeg ends").success());
    out
}

fn check(name: &str, parts: &[&[&str]]) {
    let folder = folder();
    assert_true(&make(folder.path(), name, parts));
}

#[test]
fn of_h264() {
    check("h264.mp4", &[PICTURE, SOUND, H264, AAC]);
}

#[test]
fn of_h264_that_starts_late() {
    let folder = folder();
    let prompt = make(folder.path(), "prompt.mp4", &[PICTURE, H264]);
    let sound = make(folder.path(), "sound.m4a", &[SOUND, AAC]);
    let [prompt, sound] = [&prompt, &sound].map(|path| path.to_str().expect("text"));
    let late = make(folder.path(), "late.mp4", &[&["-itsoffset", "1.5", "-i", prompt, "-i", sound, "-c", "copy"]]);
    assert_true(&late);
}

#[test]
fn of_h264_of_variable_rate() {
    let uneven = &["-vf", "select='mod(n,7)*mod(n+1,5)*mod(n,3)'", "-fps_mode", "vfr", "-g", "20"];
    check("variable.mp4", &[PICTURE, H264, uneven]);
}

#[test]
fn of_hevc_with_open_gops() {
    let hevc =
        &["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=50:open-gop=1:bframes=3"];
    check("hevc.mp4", &[PICTURE, hevc]);
}

#[test]
fn of_vp9() {
    check("vp9.mp4", &[PICTURE, &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "50"]]);
}

#[test]
fn of_av1() {
    check("av1.mp4", &[PICTURE, &["-c:v", "libsvtav1", "-preset", "12", "-g", "50"]]);
}

#[test]
fn of_a_turned_picture() {
    let folder = folder();
    let upright = make(folder.path(), "upright.mp4", &[PICTURE, H264]);
    let upright = upright.to_str().expect("text");
    assert_true(&make(folder.path(), "turned.mp4", &[&["-i", upright, "-c", "copy", "-metadata:s:v", "rotate=90"]]));
}
