//! Where a catalog of these tests keeps its rows: a database of one server for all of them.

use std::sync::Arc;
use tokio::sync::OnceCell;
use uuid::Uuid;
use vidstream_catalog::store::Store;
use vidstream_test_servers::{Kind, Server};

static SERVER: OnceCell<Server> = OnceCell::const_new();

/// A database of a test's own.
pub struct Place(String);

impl Place {
    pub async fn new() -> Self {
        let server = SERVER.get_or_init(|| Server::start(Kind::MongoDb)).await;
        Self(format!("{}/{}", server.url(), Uuid::new_v4().simple()))
    }

    /// What is kept there.
    pub async fn open(&self) -> Arc<dyn Store> {
        vidstream_mongo::open(&self.0).await.expect("the database answers")
    }
}
