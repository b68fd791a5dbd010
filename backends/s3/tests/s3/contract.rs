//! What every object store must do, on two servers that do it differently.

use crate::setup::{BUCKET, server, url};
use std::sync::Arc;
use vidstream_backends::objects::{ObjectStore as _, contract::objects_contract};
use vidstream_s3::S3Store;
use vidstream_test_servers::Kind;

#[tokio::test(flavor = "multi_thread")]
async fn minio() {
    keeps_the_contract(Kind::Minio).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versitygw() {
    keeps_the_contract(Kind::VersityGw).await;
}

async fn keeps_the_contract(kind: Kind) {
    let server = server(kind).await;
    let beside = S3Store::open(&url(&server, &format!("{BUCKET}/in"))).await.unwrap();
    let kept = "side/kept".parse().unwrap();
    beside.put(&kept, vec![]).await.unwrap();
    // Deep enough that the longest names make keys of all the bytes that S3 allows.
    let prefix = format!("in/{}", ["p"; 126].join("/"));
    assert_eq!(prefix.len(), 254);
    let store = S3Store::open(&url(&server, &format!("{BUCKET}/{prefix}"))).await.unwrap();
    objects_contract(Arc::new(store)).await;
    beside.head(&kept).await.unwrap();
}
