//! What becomes of every MP4 and MOV of the corpus: the table is `tests/verdicts.tsv`.
//!
//! Verdicts: `ready`, `warned` (ready, with these warnings), `failed` (with these words), `refused` (never uploaded). How
//! what plays is judged: `exact` (packets, times and frames of playlist and manifest against the file), `file` (not
//! packaged: the original itself is offered), or a reason why ffmpeg is no judge of the file, after `not by ffmpeg:`; then the
//! times of its pictures are worked out from its tables.

use crate::playback::assert_same;
use std::collections::BTreeSet;
use vidstream_tests::clips;
use vidstream_tests::judges::written::{self, Pictures};
use vidstream_tests::judges::{curl, ffmpeg};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

const TABLE: &str = include_str!("../../verdicts.tsv");
const KINDS: [&str; 5] = ["mp4", "mov", "m4a", "m4v", "MOV"];

struct Row<'a> {
    file: &'a str,
    verdict: &'a str,
    words: &'a str,
    judged: &'a str,
}

fn rows() -> Vec<Row<'static>> {
    let row = |line: &'static str| {
        let fields: Vec<_> = line.split('\t').collect();
        let [file, verdict, words, judged] = fields[..] else { panic!("four fields: {line}") };
        Row { file, verdict, words, judged }
    };
    TABLE.lines().skip(1).map(row).collect()
}

#[test]
fn every_file_of_the_corpus_has_its_verdict() {
    let there: BTreeSet<String> = ["good", "quirk", "bad", "attack"]
        .iter()
        .flat_map(|folder| clips::all_of_corpus(folder, "").into_iter().map(move |file| (folder, file)))
        .filter(|(_, file)| file.extension().is_some_and(|kind| KINDS.iter().any(|known| kind == *known)))
        .map(|(folder, file)| format!("{folder}/{}", file.file_name().expect("a name").to_string_lossy()))
        .collect();
    if there.is_empty() {
        return;
    }
    let told: BTreeSet<String> = rows().iter().map(|row| row.file.to_owned()).collect();
    assert_eq!(told, there, "a row a file");
    // As it is: what is encoded besides is another table's.
    let server = Server::with(&["--encode", "none"]);
    let wrong: Vec<String> = rows().iter().filter_map(|row| check(&server, row).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether the file of `row` ends as the table says.
fn check(server: &Server, row: &Row<'_>) -> Result<(), String> {
    let path = clips::of_corpus(row.file).expect("it is there");
    let (_, out, errors) =
        Person::of(server).run(&["--output", "json", "upload", "--wait", path.to_str().expect("text")]);
    let wrong = |what: String| Err(format!("{}: {what}", row.file));
    if row.verdict == "refused" {
        return if errors.contains(row.words) { Ok(()) } else { wrong(errors) };
    }
    let Ok(video) = serde_json::from_str::<serde_json::Value>(out.trim()) else { return wrong(errors) };
    let codes: BTreeSet<_> =
        video["warnings"].as_array().into_iter().flatten().filter_map(|warning| warning["code"].as_str()).collect();
    let failure = video["failure"].as_str().unwrap_or_default();
    let verdict = match (video["state"].as_str(), codes.is_empty()) {
        (Some("VIDEO_STATE_READY"), true) => "ready",
        (Some("VIDEO_STATE_READY"), false) => "warned",
        (Some("VIDEO_STATE_FAILED"), _) => "failed",
        _ => return wrong(video.to_string()),
    };
    let expected: BTreeSet<_> = row.words.split_whitespace().collect();
    let words_fit = if verdict == "failed" { failure.contains(row.words) } else { codes == expected };
    if verdict != row.verdict || !words_fit {
        return wrong(format!("{verdict}, {codes:?}, {failure:?}"));
    }
    // All that is wrong is wanted in one run, not the first of it.
    std::panic::catch_unwind(|| judge(server, row, &path, &video)).or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "it panicked".to_owned());
        wrong(said)
    })
}

