//! Views of videos, and rows of viewers.

use super::super::{Change, ChangesQuery, Flush, Store, ViewerRow};
use super::{at, next, ok, video};
use futures::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;
use vidstream_proto::ids::{VideoId, ViewerId};

pub(super) async fn check(store: &Arc<dyn Store>) {
    views_stand_beside_the_row(&**store).await;
    an_addition_is_done_once(&**store).await;
    viewers_are_compared_and_set(store).await;
    viewers_are_forgotten(&**store).await;
}

fn flush(by: u128, number: u64) -> Flush {
    Flush { by: Uuid::from_u128(by), number }
}

async fn views_of(store: &dyn Store, id: VideoId) -> u64 {
    ok(store.video(id).await).expect("it is there").entry.video.views
}

async fn views_stand_beside_the_row(store: &dyn Store) {
    let row = video("watched");
    let id = row.entry.id;
    assert!(!ok(store.add_views(id, 1, flush(1, 1)).await), "there is no such video");
    assert!(ok(store.insert_video(row.clone()).await));
    let before = ok(store.position().await);
    assert!(ok(store.add_views(id, 3, flush(1, 2)).await));
    let mut seen = ok(store.video(id).await).expect("it is there");
    assert_eq!((seen.entry.video.views, seen.revision()), (3, row.revision()), "the revision stays");
    let told = ok(store.changes(ChangesQuery { after: before, again: false, video: Some(id), limit: 10 }).await)
        .expect("young");
    assert!(matches!(&told.changes[..], [(_, Change::Changed(entry))] if entry.video.views == 3), "the feed tells it");
    // Who read the row before writes it back: the views that came meanwhile stay.
    seen.entry.video.views = 0;
    assert!(ok(store.replace_video(next(&seen), row.revision()).await));
    assert_eq!(views_of(store, id).await, 3);
    assert!(ok(store.bury_video(id, row.revision() + 1, at(0)).await));
    assert!(!ok(store.add_views(id, 1, flush(1, 3)).await));
}

async fn an_addition_is_done_once(store: &dyn Store) {
    let row = video("counted");
    let id = row.entry.id;
    assert!(ok(store.insert_video(row).await));
    for _ in 0..3 {
        assert!(ok(store.add_views(id, 1, flush(1, 7)).await));
    }
    assert_eq!(views_of(store, id).await, 1);
    for by in 2..=16 {
        assert!(ok(store.add_views(id, 1, flush(by, 1)).await));
    }
    assert!(ok(store.add_views(id, 1, flush(1, 7)).await), "others came between");
    assert!(ok(store.add_views(id, 1, flush(1, 6)).await), "an older number");
    assert_eq!(views_of(store, id).await, 16);
    assert!(ok(store.add_views(id, 4, flush(1, 8)).await));
    assert_eq!(views_of(store, id).await, 20);
}

fn viewer(video: VideoId, began: u64) -> ViewerRow {
    let millis = |from, to| Duration::from_millis(from)..Duration::from_millis(to);
    let watched = vec![millis(0, 1), millis(1500, 360_000_000)];
    let viewer = ViewerId::generate();
    ViewerRow { video, viewer, began: at(began), counted: false, counted_by: None, watched, revision: 1 }
}

async fn viewers_are_compared_and_set(store: &Arc<dyn Store>) {
    let id = VideoId::generate();
    let (one, other, stranger) = (viewer(id, 1), viewer(id, 2), viewer(id, 3));
    let key = |row: &ViewerRow| (row.video, row.viewer);
    let keys = vec![key(&one), key(&other), key(&stranger)];
    assert!(ok(store.viewers(keys.clone()).await).is_empty());
    assert_eq!(ok(store.save_viewers(vec![one.clone(), other.clone()]).await), [true, true]);
    let counted_by = Some(Uuid::from_u128(77));
    let second = ViewerRow { counted: true, counted_by, watched: vec![], revision: 2, ..one.clone() };
    let late = ViewerRow { revision: 4, ..other.clone() };
    assert_eq!(ok(store.save_viewers(vec![one, late, second.clone()]).await), [false, false, true]);
    let mut found = ok(store.viewers(keys).await);
    found.sort_by_key(|row| row.began);
    assert_eq!(found, [second.clone(), other]);

    let writes = (0..16).map(|_| {
        let (store, row) = (Arc::clone(store), ViewerRow { revision: 3, ..second.clone() });
        tokio::spawn(async move { store.save_viewers(vec![row]).await })
    });
    let won = join_all(writes).await.into_iter().map(|task| ok(task.expect("no panic"))[0]);
    assert_eq!(won.filter(|won| *won).count(), 1, "one of many wins");
    // Another window begins.
    let fourth = ViewerRow { counted: false, counted_by: None, revision: 4, ..second };
    assert_eq!(ok(store.save_viewers(vec![fourth.clone()]).await), [true]);
    assert_eq!(ok(store.viewers(vec![key(&fourth)]).await), [fourth]);
}

async fn viewers_are_forgotten(store: &dyn Store) {
    let id = VideoId::generate();
    let (old, new) = (viewer(id, 100), viewer(id, 200));
    assert_eq!(ok(store.save_viewers(vec![old.clone(), new.clone()]).await), [true, true]);
    assert!(!ok(store.forget_viewers(at(200), 1000).await));
    let keys = |rows: &[ViewerRow]| rows.iter().map(|row| (row.video, row.viewer)).collect::<Vec<_>>();
    assert_eq!(ok(store.viewers(keys(&[old, new.clone()])).await), [new]);
    // More than there is room for: the oldest go, in steps.
    let many: Vec<ViewerRow> = (0..25_000).map(|n| viewer(id, 300 + n)).collect();
    assert!(ok(store.save_viewers(many.clone()).await).into_iter().all(|saved| saved));
    let mut steps = 1;
    while ok(store.forget_viewers(at(200), 1000).await) {
        steps += 1;
    }
    assert!(steps > 1, "others write in between");
    assert!(ok(store.viewers(keys(&many[..24_000])).await).is_empty());
    assert_eq!(ok(store.viewers(keys(&many[24_000..])).await).len(), 1000);
    while ok(store.forget_viewers(at(100_000), 1000).await) {}
}
