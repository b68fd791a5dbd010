//! How much memory a file can make the indexer take, whatever it says of itself: no more than the limits amount to. One
//! test in a program of its own, because the peak of a process never falls.

use std::ops::Range;
use vidstream_media::index::MediaIndex;
use vidstream_media::mp4::{IndexError, Indexer, Limits, Step};

const MIB: u64 = 1 << 20;
/// What a sample takes at the most while it is gathered: four numbers of 32 bits, a place of 64, a row of sync samples, and
/// as much again for what vectors have in reserve.
const SAMPLE_BYTES: u64 = 48;
/// Whatever is not counted by any limit: the stack, the allocator's own, a few names.
const LITTLE: u64 = 6 * MIB;

/// Small enough that the largest file which keeps them is read in a moment.
fn limits() -> Limits {
    Limits { movie_bytes: 32 * MIB, samples: 1_000_000, fragment_bytes: MIB, ..Limits::default() }
}

/// A file: what it begins with, and how large it says it is; the rest is zeros.
struct Lie {
    name: &'static str,
    begins: Vec<u8>,
    size: u64,
    /// Words of the error that it ends in; none where it is indexed.
    error: Option<&'static str>,
}

impl Lie {
    fn new(name: &'static str, mut begins: Vec<u8>, error: impl Into<Option<&'static str>>) -> Self {
        // A box of media to the end of the file.
        begins.extend(b"\0\0\0\0mdat");
        Self { name, size: begins.len() as u64 + (1 << 33), begins, error: error.into() }
    }

    fn read(&self, range: Range<u64>) -> Vec<u8> {
        let at = |offset: u64| usize::try_from(offset).expect("an address").min(self.begins.len());
        let mut bytes = self.begins[at(range.start)..at(range.end)].to_vec();
        bytes.resize(usize::try_from(range.end - range.start).expect("small"), 0);
        bytes
    }

    fn index(&self) -> Result<MediaIndex, IndexError> {
        let mut indexer = Indexer::new(self.size, limits());
        let mut bytes = Vec::new();
        loop {
            match indexer.step(&bytes)? {
                Step::Need(range) | Step::Await(range) => {
                    assert!(range.end - range.start <= limits().movie_bytes, "{}: {range:?} wanted", self.name);
                    // First the old ones go, as at a reader that has one buffer.
                    bytes.clear();
                    bytes.shrink_to_fit();
                    bytes = self.read(range);
                }
                Step::Done(index) => return Ok(*index),
            }
        }
    }

    /// What is wrong unless it ends as it should and the process never had more than `bound` bytes.
    fn wrong_within(&self, bound: u64) -> Option<String> {
        let ended = self.index().err().map(|error| error.to_string());
        let fits = match (&ended, self.error) {
            (None, None) => true,
            (Some(error), Some(words)) => error.contains(words),
            _ => false,
        };
        let peak = peak();
        let wrong = || format!("{}: {} of {} KiB, {ended:?}", self.name, peak >> 10, bound >> 10);
        (!fits || peak > bound).then(wrong)
    }
}

/// The most resident memory that this process had (`VmHWM` of proc(5)).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says it");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib << 10
}

