//! What is encoded shows what the source shows: upright, in its shape, and in the light that every screen has. The judge is
//! ffmpeg's own decode of the source.

use std::path::Path;
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
