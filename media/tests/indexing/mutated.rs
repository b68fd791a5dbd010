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
    let picture = ["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=1"];
    let sound = ["-f", "lavfi", "-i", "sine=duration=1"];
    let coding = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-g", "9"];
    let folder = folder();
    let path = make(folder.path(), "tiny.mp4", &[&picture, &sound, &coding, &["-movflags", "+faststart"]]);
    std::fs::read(path).expect("the clip")
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
    }
}

#[test]
fn changed_bytes() {
    let original = clip();
    let moov = original.windows(4).position(|w| w == b"moov").expect("an index") - 4;
    let mdat = original.windows(4).position(|w| w == b"mdat").expect("media") - 4;
    let mut random = Random(0x5eed);
    let interesting = [0, 1, 2, 0x7f, 0x80, 0xff];
    let (mut indexed, mut refused) = (0, 0);
    for _ in 0..6000 {
        let mut file = original.clone();
        for _ in 0..=random.below(4) {
            let at = moov + random.below(mdat + 8 - moov);
            file[at] = if random.below(2) == 0 { random.next().to_le_bytes()[3] } else { interesting[random.below(6)] };
        }
        match index_bytes(&file) {
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
    assert!(indexed > 500 && refused > 500, "{indexed} indexed, {refused} refused: the changes hit something");
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
