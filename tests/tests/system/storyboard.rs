//! Tiles and posters: every tile is the picture that ffmpeg decodes at the tile's own true time.

use std::path::Path;
use vidstream_tests::clips;
use vidstream_tests::judges::{curl, ffmpeg};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

/// Takes up to `most` tiles spread over the storyboard and compares each with the frame at its time.
fn assert_true(server: &Server, video: &str, source: &Path, most: usize) {
    let base = format!("{}/videos/{video}", server.address);
    let board = curl::get(&format!("{base}/storyboard.json")).json();
    let tiles = board["tiles"].as_array().expect("tiles");
    assert!(!tiles.is_empty(), "{board:#}");
    let (width, height) =
        (board["tileWidth"].as_u64().expect("a width"), board["tileHeight"].as_u64().expect("a height"));
    assert!(width <= 320 && height <= 320);
    assert_eq!(tiles[0]["start"], 0.0);
    assert_eq!(tiles.last().expect("tiles")["end"], board["duration"]);
    for pair in tiles.windows(2) {
        assert_eq!(pair[0]["end"], pair[1]["start"]);
        assert!(pair[0]["time"].as_f64() < pair[1]["time"].as_f64(), "no picture is shown twice");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let step = tiles.len().div_ceil(most);
    for tile in tiles.iter().step_by(step) {
        let sheet = usize::try_from(tile["sheet"].as_u64().expect("a sheet")).expect("fits");
        let sheet = curl::get(&format!("{base}/{}", board["sheets"][sheet].as_str().expect("an address")));
        assert_eq!((sheet.status, sheet.header("content-type")), (200, "image/jpeg"));
        assert!(sheet.header("cache-control").contains("immutable"));
        std::fs::write(file("sheet.jpg"), &sheet.body).expect("written");
        let crop = format!("crop={width}:{height}:{}:{}", tile["x"], tile["y"]);
        ffmpeg::ffmpeg(&["-i", &file("sheet.jpg"), "-vf", &crop, &file("tile.png")]);
        // The frame whose presentation time is nearest to the tile's, by a full decode.
        let time = tile["time"].as_f64().expect("a time");
        let select = format!(
            "select='gte(t,{:.6})',scale={width}:{height}:flags=bicubic+accurate_rnd+full_chroma_int",
            time - 0.000_5
        );
        ffmpeg::ffmpeg(&[
            "-copyts",
            "-i",
            source.to_str().expect("text"),
            "-vf",
            &select,
            "-frames:v",
            "1",
            &file("frame.png"),
        ]);
        let alike = ffmpeg::similarity(&folder.path().join("tile.png"), &folder.path().join("frame.png"));
        assert!(alike >= 0.95, "{source:?}: the tile at {time} s has SSIM {alike}");
    }
}

fn check(server: &Server, source: &Path) {
    let person = Person::of(server);
    let video = person.upload(source, "--wait=all");
    assert_eq!(video["storyboard"]["state"], "PART_STATE_READY", "{source:?}: {}", video["storyboard"]["reason"]);
    assert_true(server, id(&video), source, 6);
    let poster = curl::get(&format!("{}/videos/{}/poster.jpg", server.address, id(&video)));
    assert_eq!((poster.status, poster.header("content-type")), (200, "image/jpeg"), "{source:?}");
}

#[test]
fn tiles_of_made_clips_are_true() {
    let server = Server::start();
    for kind in clips::KINDS {
        check(&server, &clips::clip(kind.name));
    }
    check(&server, &clips::rotated());
}

#[test]
fn tiles_of_good_files_are_true() {
    let server = Server::start();
    for file in clips::all_of_corpus("good", ".mp4") {
        check(&server, &file);
    }
}

#[test]
fn the_vtt_says_the_same_as_the_json() {
    let server = Server::start();
    let video = Person::of(&server).upload(&clips::clip("last.mp4"), "--wait=all");
    let base = format!("{}/videos/{}", server.address, id(&video));
    let board = curl::get(&format!("{base}/storyboard.json")).json();
    let vtt = curl::get(&format!("{base}/storyboard.vtt"));
    assert_eq!(vtt.header("content-type").split(';').next(), Some("text/vtt"));
    let tiles = board["tiles"].as_array().expect("tiles");
    assert_eq!(vtt.text().matches(" --> ").count(), tiles.len());
    assert_eq!(vtt.text().matches("NOTE").count(), tiles.len());
    for tile in tiles {
        let place = format!("#xywh={},{},{},{}", tile["x"], tile["y"], board["tileWidth"], board["tileHeight"]);
        assert!(vtt.text().contains(&place), "{place}");
    }
}

#[test]
fn a_poster_is_neither_black_nor_blank() {
    let server = Server::start();
    // Black for 9 of 12 seconds, then a test picture.
    let fade = clips::made(
        "black-first.mp4",
        "-f lavfi -i color=black:size=320x180:rate=25:duration=9 -f lavfi -i testsrc2=size=320x180:rate=25:duration=3 \
         -filter_complex [0][1]concat -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p",
    );
    let video = Person::of(&server).upload(&fade, "--wait=all");
    let poster = curl::get(&format!("{}/videos/{}/poster.jpg", server.address, id(&video)));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (picture, black) = (folder.path().join("poster.jpg"), folder.path().join("black.png"));
    std::fs::write(&picture, &poster.body).expect("written");
    ffmpeg::ffmpeg(&["-f", "lavfi", "-i", "color=black:size=320x180", "-frames:v", "1", black.to_str().expect("text")]);
    let alike = ffmpeg::similarity(&picture, &black);
    assert!(alike < 0.5, "the poster is black: SSIM {alike}");
}

/// Files of sound alone have a picture of it, whatever they are and wherever its silence is.
#[test]
fn a_poster_of_sound_follows_its_loudness() {
    let server = Server::start();
    let person = Person::of(&server);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let quarters =
        "-f lavfi -i aevalsrc=if(gte(t\\,10)\\,sin(2*PI*440*t)*if(gte(t\\,15)\\,0.8\\,0.2)\\,0):d=20:s=44100";
    for (name, coding) in
        [("loud.m4a", "-c:a aac"), ("loud.mp3", "-c:a mp3"), ("loud.wav", "-c:a pcm_s16le"), ("loud.flac", "-c:a flac")]
    {
        let file = clips::made(name, &format!("{quarters} {coding}"));
        let video = person.upload(&file, "--wait=all");
        assert_eq!(video["storyboard"]["state"], "PART_STATE_NOT_OFFERED", "{name}: {video:#}");
        assert_eq!(video["poster"]["state"], "PART_STATE_READY", "{name}: {video:#}");
        let poster = curl::get(&format!("{}/videos/{}/poster.jpg", server.address, id(&video)));
        assert_eq!((poster.status, poster.header("content-type")), (200, "image/jpeg"), "{name}");
        let picture = folder.path().join(format!("{name}.jpg"));
        std::fs::write(&picture, &poster.body).expect("written");
        let picture = picture.to_str().expect("text");
        assert_eq!(ffmpeg::said(picture, "width,height"), "1280,720", "{name}");
        // How much of a quarter is light: none of it in silence, more the louder it is.
        let light = |quarter: u32| {
            let measure = format!(
                "crop=300:720:{}:0,signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-",
                quarter * 320 + 10
            );
            ffmpeg::measured(picture, "v:0", &measure)[0].1
        };
        let light = [light(0), light(1), light(2), light(3)];
        assert!((light[0] - light[1]).abs() < 1.0, "{name}: {light:?}");
        assert!(light[2] > light[1] + 15.0 && light[3] > light[2] + 15.0, "{name}: {light:?}");
    }
}

/// Keyframes that do not decode alone, or are far apart, are not what tiles are made of: not where nothing is encoded, nor where
/// something is.
#[test]
fn tiles_do_not_depend_on_keyframes() {
    let picture =
        "-f lavfi -i testsrc2=size=320x180:rate=25:duration=45 -c:v libx264 -preset veryfast -pix_fmt yuv420p";
    let open = "-x264-params open-gop=1:keyint=25:min-keyint=25:bframes=3:scenecut=0";
    let files = [
        (clips::made("open-tiles.mp4", &format!("{picture} {open}")), 12),
        // Eleven equal parts.
        (clips::made("rare-tiles.mp4", &format!("{picture} -g 2000 -keyint_min 2000 -sc_threshold 0")), 11),
    ];
    for flags in [&["--encode", "none"][..], &[]] {
        let server = Server::with(flags);
        for (file, encoded) in &files {
            let video = Person::of(&server).upload(file, "--wait=all");
            assert_eq!(video["storyboard"]["state"], "PART_STATE_READY", "{file:?}: {video:#}");
            let board = curl::get(&format!("{}/videos/{}/storyboard.json", server.address, id(&video))).json();
            // A tile a second where all is decoded, one for each keyframe of what is encoded, about every four seconds.
            let tiles = board["tiles"].as_array().expect("tiles").len();
            assert_eq!(tiles, if flags.is_empty() { *encoded } else { 45 }, "{file:?} {flags:?}: {board:#}");
            assert_true(&server, id(&video), file, 5);
        }
    }
}
