//! Any range of a source, also of one that is still coming.
//!
//! Bytes that are there stream from their extents, the next extent opened while the one before is read. For bytes that
//! are not, the reader says what it wants, waits until they are recorded, and goes on. Records of extents never change, so
//! whatever was read of them once is kept: on a source that is complete nothing is asked twice and nothing waits.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use vidstream_backends::objects::{ByteStream, ObjectError, ObjectName, ObjectStore};
use vidstream_proto::{
    error::{Problem, Reason},
    ids::SourceId,
};

use crate::{
    extents::{Extent, PageNumber, RecordPage},
    made::{MadeFile, Stored},
    names,
    records::Records,
    wants::Wants,
};

mod wait;

/// Room of an object in a reader of several.
pub const PART: u64 = 1 << 32;

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
    hurries: bool,
}

struct Inner {
    size: u64,
    store: Arc<dyn ObjectStore>,
    lies: Lies,
}

/// Where the bytes of a file lie.
enum Lies {
    /// In extents, as they came.
    Uploaded(Uploaded),
    /// Where a job put them. All are there.
    Made(MadeFile),
    /// In objects of their own, of which each has [`PART`] bytes of room.
    Parts(Vec<ObjectName>),
}

/// A file as it came, or as it comes.
struct Uploaded {
    source: SourceId,
    size: u64,
    records: Arc<dyn Records>,
    /// Pages as they were when last read. What they have stays true; what they lack may have come.
    pages: Mutex<BTreeMap<PageNumber, Arc<RecordPage>>>,
    wants: Wants,
}

impl SourceReader {
    /// A reader of `source`, a file of `size` bytes, that waits for what has not come as long as it takes.
    pub fn new(source: SourceId, size: u64, store: Arc<dyn ObjectStore>, records: Arc<dyn Records>) -> Self {
        let (pages, wants) = (Mutex::default(), Wants::default());
        Self::over(size, store, Lies::Uploaded(Uploaded { source, size, records, pages, wants }))
    }

    /// A reader of a file that a job made, which is all there.
    pub fn of_made(file: MadeFile, store: Arc<dyn ObjectStore>) -> Self {
        Self::over(file.size(), store, Lies::Made(file))
    }

    /// A reader of several objects as one file: the first byte of number `n` (from 0) is at `n · PART`.
    pub fn of_parts(parts: Vec<ObjectName>, store: Arc<dyn ObjectStore>) -> Self {
        Self::over(PART.saturating_mul(parts.len() as u64), store, Lies::Parts(parts))
    }

    fn over(size: u64, store: Arc<dyn ObjectStore>, lies: Lies) -> Self {
        Self { inner: Arc::new(Inner { size, store, lies }), patience: None, hurries: true }
    }

    /// The same reader, but one that fails with [`ReadError::NotCome`] when the next byte has not come within `patience`.
    /// With no patience at all it does not ask for the bytes either.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// The same reader, but one that lets bytes come in the order in which they are sent: it wants nothing.
    #[must_use]
    pub fn unhurried(mut self) -> Self {
        self.hurries = false;
        self
    }

    /// The file's size in bytes.
    pub fn size(&self) -> u64 {
        self.inner.size
    }

    /// Streams the bytes `range`. Dropping the stream ends its wants.
    pub fn read(&self, range: Range<u64>) -> SourceStream {
        self.read_ranges(vec![range])
    }

    /// Streams the bytes of `ranges`, one after the other, those in one extent by one call on the store. They need not
    /// ascend; each run of ascending ones in an extent is one call.
    pub fn read_ranges(&self, ranges: Vec<Range<u64>>) -> SourceStream {
        let size = self.inner.size;
        if let Some(range) = ranges.iter().find(|range| range.start > range.end || range.end > size) {
            return stream::iter([Err(ReadError::OutsideFile { range: range.clone(), size })]).boxed();
        }
        let left = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        let reading = Reading { reader: self.clone(), left, current: None, next: None };
        stream::try_unfold(reading, |mut reading| async move {
            let bytes = reading.next().await?;
            Ok(bytes.map(|bytes| (bytes, reading)))
        })
        .boxed()
    }

