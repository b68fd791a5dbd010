//! First answers.

use super::super::{RequestRow, Store};
use super::{at, ok};
use vidstream_proto::ids::RequestId;

fn request(made: u64, pending: bool) -> RequestRow {
    RequestRow { id: RequestId::generate(), fingerprint: [1; 32], answer: vec![1, 2, 3], pending, made: at(made) }
}

pub(super) async fn check(store: &dyn Store) {
    let row = request(10, true);
    assert_eq!(ok(store.request(row.id).await), None);
    assert_eq!(ok(store.insert_request(row.clone()).await), row);
    let second = RequestRow { answer: vec![9], ..row.clone() };
    assert_eq!(ok(store.insert_request(second).await), row, "the first answer stays");

    let done = request(10, false);
    ok(store.insert_request(done.clone()).await);
    assert_eq!(ok(store.pending_requests(at(11), 10).await), [row.clone()].as_slice());
    assert!(ok(store.pending_requests(at(10), 10).await).is_empty(), "not before it was made");

    ok(store.forget_requests(at(10)).await);
    assert_eq!(ok(store.request(done.id).await), Some(done.clone()));
    ok(store.forget_requests(at(11)).await);
    assert_eq!(ok(store.request(done.id).await), None);
    assert_eq!(ok(store.request(row.id).await), Some(row.clone()), "what is pending is not forgotten");

    ok(store.finish_request(row.id).await);
    assert_eq!(ok(store.request(row.id).await), Some(RequestRow { pending: false, ..row }));
    assert!(ok(store.pending_requests(at(99), 10).await).is_empty());
}
