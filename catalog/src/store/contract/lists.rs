//! Lists, compared with the same done slowly.

use super::super::{ListKey, ListPage, ListQuery, Store, VideoRow};
use super::{at, ok, video};
use crate::search;
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::SystemTime;
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb::{VideoOrder, VideoState};
use vidstream_proto::time::{system_time, timestamp};
use vidstream_proto::video::Entry;

const TITLES: [&str; 9] =
    ["Sea", "sea", "Seaside at night", "Äpfel", "äpfel und Birnen", "Zoo", "the sea in Äpfel", "", "100 boats"];
const TAGS: [&str; 4] = ["summer", "Boat", "sea", "été"];
const STATES: [VideoState; 4] = [VideoState::Uploading, VideoState::Ready, VideoState::Removed, VideoState::Failed];

/// Needs a store without videos; buries what it made.
pub(super) async fn check(store: &Arc<dyn Store>) {
    let rows = rows();
    for row in &rows {
        assert!(ok(store.insert_video(row.clone()).await));
    }
    let mut states: Vec<Option<VideoState>> = STATES.map(Some).to_vec();
    states.extend([None, Some(VideoState::Processing)]);
    for state in states {
        for order in [VideoOrder::Created, VideoOrder::Title] {
            for search in ["", "sea", "SEA b", "a\u{308}pf", "ete\u{301}", "se sea night", "nothing"] {
                let prefixes = search::prefixes(search);
                let query = ListQuery { state, prefixes, after: None, order, limit: 0, looks: 0 };
                let expected = slowly(&rows, &query);
                for (limit, looks) in [(1, 100), (7, 1), (7, 5), (100, 7), (100, 100)] {
                    let query = ListQuery { limit, looks, ..query.clone() };
                    assert_eq!(paged(&**store, query.clone()).await, expected, "{query:?}");
                }
            }
        }
    }
    for row in rows {
        assert!(ok(store.bury_video(row.entry.id, 1, at(0)).await));
    }
    let prefixes = vec!["sea".into()];
    let all = ListQuery { state: None, prefixes, after: None, order: VideoOrder::Title, limit: 9, looks: 99 };
    assert!(ok(store.list_videos(all).await).entries.is_empty());
}

/// Titles, tags, states and times in many combinations; several share each.
fn rows() -> Vec<VideoRow> {
    let row = |n: usize| {
        let mut row = video(TITLES[n % TITLES.len()]);
        let entry = &mut row.entry.video;
        entry.tags = TAGS.iter().skip(n % 5).map(ToString::to_string).collect();
        entry.set_state(STATES[n % STATES.len()]);
        entry.create_time = Some(timestamp(at(n as u64 / 3)));
        row
    };
    (0..60).map(row).collect()
}

fn created(entry: &Entry) -> SystemTime {
    let stamp = entry.video.create_time.as_ref().expect("every row has one");
    system_time("create_time", stamp).expect("we made it")
}

fn slowly(rows: &[VideoRow], query: &ListQuery) -> Vec<VideoId> {
    let shown = |entry: &&Entry| match query.state {
        Some(state) => entry.video.state() == state,
        None => entry.video.state() != VideoState::Removed,
    };
    let found = |entry: &&Entry| {
        let words = search::words(&format!("{} {}", entry.video.title, entry.video.tags.join(" ")));
        query.prefixes.iter().all(|prefix| words.iter().any(|word| word.starts_with(prefix)))
    };
    let mut entries: Vec<&Entry> = rows.iter().map(|row| &row.entry).filter(shown).filter(found).collect();
    match query.order {
        VideoOrder::Title => entries.sort_by_key(|entry| (search::title_key(&entry.video.title), entry.id)),
        _ => entries.sort_by_key(|entry| Reverse((created(entry), entry.id))),
    }
    entries.into_iter().map(|entry| entry.id).collect()
}

async fn paged(store: &dyn Store, mut query: ListQuery) -> Vec<VideoId> {
    let mut found = Vec::new();
    loop {
        let ListPage { entries: page, looked, .. } = ok(store.list_videos(query.clone()).await);
        assert!(page.len() <= query.limit);
        found.extend(page.iter().map(|entry| entry.id));
        query.after = match page.last().filter(|_| page.len() == query.limit) {
            Some(last) => Some(match query.order {
                VideoOrder::Title => ListKey::Title(search::title_key(&last.video.title), last.id),
                _ => ListKey::Created(created(last), last.id),
            }),
            None => looked,
        };
        if query.after.is_none() {
            return found;
        }
    }
}
