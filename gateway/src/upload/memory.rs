//! The memory that all uploads of a process share.
//!
//! Whoever takes bytes from a client has a [`Share`] that covers the most they may hold next: a chunk before its body is
//! read, a stream of pieces from its opening on. What is not covered is not read. A stream that can't get more stores what
//! it gathered instead of filling cells, and can always go on with what it got at its opening. Where not even that can be
//! had, the client is told when to come back. A stream that rests gives almost everything back: else those that only hold
//! memory would keep out those that would use it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use vidstream_backends::objects::blocks::{BLOCK, Blocks};
use vidstream_proto::error::{Problem, Reason};

/// Of the whole budget, the part that free blocks may keep, and the part that is left to those who begin.
const EIGHTH: u64 = 8;
/// Blocks that are kept at the most: as many as one upload fills.
const MOST_KEPT: u64 = 40;
/// The shortest time after which whoever is refused is to come back.
const SOON: Duration = Duration::from_secs(1);
/// Those refused one after the other come back so far apart, in turns of [`TURNS`].
const APART: Duration = Duration::from_millis(250);
const TURNS: u32 = 16;

/// The budget. Clones share it.
#[derive(Clone, Debug)]
pub struct UploadMemory {
    budget: Arc<Budget>,
    blocks: Arc<Blocks>,
}

#[derive(Debug)]
struct Budget {
    /// What shares may have together, bytes.
    total: u64,
    held: AtomicU64,
    most: AtomicU64,
    refused: AtomicU64,
}

/// A part of the budget. It comes back when this is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    bytes: u64,
}

impl UploadMemory {
    /// A budget of `total` bytes, free blocks included.
    pub fn new(total: u64) -> Self {
        let block = BLOCK as u64;
        let kept = (total / EIGHTH / block).min(MOST_KEPT);
        let [held, most, refused] = [0; 3].map(AtomicU64::new);
        let budget = Arc::new(Budget { total: total - kept * block, held, most, refused });
        let kept = usize::try_from(kept).expect("at most a few dozen");
        Self { budget, blocks: Blocks::keeping(kept) }
    }

    /// A share of `bytes` for a call that begins, or when to come back ([`Reason::ResourceExhausted`]).
    pub fn begin(&self, bytes: u64) -> Result<Share, Problem> {
        let mut share = Share { budget: Arc::clone(&self.budget), bytes: 0 };
        share.begin_again(bytes)?;
        Ok(share)
    }

    /// Where pieces are gathered. Its free blocks belong to the budget.
    pub fn blocks(&self) -> &Arc<Blocks> {
        &self.blocks
    }

    /// The most that all shares ever had together, bytes.
    pub fn most_held(&self) -> u64 {
        self.budget.most.load(Ordering::Relaxed)
    }

    /// Calls that were told to come back.
    pub fn refused(&self) -> u64 {
        self.budget.refused.load(Ordering::Relaxed)
    }
}

impl Share {
    /// Covers at least `bytes` again after a rest, or says when to come back, as for a call that begins.
    pub fn begin_again(&mut self, bytes: u64) -> Result<(), Problem> {
        let more = bytes.saturating_sub(self.bytes);
        if self.budget.take(more, 0) {
            self.bytes += more;
            return Ok(());
        }
        Err(self.budget.refuse(bytes))
    }

    /// Changes what it covers to `bytes`; false, and nothing changed, where that is more and there is no more. The last
    /// eighth is left to those who begin.
    pub fn cover(&mut self, bytes: u64) -> bool {
        match bytes.checked_sub(self.bytes) {
            Some(more) if !self.budget.take(more, self.budget.total / EIGHTH) => return false,
            Some(_) => {}
            None => self.budget.give_back(self.bytes - bytes),
        }
        self.bytes = bytes;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

impl Budget {
    /// Takes `bytes` if then at least `left` are left.
    fn take(&self, bytes: u64, left: u64) -> bool {
        let fits = |held: u64| {
            let then = held.checked_add(bytes)?;
            (bytes == 0 || then.checked_add(left)? <= self.total).then_some(then)
        };
        // Nothing else is published by it: relaxed.
        let taken = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        if let Ok(before) = taken {
            self.most.fetch_max(before + bytes, Ordering::Relaxed);
        }
        taken.is_ok()
    }

    fn refuse(&self, bytes: u64) -> Problem {
        let turn = self.refused.fetch_add(1, Ordering::Relaxed) % u64::from(TURNS);
        let delay = SOON + APART * u32::try_from(turn).unwrap_or(0);
        tracing::debug!(bytes, ?delay, "an upload was refused: others hold the memory");
        let text = "too many uploads hold this server's memory now; come back in a moment";
        Problem::new(Reason::ResourceExhausted, text).retry_after(delay)
    }

    fn give_back(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn shares_never_exceed_the_budget_and_come_back() {
        let memory = UploadMemory::new(64 * MIB);
        let all = 56 * MIB;
        let mut first = memory.begin(8 * MIB).expect("there is room");
        assert!(first.cover(49 * MIB), "up to the last eighth");
        assert!(!first.cover(50 * MIB));
        let second = memory.begin(7 * MIB).expect("the last eighth");
        let refused = memory.begin(1).expect_err("nothing is left");
        assert_eq!(refused.reason, Reason::ResourceExhausted);
        assert_eq!(refused.retry_after, Some(SOON));
        let later = memory.begin(1).expect_err("nothing is left").retry_after.expect("a time");
        assert!(later > SOON && later < SOON + APART * TURNS, "{later:?}");
        assert!(first.cover(8 * MIB), "less is always to be had");
        drop(memory.begin(41 * MIB).expect("it came back"));
        drop((first, second));
        drop(memory.begin(all).expect("all came back"));
        assert_eq!((memory.most_held(), memory.refused()), (all, 2));
    }

    #[test]
    fn a_share_that_stays_is_covered_whatever_is_left() {
        let memory = UploadMemory::new(8 * MIB);
        let mut share = memory.begin(7 * MIB).expect("all of it");
        assert!(share.cover(7 * MIB));
        assert!(!share.cover(u64::MAX));
    }
}
