//! What ffprobe reads out of a file, beside what we do.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use vidstream_media::codec::Codec;
use vidstream_media::index::MediaIndex;
use vidstream_media::mp4::{self, IndexError};
use vidstream_media::track::{Rotation, Sample, Track, TrackKind};

/// A packet as ffprobe shows it, edit lists ignored.
struct Packet {
    pts: i64,
    dts: i64,
    size: u32,
    offset: u64,
    sync: bool,
}

/// The index of the file at `path`.
pub fn index(path: &Path) -> Result<MediaIndex, IndexError> {
    mp4::index_bytes(&std::fs::read(path).expect("the file"))
}

/// Indexes `path` and compares every sample of every track with what ffprobe shows.
pub fn same_as_ffprobe(path: &Path) -> MediaIndex {
    let name = path.display();
    let index = index(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let probed = probe(path);
    let fragmented = std::fs::read(path).expect("the file").windows(4).any(|four| four == b"moof");
    for track in &index.tracks {
        let what = format!("{name}, track {}", track.id);
        let stream = stream(&probed, track).unwrap_or_else(|| panic!("{what} is not there for ffprobe"));
        assert_format(&what, track, stream);
        if matches!(track.codec, Codec::Pcm { .. }) {
            assert_runs(&what, track, &packets(&probed, stream));
            continue;
        }
        assert_samples(&what, track, &packets(&probed, stream), fragmented);
    }
    assert_eq!(MediaIndex::decode(&index.encode()).as_ref(), Ok(&index), "{name}: stored and opened");
    index
}

fn probe(path: &Path) -> Value {
    let out = Command::new("ffprobe")
        .args(["-v", "error", "-ignore_editlist", "1", "-show_streams", "-show_packets", "-of", "json"])
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .expect("ffprobe runs");
    assert!(out.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).expect("JSON")
}

fn stream<'p>(probed: &'p Value, track: &Track) -> Option<&'p Value> {
    let id = format!("0x{:x}", track.id);
    probed["streams"].as_array()?.iter().find(|stream| stream["id"] == id.as_str())
}

fn packets(probed: &Value, stream: &Value) -> Vec<Packet> {
    let whole = |value: &Value| value.as_i64().expect("a number");
    let text = |value: &Value| value.as_str().expect("a text").parse::<u64>().expect("a number");
    let all = probed["packets"].as_array().expect("packets");
    let mine = all.iter().filter(|packet| packet["stream_index"] == stream["index"]);
    mine.map(|packet| Packet {
        pts: whole(&packet["pts"]),
        dts: whole(&packet["dts"]),
        size: u32::try_from(text(&packet["size"])).expect("a size"),
        offset: text(&packet["pos"]),
        sync: packet["flags"].as_str().expect("flags").starts_with('K'),
    })
    .collect()
}

fn assert_format(what: &str, track: &Track, stream: &Value) {
    assert_eq!(stream["time_base"], format!("1/{}", track.timescale.get()), "{what}");
    assert_codec(what, &track.codec, stream);
    match &track.kind {
        TrackKind::Video(video) => {
            let size = (stream["width"].as_u64(), stream["height"].as_u64());
            assert_eq!(size, (Some(video.width.into()), Some(video.height.into())), "{what}");
            let turned =
                stream["side_data_list"].as_array().and_then(|list| list.iter().find_map(|d| d["rotation"].as_i64()));
            let expected = match video.rotation {
                Rotation::None => [0, 0],
                Rotation::Quarter => [-90, -90],
                Rotation::Half => [180, -180],
                Rotation::ThreeQuarters => [90, 90],
            };
            assert!(expected.contains(&turned.unwrap_or(0)), "{what}: {:?} is {turned:?}", video.rotation);
        }
        TrackKind::Audio(audio) => {
            assert_eq!(stream["sample_rate"], audio.sample_rate.to_string(), "{what}");
            // Nothing but its frames knows how many MP3 has.
            assert!(track.codec == Codec::Mp3 || stream["channels"] == audio.channels, "{what}: {stream}");
        }
    }
}

