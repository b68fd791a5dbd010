//! Positions and changes.

use super::super::{Change, Changes, ChangesQuery, Store, VideoRow};
use super::{at, next, ok, video};
use crate::Position;
use futures::future::join_all;
use std::collections::HashSet;
use std::sync::Arc;
use vidstream_proto::ids::VideoId;

pub(super) async fn check(store: &Arc<dyn Store>) {
    changes_come_once_in_their_latest_state(&**store).await;
    no_change_is_missed(store).await;
    old_positions_are_refused(&**store).await;
}

fn behind(after: Position) -> ChangesQuery {
    ChangesQuery { after, again: false, video: None, limit: 1000 }
}

async fn after(store: &dyn Store, position: Position, video: Option<VideoId>) -> Changes {
    let query = ChangesQuery { video, ..behind(position) };
    ok(store.changes(query).await).expect("the position is not too old")
}

fn id(change: &Change) -> VideoId {
    match change {
        Change::Changed(entry) => entry.id,
        Change::Purged { id, .. } => *id,
    }
}

async fn changes_come_once_in_their_latest_state(store: &dyn Store) {
    let start = ok(store.position().await);
    let (one, two) = (video("one"), video("two"));
    ok(store.insert_video(one.clone()).await);
    ok(store.insert_video(two.clone()).await);
    let changed = next(&one);
    ok(store.replace_video(changed.clone(), 1).await);

    let all = after(store, start, None).await;
    let [(first, of_two), (second, of_one)] = all.changes.as_slice() else { panic!("{all:?}") };
    assert!(start.number < first.number && first.number < second.number);
    assert_eq!(of_two, &Change::Changed(Box::new(two.entry.clone())));
    assert_eq!(of_one, &Change::Changed(Box::new(changed.entry.clone())));
    assert_eq!(all.latest, ok(store.position().await));
    assert!(second.number <= all.latest.number);
    assert!(after(store, all.latest, None).await.changes.is_empty());
    assert_eq!(after(store, *first, None).await.changes.len(), 1);
    assert_eq!(
        ok(store.changes(ChangesQuery { limit: 1, ..behind(start) }).await).expect("recent").changes,
        all.changes[..1]
    );

    let mine = after(store, start, Some(two.entry.id)).await;
    assert_eq!(mine.changes.iter().map(|(_, change)| id(change)).collect::<Vec<_>>(), [two.entry.id]);

    ok(store.bury_video(two.entry.id, 1, at(0)).await);
    let gone = after(store, all.latest, None).await;
    let purged = Change::Purged { id: two.entry.id, revision: 2 };
    assert_eq!(gone.changes.into_iter().map(|(_, change)| change).collect::<Vec<_>>(), [purged]);
}

/// A reader that goes on from the last position it saw hears of every write, however they interleave.
async fn no_change_is_missed(store: &Arc<dyn Store>) {
    let mut position = ok(store.position().await);
    let rows: Vec<VideoRow> = (0..100).map(|n| video(&format!("v{n}"))).collect();
    let writes = rows.iter().cloned().map(|row| {
        let store = Arc::clone(store);
        tokio::spawn(async move { ok(store.insert_video(row).await) })
    });
    let writes = tokio::spawn(join_all(writes.collect::<Vec<_>>()));
    let mut seen = HashSet::new();
    loop {
        let done = writes.is_finished();
        let query = ChangesQuery { again: true, ..behind(position) };
        for (at, change) in ok(store.changes(query).await).expect("it is young").changes {
            if at.number > position.number {
                position = at;
            }
            seen.insert(id(&change));
        }
        if done {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(rows.iter().all(|row| seen.contains(&row.entry.id)));
}

async fn old_positions_are_refused(store: &dyn Store) {
    let row = video("buried");
    ok(store.insert_video(row.clone()).await);
    let before = ok(store.position().await);
    ok(store.bury_video(row.entry.id, 1, at(1000)).await);
    let buried = ok(store.position().await);
    ok(store.forget_buried(at(1000)).await);
    assert!(ok(store.changes(behind(before)).await).is_some(), "the tombstone is still there");
    ok(store.forget_buried(at(1001)).await);
    assert_eq!(ok(store.changes(behind(before)).await), None);
    assert!(ok(store.changes(behind(buried)).await).is_some());
    assert!(ok(store.insert_video(row).await), "nothing is known of it any more");

    let now = ok(store.position().await);
    let elsewhere = Position { feed: now.feed ^ 1, ..now };
    let future = Position { number: now.number + 1, ..now };
    assert_eq!(ok(store.changes(behind(elsewhere)).await), None);
    assert_eq!(ok(store.changes(behind(future)).await), None);
}
