//! Videos, live updates and playback addresses.

use crate::world::{World, pattern};
use tokio_stream::StreamExt;
use tonic::{Code, Status, Streaming};
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::{RequestId, VideoId, ViewerId};
use vidstream_proto::pb;
use vidstream_proto::pb::collect_garbage_response::Event as Garbage;
use vidstream_proto::pb::watch_entries_response::Event as Change;
use vidstream_proto::pb::watch_videos_response::Event;

fn request_id() -> String {
    RequestId::generate().to_string()
}

#[tokio::test]
async fn videos_are_listed_changed_hidden_and_shown() {
    let world = World::new().await;
    let upload = world.create(&pattern(5)).await;
    let video_id = upload.video_id.clone();
    let mut client = world.videos();
    let list = client.list_videos(pb::ListVideosRequest::default()).await.expect("a page").into_inner();
    assert_eq!((list.videos.len(), list.next_page_token.as_str(), list.position.as_str()), (1, "next", "7"));
    let update = pb::UpdateVideoRequest {
        request_id: request_id(),
        video_id: video_id.clone(),
        update_mask: Some(prost_types::FieldMask { paths: vec!["title".into()] }),
        title: "Sea".into(),
        tags: vec!["not in the mask".into()],
        expected_revision: Some(1),
        ..Default::default()
    };
    let updated = client.update_video(update.clone()).await.expect("updated").into_inner().video.expect("a video");
    assert_eq!((updated.title.as_str(), updated.tags.len()), ("Sea", 0));
    let stale = pb::UpdateVideoRequest { request_id: request_id(), ..update };
    let stale = client.update_video(stale).await.expect_err("another revision");
    assert_eq!((stale.code(), Problem::from(stale).reason), (Code::Aborted, Reason::RevisionMismatch));
    let remove = pb::RemoveVideoRequest { request_id: request_id(), video_id: video_id.clone(), ..Default::default() };
    let removed = client.remove_video(remove).await.expect("removed").into_inner().video.expect("a video");
    assert_eq!(removed.state(), pb::VideoState::Removed);
    let restore =
        pb::RestoreVideoRequest { request_id: request_id(), video_id: video_id.clone(), ..Default::default() };
    let restored = client.restore_video(restore).await.expect("restored").into_inner().video.expect("a video");
    assert_eq!(restored.state(), pb::VideoState::Uploading);
    let retry = pb::RetryVideoRequest { request_id: request_id(), video_id: video_id.clone(), expected_revision: None };
    client.retry_video(retry).await.expect("harmless");
    let found = client.get_video(pb::GetVideoRequest { video_id }).await.expect("found").into_inner().video;
    assert_eq!(found.expect("a video").title, "Sea");
}

#[tokio::test]
async fn what_was_watched_and_garbage_go_through() {
    let world = World::new().await;
    let upload = world.create(&pattern(5)).await;
    let mut client = world.videos();
    let at = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let report = pb::ReportWatchedRequest {
        video_id: upload.video_id.clone(),
        viewer_id: ViewerId::generate().to_string(),
        intervals: vec![pb::WatchedInterval { start: at(0), end: at(1) }],
    };
    client.report_watched(report.clone()).await.expect("taken");
    let found = client.get_video(pb::GetVideoRequest { video_id: upload.video_id }).await.expect("found").into_inner();
    assert_eq!(found.video.expect("a video").views, 1);
    let nobody = pb::ReportWatchedRequest { viewer_id: "me".into(), ..report.clone() };
    let refused = Problem::from(client.report_watched(nobody).await.expect_err("no id"));
    assert_eq!(refused.fields[0].field, "viewer_id");
    let nothing = pb::ReportWatchedRequest { video_id: VideoId::generate().to_string(), ..report };
    assert_eq!(client.report_watched(nothing).await.expect_err("no video").code(), Code::NotFound);

    for (dry_run, adopt) in [(true, false), (false, false), (false, true)] {
        let request = pb::CollectGarbageRequest { dry_run, adopt };
        let told = client.collect_garbage(request).await.expect("a stream").into_inner();
        let told: Vec<_> = told.map(|message| message.expect("told").event.expect("something")).collect().await;
        assert!(matches!(&told[0], Garbage::Found(found) if found.name == "sources/x"), "{told:?}");
        assert!(matches!(&told[1..], [Garbage::Total(total)] if total.removed != dry_run), "{told:?}");
        assert!(matches!(&told[1..], [Garbage::Total(total)] if (total.young == 1) == adopt), "{told:?}");
    }
}

