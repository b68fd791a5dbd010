//! Every file people have becomes playable: what can't be indexed is read into what can, what players do not take is
//! encoded. The judge is ffmpeg, behind playlist and manifest.

use std::collections::BTreeSet;
use std::path::Path;
use vidstream_tests::clips;
use vidstream_tests::judges::{curl, ffmpeg};
use vidstream_tests::server::Server;
use vidstream_tests::vidctl::{Person, id};

/// How files of other kinds are made: name, and what ffmpeg makes of four seconds of pictures and sound.
const MADE: [(&str, &str); 12] = [
    ("stream.ts", "-c:v libx264 -pix_fmt yuv420p -g 25 -c:a aac"),
    ("broadcast.ts", "-c:v mpeg2video -b:v 2M -c:a mp2"),
    ("disc.mpg", "-f dvd -c:v mpeg2video -b:v 2M -c:a ac3"),
    ("old.avi", "-c:v mpeg4 -b:v 1M -c:a mp3"),
    ("flash.flv", "-c:v flv -b:v 1M -c:a mp3 -ar 44100"),
    ("windows.wmv", "-c:v wmv2 -b:v 1M -c:a wmav2"),
    ("camera.mxf", "-c:v mpeg2video -b:v 4M -c:a pcm_s16le -ar 48000"),
    ("recorder.webm", "-c:v libvpx -b:v 1M -deadline realtime -c:a libvorbis"),
    ("phone.mp4", "-c:v libx265 -x265-params log-level=none -pix_fmt yuv420p10le -tag:v hvc1 -c:a aac"),
    ("studio.mov", "-c:v prores -c:a pcm_s24le"),
    ("years-ago.mp4", "-c:v mpeg4 -b:v 1M -c:a ac3"),
    (
        "open.mp4",
        "-c:v libx264 -pix_fmt yuv420p -x264-params open-gop=1:keyint=25:min-keyint=25:bframes=3:scenecut=0 -c:a aac",
    ),
];

const SECONDS: f64 = 4.0;
const RATE: f64 = 25.0;
const PICTURES: usize = 100;

fn made(name: &str, coding: &str) -> std::path::PathBuf {
    let input = format!(
        "-f lavfi -i testsrc2=size=320x180:rate={RATE}:duration={SECONDS} -f lavfi -i sine=frequency=440:duration={SECONDS}"
    );
    clips::made(name, &format!("{input} {coding}"))
}

#[test]
fn files_of_every_kind_play_from_beginning_to_end() {
    let server = Server::start();
    for (name, coding) in MADE {
        let file = made(name, coding);
        let video = Person::of(&server).upload(&file, "--wait=all");
        assert_eq!(video["state"], "VIDEO_STATE_READY", "{name}: {video:#}");
        assert_eq!(video["warnings"], serde_json::json!([]), "{name}: {video:#}");
        for part in ["storyboard", "poster"] {
            assert_eq!(video[part]["state"], "PART_STATE_READY", "{name}: {video:#}");
        }
        let players = video["media"]["playsIn"].to_string();
        assert!(players.contains("MSE") && players.contains("AVPLAYER"), "{name}: {video:#}");
        for manifest in ["master.m3u8", "manifest.mpd"] {
            let played = format!("{}/videos/{}/{manifest}", server.address, id(&video));
            let what = format!("{manifest} of {name}");
            let pictures = seconds(&ffmpeg::times(&played, "v:0"));
            let sound = seconds(&ffmpeg::times(&played, "a:0"));
            // One picture each; a container that counts fields or packets may have one more or less at its ends.
            assert!((PICTURES - 1..=PICTURES + 1).contains(&pictures.len()), "{what}: {} pictures", pictures.len());
            let (first, last) = (pictures[0], pictures[pictures.len() - 1]);
            assert!((0.0..=1.0 / RATE).contains(&first), "{what}: begins at {first}");
            assert!((last - first - (SECONDS - 1.0 / RATE)).abs() <= 1.0 / RATE + 0.001, "{what}: {first} to {last}");
            // What an encoder has before the first sound is less than a tenth of a second, and so is what it adds at the end.
            let (begins, ends) = (sound[0], sound[sound.len() - 1]);
            assert!(begins.abs() < 0.1 && (ends - SECONDS).abs() < 0.1, "{what}: sound from {begins} to {ends}");
            assert_eq!(ffmpeg::complaints(&played), "", "{what}");
        }
        // The original stays what it was.
        let original = curl::get(&format!("{}/videos/{}/source", server.address, id(&video)));
        assert_eq!(original.body, std::fs::read(&file).expect("readable"), "{name}");
    }
}

