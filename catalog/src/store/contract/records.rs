//! Records of extents.

use super::super::{Recorded, Store};
use super::{ok, source};
use bytes::Bytes;
use futures::future::join_all;
use std::ops::Range;
use std::sync::Arc;
use vidstream_proto::ids::SourceId;
use vidstream_proto::source::{Source, SourceLife};
use vidstream_source::checksum::{Tree, crc32c};
use vidstream_source::extents::{Extent, GRANULE, PAGE, PageNumber};

pub(super) async fn check(store: &Arc<dyn Store>) {
    extents_are_recorded_once(&**store).await;
    many_are_recorded_at_once(store).await;
    only_live_sources_take_records(&**store).await;
}

/// Some granules with bytes of this kind.
fn extent(range: Range<u64>, kind: u8) -> Extent {
    let len = usize::try_from(range.end - range.start).expect("a few granules");
    let bytes = Bytes::from(vec![kind; len]);
    let sum = crc32c(&bytes);
    let tree = Tree::of(range.start, &[bytes], 1 << 40);
    Extent::new(range, sum, tree).expect("a run of granules")
}

async fn live(store: &dyn Store) -> SourceId {
    let source = source();
    assert!(ok(store.insert_source(source.clone()).await));
    source.id
}

async fn record(store: &dyn Store, source: SourceId, extents: Vec<Extent>) -> Recorded {
    ok(store.record(source, extents).await).expect("the source is live")
}

async fn extents_are_recorded_once(store: &dyn Store) {
    let id = live(store).await;
    let (near, far) = (extent(0..2 * GRANULE, 1), extent(3 * PAGE..3 * PAGE + GRANULE, 1));
    assert_eq!(ok(store.received(id).await), 0);
    let first = record(store, id, vec![far.clone(), near.clone()]).await;
    let new = vec![far.range(), near.range()];
    assert_eq!(first, Recorded { new, overlapping: vec![], received: 3 * GRANULE });
    let again = record(store, id, vec![near.clone()]).await;
    assert_eq!(again, Recorded { received: 3 * GRANULE, ..Recorded::default() });

    let (other_bytes, across) = (extent(0..2 * GRANULE, 2), extent(GRANULE..3 * GRANULE, 1));
    let beside = extent(2 * GRANULE..3 * GRANULE, 1);
    let mixed = record(store, id, vec![other_bytes, across, beside.clone()]).await;
    assert_eq!(mixed.overlapping, [near.clone(), near.clone()]);
    assert_eq!((mixed.new, mixed.received), (vec![beside.range()], 4 * GRANULE));

    let pages = ok(store.pages(id, PageNumber(0), 10).await);
    assert_eq!(pages.iter().map(|page| page.number().0).collect::<Vec<_>>(), [0, 3]);
    assert_eq!(pages[0].extents().collect::<Vec<_>>(), [&near, &beside]);
    assert_eq!(ok(store.pages(id, PageNumber(1), 10).await), pages[1..]);
    assert_eq!(ok(store.pages(id, PageNumber(0), 1).await), pages[..1]);
    assert_eq!(ok(store.received(id).await), 4 * GRANULE);

    ok(store.remove_pages(id).await);
    ok(store.remove_pages(id).await);
    assert_eq!(ok(store.received(id).await), 0);
    assert!(ok(store.pages(id, PageNumber(0), 10).await).is_empty());
}

async fn many_are_recorded_at_once(store: &Arc<dyn Store>) {
    let id = live(&**store).await;
    let records = (0..64).map(|n| {
        let store = Arc::clone(store);
        // Each granule is brought by two.
        let extent = extent(n / 2 * GRANULE..(n / 2 + 1) * GRANULE, 1);
        tokio::spawn(async move { record(&*store, id, vec![extent]).await.new.len() })
    });
    let new: usize = join_all(records).await.into_iter().map(|task| task.expect("no panic")).sum();
    assert_eq!((new, ok(store.received(id).await)), (32, 32 * GRANULE));
}

async fn only_live_sources_take_records(store: &dyn Store) {
    let granule = || vec![extent(0..GRANULE, 1)];
    assert_eq!(ok(store.record(SourceId::generate(), granule()).await), None);
    let dying = Source { life: SourceLife::Dying, ..source() };
    assert!(ok(store.insert_source(dying.clone()).await));
    assert_eq!(ok(store.record(dying.id, granule()).await), None);
    assert_eq!(ok(store.received(dying.id).await), 0);
    ok(store.remove_source(dying.id).await);
}
