//! Twelve thousand videos: lists and searches find what they must. That they read no more than that is checked by the
//! store's query plans.

use crate::world::World;
use futures::StreamExt;
use std::time::Duration;
use vidstream_catalog::Config;
use vidstream_catalog::store::VideoRow;
use vidstream_proto::ids::{SourceId, VideoId};
use vidstream_proto::pb::{self, VideoOrder, VideoState};
use vidstream_proto::time::timestamp;
use vidstream_proto::video::Entry;

const MANY: u64 = 12_000;
const WORDS: [&str; 8] = ["sea", "mountain", "boat", "night", "summer", "train", "city", "river"];

fn row(n: u64) -> VideoRow {
    let id = VideoId::generate();
    let word = |n: u64| WORDS[usize::try_from(n).unwrap() % WORDS.len()];
    let video = pb::Video {
        id: id.to_string(),
        title: format!("{} {} number{n}", word(n), word(n / 8)),
        tags: vec![if n.is_multiple_of(2) { "even" } else { "odd" }.into()],
        state: VideoState::Ready.into(),
        revision: 1,
        create_time: Some(timestamp(std::time::UNIX_EPOCH + Duration::from_secs(n))),
        ..Default::default()
    };
    let entry = Entry { id, source_id: SourceId::generate(), video };
    VideoRow { entry, shown_source: 1, last_request: None, purging: false }
}

#[tokio::test]
async fn the_right_ones_of_many_are_found() {
    let mut world = World::still(Config::default()).await;
    let inserts = futures::stream::iter(0..MANY).map(|n| world.store.insert_video(row(n)));
    let inserted = inserts.buffer_unordered(500).filter(|done| std::future::ready(*done.as_ref().unwrap()));
    assert_eq!(inserted.count().await, usize::try_from(MANY).unwrap());

    for order in [VideoOrder::Created, VideoOrder::Title] {
        for (search, hits) in
            [("", MANY), ("sea", 2816), ("sea boat", 376), ("number9999", 1), ("n", MANY), ("none", 0)]
        {
            let (mut seen, mut pages, mut page_token) = (0, 0, String::new());
            // Ten pages, then enough of it: each starts where the one before ended.
            while pages < 10 {
                let list = pb::ListEntriesRequest {
                    page_size: 50,
                    page_token,
                    search: search.into(),
                    order: order.into(),
                    ..Default::default()
                };
                let page = world.list(list).await;
                seen += page.entries.len() as u64;
                pages += 1;
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            assert_eq!(seen, hits.min(500), "{search}");
        }
        // So many videos are looked at in vain that a page ends before it has one.
        let mut list = pb::ListEntriesRequest { search: "odd even".into(), order: order.into(), ..Default::default() };
        let page = world.list(list.clone()).await;
        assert!(page.entries.is_empty() && !page.next_page_token.is_empty());
        list.page_token = page.next_page_token;
        let page = world.list(list).await;
        assert!(page.entries.is_empty() && page.next_page_token.is_empty());
    }
}