fn seconds(times: &[String]) -> Vec<f64> {
    let mut times: Vec<f64> = times.iter().map(|time| time.parse().expect("a time")).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// Sound and pictures keep step: a flash and a click of the source are as far apart in what is played.
#[test]
fn sound_keeps_step_with_pictures_that_are_encoded() {
    let server = Server::start();
    let input = "-f lavfi -i color=black:size=320x180:rate=25:duration=6,drawbox=color=white:t=fill:enable=between(t\\,3\\,3.2) \
                 -f lavfi -i aevalsrc=if(between(t\\,3\\,3.2)\\,sin(2*PI*1000*t)\\,0):d=6:s=48000";
    for (name, coding) in [
        ("step.ts", "-c:v mpeg2video -c:a mp2"),
        ("step.avi", "-c:v mpeg4 -c:a mp3"),
        ("step.mp4", "-c:v libx265 -x265-params log-level=none -c:a ac3"),
        ("step.webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus"),
    ] {
        let file = clips::made(name, &format!("{input} {coding}"));
        let video = Person::of(&server).upload(&file, "--wait=all");
        for manifest in ["master.m3u8", "manifest.mpd"] {
            let played = format!("{}/videos/{}/{manifest}", server.address, id(&video));
            let (flash, click) = (ffmpeg::flash(&played), ffmpeg::click(&played));
            assert!((flash - 3.0).abs() <= 0.041, "{manifest} of {name}: the flash is at {flash}");
            assert!((click - 3.0).abs() <= 0.041, "{manifest} of {name}: the click is at {click}");
            assert!((flash - click).abs() <= 0.05, "{manifest} of {name}: {flash} and {click}");
        }
    }
}

/// What is encoded is asked for by a setting.
#[test]
fn nothing_is_encoded_that_is_not_asked_for() {
    let file = made("phone.mp4", MADE[8].1);
    let server = Server::with(&["--encode", "needed"]);
    let video = Person::of(&server).upload(&file, "--wait=all");
    assert_eq!(video["encoded"]["state"], "PART_STATE_NOT_OFFERED", "{video:#}");
    assert_eq!(video["warnings"][0]["code"], "CODEC_NOT_EVERYWHERE", "{video:#}");
    let open = made("open.mp4", MADE[11].1);
    let video = Person::of(&server).upload(&open, "--wait=all");
    assert_eq!(video["encoded"]["state"], "PART_STATE_READY", "{video:#}");
    let server = Server::with(&["--encode", "none"]);
    let video = Person::of(&server).upload(&open, "--wait=all");
    assert_eq!(video["encoded"]["state"], "PART_STATE_NOT_OFFERED", "{video:#}");
    assert_eq!(curl::get(&format!("{}/videos/{}/master.m3u8", server.address, id(&video))).status, 404);
}

const TABLE: &str = include_str!("../../everything.tsv");

/// What becomes of every file of the corpus: `tests/everything.tsv`, with the codes of warnings or words of the failure.
#[test]
fn every_file_of_the_corpus_plays_or_says_why_not() {
    let files: Vec<_> = ["good", "quirk", "bad", "attack"]
        .iter()
        .flat_map(|folder| clips::all_of_corpus(folder, "").into_iter().map(move |file| (*folder, file)))
        .filter(|(_, file)| file.extension().is_none_or(|kind| kind != "vtt"))
        .collect();
    if files.is_empty() {
        return;
    }
    let server = Server::start();
    let name = |folder: &str, file: &Path| format!("{folder}/{}", file.file_name().expect("a name").to_string_lossy());
    let told: BTreeSet<&str> = TABLE.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
    let there: BTreeSet<String> = files.iter().map(|(folder, file)| name(folder, file)).collect();
    let mut wrong: Vec<String> = Vec::new();
    for (folder, file) in &files {
        let name = name(folder, file);
        let found = outcome(&server, file);
        let row = TABLE.lines().skip(1).find(|line| line.split('\t').next() == Some(&name)).unwrap_or("");
        if !fits(row, &name, &found) {
            wrong.push(format!("{name}\t{}\t{}", found.0, found.1));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(told, there.iter().map(String::as_str).collect(), "a row a file");
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

/// Whether a row of the table says what was found.
fn fits(row: &str, name: &str, (verdict, words): &(String, String)) -> bool {
    let fields: Vec<_> = row.split('\t').collect();
    let [file, wanted, said] = fields[..] else { return false };
    file == name && wanted == verdict && if wanted == "plays" { words == said } else { words.contains(said) }
}

/// What became of a file: the verdict, and its warnings or its failure.
fn outcome(server: &Server, file: &Path) -> (String, String) {
    let (_, out, errors) =
        Person::of(server).run(&["--output", "json", "upload", "--wait=all", file.to_str().expect("text")]);
    let Ok(video) = serde_json::from_str::<serde_json::Value>(out.trim()) else { return ("refused".into(), errors) };
    if video["state"] != "VIDEO_STATE_READY" {
        return ("failed".into(), video["failure"].as_str().unwrap_or_default().to_owned());
    }
    let codes: BTreeSet<_> =
        video["warnings"].as_array().into_iter().flatten().filter_map(|warning| warning["code"].as_str()).collect();
    let codes = codes.into_iter().collect::<Vec<_>>().join(" ");
    if video["segmented"] != true {
        return ("file".into(), codes);
    }
    for manifest in ["master.m3u8", "manifest.mpd"] {
        let said = ffmpeg::complaints(&format!("{}/videos/{}/{manifest}", server.address, id(&video)));
        if !said.is_empty() {
            return ("unsound".into(), format!("{manifest}: {said}"));
        }
    }
    ("plays".into(), codes)
}
