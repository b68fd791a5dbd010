//! Any range of a source, also of one that is still coming.
//!
//! Bytes that are there stream from their extents, the next extent opened while the one before is read. For bytes that
//! are not, the reader says what it wants, waits until they are recorded, and goes on. Records of extents never change, so
//! whatever was read of them once is kept: on a source that is complete nothing is asked twice and nothing waits.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use vidstream_backends::objects::{ByteStream, ObjectError, ObjectStore};
use vidstream_proto::{
    error::{Problem, Reason},
    ids::SourceId,
};

use crate::{
    extents::{Extent, PageNumber, RecordPage},
    names,
    records::Records,
    wants::Wants,
};

mod wait;

/// Pages of records kept at the most, 16 GiB of the file.
const KEPT_PAGES: usize = 32;

/// Why bytes could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The range is not inside the file.
    #[error("bytes {}..{} are outside the file of {size} bytes", range.start, range.end)]
    OutsideFile {
        /// What was asked for.
        range: Range<u64>,
        /// The file's size in bytes.
        size: u64,
    },
    /// The bytes did not come within the reader's patience.
    #[error("bytes from {offset} on have not come within {patience:?}")]
    NotCome {
        /// First byte that is missing.
        offset: u64,
        /// How long the reader waited.
        patience: Duration,
    },
    /// The catalog refused, as it does when the source is being removed, or failed.
    #[error(transparent)]
    Records(#[from] Problem),
    /// The object store failed, or the source was removed meanwhile.
    #[error(transparent)]
    Objects(#[from] ObjectError),
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let reason = match &error {
            ReadError::Records(problem) => return problem.clone(),
            ReadError::OutsideFile { .. } => Reason::InvalidArgument,
            ReadError::NotCome { .. } => Reason::NotReady,
            ReadError::Objects(ObjectError::NotFound { .. }) => Reason::NotFound,
            ReadError::Objects(_) => Reason::Unavailable,
        };
        Self::new(reason, error.to_string())
    }
}

/// Bytes of a range in order, in pieces of a few hundred KiB.
pub type SourceStream = BoxStream<'static, Result<Bytes, ReadError>>;

/// Reads one source. Cheap to clone; clones share what they know.
#[derive(Clone)]
pub struct SourceReader {
    inner: Arc<Inner>,
    patience: Option<Duration>,
}

struct Inner {
    source: SourceId,
    size: u64,
    store: Arc<dyn ObjectStore>,
    records: Arc<dyn Records>,
    /// Pages as they were when last read. What they have stays true; what they lack may have come.
    pages: Mutex<BTreeMap<PageNumber, Arc<RecordPage>>>,
    wants: Wants,
}

impl SourceReader {
    /// A reader of `source`, a file of `size` bytes, that waits for what has not come as long as it takes.
    pub fn new(source: SourceId, size: u64, store: Arc<dyn ObjectStore>, records: Arc<dyn Records>) -> Self {
        let (pages, wants) = (Mutex::default(), Wants::default());
        Self { inner: Arc::new(Inner { source, size, store, records, pages, wants }), patience: None }
    }

    /// The same reader, but one that fails with [`ReadError::NotCome`] when the next byte has not come within `patience`.
    /// With no patience at all it does not ask for the bytes either.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// The file's size in bytes.
    pub fn size(&self) -> u64 {
        self.inner.size
    }

    /// Streams the bytes `range`. Dropping the stream ends its wants.
    pub fn read(&self, range: Range<u64>) -> SourceStream {
        let size = self.inner.size;
        if range.start > range.end || range.end > size {
            return stream::iter([Err(ReadError::OutsideFile { range, size })]).boxed();
        }
        let reading = Reading { reader: self.clone(), left: range, current: None, next: None };
        stream::try_unfold(reading, |mut reading| async move {
            let bytes = reading.next().await?;
            Ok(bytes.map(|bytes| (bytes, reading)))
        })
        .boxed()
    }

    /// Reads the bytes `range` into memory. The caller bounds the range.
    pub async fn read_exact(&self, range: Range<u64>) -> Result<Bytes, ReadError> {
        let mut bytes = self.read(range.clone());
        let Some(first) = bytes.try_next().await? else { return Ok(Bytes::new()) };
        if first.len() as u64 == range.end - range.start {
            return Ok(first);
        }
        let mut whole = BytesMut::from(first);
        while let Some(more) = bytes.try_next().await? {
            whole.extend_from_slice(&more);
        }
        Ok(whole.freeze())
    }
}

impl fmt::Debug for SourceReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { source, size, .. } = &*self.inner;
        f.debug_struct("SourceReader").field("source", source).field("size", size).finish_non_exhaustive()
    }
}

/// A range being read.
struct Reading {
    reader: SourceReader,
    left: Range<u64>,
    current: Option<ByteStream>,
    /// The stream after the current one, being opened.
    next: Option<tokio::task::JoinHandle<Result<ByteStream, ObjectError>>>,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        while !self.left.is_empty() {
            let mut current = match self.current.take() {
                Some(current) => current,
                None => self.open().await?,
            };
            if let Some(bytes) = current.try_next().await? {
                self.left.start += bytes.len() as u64;
                self.current = Some(current);
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// Opens the extent that has the first byte left, and begins to open the one after it.
    async fn open(&mut self) -> Result<ByteStream, ReadError> {
        let inner = Arc::clone(&self.reader.inner);
        let extent = match inner.known(self.left.start) {
            Some(extent) => extent,
            None => inner.wait(self.left.clone(), self.reader.patience).await?,
        };
        let end = extent.range().end.min(self.left.end);
        let ahead = match self.next.take() {
            // An error of the task itself means that it could not run to its end.
            Some(next) => next.await.ok().transpose()?,
            None => None,
        };
        let opened = match ahead {
            Some(opened) => opened,
            None => inner.open(&extent, self.left.start..end).await?,
        };
        if end < self.left.end
            && let Some(following) = inner.known(end)
        {
            let range = end..following.range().end.min(self.left.end);
            self.next = Some(tokio::spawn(async move { inner.open(&following, range).await }));
        }
        Ok(opened)
    }
}

// === impl Inner ===

impl Inner {
    async fn open(&self, extent: &Extent, range: Range<u64>) -> Result<ByteStream, ObjectError> {
        let name = names::extent(self.source, extent);
        self.store.get_range(&name, range.start - extent.offset()..range.end - extent.offset()).await
    }

    /// The extent with the byte at `offset`, if a page at hand has it.
    fn known(&self, offset: u64) -> Option<Extent> {
        let pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.get(&PageNumber::of(offset))?.find(offset).cloned()
    }

    /// Reads the page with the byte at `offset` anew.
    async fn refreshed(&self, offset: u64) -> Result<Arc<RecordPage>, Problem> {
        let number = PageNumber::of(offset);
        let page = Arc::new(self.records.page(number).await?);
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.len() >= KEPT_PAGES && !pages.contains_key(&number) {
            pages.clear();
        }
        pages.insert(number, Arc::clone(&page));
        Ok(page)
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "files in tests are small")]
mod tests;
