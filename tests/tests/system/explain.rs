//! What became of a file and why, as `vidctl explain` tells it.

use serde_json::Value;
use vidstream_tests::clips;
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

/// The ways in which a track is treated, with the codec that comes out.
fn ways(explanation: &Value, track: &str) -> Vec<(String, String)> {
    let tracks = explanation["tracks"].as_array().expect("tracks");
    let track = tracks.iter().find(|told| told["name"] == track).unwrap_or_else(|| panic!("{explanation:#}"));
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let renditions = track["renditions"].as_array().expect("renditions");
    renditions.iter().map(|way| (text(&way["treatment"]), text(&way["codec"]))).collect()
}

fn step<'a>(explanation: &'a Value, stage: &str, track: &str) -> &'a Value {
    let mut steps = explanation["steps"].as_array().expect("steps").iter();
    steps.find(|step| step["stage"] == stage && step["track"] == track).unwrap_or_else(|| panic!("{explanation:#}"))
}

fn seconds(duration: &Value) -> f64 {
    duration.as_str().and_then(|text| text.strip_suffix('s')?.parse().ok()).unwrap_or_else(|| panic!("{duration}"))
}

fn number(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn a_file_that_is_read_encoded_and_copied_is_explained() {
    let clip = clips::made(
        "hevc-mp2.ts",
        "P S -c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=50:open-gop=0 -c:a mp2 -b:a 128k",
    );
    let server = Server::start();
    let person = Person::of(&server);
    let video = person.upload(&clip, "--wait=all");
    let told = person.json(&["explain", id(&video)]).remove(0);
    let file = told["file"].as_str().expect("a sentence");
    assert!(file.contains("MPEG transport stream") && file.contains("ffmpeg reads once"), "{file}");

    let pictures: Vec<_> = ways(&told, "v1");
    let treatments: Vec<_> = pictures.iter().map(|(way, _)| way.as_str()).collect();
    assert_eq!(treatments, ["TREATMENT_NORMALISED", "TREATMENT_REPACKAGED", "TREATMENT_ENCODED"], "{told:#}");
    assert!(pictures[1].1.starts_with("hvc1.") && pictures[2].1.starts_with("avc1."), "{pictures:?}");
    let sound = ways(&told, "a1");
    assert_eq!(sound[0], ("TREATMENT_NORMALISED".to_owned(), "mp4a.40.2".to_owned()), "{told:#}");

    // Each step that ran says how, and what that took.
    let size = std::fs::metadata(&clip).expect("a file").len();
    let normalise = &step(&told, "STAGE_NORMALISE", "")["work"];
    assert_eq!(number(&normalise["bytesIn"]), size, "{normalise:#}");
    for (stage, track, word) in [
        ("STAGE_NORMALISE", "", "mpegts"),
        ("STAGE_ENCODE", "v1", "libx264"),
        ("STAGE_STORYBOARD", "", "rawvideo"),
        ("STAGE_POSTER", "", "rawvideo"),
    ] {
        let step = step(&told, stage, track);
        assert_eq!(step["part"]["state"], "PART_STATE_READY", "{step:#}");
        let arguments = step["work"]["arguments"].as_array().expect("arguments");
        assert!(arguments.iter().any(|argument| argument == word), "{stage}: {step:#}");
        assert!(seconds(&step["work"]["wall"]) > 0.0 && number(&step["work"]["bytesOut"]) > 0, "{step:#}");
    }
    let encode = &step(&told, "STAGE_ENCODE", "v1")["work"];
    // 300 pictures are many ticks of the kernel's clock, however fast the machine is.
    assert!(seconds(&encode["cpu"]) > 0.05, "{encode:#}");

    let (code, text, errors) = person.run(&["explain", id(&video)]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(text.contains("normalised: an MPEG transport stream can't be indexed; its hevc is kept"), "{text}");
    assert!(text.contains("ffmpeg -hide_banner") && text.contains(" of processors, "), "{text}");
}

#[test]
fn a_file_that_plays_as_it_is_and_one_that_does_not() {
    let server = Server::start();
    let person = Person::of(&server);
    let video = person.upload(&clips::clip("first.mp4"), "--wait=all");
    let told = person.json(&["explain", id(&video)]).remove(0);
    for track in ["v1", "a1"] {
        let treatments: Vec<_> = ways(&told, track).into_iter().map(|(way, _)| way).collect();
        assert_eq!(treatments, ["TREATMENT_KEPT", "TREATMENT_REPACKAGED"], "{told:#}");
    }
    let index = step(&told, "STAGE_INDEX", "");
    assert_eq!(index["work"]["arguments"], serde_json::json!([]), "no ffmpeg: {index:#}");
    assert!(number(&index["work"]["bytesIn"]) > 0, "{index:#}");

    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = folder.path().join("notes.mp4");
    std::fs::write(&text, "this is a text file, whatever its name says\n".repeat(100)).expect("written");
    let (_, out, _) = person.run(&["--output", "json", "upload", "--wait", text.to_str().expect("text")]);
    let video: Value = serde_json::from_str(out.trim()).expect("a video");
    let told = person.json(&["explain", id(&video)]).remove(0);
    let part = &step(&told, "STAGE_INDEX", "")["part"];
    assert_eq!((&part["state"], &part["reason"]), (&"PART_STATE_FAILED".into(), &video["failure"]), "{told:#}");
    assert_eq!(step(&told, "STAGE_POSTER", "")["part"]["state"], "PART_STATE_NOT_OFFERED", "{told:#}");
}
