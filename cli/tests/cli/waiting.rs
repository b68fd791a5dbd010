//! `watch` and `upload --wait`.

use crate::binary::{Machine, finish, interrupt, json_lines, lines};
use crate::fake::Fake;
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb;
use vidstream_proto::pb::watch_videos_response::Event;

async fn place() -> (Fake, Machine) {
    let fake = Fake::start().await;
    fake.world().after_upload = pb::VideoState::Processing;
    let machine = Machine::new(&fake.address);
    machine.file("a.mp4", 100);
    (fake, machine)
}

fn part(state: pb::PartState) -> pb::Part {
    pb::Part { state: state.into(), reason: "why".into(), generation: String::new() }
}

/// The id of the video once somebody watches it.
async fn watched(fake: &Fake) -> String {
    fake.watched().await;
    fake.world().videos.keys().next().expect("a video").clone()
}

#[tokio::test]
async fn wait_ends_when_the_video_is_ready() {
    let (fake, machine) = place().await;
    let child = machine.command(&["upload", "a.mp4", "--wait", "--output=json"]).spawn().expect("started");
    let id = watched(&fake).await;
    fake.tell(Event::Progress(pb::Progress {
        video_id: id.clone(),
        stage: pb::Stage::Index.into(),
        percent: 34.0,
        state: pb::PartState::Running.into(),
        ..Default::default()
    }));
    fake.change(&id, |video| video.set_state(pb::VideoState::Ready));
    let ran = finish(child).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(json_lines(&ran.stdout)[0]["state"], "VIDEO_STATE_READY");
    assert_eq!(json_lines(&ran.stdout).len(), 1);
    assert!(ran.stderr.contains("a: index: 34 %\n"), "{}", ran.stderr);
    assert!(machine.entries().is_empty());
}

#[tokio::test]
async fn wait_fails_with_the_videos_sentence() {
    let (fake, machine) = place().await;
    let child = machine.command(&["upload", "a.mp4", "--wait"]).spawn().expect("started");
    let id = watched(&fake).await;
    fake.change(&id, |video| {
        video.set_state(pb::VideoState::Failed);
        video.failure = "this is a text file".into();
    });
    let ran = finish(child).await;
    assert_eq!(ran.code, 1);
    assert_eq!(ran.stdout, format!("{id}  failed      a: this is a text file\n"));
    assert!(ran.stderr.contains("error: `a` failed: this is a text file"), "{}", ran.stderr);
}

#[tokio::test]
async fn wait_for_all_waits_for_previews() {
    for (poster, code) in [(pb::PartState::NotOffered, 0), (pb::PartState::Failed, 1)] {
        let (fake, machine) = place().await;
        let child = machine.command(&["upload", "a.mp4", "--wait=all"]).spawn().expect("started");
        let id = watched(&fake).await;
        fake.world().faults.cut_watch_after = Some(1);
        fake.change(&id, |video| {
            video.set_state(pb::VideoState::Ready);
            (video.storyboard, video.poster) = (Some(part(pb::PartState::Running)), Some(part(poster)));
        });
        fake.change(&id, |video| video.storyboard = Some(part(pb::PartState::Ready)));
        let ran = finish(child).await;
        assert_eq!(ran.code, code, "{}", ran.stderr);
        assert_eq!(ran.stdout, format!("{id}  ready       a\n"));
        assert_eq!(ran.stderr.contains("its poster failed: why"), code == 1, "{}", ran.stderr);
    }
}

#[tokio::test]
async fn an_interrupted_wait_goes_on_without_sending_again() {
    let (fake, machine) = place().await;
    let child = machine.command(&["upload", "a.mp4", "--wait"]).spawn().expect("started");
    let id = watched(&fake).await;
    interrupt(&child);
    assert_eq!(finish(child).await.code, 1);
    fake.change(&id, |video| video.set_state(pb::VideoState::Ready));
    let ran = machine.run(&["upload", "a.mp4", "--wait"]).await;
    assert_eq!(ran.stdout, format!("{id}  ready       a\n"), "{}", ran.stderr);
    assert_eq!(fake.world().heard.pieces.len(), 1);
}

#[tokio::test]
async fn watch_of_one_ends_when_its_parts_are_finished() {
    let (fake, machine) = place().await;
    let (id, other) = (fake.add("sea", b"x"), fake.add("other", b"y"));
    fake.change(&id, |video| video.storyboard = Some(part(pb::PartState::Running)));
    let child = machine.command(&["watch", &id, "--output", "json"]).spawn().expect("started");
    fake.watched().await;
    fake.change(&other, |video| video.title = "elsewhere".into());
    fake.change(&id, |video| video.storyboard = Some(part(pb::PartState::Ready)));
    let ran = finish(child).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let events = json_lines(&ran.stdout);
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["changed"]["storyboard"]["state"], "PART_STATE_RUNNING");
    assert_eq!(events[1]["changed"]["storyboard"]["state"], "PART_STATE_READY");
    assert_eq!(events[1]["position"], "3");
    let ran = machine.run(&["watch", &id]).await;
    assert_eq!((ran.code, ran.stdout), (0, format!("{id}  ready       sea\n")));
    assert_eq!(machine.run(&["watch", &VideoId::generate().to_string()]).await.code, 3);
}

#[tokio::test]
async fn watch_of_all_survives_a_lost_stream_and_ends_with_ctrl_c() {
    let (fake, machine) = place().await;
    let id = fake.add("sea", b"x");
    fake.change(&id, |video| video.title = "before".into());
    fake.world().faults.cut_watch_after = Some(1);
    let mut child = machine.command(&["watch"]).spawn().expect("started");
    let mut lines = lines(&mut child);
    fake.watched().await;
    for title in ["one", "two", "three"] {
        fake.change(&id, |video| video.title = title.into());
        let line = lines.next_line().await.expect("readable").expect("a line");
        assert_eq!(line, format!("{id}  ready       {title}"));
    }
    assert_eq!(fake.world().heard.watches, ["1", "2"], "opened again behind the last event");
    fake.tell(Event::Current(pb::WatchCurrent {}));
    fake.tell(Event::Purged(pb::PurgedVideo { video_id: id.clone(), revision: 99 }));
    let line = lines.next_line().await.expect("readable").expect("a line");
    assert_eq!(line, format!("{id}  purged      its last trace is gone"));
    interrupt(&child);
    let ran = finish(child).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}
