//! Storyboards and posters, held against what ffmpeg decodes of the file itself.

use crate::clips::{H264, MOVING, make, output, plain};
use crate::mesh::Mesh;
use crate::similarity::ssim;
use std::path::Path;
use vidstream_proto::job::JobKind;
use vidstream_proto::pb::{FailureKind, StoryboardResult};

/// A luma plane.
type Luma = Vec<u8>;

fn seconds(ticks: i64, timescale: u32) -> f64 {
    ticks as f64 / f64::from(timescale)
}

/// Presentation time of each picture of a file, and its luma at this size, as JPEG has it.
fn reference(file: &Path, width: u32, height: u32) -> Vec<(f64, Luma)> {
    let file = file.to_str().expect("a path");
    let times = output(
        &["-v", "error", "-select_streams", "v:0", "-show_entries", "frame=pts_time", "-of", "csv=p=0", file],
        "ffprobe",
    );
    let times = String::from_utf8(times).expect("text");
    let times = times.lines().map(|line| line.trim_end_matches(',')).filter(|line| !line.is_empty());
    let times = times.map(|line| line.parse().expect("a time"));
    let scale = format!("scale={width}:{height}:flags=bicubic:out_color_matrix=bt601:out_range=full,format=yuv420p");
    let raw = output(
        &["-v", "error", "-i", file, "-map", "0:v:0", "-fps_mode", "passthrough", "-vf", &scale, "-f", "rawvideo", "-"],
        "ffmpeg",
    );
    let luma = (width * height) as usize;
    times.zip(raw.chunks_exact(luma * 3 / 2).map(|picture| picture[..luma].to_vec())).collect()
}

/// The luma of a JPEG and its size.
fn jpeg(bytes: &[u8], folder: &Path) -> (usize, Luma) {
    let file = folder.join("sheet.jpg");
    std::fs::write(&file, bytes).expect("written");
    let file = file.to_str().expect("a path");
    let size =
        output(&["-v", "error", "-show_entries", "stream=width,height,pix_fmt", "-of", "csv=p=0", file], "ffprobe");
    let size = String::from_utf8(size).expect("text");
    let fields: Vec<_> = size.trim().split(',').collect();
    assert_eq!(fields[2], "yuvj420p", "full range, 4:2:0");
    let (width, height): (usize, usize) = (fields[0].parse().expect("width"), fields[1].parse().expect("height"));
    let mut raw = output(&["-v", "error", "-i", file, "-f", "rawvideo", "-"], "ffmpeg");
    raw.truncate(width * height);
    (width, raw)
}

/// Tiles of a storyboard, cut out of its sheets.
async fn tiles(mesh: &Mesh, board: &StoryboardResult) -> Vec<Luma> {
    let (tile_width, tile_height) = (board.tile_width as usize, board.tile_height as usize);
    let per_sheet = (board.columns * board.rows) as usize;
    let mut tiles = Vec::new();
    for (number, name) in board.sheets.iter().enumerate() {
        let (width, luma) = jpeg(&mesh.read(name).await, mesh.folder());
        assert_eq!(width, board.columns as usize * tile_width);
        assert!(luma.len() <= 6_000_000);
        for at in 0..per_sheet.min(board.times.len() - number * per_sheet) {
            let (x, y) = (at % board.columns as usize * tile_width, at / board.columns as usize * tile_height);
            let row = |line: usize| &luma[(y + line) * width + x..][..tile_width];
            tiles.push((0..tile_height).flat_map(row).copied().collect());
        }
    }
    tiles
}

/// Makes the storyboard of a file and holds every tile against the picture at its own true time.
async fn judge(name: &str, content: Vec<u8>) -> (StoryboardResult, f64) {
    let mesh = Mesh::with(content).await;
    let file = mesh.folder().join("clip.bin");
    std::fs::write(&file, &mesh.content).expect("written");
    mesh.start();
    mesh.index().await;
    let board = mesh.storyboard().await;
    let pictures = reference(&file, board.tile_width, board.tile_height);
    let tiles = tiles(&mesh, &board).await;
    assert_eq!(tiles.len(), board.times.len(), "{name}");
    let mut worst = 1.0_f64;
    for (tile, ticks) in tiles.iter().zip(&board.times) {
        let time = seconds(*ticks, board.timescale);
        let at = pictures.iter().position(|(shown, _)| (shown - time).abs() < 0.0006);
        let at = at.unwrap_or_else(|| panic!("{name}: no picture is shown at {time}"));
        let alike = |picture: &(f64, Luma)| ssim(tile, &picture.1, board.tile_width as usize);
        worst = worst.min(alike(&pictures[at]));
        // Its neighbours are less alike: it is this picture and no other.
        for other in [at.checked_sub(1), Some(at + 1)].into_iter().flatten().filter_map(|at| pictures.get(at)) {
            assert!(alike(other) < alike(&pictures[at]), "{name}: the tile of {time} is that of {}", other.0);
        }
    }
    assert!(worst >= 0.95, "{name}: a tile has a similarity of {worst}");
    assert!(board.times.is_sorted_by(|a, b| a < b), "{name}: {:?}", board.times);
    mesh.life.stopping().cancel();
    (board, worst)
}

