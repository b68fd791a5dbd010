//! Reading large indexes: 100,000 fragments, and a `moov` of 120 MB, against ffprobe opening the same files.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use vidstream_bench::cost::{self, Cost};
use vidstream_bench::{media, table};
use vidstream_media::mp4::{Indexer, Limits, Step};

/// Frames of the fragmented film, each a fragment.
const FRAGMENTS: u32 = 100_000;
/// Samples whose tables take 120 MB: a size, a duration, a composition offset and, one a chunk, an offset of each.
const SAMPLES: u32 = 4_280_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    match arguments.next() {
        Some(file) => read(Path::new(&file)),
        None => compare(),
    }
}

fn compare() {
    table::head("Large indexes", &["file", "way", "wall", "CPU", "peak memory", "read"]);
    for (name, file) in [("100,000 fragments", fragments()), ("a `moov` of 120 MB", large())] {
        let us = std::env::current_exe().expect("a path");
        let ours = || cost::of_command(Command::new(&us).arg(&file));
        let theirs = || {
            cost::of_command(
                Command::new("ffprobe").args(["-v", "error", "-show_entries", "stream=nb_frames"]).arg(&file),
            )
        };
        let (mut all_ours, mut all_theirs) = (Vec::new(), Vec::new());
        for _ in 0..table::ROUNDS {
            all_ours.push(ours());
            all_theirs.push(theirs());
        }
        row(name, "ours: read and stored", table::middle(&all_ours));
        row(name, "`ffprobe` opens it", table::middle(&all_theirs));
    }
}

fn row(name: &str, way: &str, cost: Cost) {
    let Cost { wall, cpu, memory, read } = cost;
    let cells = [table::time(wall), table::time(cpu), table::megabytes(memory), table::megabytes(read)];
    table::row(&[&[name.to_owned(), way.to_owned()][..], &cells].concat());
}

/// What the ingest job does with a file.
fn read(path: &Path) {
    let file = File::open(path).expect("the file");
    let mut indexer = Indexer::new(media::size(path), Limits::default());
    let mut bytes = Vec::new();
    let index = loop {
        match indexer.step(&bytes).expect("an index") {
            Step::Need(range) | Step::Await(range) => {
                bytes.resize(usize::try_from(range.end - range.start).expect("fits"), 0);
                file.read_exact_at(&mut bytes, range.start).expect("bytes");
            }
            Step::Done(index) => break index,
        }
    };
    let stored = index.encode().len();
    println!("{} samples, {stored} bytes", index.tracks[0].samples.len());
}

/// A film of tiny pictures, a fragment each.
fn fragments() -> PathBuf {
    let path = media::folder().join("fragments.mp4");
    if !path.exists() {
        let picture = format!("color=size=32x32:rate=25:duration={}", FRAGMENTS / 25);
        let done = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", &picture, "-c:v", "libx264", "-g", "50"])
            .args(["-preset", "ultrafast", "-movflags", "frag_every_frame+empty_moov+default_base_moof"])
            .arg(&path)
            .status()
            .expect("ffmpeg runs");
        assert!(done.success());
    }
    path
}

/// A file whose media is a hole and whose index, at its end, has tables in which nothing repeats.
fn large() -> PathBuf {
    let path = media::folder().join("large-index.mp4");
    if path.exists() {
        return path;
    }
    let small = media::folder().join("small.mp4");
    let done = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-nostdin",
            "-y",
            "-f",
            "lavfi",
            "-i",
            "testsrc=size=64x64:duration=1",
            "-c:v",
            "libx264",
        ])
        .arg(&small)
        .status()
        .expect("ffmpeg runs");
    assert!(done.success());
    let small = std::fs::read(&small).expect("the clip");
    let tables = tables();
    let moov = replaced(boxes(&small).into_iter().find(|b| &b.kind == b"moov").expect("an index").body, &tables);
    let media = u64::from(SAMPLES) * 1000;
    let file = File::create(&path).expect("a file");
    let mut head = vec![0, 0, 0, 16];
    head.extend(b"ftypisom\0\0\0\0");
    head.extend(1_u32.to_be_bytes());
    head.extend(b"mdat");
    head.extend((16 + media).to_be_bytes());
    file.write_all_at(&head, 0).expect("written");
    file.write_all_at(&boxed(*b"moov", &moov), 32 + media).expect("written");
    path
}

struct Found<'a> {
    kind: [u8; 4],
    body: &'a [u8],
}

fn boxes(mut bytes: &[u8]) -> Vec<Found<'_>> {
    let mut all = Vec::new();
    while let Some((head, _)) = bytes.split_first_chunk::<8>() {
        let size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        all.push(Found { kind: [head[4], head[5], head[6], head[7]], body: &bytes[8..size] });
        bytes = &bytes[size..];
    }
    all
}

fn boxed(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).expect("below 4 GiB");
    [&size.to_be_bytes()[..], &kind, body].concat()
}

/// `body` with the sample tables in it replaced, and without an edit.
fn replaced(body: &[u8], tables: &[Table]) -> Vec<u8> {
    const CONTAINERS: [&[u8; 4]; 4] = [b"trak", b"mdia", b"minf", b"stbl"];
    let mut out = Vec::new();
    for Found { kind, body } in boxes(body) {
        match tables.iter().find(|table| table.instead_of == kind) {
            Some(table) => out.extend(boxed(table.kind, &table.body)),
            None if CONTAINERS.contains(&&kind) => out.extend(boxed(kind, &replaced(body, tables))),
            None if &kind == b"edts" => {}
            None => out.extend(boxed(kind, body)),
        }
    }
    out
}

/// A table that stands where another was.
struct Table {
    instead_of: [u8; 4],
    kind: [u8; 4],
    body: Vec<u8>,
}

fn tables() -> Vec<Table> {
    let table = |head: &[u32], row: &dyn Fn(u32) -> Vec<u32>| {
        let rows = (0..SAMPLES).flat_map(row);
        head.iter().copied().chain(rows).flat_map(u32::to_be_bytes).collect::<Vec<u8>>()
    };
    let sync: Vec<u8> = [0, SAMPLES.div_ceil(50)]
        .into_iter()
        .chain((0..SAMPLES).step_by(50).map(|i| i + 1))
        .flat_map(u32::to_be_bytes)
        .collect();
    let chunks = (0..SAMPLES).flat_map(|i| (32 + u64::from(i) * 1000).to_be_bytes());
    let offsets = [0, SAMPLES].into_iter().flat_map(u32::to_be_bytes).chain(chunks).collect();
    [
        (*b"stsz", *b"stsz", table(&[0, 0, SAMPLES], &|i| vec![500 + i % 400])),
        (*b"stts", *b"stts", table(&[0, SAMPLES], &|i| vec![1, 500 + i % 2])),
        (*b"stsc", *b"stsc", [0, 1, 1, 1, 1].into_iter().flat_map(u32::to_be_bytes).collect()),
        (*b"stco", *b"co64", offsets),
        (*b"stss", *b"stss", sync),
        (*b"ctts", *b"ctts", table(&[0, SAMPLES], &|i| vec![1, 500 * (i % 3)])),
    ]
    .into_iter()
    .map(|(instead_of, kind, body)| Table { instead_of, kind, body })
    .collect()
}