#[tokio::test]
async fn mistakes_name_the_field() {
    let world = World::new().await;
    let mut client = world.videos();
    let field = |status: Status| Problem::from(status).fields[0].field.clone();
    let get = client.get_video(pb::GetVideoRequest { video_id: "x".into() }).await.expect_err("no id");
    assert_eq!(field(get), "video_id");
    let list = pb::ListVideosRequest { page_size: 201, ..Default::default() };
    assert_eq!(field(client.list_videos(list).await.expect_err("too many")), "page_size");
    let retry = pb::RetryVideoRequest { video_id: VideoId::generate().to_string(), ..Default::default() };
    assert_eq!(field(client.retry_video(retry).await.expect_err("no request id")), "request_id");
    let missing = pb::GetVideoRequest { video_id: VideoId::generate().to_string() };
    assert_eq!(client.get_video(missing).await.expect_err("unknown").code(), Code::NotFound);
}

#[tokio::test]
async fn playback_is_where_the_parts_say() {
    let world = World::new().await;
    let video_id = world.create(&pattern(5)).await.video_id;
    let mut client = world.videos();
    let mut playback = async || {
        let request = pb::GetPlaybackRequest { video_id: video_id.clone() };
        client.get_playback(request).await.map(|answer| answer.into_inner().playback.expect("addresses"))
    };
    let early = playback().await.expect_err("still uploading");
    assert_eq!((early.code(), Problem::from(early).reason), (Code::Unavailable, Reason::NotReady));
    let ready = || Some(pb::Part { state: pb::PartState::Ready.into(), ..Default::default() });
    world.catalog.change(&video_id, |video| {
        video.state = pb::VideoState::Ready.into();
        video.upload.as_mut().expect("a part").state = pb::UploadState::Complete.into();
        (video.source_rendition, video.segmented) = (ready(), true);
    });
    let found = playback().await.expect("plays");
    assert_eq!(found.hls, format!("/videos/{video_id}/master.m3u8"));
    assert_eq!(found.poster, "");
    world.catalog.change(&video_id, |video| video.state = pb::VideoState::Removed.into());
    assert_eq!(playback().await.expect_err("removed").code(), Code::NotFound);
}

fn change(position: &str, event: Change) -> pb::WatchEntriesResponse {
    pb::WatchEntriesResponse { position: position.into(), event: Some(event) }
}

#[tokio::test]
async fn changes_come_as_they_happen() {
    let world = World::new().await;
    let request = pb::WatchVideosRequest { position: "3".into(), ..Default::default() };
    let mut watch = world.videos().watch_videos(request).await.expect("a watch").into_inner();
    let video = pb::Video { id: VideoId::generate().to_string(), revision: 4, ..Default::default() };
    let gone = pb::PurgedEntry { video_id: video.id.clone(), revision: 5 };
    let entry = pb::Entry { video: Some(video.clone()), source_id: "hidden".into() };
    for event in [Change::Changed(entry), Change::Purged(gone), Change::Reset(pb::FeedReset {})] {
        world.catalog.feed.send(Ok(change("4", event))).expect("somebody watches");
    }
    let mut next = async || watch.message().await.expect("no problem").expect("an event");
    let first = next().await;
    assert_eq!((first.position.as_str(), first.event), ("3", Some(Event::Current(pb::WatchCurrent {}))));
    let second = next().await;
    assert_eq!((second.position.as_str(), second.event), ("4", Some(Event::Changed(video.clone()))));
    let purged = pb::PurgedVideo { video_id: video.id, revision: 5 };
    assert_eq!(next().await.event, Some(Event::Purged(purged)));
    assert_eq!(next().await.event, Some(Event::Reset(pb::WatchReset {})));
}

fn stage(percent: f64) -> pb::Progress {
    pb::Progress { stage: pb::Stage::Index.into(), percent, ..Default::default() }
}

async fn watch_with_progress(world: &World, video_id: &str) -> Streaming<pb::WatchVideosResponse> {
    let request = pb::WatchVideosRequest { video_id: video_id.into(), include_progress: true, ..Default::default() };
    let mut watch = world.videos().watch_videos(request).await.expect("a watch").into_inner();
    watch.message().await.expect("no problem").expect("the feed is current");
    watch
}

