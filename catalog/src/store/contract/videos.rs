//! Rows of videos.

use super::super::{Store, VideoRow};
use super::{at, next, ok, video};
use futures::future::join_all;
use std::sync::Arc;
use vidstream_proto::ids::RequestId;
use vidstream_proto::pb::VideoState;
use vidstream_proto::time::timestamp;

pub(super) async fn check(store: &Arc<dyn Store>) {
    rows_are_compared_and_set(&**store).await;
    one_of_many_wins(store).await;
    tombstones_are_final(&**store).await;
    purges_are_found(&**store).await;
}

async fn rows_are_compared_and_set(store: &dyn Store) {
    let first = video("one");
    let id = first.entry.id;
    assert_eq!(ok(store.video(id).await), None);
    assert!(!ok(store.replace_video(next(&first), 1).await), "there is nothing to replace");
    assert!(ok(store.insert_video(first.clone()).await));
    let other = VideoRow { shown_source: 9, ..first.clone() };
    assert!(!ok(store.insert_video(other).await));
    assert_eq!(ok(store.video(id).await), Some(first.clone()));

    let second = VideoRow { last_request: Some(RequestId::generate()), shown_source: 2, ..next(&first) };
    assert!(ok(store.replace_video(second.clone(), 1).await));
    assert!(!ok(store.replace_video(next(&first), 1).await), "the revision has passed");
    assert_eq!(ok(store.video(id).await), Some(second.clone()));
    assert_eq!(ok(store.videos_of(first.entry.source_id).await), [second]);
}

async fn one_of_many_wins(store: &Arc<dyn Store>) {
    let row = video("raced");
    assert!(ok(store.insert_video(row.clone()).await));
    let writes = (0..32).map(|n| {
        let (store, row) = (Arc::clone(store), VideoRow { shown_source: n, ..next(&row) });
        tokio::spawn(async move { store.replace_video(row, 1).await })
    });
    let won = join_all(writes).await.into_iter().map(|task| ok(task.expect("no panic")));
    assert_eq!(won.filter(|won| *won).count(), 1);
}

async fn tombstones_are_final(store: &dyn Store) {
    let row = video("gone");
    let id = row.entry.id;
    assert!(ok(store.insert_video(row.clone()).await));
    assert!(!ok(store.bury_video(id, 7, at(0)).await));
    assert!(ok(store.bury_video(id, 1, at(0)).await));
    assert_eq!(ok(store.video(id).await), None);
    assert!(ok(store.videos_of(row.entry.source_id).await).is_empty());
    assert!(!ok(store.insert_video(row.clone()).await), "it was there once");
    assert!(!ok(store.replace_video(next(&row), 2).await));
    assert!(!ok(store.bury_video(id, 2, at(0)).await));
}

async fn purges_are_found(store: &dyn Store) {
    let removed = |purge: u64| {
        let mut row = video("removed");
        row.entry.video.set_state(VideoState::Removed);
        row.entry.video.purge_time = Some(timestamp(at(purge)));
        row
    };
    let (late, early) = (removed(200), removed(100));
    for row in [&late, &early] {
        assert!(ok(store.insert_video(row.clone()).await));
    }
    assert!(ok(store.due_videos(at(99), 10).await).is_empty());
    assert_eq!(ok(store.due_videos(at(200), 10).await), [early.clone(), late.clone()]);
    assert_eq!(ok(store.due_videos(at(200), 1).await), std::slice::from_ref(&early));
    assert_eq!(ok(store.next_due(at(50)).await), Some(at(100)));
    assert_eq!(ok(store.next_due(at(100)).await), Some(at(200)));
    assert_eq!(ok(store.next_due(at(200)).await), None);

    let purging = VideoRow { purging: true, ..next(&early) };
    assert!(ok(store.replace_video(purging.clone(), 1).await));
    assert_eq!(ok(store.due_videos(at(300), 10).await), std::slice::from_ref(&late), "it has begun");
    assert_eq!(ok(store.purging_videos(10).await), [purging]);

    let mut restored = next(&late);
    restored.entry.video.set_state(VideoState::Ready);
    assert!(ok(store.replace_video(restored, 1).await));
    assert!(ok(store.due_videos(at(300), 10).await).is_empty(), "a stale purge time means nothing");
    assert!(ok(store.bury_video(early.entry.id, 2, at(0)).await));
    assert!(ok(store.purging_videos(10).await).is_empty());
}
