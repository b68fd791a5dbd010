//! Uploads: what is sent, and what is not sent twice.

use crate::binary::{Machine, finish, interrupt, json_lines};
use crate::fake::Fake;
use std::ops::Range;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::pb;

const MIB: usize = 1 << 20;

async fn place() -> (Fake, Machine) {
    let fake = Fake::start().await;
    let machine = Machine::new(&fake.address);
    (fake, machine)
}

/// What was uploaded, by video.
fn uploaded(fake: &Fake, video: &str) -> Vec<u8> {
    let world = fake.world();
    world.uploads.values().find(|upload| upload.video_id == video).expect("uploaded").bytes.clone()
}

/// The one video there is.
fn only_video(fake: &Fake) -> String {
    let world = fake.world();
    let ids: Vec<_> = world.videos.keys().cloned().collect();
    assert_eq!(ids.len(), 1);
    ids[0].clone()
}

/// Asserts that as many bytes were sent as there are (that they arrived whole is checked by themselves).
fn sent_once(pieces: &[Range<u64>], size: usize) {
    assert_eq!(pieces.iter().map(|piece| piece.end - piece.start).sum::<u64>(), size as u64);
}

/// Starts an upload that the server lets come to its fourth piece.
async fn paused(fake: &Fake, machine: &Machine, arguments: &[&str]) -> tokio::process::Child {
    fake.world().faults.pause_after = Some(4);
    let child = machine.command(arguments).spawn().expect("started");
    fake.paused.notified().await;
    fake.world().faults.pause_after = None;
    child
}

