//! What becomes of every MP4 and MOV of the corpus: the table is `tests/verdicts.tsv`.
//!
//! Verdicts: `ready`, `warned` (ready, with these warnings), `failed` (with these words), `refused` (never uploaded). How
//! what plays is judged: `exact` (packets, times and frames of playlist and manifest against the file), `file` (not
//! packaged: the original itself is offered), or a reason why ffmpeg is no judge of the file, after `not by ffmpeg:`.

use crate::playback::assert_same;
use std::collections::BTreeSet;
use vidstream_tests::clips;
use vidstream_tests::judges::curl;
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
    let server = Server::start();
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
            assert_eq!(curl::get(&master).status, 200, "{}", row.file);
        }
    }
}
