//! Pieces become extents.
//!
//! A [`SourceWriter`] serves one upload stream or one chunk. It checks each piece, gathers cells, stores them, a few at
//! once, has what became durable recorded, as much as there is in one call, and only then gives it back as durable. It
//! never blocks: whoever drives it asks whether it [has room](SourceWriter::has_room) before taking more from the client.
//!
//! ```text
//! loop {
//!     select! {
//!         piece = stream.next(), if writer.has_room() => writer.push(piece)?,
//!         Some(durable) = writer.durable() => acknowledge(durable?),
//!         ranges = wants.next() => writer.want(ranges),
//!         () = pause => writer.flush(),
//!     }
//! }
//! writer.finish()   // also when the client has gone: then it need not send again what is here
//! ```

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::Arc,
};

use futures::TryStreamExt as _;
use tokio::task::{JoinError, JoinSet};
use vidstream_backends::objects::{
    ObjectError, ObjectStore,
    blocks::{BLOCK, Blocks},
};
use vidstream_proto::{
    error::{Problem, Reason},
    ids::SourceId,
    upload::Piece,
};

use self::{
    gathering::Gathering,
    growing::Growing,
    run::{Run, overlap},
};
use crate::{
    checksum::{Tree, crc32c_joined},
    extents::{CELL, Extent, ExtentMap, cell_around},
    names,
    ranges::ByteRanges,
    records::Recorder,
};

mod gathering;
mod growing;
mod run;

/// Cells that may fill at the same time; one more, and the one left alone longest is stored as it is.
const OPEN_CELLS: usize = 2;
/// Extents being stored at the same time: while one is synced, the next are written.
const STORING: usize = 3;
/// Bytes held at the most, with the chunk that comes next: two cells that fill, three on their way.
const HELD: u64 = 5 * CELL;

/// Why bytes could not be made durable. After an error from [`SourceWriter::durable`] or [`SourceWriter::finish`] the
/// writer is of no more use; what was acknowledged stays, the rest is sent again.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The piece is not on the grid or not inside the file. Nothing of it was taken.
    #[error(transparent)]
    Piece(Problem),
    /// The bytes do not have the sum they came with. Nothing of the piece was taken.
    #[error("bytes {}..{} have the CRC-32C {actual:08x}, not {expected:08x}: send them again", range.start, range.end)]
    Checksum {
        /// The bytes.
        range: Range<u64>,
        /// The sum they came with.
        expected: u32,
        /// The sum they have.
        actual: u32,
    },
    /// Other bytes came before for some of this range.
    #[error("other bytes than these are there for some of {}..{}: this is not the same file", range.start, range.end)]
    Different {
        /// The range in which they differ.
        range: Range<u64>,
    },
    /// The object store failed.
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// The catalog refused or failed.
    #[error(transparent)]
    Records(Problem),
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        let reason = match &error {
            WriteError::Piece(problem) | WriteError::Records(problem) => return problem.clone(),
            WriteError::Checksum { .. } => Reason::ChecksumMismatch,
            WriteError::Different { .. } => Reason::BytesDiffer,
            WriteError::Objects(ObjectError::NoSpace { .. }) => Reason::NoSpace,
            WriteError::Objects(_) => Reason::Unavailable,
        };
        Self::new(reason, error.to_string())
    }
}

/// Makes the pieces of one stream durable. To be used inside a tokio runtime.
pub struct SourceWriter {
    target: Target,
    recorder: Arc<dyn Recorder>,
    recorded: ExtentMap,
    wanted: ByteRanges,
    gathering: Gathering,
    /// Runs that left the gathering and are not recorded yet.
    leaving: BTreeMap<u64, Run>,
    /// Those of them that wait to be stored.
    waiting: VecDeque<Run>,
    storing: usize,
    stored: Vec<Extent>,
    recording: bool,
    /// Bytes being compared with recorded ones.
    comparing: u64,
    steps: JoinSet<Step>,
    durable: ByteRanges,
}