fn judge(server: &Server, row: &Row<'_>, path: &std::path::Path, video: &serde_json::Value) {
    let original = format!("{}/videos/{}/source", server.address, id(video));
    let master = format!("{}/videos/{}/master.m3u8", server.address, id(video));
    match row.judged {
        "exact" => assert_same(server, id(video), path),
        "file" => {
            assert_eq!(curl::get(&master).status, 404, "{}", row.file);
            assert_eq!(curl::get(&original).body, std::fs::read(path).expect("readable"), "{}", row.file);
        }
        "-" => assert_eq!(row.verdict, "failed", "{}", row.file),
        reason => {
            assert!(reason.starts_with("not by ffmpeg: "), "{}: {reason}", row.file);
            for name in ["master.m3u8", "manifest.mpd"] {
                let played = format!("{}/videos/{}/{name}", server.address, id(video));
                assert_as_written(&ffmpeg::times(&played, "v:0"), &written::pictures(path), row.file);
            }
        }
    }
}

/// Whether the packets at `times` are the pictures of a file: those before its edit within the first millisecond, as far as
/// others need them; then each in the edit at its time, all later by less than a millisecond; behind its end only what one
/// in it needs.
fn assert_as_written(times: &[String], written: &Pictures, file: &str) {
    let mut found: Vec<f64> = times.iter().map(|time| time.parse().expect("a time")).collect();
    found.sort_by(f64::total_cmp);
    let all = || written.times.iter().copied().enumerate();
    let first_shown = all().position(|(_, time)| time >= 0.0).expect("a picture is shown");
    let from = written.keys[..=first_shown].iter().rposition(|key| *key).expect("it begins with a key");
    let to = all().filter(|(_, time)| *time < written.end).map(|(at, _)| at).max().expect("a picture is shown");
    let before = (from..=to).filter(|at| written.times[*at] < 0.0).count();
    let mut expected: Vec<f64> = (from..=to).map(|at| written.times[at]).filter(|time| *time >= 0.0).collect();
    expected.sort_by(f64::total_cmp);
    assert_eq!(found.len(), before + expected.len(), "{file}: {found:?} for {expected:?}");
    assert!(found[..before].iter().all(|time| (0.0..0.001).contains(time)), "{file}: {before} before, {found:?}");
    let late = found[before] - expected[0];
    for (found, expected) in found[before..].iter().zip(&expected) {
        // Six digits are printed.
        assert!(
            (0.0..0.001).contains(&late) && (found - expected - late).abs() < 2e-6,
            "{file}: {found} for {expected}"
        );
    }
}

/// What is judged by the tables alone is judged: a picture at another's time, one too few and one too many are found.
#[test]
fn pictures_off_their_times_are_found() {
    // The edit begins between the second and the third picture, and the last one is behind its end.
    let written = Pictures {
        times: vec![-0.08, 0.0, -0.04, 0.04, 0.08],
        keys: vec![true, false, false, false, false],
        end: 0.08,
    };
    let holds = |times: &[&str]| {
        let times: Vec<String> = times.iter().map(ToString::to_string).collect();
        std::panic::catch_unwind(|| assert_as_written(&times, &written, "made up")).is_ok()
    };
    assert!(holds(&["0.000000", "0.000400", "0.000200", "0.040400"]));
    assert!(!holds(&["0.000000", "0.000400", "0.000200", "0.041400"]), "late");
    assert!(!holds(&["0.000000", "0.002000", "0.000200", "0.042000"]), "all are too late");
    assert!(!holds(&["0.000400", "0.000200", "0.040400"]), "one is missing");
    assert!(!holds(&["0.000000", "0.000400", "0.000200", "0.040400", "0.080400"]), "nobody needs the last one");
    assert!(!holds(&["0.000000", "0.000400", "0.020000", "0.040400"]), "it was to be squeezed");
}
