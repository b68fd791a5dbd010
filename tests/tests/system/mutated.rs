//! Good files of every kind with bytes changed, cut out, doubled and put in by chance, over the whole path. Judged as attacks
//! are; and whoever asks for the server's health meanwhile is answered at once.

use crate::attacks::{Surroundings, assert_untouched, verdicts};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use vidstream_tests::clips;
use vidstream_tests::dice::Dice;
use vidstream_tests::server::Server;

/// Of each good file.
const CHANGED: u64 = 32;
/// For that of half of the requests for the server's health, of which each is a connection of its own.
const AT_ONCE: Duration = Duration::from_millis(100);

/// A second of pictures and sound in containers and codings of every kind.
const GOOD: [(&str, &str); 9] = [
    ("film.mp4", "-c:v libx264 -pix_fmt yuv420p -g 9 -c:a aac"),
    ("pieces.mp4", "-c:v libx264 -pix_fmt yuv420p -g 9 -c:a aac -movflags +frag_keyframe+empty_moov+default_base_moof"),
    ("camera.mov", "-c:v mjpeg -c:a pcm_s16le"),
    ("phone.mp4", "-c:v libx265 -preset ultrafast -x265-params log-level=none -tag:v hvc1 -c:a ac3"),
    ("film.mkv", "-c:v libx264 -pix_fmt yuv420p -g 9 -c:a flac"),
    ("live.webm", "-c:v libvpx -deadline realtime -cpu-used 8 -c:a libvorbis"),
    ("stream.ts", "-c:v libx264 -pix_fmt yuv420p -g 9 -c:a aac"),
    ("old.avi", "-c:v mpeg4 -c:a mp3"),
    ("flash.flv", "-c:v flv -c:a mp3 -ar 44100"),
];

/// `original` with some things done to it by chance. `text` names what nobody may open.
fn changed(original: &[u8], text: &str, dice: &mut Dice) -> Vec<u8> {
    let mut file = original.to_vec();
    let place = |dice: &mut Dice, file: &[u8]| {
        // Half of the changes where a file says what it is.
        let within = if dice.roll(2) == 0 { file.len().min(1500) } else { file.len() };
        usize::try_from(dice.roll(within.max(1) as u64)).expect("in memory")
    };
    for _ in 0..=dice.roll(5) {
        let (at, length) = (place(dice, &file), usize::try_from(dice.roll(200)).expect("small"));
        let end = file.len().min(at + length);
        match dice.roll(8) {
            0 => drop(file.drain(at..end)),
            1 => file.splice(at..at, original[..length.min(original.len())].to_vec()).for_each(drop),
            2 => file.splice(at..end, text.bytes()).for_each(drop),
            3 => file[at..end].fill(0xff),
            _ if at < file.len() => file[at] = dice.roll(256).to_le_bytes()[0],
            _ => {}
        }
    }
    if dice.roll(8) == 0 {
        file.truncate(place(dice, &file).max(1));
    }
    file
}

/// How long each request for the server's health took, until `done`.
fn healths(server: &Server, done: &AtomicBool) -> Vec<Duration> {
    let host = server.address.trim_start_matches("http://");
    let mut taken = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let began = Instant::now();
        let mut connection = TcpStream::connect(host).expect("it answers");
        write!(connection, "GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").expect("sent");
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).expect("answered");
        taken.push(began.elapsed());
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        thread::sleep(Duration::from_millis(20));
    }
    taken.sort_unstable();
    taken
}

#[test]
fn changed_files_touch_nothing_and_hold_nobody_up() {
    let surroundings = Surroundings::new();
    let scripts = surroundings.scripts();
    let input = "-f lavfi -i testsrc2=size=64x64:rate=25:duration=1 -f lavfi -i sine=duration=1";
    let mut files: Vec<PathBuf> = Vec::new();
    for (name, coding) in GOOD {
        let original = fs::read(clips::made(name, &format!("{input} {coding}"))).expect("readable");
        for seed in 0..CHANGED {
            let mut dice = Dice(seed);
            let (_, text) = &scripts[usize::try_from(dice.roll(scripts.len() as u64)).expect("few")];
            files.push(surroundings.write(&format!("{seed}-{name}"), &changed(&original, text, &mut dice)));
        }
    }
    // A second of media that claims to be a day is encoded for as long as limits allow.
    let server = Server::with(&["--ffmpeg-time", "20s", "--max-duration", "1h"]);
    let done = AtomicBool::new(false);
    let (videos, healths) = thread::scope(|scope| {
        let healths = scope.spawn(|| healths(&server, &done));
        let videos = verdicts(&server, &files);
        done.store(true, Ordering::Relaxed);
        (videos, healths.join().expect("it is always answered"))
    });
    let (mut ready, mut failed) = (0, 0);
    for video in &videos {
        let sentence = video["failure"].as_str().unwrap_or_default();
        match video["state"].as_str().expect("a state") {
            "VIDEO_STATE_READY" => ready += 1,
            "VIDEO_STATE_FAILED" if sentence.len() > 15 => failed += 1,
            _ => panic!("{video:#}"),
        }
    }
    assert!(ready > 50 && failed > 50, "{ready} ready, {failed} failed: nothing is tried by these");
    let middle = healths[healths.len() / 2];
    assert!(middle < AT_ONCE, "half of {} requests for the health took {middle:?} or more", healths.len());
    assert_untouched(&surroundings, &server);
}
