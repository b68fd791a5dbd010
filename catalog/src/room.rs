//! Room for what accepted uploads have yet to bring: an upload that could not be finished is not begun.
//!
//! The exact sum is over all open uploads, which may be many. So it is counted only where an estimate that never is too
//! low says that there is no room; in between the estimate grows by what begins.

use crate::Catalog;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use vidstream_proto::error::{Problem, Reason};

/// Uploads read at once.
const PAGE: usize = 500;
const MIB: u64 = 1 << 20;

/// Bytes that uploads have yet to bring.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    /// By those that were open when they were counted, and those that were made since.
    counted: Option<u64>,
    /// By those being made now.
    beginning: u64,
    /// By all that were ever made since the start, or were given up while being made.
    begun: u64,
}

/// Room for an upload that is being made. Dropped when its rows are there, or will never be.
#[derive(Debug)]
pub(crate) struct Reserved {
    owed: Arc<Mutex<Owed>>,
    size: u64,
}

impl Owed {
    fn total(&self) -> Option<u64> {
        self.counted.map(|counted| counted.saturating_add(self.beginning))
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut owed = lock(&self.owed);
        owed.beginning -= self.size;
        owed.begun = owed.begun.saturating_add(self.size);
        owed.counted = owed.counted.map(|counted| counted.saturating_add(self.size));
    }
}

fn lock(owed: &Mutex<Owed>) -> MutexGuard<'_, Owed> {
    // Each change is of plain numbers, so a panic elsewhere spoils nothing.
    owed.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Catalog {
    /// Reserves `size` bytes of the `room` that all unfinished uploads have together, or says that there is none
    /// ([`Reason::NoSpace`]).
    pub(crate) async fn reserve(&self, size: u64, room: u64) -> Result<Reserved, Problem> {
        let estimated = self.try_reserve(size, room);
        if let Ok(reserved) = estimated {
            return Ok(reserved);
        }
        let before = lock(&self.owed).begun;
        let counted = self.count_owed().await?;
        {
            let mut owed = lock(&self.owed);
            // What was made meanwhile may or may not have been counted.
            let meanwhile = owed.begun - before;
            owed.counted = Some(counted.saturating_add(meanwhile));
        }
        self.try_reserve(size, room).map_err(|owed| no_room(size, room, owed))
    }

    /// Reserves, or says how much is owed as far as is known.
    fn try_reserve(&self, size: u64, room: u64) -> Result<Reserved, u64> {
        let mut owed = lock(&self.owed);
        let total = owed.total().unwrap_or(u64::MAX);
        if total.checked_add(size).is_none_or(|then| then > room) {
            return Err(total);
        }
        owed.beginning += size;
        Ok(Reserved { owed: Arc::clone(&self.owed), size })
    }

    /// What all open uploads have yet to bring, bytes. Their rows say it late, so it is rather too much.
    async fn count_owed(&self) -> Result<u64, Problem> {
        let (mut owed, mut after) = (0_u64, None);
        loop {
            let open = self.store.open_sources(after, PAGE).await?;
            let Some(last) = open.last() else { return Ok(owed) };
            after = Some(last.id);
            owed = open.iter().fold(owed, |owed, source| owed.saturating_add(source.size - source.received));
        }
    }
}

fn no_room(size: u64, room: u64, owed: u64) -> Problem {
    let [size, room, owed] = [size, room, owed].map(|bytes| bytes.div_ceil(MIB));
    let text = format!(
        "there is no room for {size} MiB more: the store has {room} MiB for uploads, of which unfinished ones need {owed} MiB"
    );
    Problem::new(Reason::NoSpace, text)
}
