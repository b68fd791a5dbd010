//! Blocks of objects that were read from a store far away, kept near: in memory, and on a disk where one is given.
//!
//! An object is read in blocks of 256 KiB. A block that is not here is fetched once, however many ask for it at the same time; those
//! that follow it in what was asked for come by the same request. Objects never change under their names, so what is held is right as long as the name
//! is. Whether somebody may have the bytes is decided above, by the view of the video.

mod disk;
mod fetch;
mod reading;
mod shelf;

pub use disk::{Disk, DiskError};
use fetch::Coming;
use reading::Reading;
use shelf::Shelf;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use moka::future::Cache;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use vidstream_backends::objects::{ByteStream, ObjectError, ObjectInfo, ObjectName, ObjectPrefix, ObjectStore, Space};
use vidstream_source::names;

/// Bytes of a block: what a store far away sends in the time that a request takes, so that reading to the end of a block costs little
/// more than reading what was asked for.
const BLOCK: u64 = 256 << 10;
/// Blocks that are fetched before whoever asked has taken those before: 2 MiB of one reading.
const AHEAD: usize = 8;
/// Of the memory, the part of blocks that were fetched ahead and are not taken yet.
const ON_THE_WAY: u64 = 4;
/// Ranges of one call that are read at the same time.
const RANGES_AT_ONCE: usize = 8;
/// Sizes of objects that are remembered.
const SIZES: u64 = 10_000;

/// A store whose blocks are kept near. Only for names that are written once. Cheap to clone.
#[derive(Clone)]
pub struct BlockStore {
    inner: Arc<Inner>,
}

/// A block of an object.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Key {
    object: ObjectName,
    /// Counted from 0.
    block: u64,
}

struct Inner {
    store: Arc<dyn ObjectStore>,
    state: Mutex<State>,
    /// Places for blocks that wait to be taken.
    places: Arc<Semaphore>,
    disk: Option<Disk>,
    sizes: Cache<ObjectName, (ObjectInfo, Instant)>,
}

struct State {
    held: Shelf<Bytes>,
    coming: HashMap<Key, Coming>,
}

impl BlockStore {
    /// `store` with at most `memory` bytes of its blocks in memory, and those that came twice on `disk`.
    pub fn new(store: Arc<dyn ObjectStore>, memory: u64, disk: Option<Disk>) -> Self {
        let on_the_way = memory / ON_THE_WAY;
        let room = memory - on_the_way;
        let [places, marks] = [on_the_way, room].map(|bytes| usize::try_from(bytes / BLOCK).unwrap_or(usize::MAX));
        let state = Mutex::new(State { held: Shelf::new(room, marks), coming: HashMap::new() });
        let places = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        let sizes = Cache::new(SIZES);
        Self { inner: Arc::new(Inner { store, state, places, disk, sizes }) }
    }

    /// The object's size in bytes. The name of an extent says it.
    async fn size(&self, name: &ObjectName) -> Result<u64, ObjectError> {
        match names::extent_len(name) {
            Some(len) => Ok(len),
            None => Ok(self.head(name).await?.size),
        }
    }
}

#[async_trait]
impl ObjectStore for BlockStore {
    async fn get_range(&self, name: &ObjectName, range: Range<u64>) -> Result<ByteStream, ObjectError> {
        let size = self.size(name).await?;
        if range.start > range.end || range.end > size {
            return Err(ObjectError::RangeOutside { name: name.clone(), start: range.start, end: range.end, size });
        }
        let mut reading = Reading::new(Arc::clone(&self.inner), name.clone(), size, range);
        let first = reading.next().await?;
        let rest = stream::try_unfold(reading, |mut reading| async move {
            let bytes = reading.next().await?;
            Ok(bytes.map(|bytes| (bytes, reading)))
        });
        Ok(stream::iter(first.map(Ok)).chain(rest).boxed())
    }

    async fn get_ranges(&self, name: &ObjectName, ranges: Vec<Range<u64>>) -> Result<ByteStream, ObjectError> {
        let (store, name) = (self.clone(), name.clone());
        let opened = stream::iter(ranges).map(move |range| {
            let (store, name) = (store.clone(), name.clone());
            async move { store.get_range(&name, range).await }
        });
        let mut bytes = opened.buffered(RANGES_AT_ONCE).try_flatten().boxed();
        let first = bytes.try_next().await?;
        Ok(stream::iter(first.map(Ok)).chain(bytes).boxed())
    }

    async fn head(&self, name: &ObjectName) -> Result<ObjectInfo, ObjectError> {
        let asking = async { Ok::<_, ObjectError>((self.inner.store.head(name).await?, Instant::now())) };
        let (mut info, asked) =
            self.inner.sizes.try_get_with_by_ref(name, asking).await.map_err(|e| shared(name, &e))?;
        info.age += asked.elapsed();
        Ok(info)
    }

    fn small_gap(&self) -> u64 {
        self.inner.store.small_gap()
    }

    async fn put(&self, name: &ObjectName, chunks: Vec<Bytes>) -> Result<(), ObjectError> {
        self.inner.store.put(name, chunks).await
    }

    async fn put_new(&self, name: &ObjectName, chunks: Vec<Bytes>) -> Result<(), ObjectError> {
        self.inner.store.put_new(name, chunks).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), ObjectError> {
        self.inner.store.delete(name).await
    }

    async fn delete_prefix(&self, prefix: &ObjectPrefix) -> Result<u64, ObjectError> {
        self.inner.store.delete_prefix(prefix).await
    }

    async fn space(&self) -> Result<Option<Space>, ObjectError> {
        self.inner.store.space().await
    }

    async fn presigned(
        &self,
        name: &ObjectName,
        content_type: &str,
        expires: Duration,
    ) -> Result<Option<String>, ObjectError> {
        self.inner.store.presigned(name, content_type, expires).await
    }

    fn list(&self, prefix: &ObjectPrefix) -> BoxStream<'static, Result<ObjectInfo, ObjectError>> {
        self.inner.store.list(prefix)
    }
}

impl fmt::Debug for BlockStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockStore").field("store", &self.inner.store).field("disk", &self.inner.disk).finish()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `error` of one who asked is to all others who asked for the same.
fn shared(name: &ObjectName, error: &Arc<ObjectError>) -> ObjectError {
    match &**error {
        ObjectError::NotFound { name } => ObjectError::NotFound { name: name.clone() },
        _ => ObjectError::Unavailable {
            doing: "read object",
            name: name.to_string(),
            source: Box::new(Arc::clone(error)),
        },
    }
}

#[cfg(test)]
mod tests;