/// The codec, and what its string says of profile and level in the forms that ffprobe has.
fn assert_codec(what: &str, codec: &Codec, stream: &Value) {
    let text = codec.codec_string();
    let parts: Vec<&str> = text.split('.').collect();
    let number = |text: &str, radix| i64::from_str_radix(text, radix).expect("a number");
    let (name, level) = match codec {
        Codec::H264 { .. } => ("h264", Some(number(&parts[1][4..], 16))),
        Codec::Hevc { .. } => ("hevc", Some(number(&parts[3][1..], 10))),
        Codec::Vp9 { .. } => ("vp9", None),
        Codec::Av1 { .. } => ("av1", Some(number(&parts[2][..2], 10))),
        Codec::Aac { .. } => ("aac", None),
        Codec::Opus { .. } => ("opus", None),
        Codec::Flac { .. } => ("flac", None),
        Codec::Mp3 => ("mp3", None),
        Codec::Ac3 { .. } => ("ac3", None),
        Codec::Eac3 { .. } => ("eac3", None),
        Codec::Pcm { .. } => {
            assert!(stream["codec_name"].as_str().expect("a name").starts_with("pcm_"), "{what}");
            return;
        }
        Codec::Foreign { entry } => {
            let decoders = entry.first_chunk().and_then(vidstream_media::codec::foreign::decoders).expect("known");
            let name = stream["codec_name"].as_str().expect("a name");
            let name = name.strip_prefix("amr_").map_or_else(|| name.to_owned(), |band| format!("amr{band}"));
            assert!(decoders.split(',').any(|decoder| decoder == name), "{what}: {name} is none of {decoders}");
            return;
        }
    };
    assert_eq!(stream["codec_name"], name, "{what}");
    if let Some(level) = level {
        // ffprobe gives level 1b of H.264 as 9 too, and has none of AV1 where no decoder ran.
        assert!(stream["level"] == level || stream["level"] == -99, "{what}: {text}, level {}", stream["level"]);
    }
}

/// ffprobe cuts uncompressed sound as it likes: what is compared is where it lies and how long it is.
fn assert_runs(what: &str, track: &Track, packets: &[Packet]) {
    let mut places: Vec<std::ops::Range<u64>> = Vec::new();
    for packet in packets {
        let end = packet.offset + u64::from(packet.size);
        match places.last_mut() {
            Some(last) if last.end == packet.offset => last.end = end,
            _ => places.push(packet.offset..end),
        }
    }
    let mut found: Vec<std::ops::Range<u64>> = Vec::new();
    for sample in track.samples.range(0..track.samples.len()) {
        let end = sample.offset + u64::from(sample.size);
        match found.last_mut() {
            Some(last) if last.end == sample.offset => last.end = end,
            _ => found.push(sample.offset..end),
        }
    }
    assert_eq!(found, places, "{what}: places of its sound");
    let TrackKind::Audio(format) = track.kind else { panic!("{what} is no sound") };
    let bytes: u64 = places.iter().map(|place| place.end - place.start).sum();
    let frame = bytes / u64::try_from(track.samples.end_dts()).expect("a time");
    assert!(frame.is_multiple_of(format.channels.into()) && frame > 0, "{what}: {frame} bytes a frame");
}

fn assert_samples(what: &str, track: &Track, packets: &[Packet], fragmented: bool) {
    let samples: Vec<Sample> = track.samples.range(0..track.samples.len()).collect();
    assert_eq!(samples.len(), packets.len(), "{what}: samples");
    // ffprobe shifts all decode times alike where composition offsets are negative.
    let shift = packets.first().map_or(0, |first| first.dts);
    let shown = |sample: &Sample| sample.dts + i64::from(sample.cts);
    // Those of fragments count on their own clock.
    let late = samples.first().zip(packets.first()).map_or(0, |(sample, packet)| packet.pts - shown(sample));
    assert!(fragmented || late == 0, "{what}: ffprobe shows the first sample {late} ticks later");
    for (i, (sample, packet)) in samples.iter().zip(packets).enumerate() {
        let found = (shown(sample) + late, sample.dts + shift, sample.size, sample.offset, sample.sync);
        let expected = (packet.pts, packet.dts, packet.size, packet.offset, packet.sync);
        assert_eq!(found, expected, "{what}: presentation, decode time, size, offset, sync of sample {i}");
        assert_eq!(track.samples.get(i), Some(*sample), "{what}: sample {i} alone");
    }
}