fn boxed(kind: [u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let size = u32::try_from(body.len() + 8).expect("a small box");
    [&size.to_be_bytes()[..], &kind, &body].concat()
}

/// A full box of version 0 with numbers of 32 bits.
fn full(kind: [u8; 4], numbers: &[u32]) -> Vec<u8> {
    boxed(kind, &[&[0; 4], &words(numbers.iter().copied())])
}

fn words(numbers: impl IntoIterator<Item = u32>) -> Vec<u8> {
    numbers.into_iter().flat_map(u32::to_be_bytes).collect()
}

/// Pictures of H.264.
fn picture() -> Vec<u8> {
    let avcc = boxed(*b"avcC", &[&[1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 1, 0x67, 1, 0, 1, 0x68]]);
    let size = words([64 << 16 | 64]);
    boxed(*b"avc1", &[&[0, 0, 0, 0, 0, 0, 0, 1], &[0; 16], &size, &[0; 50], &avcc])
}

fn moov(parts: &[Vec<u8>]) -> Vec<u8> {
    let mvhd = full(*b"mvhd", &[0, 0, 1000, 0]);
    let parts: Vec<&[u8]> = [&mvhd].into_iter().chain(parts).map(Vec::as_slice).collect();
    boxed(*b"moov", &parts)
}

fn trak_named(id: u32, name: &[u8], stsd: &[u8], tables: &[Vec<u8>], edit: &[u8]) -> Vec<u8> {
    let tkhd = full(*b"tkhd", &[&[0, 0, id][..], &[0; 17]].concat());
    let mdhd = full(*b"mdhd", &[0, 0, ALL, 0, 0]);
    let hdlr = boxed(*b"hdlr", &[&[0; 8], b"vide", &[0; 12], name]);
    let tables = [&[stsd.to_vec()], tables].concat().concat();
    let minf = boxed(*b"minf", &[&boxed(*b"stbl", &[&tables])]);
    boxed(*b"trak", &[&tkhd, edit, &boxed(*b"mdia", &[&mdhd, &hdlr, &minf])])
}

/// A track of pictures with these tables.
fn trak(id: u32, tables: &[Vec<u8>]) -> Vec<u8> {
    let stsd = boxed(*b"stsd", &[&words([0, 1]), &picture()]);
    trak_named(id, b"", &stsd, tables, &[])
}

/// Tables of `count` pictures that are all alike, so that they take a few bytes.
fn alike(count: u32) -> Vec<Vec<u8>> {
    vec![
        full(*b"stts", &[1, count, 1]),
        full(*b"stsc", &[1, 1, count, 1]),
        full(*b"stsz", &[1, count]),
        full(*b"stco", &[1, 0]),
    ]
}

/// The same with `table` in the place of the one of its kind, or more.
fn but(table: Vec<u8>) -> Vec<u8> {
    let mut tables = alike(10);
    let kind = if table[4..8] == *b"stz2" { *b"stsz" } else { [table[4], table[5], table[6], table[7]] };
    tables.retain(|other| other[4..8] != kind);
    tables.push(table);
    moov(&[trak(1, &tables)])
}

fn traf(id: u32, run: &[u32]) -> Vec<u8> {
    let tfhd = boxed(*b"tfhd", &[&words([0x2_0018, id, 1, 1])]);
    boxed(*b"moof", &[&boxed(*b"traf", &[&tfhd, &full(*b"trun", run)])])
}

fn mvex() -> Vec<u8> {
    boxed(*b"mvex", &[&full(*b"trex", &[1, 1, 1, 1, 0])])
}

const ALL: u32 = u32::MAX;

/// Files of some kilobytes that claim what no limit allows, or what is not there.
fn claims() -> Vec<Lie> {
    let begins = |kind: &[u8; 4], size: u32| [&size.to_be_bytes()[..], kind].concat();
    let wide = |kind: &[u8; 4], size: u64| [&[0, 0, 0, 1], &kind[..], &size.to_be_bytes()].concat();
    let fragmented = moov(&[mvex(), trak(1, &alike(0))]);
    let list = |rows: u32| {
        let edit = boxed(*b"edts", &[&full(*b"elst", &[rows, 1, 0, 1 << 16])]);
        let stsd = boxed(*b"stsd", &[&words([0, 1]), &picture()]);
        moov(&[trak_named(1, b"", &stsd, &alike(10), &edit)])
    };
    let descriptions = boxed(*b"stsd", &[&words([0, ALL])]);
    let nested = (1..=100_000_u32).rev().flat_map(|inner| begins(b"trak", 8 * inner)).collect();
    let mut huge = Lie::new("a moov of 2^62 bytes", wide(b"moov", 1 << 62), "bytes, more than the limit");
    huge.size = 1 << 63;
    vec![
        huge,
        Lie::new("a moov of 1 GiB", begins(b"moov", 1 << 30), "bytes, more than the limit"),
        Lie::new(
            "a moof of 1 GiB",
            [fragmented.clone(), begins(b"moof", 1 << 30)].concat(),
            "bytes, more than the limit",
        ),
        Lie::new("2^32 sizes alike", moov(&[trak(1, &alike(ALL))]), "samples, more than the limit"),
        Lie::new("2^32 sizes", but(full(*b"stsz", &[0, ALL])), "claims 4294967295 entries"),
        Lie::new("2^32 sizes of 4 bits", but(full(*b"stz2", &[4, ALL])), "claims 2147483648 entries"),
        Lie::new("2^32 runs of durations", but(full(*b"stts", &[ALL, 1, 1])), "claims 4294967295 entries"),
        Lie::new("2^32 runs of offsets", but(full(*b"ctts", &[ALL, 1, 1])), "claims 4294967295 entries"),
        Lie::new("2^32 sync samples", but(full(*b"stss", &[ALL, 1])), "claims 4294967295 entries"),
        Lie::new("2^32 runs of chunks", but(full(*b"stsc", &[ALL, 1, 1, 1])), "claims 4294967295 entries"),
        Lie::new("2^32 chunks", but(full(*b"stco", &[ALL, 0])), "claims 4294967295 entries"),
        Lie::new("2^32 edits", list(ALL), "edits, more than the limit"),
        Lie::new(
            "2^32 descriptions",
            moov(&[trak_named(1, b"", &descriptions, &alike(10), &[])]),
            "has no sample description",
        ),
        Lie::new("a run of 2^32 durations", but(full(*b"stts", &[1, ALL, 1])), None),
        Lie::new("durations of centuries", but(full(*b"stts", &[1, ALL, ALL])), "a sample lasts"),
        Lie::new("a chunk of 2^32 samples", but(full(*b"stsc", &[1, 1, ALL, 1])), None),
        Lie::new(
            "2^32 samples of a fragment",
            [fragmented.clone(), traf(1, &[ALL])].concat(),
            "samples more, more than",
        ),
        Lie::new("2^32 samples of no track", [fragmented, traf(9, &[ALL])].concat(), "duration of zero"),
        Lie::new("1001 tracks", moov(&vec![boxed(*b"trak", &[]); 1001]), "tracks, more than the limit"),
        Lie::new("1000 tracks of nothing", moov(&vec![boxed(*b"trak", &[]); 1000]), "has no tkhd"),
        Lie::new("tracks in tracks", moov(&[nested]), "has no tkhd"),
        Lie::new("many boxes", boxed(*b"free", &[]).repeat(5000), "boxes, more than the limit"),
    ]
}

/// Numbers of 32 bits that no table can be packed with.
fn noise(seed: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(seed), |last| {
        let next = last ^ last << 13;
        let next = next ^ next >> 17;
        Some(next ^ next << 5)
    })
}

