//! Downloads.

use crate::binary::Machine;
use crate::fake::Fake;
use vidstream_proto::pb;

async fn place(bytes: &[u8]) -> (Fake, Machine, String) {
    let fake = Fake::start().await;
    let machine = Machine::new(&fake.address);
    let id = fake.add("sea", bytes);
    (fake, machine, id)
}

fn sea() -> Vec<u8> {
    let mut bytes = vec![0; 3 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

/// Names of what was left beside the machine's state.
fn left(machine: &Machine) -> Vec<String> {
    let files = std::fs::read_dir(machine.path(".")).expect("a folder");
    let mut names: Vec<_> = files.map(|f| f.expect("a file").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_file_comes_whole() {
    let (fake, machine, id) = place(&sea()).await;
    let ran = machine.run(&["download", &id, "-o", "out.mp4"]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    assert_eq!(std::fs::read(machine.path("out.mp4")).expect("there"), sea());
    assert_eq!(left(&machine), ["out.mp4"]);
    assert_eq!(fake.world().heard.ranges, [None]);
}

/// A pipe or a device would be replaced by a file of its name; a link stays a link.
#[tokio::test]
async fn only_plain_files_are_written() {
    let (_fake, machine, id) = place(&sea()).await;
    let pipe = machine.path("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    let ran = machine.run(&["download", &id, "-o", "pipe"]).await;
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("is no plain file; `-o -` writes to stdout"), "{}", ran.stderr);
    assert_eq!(left(&machine), ["pipe"]);
    std::fs::remove_file(pipe).expect("a pipe still");

    std::fs::write(machine.path("old.mp4"), "old").expect("written");
    std::os::unix::fs::symlink("old.mp4", machine.path("link.mp4")).expect("linked");
    let ran = machine.run(&["download", &id, "-o", "link.mp4"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(left(&machine), ["link.mp4", "old.mp4"]);
    assert!(machine.path("link.mp4").is_symlink());
    assert_eq!(std::fs::read(machine.path("old.mp4")).expect("there"), sea());
    std::fs::remove_file(machine.path("old.mp4")).expect("there");
    let ran = machine.run(&["download", &id, "-o", "link.mp4"]).await;
    assert_eq!((ran.code, left(&machine)), (0, vec!["link.mp4".to_owned(), "old.mp4".to_owned()]), "{}", ran.stderr);
    assert!(machine.path("link.mp4").is_symlink(), "also one that leads to nothing yet");
}

#[tokio::test]
async fn a_lost_connection_is_taken_up() {
    let (fake, machine, id) = place(&sea()).await;
    fake.world().faults.cut_download_after = Some(1_000_000);
    let ran = machine.run(&["download", &id, "-o", "out.mp4"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("sea.mp4: interrupted"), "{}", ran.stderr);
    assert_eq!(std::fs::read(machine.path("out.mp4")).expect("there"), sea());
    assert_eq!(fake.world().heard.ranges, [None, Some("bytes=1000000-".to_owned())]);
}

#[tokio::test]
async fn the_same_command_continues() {
    let (fake, machine, id) = place(&sea()).await;
    let etag = format!("\"{}\"", blake3::hash(&sea()));
    std::fs::write(machine.path("out.mp4.part"), &sea()[..12_345]).expect("written");
    std::fs::write(machine.path("out.mp4.part.etag"), etag).expect("written");
    let ran = machine.run(&["download", &id, "-o", "out.mp4"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(std::fs::read(machine.path("out.mp4")).expect("there"), sea());
    assert_eq!(left(&machine), ["out.mp4"]);
    assert_eq!(fake.world().heard.ranges, [Some("bytes=12345-".to_owned())]);
}

#[tokio::test]
async fn parts_of_something_else_are_not_continued() {
    for etag in [Some("\"another\""), None] {
        let (fake, machine, id) = place(&sea()).await;
        std::fs::write(machine.path("out.mp4.part"), vec![7; 5000]).expect("written");
        if let Some(etag) = etag {
            std::fs::write(machine.path("out.mp4.part.etag"), etag).expect("written");
        }
        let ran = machine.run(&["download", &id, "-o", "out.mp4"]).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_eq!(std::fs::read(machine.path("out.mp4")).expect("there"), sea());
        assert_eq!(fake.world().heard.ranges, [etag.map(|_| "bytes=5000-".to_owned())]);
    }
}

#[tokio::test]
async fn wrong_bytes_are_thrown_away() {
    let (fake, machine, id) = place(&sea()).await;
    fake.world().files.get_mut(&id).expect("there")[7] ^= 1;
    let ran = machine.run(&["download", &id, "-o", "out.mp4"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("its BLAKE3 differs"), "{}", ran.stderr);
    assert!(left(&machine).is_empty());
}

#[tokio::test]
async fn a_dash_is_stdout() {
    let (_fake, machine, id) = place(b"a text, so that it can be compared").await;
    let ran = machine.run(&["download", &id, "-o", "-"]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "a text, so that it can be compared"), "{}", ran.stderr);
    assert!(left(&machine).is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_said_in_words() {
    let (fake, machine, id) = place(b"x").await;
    fake.world().files.clear();
    let ran = machine.run(&["download", &id, "-o", "out.mp4"]).await;
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("error: there is no such video"), "{}", ran.stderr);
    for (hours, can_be) in [(1, true), (-1, false)] {
        fake.change(&id, |video| {
            video.set_state(pb::VideoState::Removed);
            let mut purge = prost_types::Timestamp::from(std::time::SystemTime::now());
            purge.seconds += 3600 * hours;
            video.purge_time = Some(purge);
        });
        let ran = machine.run(&["download", &id, "-o", "out.mp4"]).await;
        assert_eq!(ran.code, 3);
        assert!(ran.stderr.contains("was removed"), "{}", ran.stderr);
        assert_eq!(ran.stderr.contains(&format!("vidctl restore {id}")), can_be, "{}", ran.stderr);
    }
    fake.change(&id, |video| {
        video.set_state(pb::VideoState::Uploading);
        video.upload.as_mut().expect("there").set_state(pb::UploadState::Open);
    });
    let ran = machine.run(&["download", &id, "-o", "out.mp4"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("not wholly uploaded"), "{}", ran.stderr);
}