/// The file that is written.
#[derive(Clone)]
struct Target {
    source: SourceId,
    size: u64,
    store: Arc<dyn ObjectStore>,
}

/// What one of the writer's tasks did.
enum Step {
    Stored(Result<Extent, WriteError>),
    Recorded(Vec<Extent>, Result<Vec<Extent>, Problem>),
    Compared(Range<u64>, Result<bool, ObjectError>),
}

impl SourceWriter {
    /// A writer for `source`, a file of `known.size()` bytes, that gathers in `blocks`. What `known` misses of the records
    /// costs work, never correctness.
    pub fn new(
        source: SourceId,
        store: Arc<dyn ObjectStore>,
        recorder: Arc<dyn Recorder>,
        known: ExtentMap,
        blocks: Arc<Blocks>,
    ) -> Self {
        Self {
            target: Target { source, size: known.size(), store },
            recorder,
            recorded: known,
            wanted: ByteRanges::new(),
            gathering: Gathering::new(blocks),
            leaving: BTreeMap::new(),
            waiting: VecDeque::new(),
            storing: 0,
            stored: Vec::new(),
            recording: false,
            comparing: 0,
            steps: JoinSet::new(),
            durable: ByteRanges::new(),
        }
    }

    /// Takes a piece or chunk in. What of it is here already is compared and not stored twice.
    pub fn push(&mut self, piece: Piece) -> Result<(), WriteError> {
        for run in self.checked(piece)? {
            self.take(&run)?;
        }
        self.start();
        Ok(())
    }

    /// Whether the largest chunk can be taken. If not, something is on its way and [`durable`](Self::durable) makes room.
    pub fn has_room(&self) -> bool {
        self.held() + CELL <= HELD
    }

    /// Bytes of the file in memory.
    pub fn held(&self) -> u64 {
        self.gathering.len() + self.leaving.values().map(|run| run.len() as u64).sum::<u64>() + self.comparing
    }

    /// Memory that those bytes take at the most: the last block of a run is at least half full.
    pub fn footprint(&self) -> u64 {
        let runs = self.gathering.runs().map(Growing::len).chain(self.leaving.values().map(Run::len));
        let loose = runs.filter(|len| *len >= BLOCK / 2).count();
        self.held() + (loose * BLOCK / 2) as u64
    }

    /// What somebody waits for now: stored as soon as all of it that lies in a cell is here, not when the cell is full.
    pub fn want(&mut self, ranges: ByteRanges) {
        self.wanted = ranges;
        let cells: Vec<u64> = self.gathering.runs().map(|run| run.range().start / CELL * CELL).collect();
        for cell in cells {
            self.release_wanted(cell);
        }
        self.start();
    }

    /// Stores what is gathered without waiting for full cells: the client pauses, has ended or has gone.
    pub fn flush(&mut self) {
        while let Some(cell) = self.gathering.oldest() {
            self.release(cell);
        }
        self.start();
    }

    /// Waits until something more is durable and recorded, and says what; nothing if nothing is on its way. Dropping the
    /// call loses nothing.
    pub async fn durable(&mut self) -> Option<Result<ByteRanges, WriteError>> {
        loop {
            self.start();
            if !self.durable.is_empty() {
                return Some(Ok(std::mem::take(&mut self.durable)));
            }
            let step = self.steps.join_next().await?;
            if let Err(error) = self.done(outcome(step).await) {
                return Some(Err(error));
            }
        }
    }

    /// Stores everything that was pushed and returns what became durable since it was last asked.
    pub async fn finish(&mut self) -> Result<ByteRanges, WriteError> {
        self.flush();
        let mut all = ByteRanges::new();
        while let Some(durable) = self.durable().await {
            all.extend(durable?.iter());
        }
        Ok(all)
    }

    /// What is known to be recorded.
    pub fn recorded(&self) -> &ExtentMap {
        &self.recorded
    }

