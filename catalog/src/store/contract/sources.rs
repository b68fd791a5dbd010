//! Rows of sources.

use super::super::{Maker, Store};
use super::{ok, source};
use vidstream_proto::ids::{SourceId, UploadId};
use vidstream_proto::pb;
use vidstream_proto::source::{Part, Source, SourceLife, UploadState};

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
    what_is_outdated_is_found(store).await;
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

async fn what_is_outdated_is_found(store: &dyn Store) {
    let failed = Source { storyboard: Part::failed("odd"), tried_by: 3, ..source() };
    let index_result = Some(pb::IndexResult { format: 2, ..Default::default() });
    let indexed = Source { index: Part::ready(""), index_result, ..source() };
    let first = Source { index_result: Some(pb::IndexResult::default()), ..indexed.clone() };
    let first = Source { id: SourceId::generate(), upload_id: UploadId::generate(), ..first };
    let dying = Source { life: SourceLife::Dying, poster: Part::failed("odd"), ..source() };
    for source in [&failed, &indexed, &first, &dying, &source()] {
        assert!(ok(store.insert_source(source.clone()).await));
    }
    let found = async |version, index_format, limit| -> Vec<SourceId> {
        let outdated = store.outdated_sources(Maker { version, index_format }, limit).await;
        ok(outdated).iter().map(|source| source.id).collect()
    };
    assert!(found(3, 1, 10).await.is_empty());
    assert_eq!(found(4, 0, 10).await, [failed.id]);
    assert_eq!(found(0, 2, 10).await, [first.id], "the first results did not say their form");
    let mut both = [failed.id, indexed.id, first.id];
    both.sort_unstable();
    assert_eq!(found(4, 3, 10).await, both);
    assert_eq!(found(4, 3, 2).await.len(), 2);
    let tried = Source { tried_by: 4, revision: 2, ..failed.clone() };
    assert!(ok(store.replace_source(tried, 1).await));
    let again = Source { index: Part::waiting(), revision: 2, ..indexed.clone() };
    assert!(ok(store.replace_source(again, 1).await));
    assert_eq!(found(4, 3, 10).await, [first.id]);
    for id in both.into_iter().chain([dying.id]) {
        ok(store.remove_source(id).await);
    }
}