/// The next event, which is progress: of which video, and its percent.
async fn progress_of(watch: &mut Streaming<pb::WatchVideosResponse>) -> (String, f64) {
    match watch.message().await.expect("no problem").expect("an event").event {
        Some(Event::Progress(progress)) => (progress.video_id, progress.percent),
        other => panic!("no progress but {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn progress_of_all_videos_comes_with_their_changes() {
    let world = World::new().await;
    let videos = [VideoId::generate().to_string(), VideoId::generate().to_string()];
    let mut watch = watch_with_progress(&world, "").await;
    let heard = |percent| pb::WatchAllProgressResponse {
        source_id: String::new(),
        video_ids: videos.to_vec(),
        progress: Some(stage(percent)),
    };
    // The progress stream opens on its own: the transcoder hears of it when it does.
    while world.transcoder.all.receiver_count() == 0 {
        tokio::select! {
            biased;
            answer = watch.message() => panic!("nothing was said, but {answer:?} came"),
            () = tokio::task::yield_now() => {}
        }
    }
    world.transcoder.all.send(Ok(heard(25.0))).expect("one watches");
    assert_eq!(progress_of(&mut watch).await, (videos[0].clone(), 25.0));
    assert_eq!(progress_of(&mut watch).await, (videos[1].clone(), 25.0));
    // Where progress breaks off, changes go on, and progress is opened again.
    world.transcoder.all.send(Err(Status::unavailable("away"))).expect("one watches");
    let current = Change::Current(pb::FeedCurrent {});
    world.catalog.feed.send(Ok(change("5", current))).expect("one watches");
    assert_eq!(watch.message().await.expect("no problem").expect("an event").position, "5");
    while world.transcoder.all.receiver_count() == 0 {
        tokio::select! {
            answer = watch.message() => panic!("nothing was said, but {answer:?} came"),
            () = tokio::time::sleep(std::time::Duration::from_millis(100)) => {}
        }
    }
    world.transcoder.all.send(Ok(heard(50.0))).expect("it watches again");
    assert_eq!(progress_of(&mut watch).await, (videos[0].clone(), 50.0));
}

#[tokio::test]
async fn a_watch_of_one_video_begins_with_how_far_it_is_and_says_nothing_twice() {
    let world = World::new().await;
    let video_id = world.create(&pattern(5)).await.video_id;
    let stages = |stages: Vec<pb::Progress>| *world.transcoder.stages.lock().expect("not poisoned") = stages;
    stages(vec![stage(40.0)]);
    let mut watch = watch_with_progress(&world, &video_id).await;
    assert_eq!(progress_of(&mut watch).await, (video_id.clone(), 40.0));
    // All was done; a change may be the begin of more.
    stages(vec![stage(40.0), stage(90.0)]);
    world.catalog.feed.send(Ok(change("5", Change::Current(pb::FeedCurrent {})))).expect("one watches");
    assert_eq!(watch.message().await.expect("no problem").expect("an event").position, "5");
    assert_eq!(progress_of(&mut watch).await, (video_id, 90.0));
}

#[tokio::test]
async fn watches_end_when_the_server_stops_or_the_feed_is_lost() {
    let world = World::new().await;
    let open = async |include_progress| {
        let request = pb::WatchVideosRequest { include_progress, ..Default::default() };
        let mut watch = world.videos().watch_videos(request).await.expect("a watch").into_inner();
        watch.message().await.expect("no problem").expect("the feed is current");
        watch
    };
    let mut lost = open(true).await;
    world.catalog.feed.send(Err(Status::unavailable("away"))).expect("one watches");
    assert_eq!(lost.message().await.expect_err("lost").code(), Code::Unavailable);
    let (mut plain, mut with_progress) = (open(false).await, open(true).await);
    world.deps.lifecycle.stopping().cancel();
    assert_eq!(plain.message().await.expect_err("stopping").code(), Code::Unavailable);
    assert_eq!(with_progress.message().await.expect_err("stopping").code(), Code::Unavailable);
}

#[tokio::test]
async fn progress_of_one_video_ends_when_all_is_done() {
    let world = World::new().await;
    let video_id = world.create(&pattern(5)).await.video_id;
    *world.transcoder.stages.lock().expect("not poisoned") = vec![stage(0.0), stage(100.0)];
    let request = pb::WatchProgressRequest { video_id: video_id.clone() };
    let mut watch = world.videos().watch_progress(request).await.expect("a watch").into_inner();
    let mut heard = Vec::new();
    while let Some(answer) = watch.message().await.expect("no problem") {
        let progress = answer.progress.expect("progress");
        assert_eq!(progress.video_id, video_id);
        heard.push(progress.percent);
    }
    assert_eq!(heard, [0.0, 100.0]);
    let stranger = pb::WatchProgressRequest { video_id: VideoId::generate().to_string() };
    assert_eq!(world.videos().watch_progress(stranger).await.expect_err("unknown").code(), Code::NotFound);
}