/// Files that use all that is allowed, and more of it in all than is.
fn everything() -> Vec<Lie> {
    let most = u32::try_from(limits().samples).expect("a small limit");
    let many = most as usize;
    let pairs = |seed, below: u32| words(noise(seed).take(many).flat_map(move |value| [1, value % below]));
    let different = [
        boxed(*b"stts", &[&words([0, most]), &pairs(1, 1 << 30)]),
        boxed(*b"ctts", &[&words([0, most]), &pairs(2, 1 << 30)]),
        boxed(*b"stsz", &[&words([0, 0, most]), &words(noise(3).take(many).map(|value| value % 8000))]),
        boxed(*b"stss", &[&words([0, most / 2]), &words((0..most / 2).map(|i| 2 * i + 1))]),
        full(*b"stsc", &[1, 1, 1, 1]),
        boxed(*b"stco", &[&words([0, most]), &words(noise(4).take(many).map(|value| value >> 1))]),
    ];
    let no_keyframe = || [alike(most), vec![full(*b"stss", &[0])]].concat();
    let fragmented = |traks: Vec<Vec<u8>>| moov(&[vec![mvex()], traks].concat());
    let name = vec![b'n'; 8 << 20];
    let stsd = boxed(*b"stsd", &[&words([0, 1]), &picture()]);
    let padded = [fragmented(vec![trak(1, &alike(0)), boxed(*b"free", &[&vec![0; 30 << 20]])])];
    vec![
        Lie::new("as many samples as may be, alike", moov(&[trak(1, &alike(most))]), None),
        Lie::new("as many in a fragment", [fragmented(vec![trak(1, &alike(0))]), traf(1, &[most])].concat(), None),
        Lie::new("fragments of a sample", [padded.concat(), traf(1, &[1]).repeat(20_000)].concat(), None),
        Lie::new(
            "long names",
            moov(&[trak_named(1, &name, &stsd, &alike(10), &[]), trak_named(2, &name, &stsd, &alike(10), &[])]),
            None,
        ),
        Lie::new("as many samples as may be, all different", moov(&[trak(1, &different)]), None),
        Lie::new(
            "as many without a keyframe in each of 1000 tracks",
            moov(&(1..=1000).map(|id| trak(id, &no_keyframe())).collect::<Vec<_>>()),
            "samples, more than the limit",
        ),
        Lie::new(
            "as many in each of 1000 tracks with fragments to come",
            fragmented((1..=1000).map(|id| trak(id, &alike(most))).collect()),
            None,
        ),
    ]
}

#[test]
fn memory_follows_from_the_limits() {
    // What it took to make the files is the test's own. Another thread has memory of its own, of which nothing is used again
    // here, and the peak counts from now on (proc(5)).
    let (claims, everything) = std::thread::spawn(|| (claims(), everything())).join().expect("files");
    std::fs::write("/proc/self/clear_refs", "5").expect("a process may ask that of itself");
    let base = peak() + LITTLE;
    let mut wrong: Vec<_> = claims.iter().filter_map(|lie| lie.wrong_within(base)).collect();
    // Tables of noise take a quarter more than in the file; what is beside them, and the pieces that are read; a fragment,
    // and the reader's copy; and what it becomes.
    let limits = limits();
    let movie = limits.movie_bytes * 5 / 4 + (24 << 20);
    let bound = base + movie + 2 * limits.fragment_bytes + limits.samples * SAMPLE_BYTES;
    wrong.extend(everything.iter().filter_map(|lie| lie.wrong_within(bound)));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
