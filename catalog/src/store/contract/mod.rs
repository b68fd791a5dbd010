//! What every store must do, as one suite of checks.

use super::{Result, Store, VideoRow};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vidstream_proto::ids::{SourceId, UploadId, VideoId};
use vidstream_proto::pb;
use vidstream_proto::source::{Part, Source, SourceLife, UploadState};
use vidstream_proto::time::timestamp;
use vidstream_proto::video::Entry;

mod feed;
mod jobs;
mod lists;
mod records;
mod requests;
mod sources;
mod videos;
mod views;

/// A store that is being opened.
pub type Opened = BoxFuture<'static, Arc<dyn Store>>;

/// Checks the store that `open` opens, empty at first and nobody else's; `open` is called again to see what stayed.
///
/// # Panics
///
/// If the store breaks the contract.
pub async fn store_contract(open: Arc<dyn Fn() -> Opened + Send + Sync>) {
    let store = open().await;
    time_goes_on(&*store).await;
    lists::check(&store).await;
    requests::check(&*store).await;
    videos::check(&store).await;
    views::check(&store).await;
    feed::check(&store).await;
    sources::check(&*store).await;
    records::check(&store).await;
    jobs::check(&store).await;
    what_was_answered_stays(store, &*open).await;
}

async fn time_goes_on(store: &dyn Store) {
    let (first, second) = (ok(store.time().await), ok(store.time().await));
    assert_eq!(first.is_some(), second.is_some(), "it has a clock or has none");
    assert!(first <= second);
    // Tests run on one machine.
    let off = first.map(|first| first.duration_since(SystemTime::now()).unwrap_or_else(|behind| behind.duration()));
    assert!(off.unwrap_or_default() < Duration::from_mins(1), "{off:?}");
}

async fn what_was_answered_stays(store: Arc<dyn Store>, open: &(dyn Fn() -> Opened + Send + Sync)) {
    let (source, video) = (source(), video("kept"));
    assert!(ok(store.insert_source(source.clone()).await));
    assert!(ok(store.insert_video(video.clone()).await));
    let position = ok(store.position().await);
    drop(store);
    let store = open().await;
    assert_eq!(ok(store.source(source.id).await), Some(source));
    assert_eq!(ok(store.video(video.entry.id).await), Some(video));
    assert_eq!(ok(store.position().await), position);
}

fn ok<T>(outcome: Result<T>) -> T {
    outcome.expect("the store works")
}

/// Seconds after an epoch of these checks; whole, as every store can keep them.
fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

fn video(title: &str) -> VideoRow {
    let id = VideoId::generate();
    let video = pb::Video {
        id: id.to_string(),
        owner: "local".into(),
        title: title.into(),
        state: pb::VideoState::Uploading.into(),
        revision: 1,
        create_time: Some(timestamp(at(0))),
        ..pb::Video::default()
    };
    let entry = Entry { id, source_id: SourceId::generate(), video };
    VideoRow { entry, shown_source: 1, last_request: None, purging: false }
}

/// The row under its next revision.
fn next(row: &VideoRow) -> VideoRow {
    let mut next = row.clone();
    next.entry.video.revision += 1;
    next
}

fn source() -> Source {
    Source {
        id: SourceId::generate(),
        revision: 1,
        video_ids: vec![VideoId::generate()],
        life: SourceLife::Live,
        file_name: "a.mp4".into(),
        size: 1 << 40,
        upload_id: UploadId::generate(),
        upload_state: UploadState::Open,
        received: 0,
        expected_blake3: Some([7; 32]),
        blake3: None,
        create_time: at(0),
        receive_time: at(0),
        index: Part::waiting(),
        index_result: None,
        storyboard: Part::waiting(),
        storyboard_result: None,
        poster: Part::waiting(),
        poster_result: None,
        shown_revision: 0,
        tried_by: 0,
        trace_parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(),
        normalisation: None,
        encoded: Vec::new(),
    }
}
