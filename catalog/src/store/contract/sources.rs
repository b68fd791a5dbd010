//! Rows of sources.

use super::super::Store;
use super::{ok, source};
use vidstream_proto::ids::{SourceId, UploadId};
use vidstream_proto::source::{Source, SourceLife, UploadState};

pub(super) async fn check(store: &dyn Store) {
    let first = source();
    let id = first.id;
    assert_eq!(ok(store.source(id).await), None);
    assert!(ok(store.insert_source(first.clone()).await));
    assert!(!ok(store.insert_source(Source { size: 1, ..first.clone() }).await));
    assert_eq!(ok(store.source(id).await), Some(first.clone()));
    assert_eq!(ok(store.source_of_upload(first.upload_id).await), Some(first.clone()));
    assert_eq!(ok(store.source_of_upload(UploadId::generate()).await), None);

    let second = Source { revision: 2, received: 5, ..first.clone() };
    assert!(ok(store.replace_source(second.clone(), 1).await));
    assert!(!ok(store.replace_source(Source { revision: 2, ..first }, 1).await), "the revision has passed");
    assert_eq!(ok(store.source(id).await), Some(second.clone()));

    what_is_shown_is_noted(store, &second).await;
    lives_are_found(store, &second).await;
    ok(store.remove_source(id).await);
    ok(store.remove_source(id).await);
    assert_eq!(ok(store.source(id).await), None);
    assert!(!ok(store.replace_source(Source { revision: 9, ..second }, 8).await));
}

async fn is_unsettled(store: &dyn Store, id: SourceId) -> bool {
    ok(store.unsettled_sources(1000).await).iter().any(|source| source.id == id)
}

async fn what_is_shown_is_noted(store: &dyn Store, source: &Source) {
    let id = source.id;
    ok(store.mark_shown(id, 1).await);
    assert!(is_unsettled(store, id).await, "an old revision was shown");
    ok(store.mark_shown(id, 2).await);
    assert!(!is_unsettled(store, id).await);
    let shown = ok(store.source(id).await).expect("it is there");
    assert_eq!((shown.revision, shown.shown_revision), (2, 2), "noting it is no change");
    let third = Source { revision: 3, shown_revision: 0, ..source.clone() };
    assert!(ok(store.replace_source(third, 2).await));
    assert!(is_unsettled(store, id).await);
    assert_eq!(ok(store.source(id).await).expect("it is there").shown_revision, 2);
}

async fn lives_are_found(store: &dyn Store, known: &Source) {
    let (open, complete) = (source(), Source { upload_state: UploadState::Complete, ..source() });
    let (dying, gone) = (Source { life: SourceLife::Dying, ..source() }, Source { life: SourceLife::Gone, ..source() });
    for source in [&open, &complete, &dying, &gone] {
        assert!(ok(store.insert_source(source.clone()).await));
    }
    let mut found = Vec::new();
    let mut after = None;
    while let Some(source) = ok(store.open_sources(after, 1).await).pop() {
        assert!(after.is_none_or(|after| after < source.id), "in the order of ids");
        after = Some(source.id);
        found.push(source.id);
    }
    assert_eq!(found, [known.id, open.id], "ids are made in their order");
    let found: Vec<SourceId> = ok(store.dying_sources(10).await).iter().map(|source| source.id).collect();
    assert_eq!(found, [gone.id, dying.id]);
    for source in [open, complete, dying, gone] {
        ok(store.remove_source(source.id).await);
    }
}
