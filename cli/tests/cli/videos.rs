//! Commands on videos that are there.

use crate::binary::{Machine, finish, json_lines, lines, program};
use crate::fake::Fake;
use vidstream_proto::ids::VideoId;
use vidstream_proto::{json, pb};

async fn place() -> (Fake, Machine) {
    let fake = Fake::start().await;
    let machine = Machine::new(&fake.address);
    (fake, machine)
}

#[tokio::test]
async fn get_prints_the_video_itself() {
    let (fake, machine) = place().await;
    let id = fake.add("sea", b"waves");
    let ran = machine.run(&["get", &id, "--output", "json"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let video = fake.world().videos[&id].clone();
    assert_eq!(ran.stdout, json::to_string("Video", &video) + "\n");
    let shown = &json_lines(&ran.stdout)[0];
    assert_eq!(shown["state"], "VIDEO_STATE_READY");
    assert_eq!(shown["upload"]["size"], "5");
    let sheet = machine.run(&["get", &id.to_uppercase()]).await.stdout.replace(&id, "ID");
    insta::assert_snapshot!(sheet);
}

#[tokio::test]
async fn a_video_is_explained() {
    let (fake, machine) = place().await;
    let id = fake.add("sea", b"waves");
    let ran = machine.run(&["explain", &id.to_uppercase()]).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(ran.stdout, "sea.mp4: it is an MP4 file\n\nindex       ready\n");
    let told = &json_lines(&machine.run(&["--output", "json", "explain", &id]).await.stdout)[0];
    assert_eq!((&told["videoId"], &told["steps"][0]["stage"]), (&id.into(), &"STAGE_INDEX".into()));
    let ran = machine.run(&["explain", &VideoId::generate().to_string()]).await;
    assert_eq!(ran.code, 3, "{}", ran.stderr);
}

#[tokio::test]
async fn list_goes_through_all_pages() {
    let (fake, machine) = place().await;
    for number in 0..450 {
        fake.add(&format!("video {number}"), b"x");
    }
    let ran = machine.run(&["--output=json", "list"]).await;
    assert_eq!(json_lines(&ran.stdout).len(), 450);
    let sizes: Vec<u32> = fake.world().heard.lists.drain(..).map(|list| list.page_size).collect();
    assert_eq!(sizes, [200, 200, 200]);
    let ran = machine.run(&["list", "--limit", "201", "--state", "ready", "--search", "a b", "--order", "title"]).await;
    assert_eq!(ran.stdout.lines().count(), 202, "a header and the videos");
    let lists = fake.world().heard.lists.clone();
    assert_eq!(lists.iter().map(|list| list.page_size).collect::<Vec<_>>(), [200, 1]);
    assert_eq!((lists[1].state(), lists[1].order()), (pb::VideoState::Ready, pb::VideoOrder::Title));
    assert_eq!(lists[1].search, "a b");
}

#[tokio::test]
async fn a_table_in_a_pipe_is_plain() {
    let (fake, machine) = place().await;
    fake.add("red \u{1b}[31m", b"x");
    let ran = machine.run(&["list"]).await;
    assert!(!ran.stdout.contains('\u{1b}') && !ran.stderr.contains('\u{1b}'), "{}", ran.stdout);
}

#[tokio::test]
async fn garbage_is_told_as_it_is_found() {
    let (_fake, machine) = place().await;
    let ran = machine.run(&["admin", "gc"]).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines[0], "   3.0 MiB   90 min old  superseded    sources/a/poster/1/poster.jpg");
    assert_eq!(lines[1], "     100 B   90 min old  no source     sources/b/ [2J", "nothing moves the cursor");
    let total = "removed 2 of 12 objects, 3.0 MiB; 1 more may be garbage, but it is too early to tell";
    assert_eq!(lines[2..], [total]);
    let ran = machine.run(&["admin", "gc", "--dry-run"]).await;
    assert!(ran.stdout.contains("would remove 2 of 12 objects"), "{}", ran.stdout);
    let ran = machine.run(&["--output", "json", "admin", "gc", "--dry-run"]).await;
    let events = json_lines(&ran.stdout);
    assert_eq!(events[0]["found"]["reason"], "GARBAGE_REASON_SUPERSEDED");
    assert_eq!(events[0]["found"]["size"], "3145728");
    assert_eq!((&events[2]["total"]["garbage"], &events[2]["total"]["removed"]), (&"2".into(), &false.into()));
}

#[tokio::test]
async fn what_is_wrong_is_told_with_what_to_do() {
    let (fake, machine) = place().await;
    let fine = pb::Finding::fine("catalog", "store", "takes a write in 2 ms");
    let doubtful = pb::Finding::doubtful("gateway", "clocks", "the catalog's is 5.0 s behind", "set them by NTP");
    fake.world().findings = vec![fine, doubtful];
    let ran = machine.run(&["doctor"]).await;
    let lines = "fine      catalog     store         takes a write in 2 ms\n\
                 doubtful  gateway     clocks        the catalog's is 5.0 s behind\n          set them by NTP\n\
                 1 fine, 1 doubtful, 0 wrong\n";
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, lines, ""));
    fake.world().findings.push(pb::Finding::wrong("transcoder", "ffmpeg", "is gone \u{1b}[2J", "install it"));
    let ran = machine.run(&["doctor"]).await;
    assert!(ran.stdout.contains("wrong     transcoder  ffmpeg        is gone  [2J"), "{}", ran.stdout);
    assert_eq!(ran.code, 1, "something is wrong");
    let ran = machine.run(&["--output", "json", "doctor"]).await;
    let events = json_lines(&ran.stdout);
    assert_eq!(ran.code, 1);
    assert_eq!(events[2]["found"]["verdict"], "VERDICT_WRONG");
    assert_eq!((&events[3]["total"]["fine"], &events[3]["total"]["wrong"]), (&1.into(), &1.into()));
}

