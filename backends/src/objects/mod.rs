//! The object store: immutable bytes under names.
//!
//! An object is written whole, is durable before [`ObjectStore::put`] returns, and is read by ranges that stream.
//! Nothing is ever appended to or changed in place; whoever wants other bytes uses another name.

use std::{fmt, ops::Range, time::Duration};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};

pub mod blocks;
pub mod contract;
mod file;
mod name;
pub mod url;

pub use self::{
    file::FileStore,
    name::{InvalidName, ObjectName, ObjectPrefix},
    url::{ObjectsUrl, S3Keys, S3Url},
};

/// Bytes of one object in order, in pieces of a size the store finds efficient (a few hundred KiB).
pub type ByteStream = BoxStream<'static, Result<Bytes, ObjectError>>;

/// Ranges that [`ObjectStore::get_ranges`] asks for at the same time, where a store has no better way.
const RANGES_AT_ONCE: usize = 8;

/// A store of immutable objects. Every implementation passes [`contract::objects_contract`].
///
/// Dropping a call's future leaves it unknown whether a write or deletion went through; each can be repeated without
/// harm. A name that is an object is never also the prefix of another object (some stores can't hold both).
#[async_trait]
pub trait ObjectStore: Send + Sync + fmt::Debug {
    /// Stores `chunks`, one after the other, as the object `name`, replacing what was there. It is durable when this
    /// returns, and never visible half-written. Putting the same bytes again is a harmless repeat.
    async fn put(&self, name: &ObjectName, chunks: Vec<Bytes>) -> Result<(), ObjectError>;

    /// Like [`put`](Self::put), but of any number of callers with one name exactly one succeeds; the others are told
    /// [`ObjectError::AlreadyExists`], and by then the winner's bytes are durable.
    async fn put_new(&self, name: &ObjectName, chunks: Vec<Bytes>) -> Result<(), ObjectError>;

    /// Size and age, without the bytes.
    async fn head(&self, name: &ObjectName) -> Result<ObjectInfo, ObjectError>;

    /// Streams the bytes `range`, which must lie inside the object ([`ObjectError::RangeOutside`]). A stream that was
    /// begun can be finished though the object is deleted meanwhile, or ends with an error; it never ends early.
    async fn get_range(&self, name: &ObjectName, range: Range<u64>) -> Result<ByteStream, ObjectError>;

    /// Streams the bytes of `ranges`, one after the other, each as in [`get_range`](Self::get_range). For many small ranges
    /// where what lies between them is larger than [`small_gap`](Self::small_gap).
    async fn get_ranges(&self, name: &ObjectName, ranges: Vec<Range<u64>>) -> Result<ByteStream, ObjectError> {
        let opened = stream::iter(ranges).map(|range| self.get_range(name, range)).buffered(RANGES_AT_ONCE);
        let streams: Vec<ByteStream> = opened.try_collect().await?;
        Ok(stream::iter(streams).flatten().boxed())
    }

    /// How many bytes between two ranges are as cheap to read and throw away as to leave out.
    fn small_gap(&self) -> u64 {
        // What a store at the other end of a network sends in the time that a request takes.
        256 * 1024
    }

    /// Streams the whole object; its size is known before the first byte.
    async fn get(&self, name: &ObjectName) -> Result<Object, ObjectError> {
        let size = self.head(name).await?.size;
        let bytes = self.get_range(name, 0..size).await?;
        Ok(Object { size, bytes })
    }

    /// Reads the bytes `range` into memory. For small ranges: the caller bounds them.
    async fn read_range(&self, name: &ObjectName, range: Range<u64>) -> Result<Bytes, ObjectError> {
        gather(self.get_range(name, range).await?).await
    }

    /// Reads a whole object of at most `limit` bytes into memory ([`ObjectError::TooLarge`]).
    async fn read(&self, name: &ObjectName, limit: u64) -> Result<Bytes, ObjectError> {
        let object = self.get(name).await?;
        if object.size > limit {
            return Err(ObjectError::TooLarge { name: name.clone(), size: object.size, limit });
        }
        gather(object.bytes).await
    }

