//! Opens the backends that URLs name: the embedded ones, or clients of servers.

use crate::settings::Edge;
use anyhow::Context;
use std::sync::Arc;
use tonic::{Code, Status};
use vidstream_backends::bus::{BusUrl, EventBus, LocalBus};
use vidstream_backends::objects::{FileStore, ObjectStore, ObjectsUrl};
use vidstream_backends::queue::{JobQueue, LocalQueue, QueueUrl};
use vidstream_catalog::store::{Store, StoreError, StoreUrl, open_file};
use vidstream_gateway::blocks::{BlockStore, Disk};
use vidstream_mesh::client::Unreached;
use vidstream_s3::{OpenError, S3Store};

/// What another service says instead of answering.
#[derive(Debug, thiserror::Error)]
#[error("{}{}", self.what_it_is(), .0.message())]
pub(crate) struct Refused(pub(crate) Status);

impl Refused {
    fn what_it_is(&self) -> &'static str {
        if self.0.code() == Code::Unimplemented { "another service listens there: " } else { "" }
    }

    /// Another token, or another service at that address, is a mistake in somebody's settings; all else is the service's own
    /// trouble.
    fn may_pass(&self) -> bool {
        !matches!(self.0.code(), Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented)
    }
}

/// Whether opening may succeed later with nothing changed in the settings: a server is not there yet.
pub(crate) fn may_pass(error: &anyhow::Error) -> bool {
    error.is::<Unreached>()
        || error.downcast_ref::<Refused>().is_some_and(Refused::may_pass)
        || error.downcast_ref::<OpenError>().is_some_and(OpenError::may_pass)
        || error.downcast_ref::<StoreError>().is_some_and(vidstream_mongo::may_pass)
}

pub(crate) async fn store(url: &StoreUrl) -> anyhow::Result<Arc<dyn Store>> {
    match url {
        StoreUrl::Sqlite(path) => Ok(open_file(path).await?),
        StoreUrl::Mongo(url) => Ok(vidstream_mongo::open(url.reveal()).await?),
    }
}

pub(crate) async fn objects(url: &ObjectsUrl) -> anyhow::Result<Arc<dyn ObjectStore>> {
    Ok(match url {
        ObjectsUrl::File(path) => Arc::new(FileStore::open(path).await?),
        ObjectsUrl::S3(url) => Arc::new(S3Store::open(url).await?),
    })
}

/// What the gateway reads `objects` through, if it is to keep some of it near.
pub(crate) fn near(edge: &Edge, objects: &Arc<dyn ObjectStore>) -> anyhow::Result<Option<Arc<dyn ObjectStore>>> {
    if edge.cache_memory == 0 {
        return Ok(None);
    }
    let disk = edge.cache_disk.as_ref().map(|disk| Disk::open(&disk.folder, disk.size)).transpose();
    let disk = disk.context("open the cache on disk (--cache-dir)")?;
    Ok(Some(Arc::new(BlockStore::new(Arc::clone(objects), edge.cache_memory, disk))))
}

pub(crate) async fn queue(url: &QueueUrl) -> anyhow::Result<Arc<dyn JobQueue>> {
    match url {
        QueueUrl::Local => Ok(Arc::new(LocalQueue::default())),
        QueueUrl::Amqp(url) => Ok(vidstream_amqp::open(url).await?),
    }
}

pub(crate) async fn bus(url: &BusUrl) -> anyhow::Result<Arc<dyn EventBus>> {
    match url {
        BusUrl::Local => Ok(Arc::new(LocalBus::default())),
        BusUrl::Redis(url) => Ok(vidstream_redis::open(url).await?),
    }
}
