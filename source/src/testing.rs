//! What the tests of this crate share.

use std::{
    ops::Range,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream, stream::BoxStream};
use tokio::sync::broadcast::{self, error::RecvError};
use vidstream_proto::error::{Problem, Reason};

use crate::{
    checksum::{Tree, crc32c},
    extents::{Extent, ExtentMap, Insertion, PageNumber, RecordPage},
    ranges::ByteRanges,
    records::{Recorder, Records},
};

/// `len` bytes that differ from place to place.
pub(crate) fn pattern(len: usize) -> Bytes {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(step).flatten().take(len).collect()
}

/// The extent `range` of the file `content`.
pub(crate) fn extent(content: &Bytes, range: Range<u64>) -> Extent {
    let bytes = content.slice(range.start as usize..range.end as usize);
    let crc32c = crc32c(&bytes);
    let tree = Tree::of(range.start, &[bytes], content.len() as u64);
    Extent::new(range, crc32c, tree).expect("a run of granules")
}

/// One source's records in memory, as a catalog keeps them.
pub(crate) struct Catalog {
    map: Mutex<ExtentMap>,
    wanted: Mutex<ByteRanges>,
    arrivals: broadcast::Sender<Result<ByteRanges, Problem>>,
    /// Calls of [`Recorder::record`], by how many extents each had.
    pub(crate) calls: Mutex<Vec<usize>>,
    /// Held to keep records from being made.
    pub(crate) gate: tokio::sync::Mutex<()>,
    pages_read: AtomicUsize,
    quiet: AtomicBool,
    /// What every reading call fails with.
    failure: Mutex<Option<Problem>>,
}

impl Catalog {
    pub(crate) fn new(size: u64) -> Self {
        Self {
            map: Mutex::new(ExtentMap::new(size)),
            wanted: Mutex::default(),
            arrivals: broadcast::Sender::new(16),
            calls: Mutex::default(),
            gate: tokio::sync::Mutex::default(),
            pages_read: AtomicUsize::new(0),
            quiet: AtomicBool::new(false),
            failure: Mutex::default(),
        }
    }

    pub(crate) fn map(&self) -> MutexGuard<'_, ExtentMap> {
        self.map.lock().unwrap()
    }

    pub(crate) fn wanted(&self) -> ByteRanges {
        self.wanted.lock().unwrap().clone()
    }

    pub(crate) fn pages_read(&self) -> usize {
        self.pages_read.load(Ordering::Relaxed)
    }

    /// Tells nobody of arrivals from now on.
    pub(crate) fn keep_quiet(&self) {
        self.quiet.store(true, Ordering::Relaxed);
    }

    /// Fails every reading call with `problem`, and the streams of arrivals that are open.
    pub(crate) fn fail_with(&self, problem: Option<Problem>) {
        self.failure.lock().unwrap().clone_from(&problem);
        if let Some(problem) = problem {
            let _ = self.arrivals.send(Err(problem));
        }
    }

    fn working(&self) -> Result<(), Problem> {
        self.failure.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Recorder for Catalog {
    async fn record(&self, extents: &[Extent]) -> Result<Vec<Extent>, Problem> {
        let _open = self.gate.lock().await;
        self.calls.lock().unwrap().push(extents.len());
        let mut map = self.map();
        let mut overlapping = Vec::new();
        for extent in extents {
            match map.insert(extent.clone()).map_err(|error| Problem::field("extents", error.to_string()))? {
                Insertion::New | Insertion::Repeat => {}
                Insertion::Overlaps => overlapping.extend(map.overlapping(extent.range()).cloned()),
            }
        }
        if !self.quiet.load(Ordering::Relaxed) {
            let _ = self.arrivals.send(Ok(extents.iter().map(Extent::range).collect()));
        }
        Ok(overlapping)
    }
}

#[async_trait]
impl Records for Catalog {
    async fn page(&self, number: PageNumber) -> Result<RecordPage, Problem> {
        self.working()?;
        self.pages_read.fetch_add(1, Ordering::Relaxed);
        let mut page = RecordPage::new(number);
        for extent in self.map().overlapping(number.bytes()) {
            page.insert(extent.clone());
        }
        Ok(page)
    }

    async fn arrivals(&self) -> Result<BoxStream<'static, Result<ByteRanges, Problem>>, Problem> {
        self.working()?;
        Ok(stream::unfold(self.arrivals.subscribe(), |mut arrivals| async move {
            let lost = |error: RecvError| Err(Problem::new(Reason::Unavailable, error.to_string()));
            let arrived = arrivals.recv().await.unwrap_or_else(lost);
            Some((arrived, arrivals))
        })
        .boxed())
    }

    async fn want(&self, ranges: &ByteRanges, _ttl: Duration) -> Result<(), Problem> {
        self.working()?;
        *self.wanted.lock().unwrap() = ranges.clone();
        Ok(())
    }
}