    /// Deletes the object; one that does not exist is deleted already. It is gone for every reader when this returns;
    /// a power loss may bring it back.
    async fn delete(&self, name: &ObjectName) -> Result<(), ObjectError>;

    /// Deletes every object below `prefix` that existed when the call began, and says how many those were. What is put
    /// meanwhile may stay.
    async fn delete_prefix(&self, prefix: &ObjectPrefix) -> Result<u64, ObjectError>;

    /// How much room the store has, where that is known to be bounded.
    async fn space(&self) -> Result<Option<Space>, ObjectError> {
        Ok(None)
    }

    /// An address at which anybody reads the whole object, with ranges, until `expires` has passed, past whoever gives it
    /// away: for clients that reach the store themselves. What is read is said to be of `content_type`. Nothing where a store has no
    /// such thing. It is made without asking whether the object exists.
    async fn presigned(
        &self,
        name: &ObjectName,
        content_type: &str,
        expires: Duration,
    ) -> Result<Option<String>, ObjectError> {
        let _ = (name, content_type, expires);
        Ok(None)
    }

    /// All objects below `prefix`, in no order. What is put or deleted meanwhile may or may not be seen.
    fn list(&self, prefix: &ObjectPrefix) -> BoxStream<'static, Result<ObjectInfo, ObjectError>>;
}

/// Room of a store, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What can still be written.
    pub free: u64,
    /// All there is, in use or not.
    pub total: u64,
}

/// A whole object on its way.
pub struct Object {
    /// Size in bytes; the stream yields exactly as many.
    pub size: u64,
    /// The bytes.
    pub bytes: ByteStream,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("size", &self.size).finish_non_exhaustive()
    }
}

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its name.
    pub name: ObjectName,
    /// Its size in bytes.
    pub size: u64,
    /// How long ago it was written, by the store's own clock. Zero where that clock went backwards.
    pub age: Duration,
}

/// Why a call on the object store did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// No object of this name.
    #[error("object {name} does not exist")]
    NotFound {
        /// The object asked for.
        name: ObjectName,
    },
    /// [`ObjectStore::put_new`] found an object of this name.
    #[error("object {name} exists already")]
    AlreadyExists {
        /// The object to be made.
        name: ObjectName,
    },
    /// The store is full, or a quota is reached. Nothing was stored.
    #[error("no space is left to store object {name}")]
    NoSpace {
        /// The object to be made.
        name: ObjectName,
    },
    /// The range asked for is not inside the object.
    #[error("bytes {start}..{end} are outside object {name} of {size} bytes")]
    RangeOutside {
        /// The object asked for.
        name: ObjectName,
        /// First byte asked for.
        start: u64,
        /// Byte after the last one asked for.
        end: u64,
        /// The object's size.
        size: u64,
    },
    /// [`ObjectStore::read`] found more bytes than its caller accepts.
    #[error("object {name} has {size} bytes, at most {limit} are accepted here")]
    TooLarge {
        /// The object asked for.
        name: ObjectName,
        /// Its size in bytes.
        size: u64,
        /// What the caller accepts.
        limit: u64,
    },
    /// The store failed or can't be reached. The same call may succeed later.
    #[error("{doing} {name}")]
    Unavailable {
        /// What was being done, such as "write object".
        doing: &'static str,
        /// The object or prefix.
        name: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// All bytes of a stream in memory, without a copy where they came in one piece. The caller bounds them.
pub async fn gather(mut stream: ByteStream) -> Result<Bytes, ObjectError> {
    let Some(first) = stream.try_next().await? else { return Ok(Bytes::new()) };
    let Some(second) = stream.try_next().await? else { return Ok(first) };
    let mut whole = BytesMut::from(first);
    whole.extend_from_slice(&second);
    while let Some(more) = stream.try_next().await? {
        whole.extend_from_slice(&more);
    }
    Ok(whole.freeze())
}