    /// Checks grid and sum, and cuts the piece at cells.
    fn checked(&self, piece: Piece) -> Result<Vec<Run>, WriteError> {
        let Piece { offset, data, crc32c: expected } = piece.within(self.target.size).map_err(WriteError::Piece)?;
        let end = offset + data.len() as u64;
        let mut runs: Vec<Run> = Vec::with_capacity(1);
        let mut at = offset;
        while at < end {
            let cut = cell_around(at, end).end;
            let index = |at: u64| usize::try_from(at - offset).expect("inside the piece");
            runs.push(Run::new(at, data.slice(index(at)..index(cut))));
            at = cut;
        }
        let actual = runs.iter().fold(0, |sum, run| crc32c_joined(sum, run.crc32c(), run.len()));
        if actual != expected {
            return Err(WriteError::Checksum { range: offset..end, expected, actual });
        }
        Ok(runs)
    }

    fn take(&mut self, run: &Run) -> Result<(), WriteError> {
        let range = run.range();
        let mut fresh = self.recorded.missing(range.clone());
        for other in self.gathering.runs() {
            if !other.agrees_with(run) {
                return Err(WriteError::Different { range });
            }
            fresh.remove(other.range());
        }
        for other in self.leaving.values() {
            if !run.agrees_with(other.range().start, other.bytes()) {
                return Err(WriteError::Different { range });
            }
            fresh.remove(other.range());
        }
        let recorded: Vec<Extent> = self.recorded.overlapping(range).cloned().collect();
        self.compare(run, recorded);
        for range in fresh.iter() {
            self.gather(run.part(range));
        }
        Ok(())
    }

    fn gather(&mut self, run: Run) {
        let offset = run.range().start;
        self.gathering.insert(run);
        let cell = offset - offset % CELL;
        if self.is_full(cell) {
            self.release(cell);
            return;
        }
        self.release_wanted(cell);
        if self.gathering.cells() > OPEN_CELLS
            && let Some(oldest) = self.gathering.oldest()
        {
            self.release(oldest);
        }
    }

    /// Whether every byte of the cell is gathered, on its way or recorded.
    fn is_full(&self, cell: u64) -> bool {
        self.lacks(cell_around(cell, self.target.size)).is_empty()
    }

    /// What of `range`, which lies in one cell, has not come.
    fn lacks(&self, range: Range<u64>) -> ByteRanges {
        let cell = cell_around(range.start, self.target.size);
        let mut lacking = self.recorded.missing(range);
        for run in self.leaving.range(cell.clone()).map(|(_, run)| run.range()) {
            lacking.remove(run);
        }
        for run in self.gathering.within(cell).iter() {
            lacking.remove(run);
        }
        lacking
    }

    fn release_wanted(&mut self, cell: u64) {
        let wanted = self.wanted.within(cell_around(cell, self.target.size));
        if !wanted.is_empty() && wanted.iter().all(|range| self.lacks(range).is_empty()) {
            let runs = self.gathering.take(cell, &wanted);
            self.leave(runs);
        }
    }

    fn release(&mut self, cell: u64) {
        let runs = self.gathering.take(cell, &cell_around(cell, u64::MAX).into());
        self.leave(runs);
    }

    fn leave(&mut self, runs: Vec<Run>) {
        for run in runs {
            self.leaving.insert(run.range().start, run.clone());
            self.waiting.push_back(run);
        }
    }

    /// Starts whatever can be.
    fn start(&mut self) {
        while self.storing < STORING
            && let Some(run) = self.waiting.pop_front()
        {
            self.storing += 1;
            let target = self.target.clone();
            self.steps.spawn(async move { Step::Stored(target.store(run).await) });
        }
        if !self.recording && !self.stored.is_empty() {
            self.recording = true;
            let (recorder, extents) = (Arc::clone(&self.recorder), std::mem::take(&mut self.stored));
            self.steps.spawn(async move {
                let result = recorder.record(&extents).await;
                Step::Recorded(extents, result)
            });
        }
    }

    /// Compares where `extents` have bytes of `run`, which counts as durable if they are the same.
    fn compare(&mut self, run: &Run, extents: Vec<Extent>) {
        for extent in extents {
            let Some(both) = overlap(&run.range(), &extent.range()) else { continue };
            let (target, part) = (self.target.clone(), run.part(both.clone()));
            self.comparing += part.len() as u64;
            self.steps.spawn(async move {
                let result = target.has_stored(extent, part).await;
                Step::Compared(both, result)
            });
        }
    }

