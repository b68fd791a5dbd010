//! Clips whose pictures carry their number and flash where they click: what is shown is the picture of its time, and sound
//! and pictures stay together.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use vidstream_tests::clips;
use vidstream_tests::dice::Dice;
use vidstream_tests::judges::{browser, ffmpeg};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

/// A clip with what is known of its times.
struct Made {
    file: PathBuf,
    /// Pictures and the seconds they take: of a variable rate, those of the grid.
    rate: (u32, u32),
    /// When picture 0 is shown; before that it is a still.
    start: f64,
    /// Whether pictures are left out.
    variable: bool,
}

const H264: &str = "-c:v libx264 -preset ultrafast -bf 2 -g 50 -pix_fmt yuv420p -c:a aac -b:a 96k";

fn made() -> Vec<Made> {
    let clip = |name: &str, rate, every, (late, start): (&str, f64), more: &str| Made {
        file: clips::barcode(name, rate, every, late, more),
        rate,
        start,
        variable: more.contains("select="),
    };
    let prompt = ("", 0.0);
    // Pictures that flash stay.
    let variable = format!("-vf select='not(mod(n,25))+mod(n,7)*mod(n+1,5)*mod(n,3)' -fps_mode vfr {H264}");
    vec![
        clip("barcode.mp4", (25, 1), 25, prompt, H264),
        clip("barcode-plain.mov", (25, 1), 25, prompt, &format!("{H264} -bf 0")),
        clip("barcode-ntsc.mp4", (30_000, 1001), 30, prompt, H264),
        clip("barcode-variable.mp4", (25, 1), 25, prompt, &variable),
        clip(
            "barcode-vp9.mp4",
            (25, 1),
            25,
            prompt,
            "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 50 -pix_fmt yuv420p -c:a libopus",
        ),
        clip("barcode-late.mp4", (25, 1), 25, ("-itsoffset 3", 3.0), &format!("{H264} -fps_mode vfr -t 12")),
    ]
}

impl Made {
    fn time_of(&self, number: f64) -> f64 {
        self.start + number * f64::from(self.rate.1) / f64::from(self.rate.0)
    }

    /// Times to seek to, by chance, from zero to shortly before the end.
    fn seeks(&self) -> Vec<f64> {
        let mut dice = Dice(u64::from(self.rate.0) + 7);
        let mut by_chance = || f64::from(u32::try_from(dice.roll(11_500)).expect("small")) / 1000.0;
        (0..10).map(|_| by_chance()).collect()
    }

    /// Numbers of the pictures that a seek to `target` may show: the last one that is not later. Where pictures are left out,
    /// Chromium goes by durations in the order of decoding, as in a plain file, and may show another one nearby.
    fn shown_at(&self, target: f64) -> Vec<f64> {
        let kept = |number: &u32| {
            !self.variable || number.is_multiple_of(25) || number % 7 * ((number + 1) % 5) * (number % 3) > 0
        };
        let all: Vec<f64> = (0..600).filter(kept).map(f64::from).collect();
        // Times of media are rounded, down or up.
        let not_later = |by: f64| all.partition_point(|number| self.time_of(*number) <= target + by).saturating_sub(1);
        let around = if self.variable { 3 } else { 0 };
        all[not_later(-0.001).saturating_sub(around)..=not_later(0.001) + around].to_vec()
    }

    /// Panics unless a seek shows the picture of its time, and, where the browser can tell, each picture has its media time.
    fn judge(&self, player: &str, browser: &str, told: &Value) {
        let what = format!("{player} in {browser} on {:?}: {told:#}", self.file);
        assert_eq!((&told["failed"], &told["errors"]), (&Value::Null, &json!([])), "{what}");
        let value = |seen: &Value, name: &str| seen[name].as_f64().unwrap_or_else(|| panic!("{name}: {what}"));
        let list = |name: &str| told[name].as_array().unwrap_or_else(|| panic!("{name}: {what}"));
        let (playing, sought) = (list("playing"), list("sought"));
        for seen in sought {
            let shown = value(seen, "number");
            assert!(self.shown_at(value(seen, "target")).contains(&shown), "{seen} of {what}");
        }
        // Firefox says where it was told to go instead, and draws the picture before while it plays.
        if browser == "firefox" {
            return;
        }
        for seen in playing.iter().chain(sought) {
            let (number, timestamp) = (value(seen, "number"), value(seen, "timestamp"));
            let of_still = number == 0.0 && timestamp < self.start;
            assert!(of_still || (timestamp - self.time_of(number)).abs() < 0.001, "{seen} of {what}");
        }
        // The callback's time is that of the picture taken, unless the next one came in between.
        let same = |seen: &&Value| (value(seen, "mediaTime") - value(seen, "timestamp")).abs() < 0.000_01;
        assert!(sought.iter().all(|seen| same(&seen)), "{what}");
        assert!(playing.iter().filter(same).count() * 2 > playing.len(), "{what}");
    }
}

