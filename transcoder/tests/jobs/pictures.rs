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
    f64::from(i32::try_from(ticks).expect("clips are short")) / f64::from(timescale)
}

/// Presentation time of each picture of a file, and its luma at this size, as JPEG has it. (Without accurate rounding
/// ffmpeg's scaler lifts black.)
fn reference(file: &Path, width: u32, height: u32) -> Vec<(f64, Luma)> {
    let file = file.to_str().expect("a path");
    let times = output(
        &["-v", "error", "-select_streams", "v:0", "-show_entries", "frame=pts_time", "-of", "csv=p=0", file],
        "ffprobe",
    );
    let times = String::from_utf8(times).expect("text");
    let times = times.lines().map(|line| line.trim_end_matches(',')).filter(|line| !line.is_empty());
    let times = times.map(|line| line.parse().expect("a time"));
    let scale = format!(
        "scale={width}:{height}:flags=bicubic+accurate_rnd:out_color_matrix=bt601:out_range=full,format=yuv420p"
    );
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

/// How alike each tile of a storyboard is to the picture at its own time, and to the nearer of that one's neighbours.
async fn judge(name: &str, content: Vec<u8>) -> (StoryboardResult, Vec<(f64, f64)>) {
    let mesh = Mesh::with(content).await;
    let file = mesh.folder().join("clip.bin");
    std::fs::write(&file, &mesh.content).expect("written");
    mesh.start();
    mesh.index().await;
    let board = mesh.storyboard().await;
    assert!(board.times.is_sorted_by(|a, b| a < b), "{name}: {:?}", board.times);
    let pictures = reference(&file, board.tile_width, board.tile_height);
    let tiles = tiles(&mesh, &board).await;
    assert_eq!(tiles.len(), board.times.len(), "{name}");
    let likeness = tiles.iter().zip(&board.times).map(|(tile, ticks)| {
        let time = seconds(*ticks, board.timescale);
        let at = pictures.iter().position(|(shown, _)| (shown - time).abs() < 0.0006);
        let at = at.unwrap_or_else(|| panic!("{name}: no picture is shown at {time}"));
        let alike = |at: usize| pictures.get(at).map(|(_, luma)| ssim(tile, luma, board.tile_width as usize));
        let neighbours = [at.checked_sub(1), Some(at + 1)].into_iter().flatten().filter_map(alike);
        (alike(at).expect("it is there"), neighbours.fold(-1.0, f64::max))
    });
    let likeness: Vec<_> = likeness.collect();
    let worst = likeness.iter().fold(1.0, |worst: f64, (own, _)| worst.min(*own));
    println!("{name}: {} tiles of {}x{}, worst {worst:.4}", tiles.len(), board.tile_width, board.tile_height);
    assert!(worst >= 0.95, "{name}: a tile has a similarity of {worst}");
    mesh.life.stopping().cancel();
    (board, likeness)
}

/// The same of a clip that moves, where a neighbour is always less alike: it is this picture and no other.
async fn judge_moving(name: &str, content: Vec<u8>) -> StoryboardResult {
    let (board, likeness) = judge(name, content).await;
    for (tile, (own, neighbour)) in likeness.iter().enumerate() {
        assert!(own > neighbour, "{name}: tile {tile} is another picture: {own} and {neighbour}");
    }
    board
}

#[tokio::test]
async fn every_tile_is_the_picture_at_its_own_time() {
    let noisy = "-vf noise=alls=20:allf=t";
    for (name, arguments, format) in [
        ("H.264", format!("{MOVING} {H264}"), "mp4"),
        ("H.264 low rate", format!("{MOVING} {noisy} {H264} -crf 40"), "mp4"),
        ("29.97", format!("{MOVING} {H264} -r 30000/1001"), "mov"),
        ("late", format!("-itsoffset 0.7 {MOVING} -f lavfi -i sine=d=6 {H264} -fps_mode passthrough -c:a aac"), "mp4"),
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
        ("Matroska", format!("{MOVING} -f lavfi -i sine=d=6 {H264} -bf 2 -c:a aac"), "matroska"),
        ("WebM", format!("{MOVING} -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25"), "webm"),
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
        judge_moving(name, make(&arguments, format)).await;
    }
}

/// Where the corpus is at hand.
#[tokio::test]
async fn files_of_other_tools_are_no_different() {
    let files = crate::corpus::files(&["good"]);
    for file in files.iter().filter(|path| path.extension().is_some_and(|ending| ending == "mp4")) {
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        let content = std::fs::read(file).expect("it can be read");
        match vidstream_media::mp4::index_bytes(&content) {
            Ok(index) if vidstream_media::storyboard::Storyboard::plan(&index).is_ok() => {
                judge(&name, content).await;
            }
            _ => println!("{name}: no storyboard"),
        }
    }
}

#[tokio::test]
async fn tiles_are_upright_and_of_square_pixels() {
    let folder = tempfile::tempdir().expect("a folder");
    let upright = folder.path().join("upright.mp4");
    std::fs::write(&upright, plain()).expect("written");
    for (turn, size) in [("90", (180, 320)), ("180", (320, 180)), ("270", (180, 320))] {
        let turned = make(&format!("-i {} -c copy -metadata:s:v rotate={turn}", upright.display()), "mp4");
        let board = judge_moving(turn, turned).await;
        assert_eq!((board.tile_width, board.tile_height), size, "turned by {turn}");
    }
    let board = judge_moving("anamorphic", make(&format!("{MOVING} -vf setsar=2 {H264}"), "mp4")).await;
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
    let mean_of = |values: &mut dyn Iterator<Item = f64>| {
        let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        sum / count
    };
    let mean = mean_of(&mut luma.iter().map(|p| f64::from(*p)));
    let variance = mean_of(&mut luma.iter().map(|p| (f64::from(*p) - mean).powi(2)));
    assert!((40.0..215.0).contains(&mean) && variance > 500.0, "mean {mean}, variance {variance}");
}