/// Its database stands still, say: that is waited out before the first byte as it is later on.
#[tokio::test]
async fn a_server_that_takes_no_upload_for_a_moment_is_waited_for() {
    let (fake, machine) = place().await;
    let bytes = machine.file("a.mp4", MIB);
    fake.world().faults.no_uploads = 3;
    let ran = machine.run(&["upload", "a.mp4"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("not begun yet (no store); trying again"), "{}", ran.stderr);
    assert_eq!(uploaded(&fake, &only_video(&fake)), bytes);
    assert!(machine.entries().is_empty(), "nothing is left to remember");
}

#[tokio::test]
async fn a_file_arrives_whole() {
    let (fake, machine) = place().await;
    let bytes = machine.file("sea side.mp4", 9 * MIB + 7);
    let ran = machine.run(&["upload", "sea side.mp4", "--output", "json"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let video = &json_lines(&ran.stdout)[0];
    assert_eq!(video["title"], "sea side");
    assert_eq!(uploaded(&fake, video["id"].as_str().expect("an id")), bytes);
    assert_eq!(fake.world().heard.sums, [blake3::hash(&bytes).as_bytes().to_vec()]);
    sent_once(&fake.world().heard.pieces, bytes.len());
    assert!(ran.stderr.contains("sea side.mp4: 100 % of 9.0 MiB"), "{}", ran.stderr);
    assert!(!ran.stderr.contains('\u{1b}'), "plain lines in a pipe");
    assert!(machine.entries().is_empty(), "nothing is left to remember");
    let ran = machine.run(&["upload", "sea side.mp4", "--title", "By the sea"]).await;
    let id = ran.stdout.split_whitespace().next().expect("an id").to_owned();
    assert_eq!(ran.stdout, format!("{id}  ready       By the sea\n"));
}

#[tokio::test]
async fn all_files_are_tried_and_the_highest_code_wins() {
    let (fake, machine) = place().await;
    machine.file("a.mp4", 10);
    machine.file("empty.mp4", 0);
    machine.file("b.mp4", MIB);
    let ran = machine.run(&["upload", "empty.mp4", "a.mp4", ".", "missing.mp4", "b.mp4"]).await;
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert_eq!(ran.stdout.lines().count(), 2);
    assert_eq!(fake.world().videos.len(), 2);
    assert!(ran.stderr.contains("empty.mp4` is empty"), "{}", ran.stderr);
    assert!(ran.stderr.contains("is not a regular file"), "{}", ran.stderr);
    assert!(ran.stderr.contains("can't open `missing.mp4`"), "{}", ran.stderr);
    assert_eq!(machine.run(&["upload", "empty.mp4", "a.mp4"]).await.code, 1);
}

#[tokio::test]
async fn what_is_wanted_is_sent_first() {
    let (fake, machine) = place().await;
    let size = 5 * MIB + 100;
    machine.file("a.mp4", size);
    fake.world().wants = vec![pb::ByteRange { start: 5 * MIB as u64 - 10, end: size as u64 }];
    assert_eq!(machine.run(&["upload", "a.mp4"]).await.code, 0);
    let pieces = fake.world().heard.pieces.clone();
    let granule = 64 * 1024;
    let mib = MIB as u64;
    assert_eq!(pieces[..2], [5 * mib - granule..5 * mib, 5 * mib..size as u64]);
    assert_eq!(pieces[2].start, 0, "then from the beginning");
    sent_once(&pieces, size);
}

#[tokio::test]
async fn a_killed_upload_continues() {
    let (fake, machine) = place().await;
    let bytes = machine.file("a.mp4", 12 * MIB + 3);
    let mut child = paused(&fake, &machine, &["upload", "a.mp4"]).await;
    child.kill().await.expect("killed");
    let ran = machine.run(&["upload", "./a.mp4"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("continuing the upload"), "{}", ran.stderr);
    assert_eq!(uploaded(&fake, &only_video(&fake)), bytes);
    sent_once(&fake.world().heard.pieces, bytes.len());
    assert_eq!(fake.world().heard.sums, [Vec::<u8>::new()], "the sum of a file that was read in part is not claimed");
}

#[tokio::test]
async fn files_that_were_finished_are_not_sent_again() {
    let (fake, machine) = place().await;
    machine.file("a.mp4", 3 * MIB);
    machine.file("b.mp4", 6 * MIB);
    let mut child = paused(&fake, &machine, &["upload", "a.mp4", "b.mp4"]).await;
    child.kill().await.expect("killed");
    let ran = machine.run(&["upload", "a.mp4", "b.mp4"]).await;
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 2), "{}", ran.stderr);
    assert_eq!(fake.world().videos.len(), 2);
    sent_once(&fake.world().heard.pieces, 9 * MIB);
    assert!(machine.entries().is_empty());
    assert_eq!(machine.run(&["upload", "a.mp4"]).await.code, 0);
    assert_eq!(fake.world().videos.len(), 3, "a command that ended is not continued");
}

#[tokio::test]
async fn a_lost_stream_is_opened_again() {
    let (fake, machine) = place().await;
    let bytes = machine.file("a.mp4", 12 * MIB + 3);
    fake.world().faults.cut_after = Some(3);
    let ran = machine.run(&["upload", "a.mp4"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("a.mp4: interrupted (stopping); trying again"), "{}", ran.stderr);
    assert_eq!(uploaded(&fake, &only_video(&fake)), bytes);
    sent_once(&fake.world().heard.pieces, bytes.len());
    assert_eq!(fake.world().heard.sums, [blake3::hash(&bytes).as_bytes().to_vec()], "all was read in this run");
}

#[tokio::test]
async fn what_the_server_refuses_is_final() {
    let (fake, machine) = place().await;
    machine.file("a.mp4", MIB);
    fake.world().faults.refuse = Some(Problem::new(Reason::NoSpace, "no room for 1048576 bytes"));
    let ran = machine.run(&["upload", "a.mp4"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("error: no room for 1048576 bytes"), "{}", ran.stderr);
    assert_eq!(machine.entries().len(), 1, "it can be continued");
}

#[tokio::test]
async fn a_changed_file_is_refused_until_its_upload_is_removed() {
    let (fake, machine) = place().await;
    machine.file("a.mp4", 6 * MIB);
    let mut child = paused(&fake, &machine, &["upload", "a.mp4"]).await;
    child.kill().await.expect("killed");
    let mut bytes = std::fs::read(machine.path("a.mp4")).expect("there");
    bytes[0] ^= 1;
    std::fs::write(machine.path("a.mp4"), &bytes).expect("written");
    let ran = machine.run(&["upload", "a.mp4"]).await;
    let video = only_video(&fake);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("vidctl rm {video}")), "{}", ran.stderr);
    assert_eq!(machine.run(&["rm", &video]).await.code, 0);
    assert!(machine.entries().is_empty());
    let ran = machine.run(&["upload", "a.mp4", "--output=json"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let anew = json_lines(&ran.stdout)[0]["id"].as_str().expect("an id").to_owned();
    assert_ne!(anew, video);
    assert_eq!(uploaded(&fake, &anew), bytes);
}

#[tokio::test]
async fn an_upload_that_the_server_lost_is_made_anew() {
    let (fake, machine) = place().await;
    let bytes = machine.file("a.mp4", 6 * MIB);
    for removed in [false, true] {
        let mut child = paused(&fake, &machine, &["upload", "a.mp4"]).await;
        child.kill().await.expect("killed");
        let old = only_video(&fake);
        if removed {
            fake.change(&old, |video| video.set_state(pb::VideoState::Removed));
        } else {
            fake.world().uploads.clear();
        }
        let ran = machine.run(&["upload", "a.mp4", "--output=json"]).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stderr.contains("uploading it anew"), "{}", ran.stderr);
        let anew = json_lines(&ran.stdout)[0]["id"].as_str().expect("an id").to_owned();
        assert_ne!(anew, old);
        assert_eq!(uploaded(&fake, &anew), bytes);
        fake.world().videos.clear();
    }
}

/// Leaves on disk what is there when the server has made an upload and vidctl has not heard of it.
async fn unheard(fake: &Fake, machine: &Machine) {
    machine.file("a.mp4", 6 * MIB);
    let mut child = paused(fake, machine, &["upload", "a.mp4"]).await;
    child.kill().await.expect("killed");
    let entry = machine.entries().into_iter().find(|file| file.extension() == Some("json".as_ref())).expect("one");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&entry).expect("there")).expect("JSON");
    json["upload"] = serde_json::Value::Null;
    std::fs::write(&entry, json.to_string()).expect("written");
}

#[tokio::test]
async fn an_answer_that_was_not_heard_makes_no_second_upload() {
    let (fake, machine) = place().await;
    unheard(&fake, &machine).await;
    assert_eq!(machine.run(&["upload", "a.mp4"]).await.code, 0);
    only_video(&fake);
}

#[tokio::test]
async fn what_an_unheard_answer_was_about_may_be_gone_by_now() {
    let (fake, machine) = place().await;
    unheard(&fake, &machine).await;
    let old = only_video(&fake);
    fake.change(&old, |video| video.set_state(pb::VideoState::Removed));
    let ran = machine.run(&["upload", "a.mp4", "--output=json"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_ne!(json_lines(&ran.stdout)[0]["id"].as_str(), Some(old.as_str()));
}

#[tokio::test]
async fn a_file_is_uploaded_by_one_process() {
    let (fake, machine) = place().await;
    machine.file("a.mp4", 6 * MIB);
    let child = paused(&fake, &machine, &["upload", "a.mp4"]).await;
    let ran = machine.run(&["upload", "a.mp4"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("another vidctl is uploading"), "{}", ran.stderr);
    drop(child);
}

#[tokio::test]
async fn ctrl_c_says_how_to_go_on() {
    let (fake, machine) = place().await;
    machine.file("a.mp4", 40 * MIB);
    let child = paused(&fake, &machine, &["upload", "a.mp4"]).await;
    interrupt(&child);
    let ran = finish(child).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.ends_with("error: interrupted\nhint: the same command continues\n"), "{}", ran.stderr);
    assert_eq!(machine.run(&["upload", "a.mp4"]).await.code, 0);
    sent_once(&fake.world().heard.pieces, 40 * MIB);
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_is_not_completed() {
    let (fake, machine) = place().await;
    machine.file("a.mp4", 6 * MIB);
    fake.world().faults.pause_after = Some(4);
    let child = machine.command(&["upload", "a.mp4"]).spawn().expect("started");
    fake.paused.notified().await;
    let file = std::fs::File::options().write(true).open(machine.path("a.mp4")).expect("there");
    file.set_modified(std::time::UNIX_EPOCH).expect("dated");
    fake.world().faults.pause_after = None;
    fake.resume();
    let ran = finish(child).await;
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("changed while it was uploaded"), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("vidctl rm {}", only_video(&fake))), "{}", ran.stderr);
    assert!(fake.world().heard.sums.is_empty());
}
