//! Players of others, on a page of another site: hls.js, shaka-player (HLS and DASH) and dash.js in Chromium, hls.js in
//! Firefox.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use vidstream_tests::clips;
use vidstream_tests::dice::Dice;
use vidstream_tests::judges::playlists::m3u8::Playlist;
use vidstream_tests::judges::{browser, curl, ffmpeg};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

/// What is played: with B-frames and without, exact, odd and variable rates, each codec, several sounds, QuickTime, turned, cut
/// between keyframes, and tracks alone.
fn clips() -> Vec<PathBuf> {
    let kinds = clips::KINDS.iter().filter(|kind| kind.in_chromium && kind.name != "first.mp4").chain(clips::PLAYED);
    kinds.map(|kind| clips::clip(kind.name)).chain([clips::rotated(), clips::cut()]).collect()
}

/// A clip on a server.
struct Shown {
    base: String,
    file: PathBuf,
    /// Times to seek to: in the first segment, in the last, and in three others by chance.
    seeks: Vec<f64>,
    /// When the track begins that begins last.
    start: f64,
    sounds: usize,
    pictures: bool,
}

impl Shown {
    fn upload(server: &Server, person: &Person, file: &Path, start: f64) -> Self {
        let video = person.upload(file, "--wait");
        let base = format!("{}/videos/{}", server.address, id(&video));
        let name = file.to_str().expect("text");
        Self {
            seeks: seeks(&base, start),
            base,
            start,
            sounds: ffmpeg::streams(name, "a"),
            pictures: ffmpeg::streams(name, "v") > 0,
            file: file.to_owned(),
        }
    }

    fn run(&self, player: &str) -> Value {
        json!({ "call": "drive", "player": player, "base": self.base, "seeks": self.seeks, "start": seekable(self.start) })
    }

    /// Panics unless it played as it should.
    fn judge(&self, player: &str, told: &Value) {
        let what = format!("{player} on {:?}, seeks to {:?}: {told:#}", self.file, self.seeks);
        assert_eq!(told["failed"], Value::Null, "{what}");
        let mut errors = told["errors"].as_array().expect("errors").clone();
        // hls.js tells that it jumps to where there is something.
        let jump = |error: &Value| error.as_str().is_some_and(|text| text.starts_with("bufferSeekOverHole"));
        errors.retain(|error| self.start == 0.0 || !jump(error));
        assert!(errors.is_empty(), "{what}");
        assert!(told["advanced"].as_f64() >= Some(0.5), "{what}");
        assert_eq!(told["landed"], json!([true, true, true, true, true]), "{what}");
        assert_eq!(told["again"], true, "{what}");
        let ranges = told["ranges"].as_array().expect("ranges");
        assert_eq!(ranges.len(), 1, "a gap: {what}");
        assert!(ranges[0][0].as_f64() < Some(self.start + 0.06), "a gap at the start: {what}");
        assert_eq!(told["size"][0].as_u64() > Some(0), self.pictures, "{what}");
        assert_eq!(told["sounds"], json!(self.sounds.max(usize::from(player == "hls.js"))), "{what}");
    }
}

/// The first time to seek to where tracks begin at `start`: players that jump there go a tenth of a second further.
fn seekable(start: f64) -> f64 {
    if start > 0.0 { start + 0.15 } else { 0.0 }
}

/// Where to seek in the video at `base`, by the segments of its first variant, whose tracks have all begun at `start`.
fn seeks(base: &str, start: f64) -> Vec<f64> {
    let read = |uri: &str| Playlist::read(curl::get(&format!("{base}/{uri}")).text());
    let variant = read("master.m3u8").variants().into_iter().find_map(|(_, uri)| uri).expect("a variant");
    let entries = read(&variant).entries();
    let lengths: Vec<Duration> = entries.iter().map(|entry| entry.duration.expect("a duration")).collect();
    let mut dice = Dice(lengths.iter().map(|length| u64::from(length.subsec_nanos())).sum::<u64>() + 1);
    let last = lengths.len() - 1;
    let by_chance: Vec<_> = (0..3).map(|_| usize::try_from(dice.roll(lengths.len() as u64)).expect("small")).collect();
    let mut within = |segment: usize| {
        let before: Duration = lengths[..segment].iter().sum();
        let (before, after) = (before.as_secs_f64(), (before + lengths[segment]).as_secs_f64());
        // Not the last fifth: a player may take it for the end.
        let share = f64::from(u32::try_from(dice.roll(800)).expect("small")) / 1000.0;
        before.max(seekable(start)) + (after - before.max(seekable(start))) * share
    };
    [last, by_chance[0], 0, by_chance[1], by_chance[2]].into_iter().map(&mut within).collect()
}

/// Plays a good dozen of clips by each of `players`.
fn assert_play(browser: &str, players: &[&str]) {
    let start = |file: &Path| match file.to_string_lossy() {
        // One is left out of every seventh picture of it, the first among them.
        name if name.ends_with("variable.mp4") => 0.04,
        // It has no edit, and its first picture is shown two later for the sake of those out of order.
        name if name.ends_with("fragmented.mp4") => 0.08,
        _ => 0.0,
    };
    let clips: Vec<_> = clips().into_iter().map(|file| (file.clone(), start(&file))).collect();
    assert!(clips.len() > 12, "a good dozen");
    assert_clips_play(browser, players, &clips);
}

/// Plays `clips`, whose tracks have all begun at the time given with each.
fn assert_clips_play(browser: &str, players: &[&str], clips: &[(PathBuf, f64)]) {
    let server = Server::with(&["--encode", "none"]);
    let person = Person::of(&server);
    let shown: Vec<_> = clips.iter().map(|(file, start)| Shown::upload(&server, &person, file, *start)).collect();
    let runs: Vec<_> = players.iter().flat_map(|player| shown.iter().map(move |one| (*player, one))).collect();
    let input: Vec<_> = runs.iter().map(|(player, one)| one.run(player)).collect();
    let told = browser::run("players", &json!({ "browser": browser, "runs": input }));
    for ((player, one), told) in runs.iter().zip(told["results"].as_array().expect("results")) {
        one.judge(player, told);
    }
    assert_eq!(told["problems"], json!([]), "the console is clean");
}

#[test]
fn hls_js_plays_in_chromium() {
    assert_play("chromium", &["hls.js"]);
}

#[test]
fn shaka_player_plays_hls_and_dash() {
    assert_play("chromium", &["shaka-player HLS", "shaka-player DASH"]);
}

#[test]
fn dash_js_plays() {
    assert_play("chromium", &["dash.js"]);
}

#[test]
fn hls_js_plays_in_firefox() {
    assert_play("firefox", &["hls.js"]);
}

/// Tracks that start late. Before sound silence is computed, before pictures the first of them is shown, and all begin at
/// zero; so little that nobody notices it (a tenth of a second) is left out, and players begin behind it.
#[test]
fn tracks_that_start_late_play() {
    let clips = clips::LATE.iter().map(|clip| {
        let tenths: u32 =
            clip.name.trim_end_matches(".mp4").rsplit('-').next().expect("tenths").parse().expect("a number");
        (clips::clip(clip.name), if tenths > 1 { 0.0 } else { f64::from(tenths) / 10.0 })
    });
    let clips: Vec<_> = clips.collect();
    assert_clips_play("chromium", &["hls.js", "shaka-player DASH", "dash.js"], &clips);
    assert_clips_play("firefox", &["hls.js"], &clips);
    let filled: Vec<_> = clips.into_iter().filter(|(_, start)| *start == 0.0).collect();
    assert_clips_play("chromium", &["shaka-player HLS"], &filled);
}
