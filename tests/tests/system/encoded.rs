//! What is encoded shows what the source shows: upright, in its shape, and in the light that every screen has. The judge is
//! ffmpeg's own decode of the source.

use std::path::{Path, PathBuf};
use vidstream_tests::clips;
use vidstream_tests::judges::{curl, ffmpeg};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

/// The multivariant playlist's addresses of pictures, each with the line before it, in their order.
fn variants(server: &Server, video: &str) -> Vec<(String, String)> {
    let master = curl::get(&format!("{}/videos/{video}/master.m3u8", server.address));
    let lines: Vec<_> = master.text().lines().collect();
    let pairs = lines.windows(2).filter(|pair| pair[0].starts_with("#EXT-X-STREAM-INF:"));
    pairs.map(|pair| (pair[0].to_owned(), format!("{}/videos/{video}/{}", server.address, pair[1]))).collect()
}

fn uploaded(server: &Server, file: &Path) -> String {
    let video = Person::of(server).upload(file, "--wait=all");
    for part in ["encoded", "storyboard", "poster"] {
        assert_eq!(video[part]["state"], "PART_STATE_READY", "{file:?}: {video:#}");
    }
    id(&video).to_owned()
}

/// What is compared with what: pictures one by one, whatever their times.
fn each(played: &str, reference: &str, measure: &str) -> String {
    let [played, reference] = [played, reference].map(|chain| format!("{chain},setpts=N/25/TB,format=yuv420p"));
    format!("[0:v:0]{played}[a];[1:v:0]{reference}[b];[a][b]{measure}")
}

#[test]
fn a_turned_picture_is_encoded_upright() {
    let server = Server::start();
    let upright = clips::clip("last.mp4");
    let wide = clips::made("wide.mp4", &format!("-i {} -c copy -aspect 32:9", upright.display()));
    for (name, file, degrees, size) in [
        ("quarter.mp4", &upright, "90", (180, 320)),
        ("half.mp4", &upright, "180", (320, 180)),
        ("three-quarters.mp4", &upright, "270", (180, 320)),
        ("wide-quarter.mp4", &wide, "90", (180, 640)),
    ] {
        let turned = clips::made(name, &format!("-i {} -c copy -metadata:s:v rotate={degrees}", file.display()));
        let video = uploaded(&server, &turned);
        let variants = variants(&server, &video);
        let (line, played) = &variants[0];
        let (width, height) = size;
        assert!(line.contains(&format!("RESOLUTION={width}x{height}")) && line.contains("avc1."), "{name}: {line}");
        assert_eq!(ffmpeg::said(played, "width,height,sample_aspect_ratio"), format!("{width},{height},1:1"), "{name}");
        // What carries a turn says so in its side data.
        assert_eq!(ffmpeg::said(played, "side_data"), "", "{name}: it is turned twice");
        let source = turned.to_str().expect("text");
        let count = ffmpeg::times(source, "v:0").len();
        assert_eq!(ffmpeg::times(played, "v:0").len(), count, "{name}");
        // ffmpeg turns what it decodes as the file says.
        let square = format!("scale={width}:{height},setsar=1");
        let alike = ffmpeg::compared(played, source, &each("null", &square, "ssim"));
        assert!(alike > 0.95, "{name}: SSIM {alike}");
        let upside_down = ffmpeg::compared(played, source, &each("hflip,vflip", &square, "ssim"));
        assert!(upside_down < 0.7, "{name}: the judge sees no turn: SSIM {upside_down}");
    }
}

/// What people are told of mapping tones with ffmpeg, at the size of the source.
const REFERENCE: &str = "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=tonemap=hable:desat=0,\
                         zscale=t=bt709:m=bt709:r=tv";

/// Two seconds in the light of a wide range, of one keyframe.
fn wide(name: &str, transfer: &str) -> PathBuf {
    let picture = format!(
        "testsrc2=size=640x360:rate=25:duration=2,zscale=tin=bt709:pin=bt709:min=bt709:rin=tv:t={transfer}:p=bt2020:m=bt2020nc:r=tv:npl=400,format=yuv420p10le"
    );
    let coding = "-c:v libx265 -preset ultrafast -color_primaries bt2020 -colorspace bt2020nc -color_range tv";
    clips::made(
        name,
        &format!(
            "-f lavfi -i {picture} {coding} -color_trc {transfer} -x265-params log-level=none:keyint=50:open-gop=0 -tag:v hvc1"
        ),
    )
}

/// The colours of what is behind `input`, as ffprobe names them.
fn colours(input: &str) -> String {
    ffmpeg::said(input, "color_range,color_space,color_transfer,color_primaries")
}