    fn done(&mut self, step: Step) -> Result<(), WriteError> {
        match step {
            Step::Stored(extent) => {
                self.storing -= 1;
                self.stored.push(extent?);
            }
            Step::Recorded(extents, overlapping) => {
                tracing::trace!(name: "upload.recorded", target: "point", "extents are recorded and not acknowledged");
                self.recording = false;
                let overlapping = overlapping.map_err(WriteError::Records)?;
                for extent in extents {
                    self.settle(extent, &overlapping);
                }
            }
            Step::Compared(range, same) => {
                self.comparing -= range.end - range.start;
                if !same? {
                    return Err(WriteError::Different { range });
                }
                self.durable.insert(range);
            }
        }
        Ok(())
    }

    /// An extent is recorded, or somebody else was first with some of its bytes: then those are compared, and what is
    /// still missing is stored for itself.
    fn settle(&mut self, extent: Extent, overlapping: &[Extent]) {
        let range = extent.range();
        let Some(run) = self.leaving.remove(&range.start) else { return };
        let first: Vec<Extent> =
            overlapping.iter().filter(|other| overlap(&other.range(), &range).is_some()).cloned().collect();
        for other in &first {
            // One that does not fit was recorded by nobody that knows this file; it is only compared.
            let _ = self.recorded.insert(other.clone());
        }
        if first.is_empty() {
            let _ = self.recorded.insert(extent);
            self.durable.insert(range);
            return;
        }
        let missing = self.recorded.missing(range);
        self.leave(missing.iter().map(|range| run.part(range)).collect());
        self.compare(&run, first);
        self.discard(extent);
    }

    /// Nothing will ever record this extent: others have its bytes.
    fn discard(&mut self, extent: Extent) {
        let target = self.target.clone();
        tokio::spawn(async move {
            let name = names::extent(target.source, &extent);
            if let Err(error) = target.store.delete(&name).await {
                tracing::warn!(object = %name, %error, "an extent nobody needs was not deleted");
            }
        });
    }
}

// === impl Target ===

impl Target {
    /// Hashes the run and stores it durably.
    async fn store(self, run: Run) -> Result<Extent, WriteError> {
        let size = self.size;
        let (extent, chunks) = off_thread(move || {
            let (range, crc32c) = (run.range(), run.crc32c());
            let tree = Tree::of(range.start, run.chunks(), size);
            (Extent::new(range, crc32c, tree).expect("a run lies in one cell"), run.into_chunks())
        })
        .await;
        self.store.put(&names::extent(self.source, &extent), chunks).await?;
        tracing::trace!(name: "upload.stored", target: "point", "an extent is stored and not recorded");
        Ok(extent)
    }

    /// Whether the stored extent has the bytes of `part`, which lies inside it.
    async fn has_stored(self, extent: Extent, part: Run) -> Result<bool, ObjectError> {
        let mut range = part.range();
        let within = range.start - extent.offset()..range.end - extent.offset();
        let mut stored = self.store.get_range(&names::extent(self.source, &extent), within).await?;
        while let Some(bytes) = stored.try_next().await? {
            if !part.has(range.start, &bytes) {
                return Ok(false);
            }
            range.start += bytes.len() as u64;
        }
        Ok(true)
    }
}

/// Computes where it keeps no other task waiting.
async fn off_thread<T: Send + 'static>(compute: impl FnOnce() -> T + Send + 'static) -> T {
    outcome(tokio::task::spawn_blocking(compute).await).await
}

/// A task's value. A panic goes on here; a task is cancelled only when the runtime stops, and then so is this one.
async fn outcome<T>(joined: Result<T, JoinError>) -> T {
    match joined.map_err(JoinError::try_into_panic) {
        Ok(value) => value,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(_)) => std::future::pending().await,
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "files in tests are small")]
mod tests;