#[tokio::test]
async fn every_tile_is_the_picture_at_its_own_time() {
    let noisy = "-vf noise=alls=20:allf=t";
    for (name, arguments, format) in [
        ("H.264", format!("{MOVING} {H264}"), "mp4"),
        ("H.264 low rate", format!("{MOVING} {noisy} {H264} -crf 40"), "mp4"),
        ("29.97", format!("{MOVING} {H264} -r 30000/1001"), "mov"),
        ("late", format!("-itsoffset 0.7 {MOVING} -f lavfi -i sine=d=6 {H264} -c:a aac"), "mp4"),
        ("full range", format!("{MOVING} -vf scale=out_range=full -color_range pc {H264}"), "mp4"),
        (
            "BT.709",
            format!(
                "{MOVING} -vf scale=out_color_matrix=bt709 -colorspace bt709 -color_primaries bt709 -color_trc bt709 {H264}"
            ),
            "mp4",
        ),
        (
            "HEVC",
            format!("{MOVING} -c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25 -tag:v hvc1"),
            "mp4",
        ),
        ("VP9", format!("{MOVING} -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25"), "mp4"),
        ("AV1", format!("{MOVING} -c:v libsvtav1 -preset 12 -g 25 -svtav1-params fast-decode=1"), "mp4"),
        ("10 bits", format!("{MOVING} -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p10le"), "mp4"),
        ("4:4:4", format!("{MOVING} -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv444p"), "mp4"),
        (
            "large",
            "-f lavfi -i testsrc2=s=1920x1080:r=25:d=3 -c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p".into(),
            "mp4",
        ),
        ("odd size", format!("-f lavfi -i testsrc2=s=162x122:r=25:d=3 {H264}"), "mp4"),
        ("one keyframe", format!("{MOVING} {H264} -g 1000"), "mp4"),
    ] {
        let (board, worst) = judge(name, make(&arguments, format)).await;
        println!("{name}: {} tiles of {}x{}, worst {worst:.4}", board.times.len(), board.tile_width, board.tile_height);
    }
}

#[tokio::test]
async fn tiles_are_upright_and_of_square_pixels() {
    let folder = tempfile::tempdir().expect("a folder");
    let upright = folder.path().join("upright.mp4");
    std::fs::write(&upright, plain()).expect("written");
    for (turn, size) in [("90", (180, 320)), ("180", (320, 180)), ("270", (180, 320))] {
        let turned = make(&format!("-i {} -c copy -metadata:s:v rotate={turn}", upright.display()), "mp4");
        let (board, _) = judge(turn, turned).await;
        assert_eq!((board.tile_width, board.tile_height), size, "turned by {turn}");
    }
    let (board, _) = judge("anamorphic", make(&format!("{MOVING} -vf setsar=2 {H264}"), "mp4")).await;
    assert_eq!((board.tile_width, board.tile_height), (320, 90));
}

/// A keyframe that can't be decoded gives no picture, and nobody can tell which one is missing.
#[tokio::test]
async fn a_missing_picture_is_no_wrong_tile() {
    let content = plain();
    let index = vidstream_media::mp4::index_bytes(&content).expect("indexed");
    let samples = &index.tracks[0].samples;
    let damaged = samples.get(samples.sync_samples().nth(2).expect("six keyframes")).expect("a sample");
    let mut content = content;
    let start = usize::try_from(damaged.offset).expect("small");
    content[start..start + damaged.size as usize].fill(0);
    let mesh = Mesh::with(content).await;
    mesh.start();
    mesh.index().await;
    let (kind, reason) = mesh.outcome(JobKind::Storyboard).await.expect_err("no storyboard");
    assert_eq!(kind, FailureKind::NotOffered, "{reason}");
    assert!(reason.contains("can't be decoded alone"), "{reason}");
    assert!(!mesh.names().await.iter().any(|name| name.contains("storyboard")), "nothing is left of it");
    mesh.poster().await;
}

#[tokio::test]
async fn a_poster_is_neither_black_nor_blank() {
    // Black for 4 s, white for 4, then something to see for 2.
    let clip = format!(
        "-f lavfi -i color=black:s=1600x900:d=4 -f lavfi -i color=white:s=1600x900:d=4 -f lavfi \
         -i testsrc2=s=1600x900:d=2 -filter_complex concat=n=3:v=1 {H264}"
    );
    let mesh = Mesh::with(make(&clip, "mp4")).await;
    mesh.start();
    mesh.index().await;
    let poster = mesh.poster().await;
    assert_eq!((poster.width, poster.height, poster.generation.len()), (1280, 720, 16));
    let (width, luma) = jpeg(&mesh.read(&poster.object).await, mesh.folder());
    assert_eq!(width, 1280);
    let mean = luma.iter().map(|p| f64::from(*p)).sum::<f64>() / luma.len() as f64;
    let variance = luma.iter().map(|p| (f64::from(*p) - mean).powi(2)).sum::<f64>() / luma.len() as f64;
    assert!((40.0..215.0).contains(&mean) && variance > 500.0, "mean {mean}, variance {variance}");
}