/// Whether rendition, tile and poster of `file` have the light of `REFERENCE`, and say so; `range` is what its own says.
fn assert_mapped(server: &Server, file: &Path, range: &str) {
    let (video, source) = (uploaded(server, file), file.to_str().expect("text"));
    let variants = variants(server, &video);
    let [(line, played), own @ ..] = &variants[..] else { panic!("no variant of {file:?}") };
    assert!(line.contains("VIDEO-RANGE=SDR") && line.contains("avc1."), "{file:?}: {line}");
    assert!(own.iter().all(|(line, _)| line.contains(&format!("VIDEO-RANGE={range}"))), "{file:?}: {variants:?}");
    assert_eq!(colours(played), "tv,bt709,bt709,bt709", "{file:?}");
    let alike = ffmpeg::compared(played, source, &each("null", REFERENCE, "psnr"));
    assert!(alike > 30.0, "{file:?}: PSNR {alike}");
    let unmapped = ffmpeg::compared(played, source, &each("null", "null", "psnr"));
    assert!(unmapped < alike - 8.0, "{file:?}: the judge sees no tones: PSNR {unmapped}");

    let folder = tempfile::tempdir().expect("a temporary folder");
    let kept = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path.to_str().expect("text").to_owned()
    };
    let base = format!("{}/videos/{video}", server.address);
    let poster = kept("poster.jpg", &curl::get(&format!("{base}/poster.jpg")).body);
    let board = curl::get(&format!("{base}/storyboard.json")).json();
    let sheet = kept("sheet.jpg", &curl::get(&format!("{base}/{}", board["sheets"][0].as_str().expect("one"))).body);
    let (width, height) = (&board["tileWidth"], &board["tileHeight"]);
    for (what, picture, crop) in
        [("poster", &poster, "null".to_owned()), ("tile", &sheet, format!("crop={width}:{height}:0:0"))]
    {
        // Both in RGB, so that levels and matrix of a JPEG and of a video are told apart; small, so that scaling is not.
        let keyframes = |tones: &str| {
            let small = "scale=160:160:flags=area,format=gbrp";
            format!(
                "[0:v:0]{crop},{small},loop=loop=-1:size=1[a];[1:v:0]select=eq(pict_type\\,I),{tones},{small}[b];\
                 [b][a]psnr=shortest=1,metadata=print:key=lavfi.psnr.psnr_avg:file=-"
            )
        };
        let alike = ffmpeg::closest(picture, source, &keyframes(REFERENCE));
        assert!(alike > 25.0, "{file:?}: the {what} has PSNR {alike}");
        let unmapped = ffmpeg::closest(picture, source, &keyframes("null"));
        assert!(unmapped < alike - 5.0, "{file:?}: the judge sees no tones in the {what}: PSNR {unmapped}");
    }
}

#[test]
fn wide_light_becomes_what_every_screen_shows() {
    let server = Server::start();
    assert_mapped(&server, &wide("pq.mp4", "smpte2084"), "PQ");
    assert_mapped(&server, &wide("hlg.mp4", "arib-std-b67"), "HLG");
    // A file that says nothing of its light, whose pictures do.
    let silent = wide("pq.mp4", "smpte2084");
    let silent = clips::made("silent.mp4", &format!("-i {} -c copy -movflags -write_colr", silent.display()));
    assert_mapped(&server, &silent, "PQ");
}

/// Files of phones, cameras and test suites.
#[test]
fn wide_light_of_the_corpus_becomes_what_every_screen_shows() {
    let server = Server::start();
    for name in ["hdr10-video-with-sdr-container.mp4", "hdr10-av1.mp4"] {
        // A line at the start says whether the corpus is there.
        if let Some(file) = clips::of_corpus(&format!("quirk/{name}")) {
            assert_mapped(&server, &file, "PQ");
        }
    }
}

/// The layer beneath Dolby Vision that others can show is what is signalled, upright here so that it is listed.
#[test]
fn the_base_layer_of_dolby_vision_is_signalled() {
    let Some(file) = clips::of_corpus("quirk/dolbyVision-hdr.MOV") else { return };
    let upright = clips::made("dolby.mov", &format!("-i {} -map 0:v:0 -c copy -metadata:s:v rotate=0", file.display()));
    let server = Server::start();
    let variants = variants(&server, &uploaded(&server, &upright));
    let [(encoded, _), (own, played)] = &variants[..] else { panic!("{variants:?}") };
    assert!(encoded.contains("avc1.") && encoded.contains("VIDEO-RANGE=SDR"), "{encoded}");
    assert!(own.contains("CODECS=\"hvc1.2.4.L93.") && own.contains("VIDEO-RANGE=HLG"), "{own}");
    assert_eq!(ffmpeg::said(played, "color_transfer"), "arib-std-b67");
}