    /// How many bytes between two ranges are as cheap to read and throw away as to leave out, where the bytes are kept.
    pub fn small_gap(&self) -> u64 {
        self.inner.store.small_gap()
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
        f.debug_struct("SourceReader").field("size", &self.inner.size).finish_non_exhaustive()
    }
}

/// Ranges being read.
struct Reading {
    reader: SourceReader,
    /// What no stream was opened for yet. None is empty.
    left: VecDeque<Range<u64>>,
    current: Option<ByteStream>,
    next: Option<Ahead>,
}

/// The stream after the current one, being opened; no longer once this is dropped.
struct Ahead {
    ranges: Vec<Range<u64>>,
    opening: tokio::task::JoinHandle<Result<ByteStream, ObjectError>>,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.opening.abort();
    }
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        loop {
            if let Some(current) = &mut self.current
                && let Some(bytes) = current.try_next().await?
            {
                return Ok(Some(bytes));
            }
            self.current = None;
            let Some(first) = self.left.front().cloned() else { return Ok(None) };
            self.current = Some(self.open(first).await?);
        }
    }

    /// Opens the extent that has the beginning of `first`, the first range left, and begins to open the one after it.
    async fn open(&mut self, first: Range<u64>) -> Result<ByteStream, ReadError> {
        let inner = Arc::clone(&self.reader.inner);
        let stored = match &inner.lies {
            Lies::Made(file) => file.stored(first.start),
            Lies::Parts(parts) => part(parts, first.start),
            Lies::Uploaded(uploaded) => match uploaded.known(first.start) {
                Some(extent) => uploaded.stored(&extent),
                None => uploaded.stored(&uploaded.wait(first, &self.reader).await?),
            },
        };
        let ranges = within(&mut self.left, &stored.range);
        let ahead = match self.next.take() {
            // An error of the task itself means that it could not run to its end.
            Some(mut ahead) if ahead.ranges == ranges => (&mut ahead.opening).await.ok().transpose()?,
            _ => None,
        };
        let opened = match ahead {
            Some(opened) => opened,
            None => inner.open(&stored, ranges).await?,
        };
        if let Some(following) = self.left.front().and_then(|range| inner.known(range.start)) {
            let ranges = within(&mut self.left.clone(), &following.range);
            let asked = ranges.clone();
            let opening = tokio::spawn(async move { inner.open(&following, asked).await });
            self.next = Some(Ahead { ranges, opening });
        }
        Ok(opened)
    }
}

/// Takes from `left` what lies in `extent`, as far as it ascends. The first range begins in it.
fn within(left: &mut VecDeque<Range<u64>>, extent: &Range<u64>) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    while let Some(range) = left.front_mut()
        && range.start >= ranges.last().map_or(extent.start, |last| last.end)
        && range.start < extent.end
    {
        let end = range.end.min(extent.end);
        ranges.push(range.start..end);
        range.start = end;
        if range.is_empty() {
            left.pop_front();
        }
    }
    ranges
}

// === impl Inner ===

impl Inner {
    /// Opens `ranges` of the file, all inside of `stored`.
    async fn open(&self, stored: &Stored, ranges: Vec<Range<u64>>) -> Result<ByteStream, ObjectError> {
        let inside = |range: &Range<u64>| range.start - stored.range.start..range.end - stored.range.start;
        match ranges.as_slice() {
            [range] => self.store.get_range(&stored.name, inside(range)).await,
            ranges => self.store.get_ranges(&stored.name, ranges.iter().map(inside).collect()).await,
        }
    }

    /// The object with the byte at `offset`, if it is known without asking.
    fn known(&self, offset: u64) -> Option<Stored> {
        match &self.lies {
            Lies::Uploaded(uploaded) => uploaded.known(offset).map(|extent| uploaded.stored(&extent)),
            Lies::Made(file) => Some(file.stored(offset)),
            Lies::Parts(parts) => Some(part(parts, offset)),
        }
    }
}

/// The object with the byte at `offset`, which is inside of what all have.
fn part(parts: &[ObjectName], offset: u64) -> Stored {
    let number = offset / PART;
    let name = parts[usize::try_from(number).expect("as many as are in memory")].clone();
    Stored { range: number * PART..(number + 1) * PART, name }
}

impl Uploaded {
    fn stored(&self, extent: &Extent) -> Stored {
        Stored { range: extent.range(), name: names::extent(self.source, extent) }
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
