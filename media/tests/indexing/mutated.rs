//! Files with bytes changed at random: an index or an error, never a panic, and an index keeps its promises.

use crate::clips::{folder, make};
use vidstream_media::index::MediaIndex;
use vidstream_media::mp4::{IndexError, Indexer, Limits, Step, index_bytes};

/// xorshift64*: the same changes in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("below a size")
    }
}

fn clip() -> Vec<u8> {
    made("tiny.mp4", &["-c:a", "aac", "-movflags", "+faststart"])
}

fn made(name: &str, told: &[&str]) -> Vec<u8> {
    let picture = ["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=1"];
    let sound = ["-f", "lavfi", "-i", "sine=duration=1"];
    let coding = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "9"];
    let folder = folder();
    std::fs::read(make(folder.path(), name, &[&picture, &sound, &coding, told])).expect("the clip")
}

/// A file and the parts of it that say where its samples are.
struct Original {
    file: Vec<u8>,
    headers: Vec<usize>,
}

impl Original {
    fn new(file: Vec<u8>) -> Self {
        let (mut headers, mut at) = (Vec::new(), 0);
        while let Some(head) = file.get(at..at + 8) {
            let size = u32::from_be_bytes(head[..4].try_into().expect("four bytes")) as usize;
            let end = if &head[4..] == b"mdat" { at + 8 } else { at + size };
            headers.extend(at..end);
            at += size;
        }
        Self { file, headers }
    }

    fn changed(&self, random: &mut Random) -> Vec<u8> {
        const INTERESTING: [u8; 6] = [0, 1, 2, 0x7f, 0x80, 0xff];
        let mut file = self.file.clone();
        for _ in 0..=random.below(4) {
            let at = self.headers[random.below(self.headers.len())];
            file[at] = if random.below(2) == 0 { random.next().to_le_bytes()[3] } else { INTERESTING[random.below(6)] };
        }
        // Some are cut off, too.
        if random.below(8) == 0 {
            file.truncate(random.below(file.len()));
        }
        file
    }
}

fn assert_sane(index: &MediaIndex) {
    assert!(!index.tracks.is_empty() && !index.duration.is_zero());
    assert_eq!(MediaIndex::decode(&index.encode()).as_ref(), Ok(index));
    for track in &index.tracks {
        let samples = &track.samples;
        let mut dts = 0;
        for sample in samples.range(0..samples.len()) {
            assert_eq!(sample.dts, dts);
            dts += i64::from(sample.duration);
            assert!(sample.size == 0 || sample.offset + u64::from(sample.size) <= index.file_size);
        }
        assert_eq!(samples.end_dts(), dts);
        assert!(!samples.is_empty() && samples.sync_samples().next().is_some());
        assert!(track.edit.start < track.edit.end.unwrap_or(samples.end_pts()));
        assert!(samples.memory() <= 2_000_000, "{} bytes", samples.memory());
    }
}

#[test]
fn changed_bytes() {
    let fragments = "frag_keyframe+empty_moov+default_base_moof";
    let originals = [
        clip(),
        made("fragments.mp4", &["-c:a", "aac", "-movflags", fragments]),
        made("legacy.mp4", &["-c:a", "aac", "-movflags", "frag_every_frame"]),
        made("pcm.mov", &["-c:a", "pcm_s16le"]),
        made("ac3.mov", &["-c:a", "ac3"]),
    ];
    for (number, original) in (1..).zip(originals.map(Original::new)) {
        let mut random = Random(0x5eed * number);
        let (mut indexed, mut refused) = (0, 0);
        for _ in 0..4000 {
            match index_bytes(&original.changed(&mut random)) {
                Ok(index) => {
                    assert_sane(&index);
                    indexed += 1;
                }
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    refused += 1;
                }
            }
        }
        assert!(indexed > 300 && refused > 100, "{number}: {indexed} indexed, {refused} refused");
    }
}

#[test]
fn cut_anywhere() {
    let original = clip();
    for len in (0..original.len()).step_by(7) {
        let error = index_bytes(&original[..len]).expect_err("a truncated file is no file");
        let expected = matches!(error, IndexError::Empty | IndexError::Truncated { .. } | IndexError::NoMovie { .. })
            || (len < 8 && matches!(error, IndexError::NotMp4 { .. }));
        assert!(expected, "cut at {len}: {error}");
    }
}

#[test]
fn noise() {
    let mut random = Random(7);
    for _ in 0..2000 {
        let mut file: Vec<u8> = (0..random.below(4096)).map(|_| random.next().to_le_bytes()[2]).collect();
        if file.len() > 8 {
            file[..8].copy_from_slice(b"\0\0\0\x10ftyp");
        }
        assert!(index_bytes(&file).is_err());
    }
}

#[test]
fn only_headers_and_the_index_are_read() {
    let picture = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=4"];
    let folder = folder();
    let path = make(folder.path(), "last.mp4", &[&picture, &["-c:v", "libx264", "-preset", "ultrafast", "-qp", "10"]]);
    let file = std::fs::read(path).expect("the clip");
    let mut indexer = Indexer::new(file.len() as u64, Limits::default());
    let (mut asked, mut bytes): (Vec<_>, &[u8]) = (Vec::new(), &[]);
    while let Step::Need(range) = indexer.step(bytes).expect("an index") {
        let at = |offset| usize::try_from(offset).unwrap();
        bytes = &file[at(range.start)..at(range.end)];
        asked.push(range);
    }
    let moov = file.windows(4).rposition(|w| w == b"moov").expect("an index") - 4;
    let moov_size = u64::from(u32::from_be_bytes(file[moov..moov + 4].try_into().unwrap()));
    let read: u64 = asked.iter().map(|range| range.end - range.start).sum();
    assert!(read <= moov_size + 2 * 4096, "{read} of {} bytes read: {asked:?}", file.len());
    assert!(asked.len() <= 3, "{asked:?}");
}
