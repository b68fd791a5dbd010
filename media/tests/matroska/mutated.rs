//! Files with bytes changed at random: an index or an error, never a panic, and an index keeps its promises.

use crate::clips::{folder, make};
use vidstream_media::index::MediaIndex;
use vidstream_media::indexer::index_bytes;
use vidstream_media::playable::Playability;
use vidstream_media::presentation::Presentation;

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

fn made(name: &str, told: &[&str]) -> Vec<u8> {
    let picture = ["-f", "lavfi", "-i", "testsrc2=size=32x32:rate=25:duration=1"];
    let sound = ["-f", "lavfi", "-i", "sine=duration=1"];
    let folder = folder();
    std::fs::read(make(folder.path(), name, &[&picture, &sound, told])).expect("the clip")
}

fn changed(original: &[u8], random: &mut Random) -> Vec<u8> {
    const INTERESTING: [u8; 8] = [0, 1, 0x1f, 0x40, 0x7f, 0x80, 0xa3, 0xff];
    let mut file = original.to_vec();
    for _ in 0..=random.below(6) {
        // Half of the changes where the tracks are described.
        let within = if random.below(2) == 0 { file.len().min(700) } else { file.len() };
        let at = random.below(within);
        file[at] = if random.below(2) == 0 { random.next().to_le_bytes()[3] } else { INTERESTING[random.below(8)] };
    }
    if random.below(8) == 0 {
        file.truncate(random.below(file.len()));
    }
    file
}

fn assert_sane(index: MediaIndex) {
    assert!(!index.tracks.is_empty() && !index.duration.is_zero());
    assert_eq!(MediaIndex::decode(&index.encode()).as_ref(), Ok(&index));
    for track in &index.tracks {
        let samples = &track.samples;
        let mut dts = 0;
        for sample in samples.range(0..samples.len()) {
            assert_eq!(sample.dts, dts);
            dts += i64::from(sample.duration);
            assert!(sample.offset + u64::from(sample.size) <= index.file_size);
        }
        assert_eq!(samples.end_dts(), dts);
        assert!(track.edit.delay >= 0 && track.edit.start < track.edit.end.unwrap_or(samples.end_pts()));
    }
    let presentation = Presentation::new(index);
    let _ = Playability::of(&presentation);
    for rendition in presentation.renditions() {
        let _ = rendition.init();
        for number in 1..=u32::try_from(rendition.plan.segments().len()).expect("few") {
            assert!(rendition.segment(number).is_some());
        }
    }
}

#[test]
fn changed_bytes() {
    let h264 = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "9"];
    let vp9 = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"];
    let originals = [
        made("film.mkv", &[&h264[..], &["-c:a", "aac"]].concat()),
        made("flac.mkv", &[&h264[..], &["-c:a", "flac"]].concat()),
        made("live.webm", &[&vp9[..], &["-live", "1", "-cluster_time_limit", "200"]].concat()),
    ];
    for (number, original) in (1..).zip(originals) {
        let mut random = Random(0x5eed * number);
        let (mut indexed, mut refused) = (0, 0);
        for _ in 0..4000 {
            match index_bytes(&changed(&original, &mut random)) {
                Ok(index) => {
                    assert_sane(index);
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
fn noise() {
    let mut random = Random(7);
    for _ in 0..2000 {
        let mut file: Vec<u8> = (0..random.below(4096)).map(|_| random.next().to_le_bytes()[2]).collect();
        if file.len() > 8 {
            file[..4].copy_from_slice(&[0x1a, 0x45, 0xdf, 0xa3]);
        }
        assert!(index_bytes(&file).is_err());
    }
}
