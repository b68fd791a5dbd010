//! What the cage costs: an ffmpeg that decodes to the small pictures of a storyboard, and one that only says its version, in
//! each cage and in none.

use bytes::Bytes;
use std::path::Path;
use std::time::{Duration, Instant};
use vidstream_bench::{cost, media, table};
use vidstream_tests::judges::ffmpeg::ffmpeg;
use vidstream_transcoder::{Layers, Limits, Program};

/// Pictures of 320 by 180 pixels at 4:2:0.
const PICTURE: usize = 320 * 180 * 3 / 2;
/// As a source is read.
const PIECE: usize = 1 << 20;
/// Shorter runs need more rounds.
const STARTS: usize = 41;

#[tokio::main]
async fn main() {
    let film = fed();
    let mut ways = vec![("no cage", Layers::NONE)];
    let kernel = Layers::of_this_machine();
    assert!(kernel.landlock.is_some() && kernel.seccomp, "this machine has no whole cage: {kernel}");
    ways.push(("Landlock and seccomp", kernel));
    match Layers::of_bubblewrap() {
        Ok(bubblewrap) => ways.push(("bubblewrap", bubblewrap)),
        Err(error) => eprintln!("bench: {error}"),
    }
    let mut programs = Vec::new();
    for (name, layers) in ways {
        let program = Program::find_in(layers, Path::new("ffmpeg"), Limits::default()).await.expect("ffmpeg is there");
        programs.push((name, program));
    }
    let work = "-v error -nostdin -threads 1 -filter_threads 1 -skip_loop_filter all -f mp4 -i pipe:0 -map 0:v:0 \
                -fps_mode passthrough -vf scale=320:180:flags=area -threads 1 -f rawvideo -pix_fmt yuv420p pipe:1";
    let pieces: Vec<Bytes> = film.chunks(PIECE).map(Bytes::copy_from_slice).collect();
    let title =
        format!("The cage, on and off: a minute of 1080p to small pictures ({})", table::megabytes(film.len() as u64));
    compare(&title, table::ROUNDS, &programs, work, &pieces).await;
    compare("The cage, on and off: ffmpeg says its version", STARTS, &programs, "-version", &[]).await;
}

/// Runs `line` in each cage in turn, and prints a table.
async fn compare(title: &str, rounds: usize, programs: &[(&str, Program)], line: &str, pieces: &[Bytes]) {
    let mut costs: Vec<Vec<(Duration, Duration)>> = vec![Vec::new(); programs.len()];
    for _ in 0..rounds {
        for ((_, program), costs) in programs.iter().zip(&mut costs) {
            costs.push(run(program, line, pieces).await);
        }
    }
    let median = |costs: &[(Duration, Duration)], figure: fn(&(Duration, Duration)) -> Duration| {
        table::median(&costs.iter().map(figure).collect::<Vec<_>>())
    };
    table::head(title, &["way", "wall", "CPU", "wall against none", "CPU against none"]);
    for ((name, _), own) in programs.iter().zip(&costs) {
        let (wall, cpu) = (median(own, |cost| cost.0), median(own, |cost| cost.1));
        let (none_wall, none_cpu) = (median(&costs[0], |cost| cost.0), median(&costs[0], |cost| cost.1));
        table::row(&[(*name).to_owned(), precise(wall), precise(cpu), ratio(wall, none_wall), ratio(cpu, none_cpu)]);
    }
}

/// Wall time, and processor time of this process and of the child.
async fn run(program: &Program, line: &str, pieces: &[Bytes]) -> (Duration, Duration) {
    let (began, before) = (Instant::now(), cost::cpu(std::process::id()));
    let mut child = program.start(line.split_whitespace().map(str::to_owned).collect(), PICTURE);
    let feed = async {
        let feed = child.feed;
        for piece in pieces {
            feed.write(piece.clone()).await.expect("it reads all");
        }
    };
    let read = async {
        let mut pictures = 0;
        while child.output.next().await.is_some() {
            pictures += 1;
        }
        pictures
    };
    let ((), pictures) = tokio::join!(feed, read);
    child.process.wait().await.expect("it ends well");
    assert!(pieces.is_empty() || pictures == 60 * 30, "{pictures} pictures");
    (began.elapsed(), cost::cpu(std::process::id()).saturating_sub(before))
}

/// A minute of pictures, as ffmpeg takes it from a pipe.
fn fed() -> Vec<u8> {
    let folder = tempfile::tempdir_in(media::folder()).expect("a folder");
    let path = folder.path().join("fed.mp4");
    let [film, fed] = [media::film(1), path.clone()].map(|path| path.to_str().expect("text").to_owned());
    ffmpeg(&["-i", &film, "-map", "0:v", "-c", "copy", "-movflags", "+frag_keyframe+empty_moov", &fed]);
    std::fs::read(path).expect("it was just made")
}

fn precise(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

fn ratio(one: Duration, other: Duration) -> String {
    format!("{:.3}×", one.as_secs_f64() / other.as_secs_f64().max(1e-9))
}
