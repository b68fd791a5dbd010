//! Whether an index, and what is packaged from it, say the same as ffprobe and ffmpeg do of the file.

use crate::clips::folder;
use crate::judge;
use crate::written::{presentation, write};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use vidstream_media::index::MediaIndex;
use vidstream_media::indexer::index_bytes;
use vidstream_media::presentation::Presentation;
use vidstream_media::track::{Track, TrackKind};

/// Times in Matroska are rounded to a millisecond: so is the one that sound is counted from, the one that is compared, and the
/// one that the file's begin is taken for. So many microseconds may two times differ.
const ROUNDING: i64 = 1_600;

/// A packet as ffprobe shows it.
struct Packet {
    micros: i64,
    size: u32,
    sync: bool,
    sum: u32,
}

/// Indexes `path` and compares every sample of every track with what ffprobe shows.
pub fn same_index(path: &Path) -> MediaIndex {
    let name = path.display();
    let file = std::fs::read(path).expect("the file");
    let index = index_bytes(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
    let probed = probe(path);
    // The presentation begins with the first track, wherever that is on the file's clock.
    let mut shift = None;
    for track in &index.tracks {
        let what = format!("{name}, track {}", track.id);
        let stream = &probed["streams"][track.id as usize - 1];
        assert_format(&what, track, stream);
        let packets = packets(&probed, stream);
        assert_eq!(track.samples.len(), packets.len(), "{what}: samples");
        let mut dts = 0;
        for (i, (sample, packet)) in track.samples.range(0..packets.len()).zip(&packets).enumerate() {
            assert_eq!(sample.dts, dts, "{what}: decode times touch");
            assert!(sample.cts >= 0, "{what}: decoded before it is shown");
            dts += i64::from(sample.duration);
            let at = usize::try_from(sample.offset).expect("small");
            let found = (sample.size, sample.sync, adler32(&file[at..at + sample.size as usize]));
            assert_eq!(found, (packet.size, packet.sync, packet.sum), "{what}: size, keyframe, bytes of sample {i}");
            let shown = sample.dts + i64::from(sample.cts) - track.edit.start + track.edit.delay;
            let shown = shown * 1_000_000 / i64::from(track.timescale.get());
            let shift = *shift.get_or_insert(packet.micros - shown);
            let apart = packet.micros - shown - shift;
            assert!(apart.abs() <= ROUNDING, "{what}: sample {i} is {apart} µs off");
        }
    }
    assert_eq!(MediaIndex::decode(&index.encode()).as_ref(), Ok(&index), "{name}: stored and opened");
    index
}

fn probe(path: &Path) -> Value {
    let out = Command::new("ffprobe")
        .args(["-v", "quiet", "-show_streams", "-show_packets", "-show_data_hash", "adler32", "-of", "json"])
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .expect("ffprobe runs");
    serde_json::from_slice(&out.stdout).expect("JSON")
}

fn packets(probed: &Value, stream: &Value) -> Vec<Packet> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let all = probed["packets"].as_array().expect("packets");
    let mine = all.iter().filter(|packet| packet["stream_index"] == stream["index"]);
    mine.map(|packet| Packet {
        micros: micros(&text(&packet["pts_time"])),
        size: text(&packet["size"]).parse().expect("a size"),
        sync: text(&packet["flags"]).starts_with('K'),
        sum: u32::from_str_radix(text(&packet["data_hash"]).trim_start_matches("adler32:"), 16).expect("a sum"),
    })
    .collect()
}

/// Adler-32 (RFC 1950 §8.2).
fn adler32(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1, 0), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    high << 16 | low
}

/// Seconds with at most six decimals in microseconds.
fn micros(seconds: &str) -> i64 {
    let (sign, seconds) = seconds.strip_prefix('-').map_or((1, seconds), |rest| (-1, rest));
    let (whole, decimals) = seconds.split_once('.').unwrap_or((seconds, ""));
    sign * format!("{whole}{decimals:0<6}").parse::<i64>().expect("seconds")
}

fn assert_format(what: &str, track: &Track, stream: &Value) {
    let name = stream["codec_name"].as_str().expect("a name");
    let ours = track.codec.name().replace(['.', '-'], "").to_lowercase();
    assert_eq!(ours, name, "{what}");
    match &track.kind {
        TrackKind::Video(video) => {
            let size = (stream["width"].as_u64(), stream["height"].as_u64());
            assert_eq!(size, (Some(video.width.into()), Some(video.height.into())), "{what}");
            let (across, down) = video.sample_aspect;
            let aspect = stream["sample_aspect_ratio"].as_str().unwrap_or("1:1");
            assert_eq!(format!("{across}:{down}"), aspect, "{what}");
        }
        TrackKind::Audio(audio) => {
            assert_eq!(stream["sample_rate"], audio.sample_rate.to_string(), "{what}");
            assert_eq!(stream["channels"], audio.channels, "{what}");
        }
    }
}

/// Packages `source` and compares what ffmpeg makes of the result with what it makes of the file, but for what fills the wait
/// before a track that starts late.
pub fn same_packaged(source: &Path) -> Presentation {
    let folder = folder();
    let presentation = presentation(source);
    let written = write(&presentation, source, folder.path());
    for output in [&written.master, &written.manifest] {
        // What ffmpeg shows first of the file is the presentation's beginning.
        let mut shift = None;
        for (kind, count) in [('v', presentation.video().into_iter().count()), ('a', presentation.audio().count())] {
            for number in 0..count {
                let stream = format!("{kind}:{number}");
                let what = format!("{} of {}: {stream}", output.display(), source.display());
                let (expected, found) = (judge::packets(source, &stream), judge::packets(output, &stream));
                let filled = found.len().checked_sub(expected.len()).unwrap_or_else(|| panic!("{what}: too few"));
                for (i, (found, expected)) in found[filled..].iter().zip(&expected).enumerate() {
                    assert_eq!((&found.size, &found.hash), (&expected.size, &expected.hash), "{what}: packet {i}");
                    let apart = micros(&expected.time) - micros(&found.time);
                    let off = apart - *shift.get_or_insert(apart);
                    assert!(off.abs() <= ROUNDING, "{what}: packet {i} is {off} µs off");
                }
                let (mut expected, mut found) =
                    (judge::frames_in_micros(source, &stream), judge::frames_in_micros(output, &stream));
                if kind == 'a' {
                    // The first is partly an encoder's priming and the last partly its padding, which ffmpeg trims in a
                    // file only.
                    expected.drain(..2.min(expected.len()));
                    let trimmed = expected.pop().is_some() && found.pop().is_some();
                    assert!(trimmed, "{what}: no sound");
                }
                found.drain(..found.len().checked_sub(expected.len()).unwrap_or_else(|| panic!("{what}: too few")));
                for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    assert_eq!(found.hash, expected.hash, "{what}: frame {i}");
                }
            }
        }
    }
    presentation
}