/// Shows every clip by `players` in `browser`.
fn assert_shown(browser: &str, players: &[&str]) {
    let server = Server::start();
    let person = Person::of(&server);
    let made = made();
    let upload = |made: &Made| format!("{}/videos/{}", server.address, id(&person.upload(&made.file, "--wait")));
    let bases: Vec<_> = made.iter().map(upload).collect();
    let runs = players.iter().flat_map(|player| made.iter().zip(&bases).map(move |(made, base)| (*player, made, base)));
    let runs: Vec<_> = runs.collect();
    let input = |(player, made, base): &(&str, &Made, &String)| json!({ "call": "barcodes", "player": player, "base": base, "seeks": made.seeks(), "start": made.start });
    let input: Vec<_> = runs.iter().map(input).collect();
    let told = browser::run("players", &json!({ "browser": browser, "runs": input }));
    for ((player, made, _), told) in runs.iter().zip(told["results"].as_array().expect("results")) {
        made.judge(player, browser, told);
    }
}

#[test]
fn media_time_is_the_pictures_in_chromium() {
    assert_shown("chromium", &["hls.js", "shaka-player DASH"]);
}

#[test]
fn seeks_show_the_picture_of_their_time_in_firefox() {
    assert_shown("firefox", &["hls.js"]);
}

/// When the pictures flash.
fn flashes(input: &str) -> Vec<f64> {
    let filter = "crop=300:60:10:110,signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-";
    let bright = ffmpeg::measured(input, "v:0", filter).into_iter().filter(|(_, level)| *level > 128.0);
    bright.map(|(time, _)| time).collect()
}

/// When it clicks, to the millisecond: where sound is loud after half a second that was not.
fn clicks(input: &str) -> Vec<f64> {
    let filter =
        "asetnsamples=n=48,astats=metadata=1:reset=1,ametadata=print:key=lavfi.astats.Overall.Peak_level:file=-";
    let loud = ffmpeg::measured(input, "a:0", filter).into_iter().filter(|(_, level)| *level > -12.0);
    let mut clicks: Vec<f64> = Vec::new();
    let mut last = f64::NEG_INFINITY;
    for (time, _) in loud {
        if time > last + 0.5 {
            clicks.push(time);
        }
        last = time;
    }
    clicks
}

/// Each of `some` that has one of `others` within half a second, with the distance to it.
fn distances(some: &[f64], others: &[f64]) -> Vec<f64> {
    let nearest = |one: &f64| others.iter().map(|other| one - other).min_by(|a, b| a.abs().total_cmp(&b.abs()));
    some.iter().filter_map(nearest).filter(|distance| distance.abs() < 0.5).collect()
}

fn assert_together(input: &str, file: &Path) {
    let name = file.to_str().expect("text");
    let (flashes_of_file, clicks_of_file) = (flashes(name), clicks(name));
    let (flashes, clicks) = (flashes(input), clicks(input));
    let what = format!("{input} of {name}: flashes {flashes:?}, clicks {clicks:?}");
    for (ours, original) in [(&flashes, &flashes_of_file), (&clicks, &clicks_of_file)] {
        // The first click lies in what ffmpeg trims in a file only.
        assert!(ours.len() >= 9 && ours.len().abs_diff(original.len()) <= 1, "{what}, not {original:?}");
        let off = distances(ours, original);
        assert!(off.len() + 1 >= ours.len() && off.iter().all(|off| off.abs() < 0.001_5), "{what}, not {original:?}");
    }
    let apart = distances(&flashes, &clicks);
    assert!(apart.len() >= 8, "{what}");
    assert!(apart.iter().all(|apart| apart.abs() < 0.010), "{what}: {apart:?} apart");
}

#[test]
fn clicks_come_with_flashes() {
    let server = Server::start();
    let person = Person::of(&server);
    for made in made() {
        let base = format!("{}/videos/{}", server.address, id(&person.upload(&made.file, "--wait")));
        for name in ["master.m3u8", "manifest.mpd"] {
            assert_together(&format!("{base}/{name}"), &made.file);
        }
    }
}