#[tokio::test]
async fn all_ids_are_tried_and_the_highest_code_wins() {
    let (fake, machine) = place().await;
    let (first, last) = (fake.add("a", b"x"), fake.add("b", b"y"));
    let missing = VideoId::generate().to_string();
    let ran =
        machine.run(&["rm", &first, &missing, "nonsense", &last, "--purge-after", "7d", "--output", "json"]).await;
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let removed = json_lines(&ran.stdout);
    assert_eq!(removed.iter().map(|v| v["id"].as_str().expect("an id")).collect::<Vec<_>>(), [&first, &last]);
    assert!(removed.iter().all(|video| video["state"] == "VIDEO_STATE_REMOVED"));
    assert!(ran.stderr.contains(&format!("there is no video {missing}")), "{}", ran.stderr);
    assert!(ran.stderr.contains("`nonsense` is not the id of a video"), "{}", ran.stderr);
    let purge_after = fake.world().heard.removals[0].purge_after;
    assert_eq!(purge_after, Some(prost_types::Duration { seconds: 7 * 86_400, nanos: 0 }));
    let ran = machine.run(&["restore", &first, &last]).await;
    assert_eq!(ran.code, 0);
    assert_eq!(ran.stdout, format!("{first}  ready       a\n{last}  ready       b\n"));
    let ran = machine.run(&["retry", &first, "nonsense"]).await;
    assert_eq!(ran.code, 2);
    assert_eq!(ran.stdout, format!("{first}  processing  a\n"));
}

#[tokio::test]
async fn an_update_of_another_revision_is_refused() {
    let (fake, machine) = place().await;
    let id = fake.add("old", b"x");
    let ran = machine.run(&["update", &id, "--title", "new", "--if-revision", "7"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("another revision"), "{}", ran.stderr);
    let ran =
        machine.run(&["update", &id, "--title", "new", "--tag", "a", "--if-revision", "1", "--output=json"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(json_lines(&ran.stdout)[0]["title"], "new");
    let updates = fake.world().heard.updates.clone();
    assert_eq!(updates[1].update_mask.clone().expect("a mask").paths, ["title", "tags"]);
    assert_ne!(updates[0].request_id, updates[1].request_id);
}

#[tokio::test]
async fn play_prints_the_address_and_starts_the_first_player() {
    let (fake, machine) = place().await;
    let id = fake.add("sea", b"waves");
    let address = format!("{}/videos/{id}/master.m3u8", fake.address);
    let (one, two) = (machine.path("one"), machine.path("two"));
    program(&one, "vlc", 0);
    program(&two, "ffplay", 3);
    let path = format!("{}:{}", one.display(), two.display());
    let ran = finish(machine.command(&["play", &id]).env("PATH", path).spawn().expect("started")).await;
    assert_eq!((ran.code, ran.stdout.trim()), (0, address.as_str()), "{}", ran.stderr);
    let given = std::fs::read_to_string(two.join("ffplay.arguments")).expect("started");
    assert_eq!(given.trim(), address);
    assert!(ran.stderr.contains("ended with exit status: 3"), "{}", ran.stderr);
    assert!(!one.join("vlc.arguments").exists());
    let ran = machine.run(&["play", &id]).await;
    assert_eq!((ran.code, ran.stdout.trim()), (0, address.as_str()));
    assert!(ran.stderr.contains("none of mpv, ffplay, vlc is installed"), "{}", ran.stderr);
    let ran = machine.run(&["play", &id, "--output", "json"]).await;
    assert_eq!(json_lines(&ran.stdout)[0]["hls"], address);
    assert_eq!(json_lines(&ran.stdout)[0]["dash"], "", "what is not offered stays empty");
}

#[tokio::test]
async fn play_waits_for_nothing() {
    let (fake, machine) = place().await;
    let id = fake.add("sea", b"waves");
    fake.change(&id, |video| video.set_state(pb::VideoState::Processing));
    let ran = machine.run(&["play", &id]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("it does not play yet"), "{}", ran.stderr);
    assert_eq!(machine.run(&["play", &VideoId::generate().to_string()]).await.code, 3);
}

#[tokio::test]
async fn a_reader_that_leaves_is_no_failure() {
    let (fake, machine) = place().await;
    for number in 0..2000 {
        fake.add(&format!("video {number}"), b"x");
    }
    let mut child = machine.command(&["list", "--output", "json"]).spawn().expect("started");
    let mut lines = lines(&mut child);
    lines.next_line().await.expect("readable").expect("a video");
    drop(lines);
    let ran = finish(child).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}
