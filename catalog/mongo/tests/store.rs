//! The store on a real server: the contract, a server that dies, freezes and comes back, several catalogs on one database.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use vidstream_catalog::store::contract::{Opened, store_contract};
use vidstream_catalog::store::{RequestRow, Store, StoreError};
use vidstream_proto::ids::RequestId;
use vidstream_test_servers::{Kind, Relay, Server};

/// A database of this name on a server.
fn url(server: &Server, database: &str) -> String {
    format!("{}/{database}", server.url())
}

async fn open(server: &Server, database: &str) -> Arc<dyn Store> {
    vidstream_mongo::open(&url(server, database)).await.expect("the database answers")
}

fn request(seconds: u64) -> RequestRow {
    let made = UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds);
    RequestRow {
        id: RequestId::generate(),
        fingerprint: [seconds.to_le_bytes()[0]; 32],
        answer: vec![7],
        pending: true,
        made,
    }
}

#[tokio::test]
async fn it_passes_the_contract() {
    let server = Server::start(Kind::MongoDb).await;
    let url = url(&server, "contract");
    let opened = move || -> Opened {
        let url = url.clone();
        Box::pin(async move { vidstream_mongo::open(&url).await.expect("the database answers") })
    };
    store_contract(Arc::new(opened)).await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_the_server() {
    let server = Server::start(Kind::MongoDb).await;
    let store = open(&server, "kept").await;
    let rows: Vec<RequestRow> = (0..50).map(request).collect();
    for row in &rows {
        store.insert_request(row.clone()).await.expect("the database answers");
    }
    server.kill();
    let error = store.request(rows[0].id).await.expect_err("nobody is there");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    server.restart().await;
    for row in &rows {
        assert_eq!(store.request(row.id).await.expect("it is back").as_ref(), Some(row), "with the same connections");
    }
    // The feed is the same one, so that nobody has to list again.
    let before = store.position().await.expect("it is back");
    let again = open(&server, "kept").await;
    assert_eq!(again.position().await.expect("it is back"), before);
}

#[tokio::test]
async fn a_frozen_server_is_given_up() {
    let server = Server::start(Kind::MongoDb).await;
    let store = open(&server, "frozen").await;
    let row = request(1);
    store.insert_request(row.clone()).await.expect("the database answers");
    server.freeze();
    let error = store.request(row.id).await.expect_err("nobody answers");
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    server.thaw();
    assert_eq!(store.request(row.id).await.expect("it is back"), Some(row));
}

#[tokio::test]
async fn tls_is_spoken_with_whom_is_trusted() {
    let server = Server::start(Kind::MongoDb).await;
    let relay = Relay::start_with_tls(server.port()).await;
    let url = format!("mongodb://127.0.0.1:{}/sealed?tls=true", relay.port());
    let trusting = format!("{url}&tlsCAFile={}", relay.authority().display());
    let store = vidstream_mongo::open(&trusting).await.expect("the certificate is trusted");
    let row = request(4);
    store.insert_request(row.clone()).await.expect("the database answers");
    relay.cut();
    assert_eq!(store.request(row.id).await.expect("by another connection"), Some(row));
    // Time does not mend that.
    let error = vidstream_mongo::open(&url).await.expect_err("nobody knows who signed it");
    assert!(error.to_string().contains("certificate") && !vidstream_mongo::may_pass(&error), "{error}");
}

#[tokio::test]
async fn databases_are_apart_and_catalogs_of_one_agree() {
    let server = Server::start(Kind::MongoDb).await;
    // Both make collections and indexes at the same time.
    let (one, other) = tokio::join!(open(&server, "shared"), open(&server, "shared"));
    let stranger = open(&server, "another").await;
    let row = request(3);
    one.insert_request(row.clone()).await.expect("the database answers");
    assert_eq!(other.request(row.id).await.expect("the database answers"), Some(row.clone()));
    assert_eq!(stranger.request(row.id).await.expect("the database answers"), None);
    let feed = async |store: &Arc<dyn Store>| store.position().await.expect("the database answers").feed;
    assert_eq!(feed(&one).await, feed(&other).await);
    assert_ne!(feed(&one).await, feed(&stranger).await);
    // A catalog whose clock is behind sees what is due by its own.
    let (behind, ahead) = (row.made, row.made + Duration::from_secs(30));
    let pending = async |store: &Arc<dyn Store>, now: SystemTime| {
        store.pending_requests(now, 10).await.expect("the database answers").len()
    };
    assert_eq!((pending(&one, behind).await, pending(&other, ahead).await), (0, 1));
}

#[tokio::test]
async fn nobody_there_and_nonsense_are_said() {
    for (url, words) in [("mongodb://127.0.0.1:1/x", "127.0.0.1:1"), ("mongodb://", "hostname cannot be empty")] {
        let error = vidstream_mongo::open(url).await.expect_err("there is no such server");
        assert!(error.to_string().contains(words), "{url}: {error}");
        assert!(!error.to_string().contains("labels"), "the driver's own words: {error}");
    }
}
