//! Who waits for which bytes. Kept in memory: waiters say so again and again, and are forgotten when they stop. What one catalog
//! is told it tells all others over the bus: a waiter and whoever can bring the bytes may ask different ones.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use vidstream_proto::error::{Problem, Reason};
use vidstream_proto::ids::SourceId;
use vidstream_source::ranges::ByteRanges;

/// Waiters of one source, at the most.
const MOST_WAITERS: usize = 1000;

#[derive(Debug)]
struct Want {
    ranges: ByteRanges,
    until: Instant,
}

/// The wants of all sources.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    sources: Mutex<HashMap<SourceId, HashMap<String, Want>>>,
    changed: watch::Sender<()>,
}

impl Wants {
    fn lock(&self) -> MutexGuard<'_, HashMap<SourceId, HashMap<String, Want>>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears whenever something is waited for that was not before, or no longer by word of its waiter.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Replaces what `waiter` waits for; no ranges end its wait.
    pub(crate) fn set(
        &self,
        source: SourceId,
        waiter: String,
        ranges: ByteRanges,
        ttl: Duration,
    ) -> Result<(), Problem> {
        let now = Instant::now();
        let mut sources = self.lock();
        let waiters = sources.entry(source).or_default();
        waiters.retain(|_, want| want.until > now);
        let before = waiters.remove(&waiter).map(|want| want.ranges).unwrap_or_default();
        if waiters.len() >= MOST_WAITERS {
            return Err(Problem::new(Reason::ResourceExhausted, format!("{MOST_WAITERS} others wait for this source")));
        }
        let is_new = before != ranges;
        if !ranges.is_empty() {
            waiters.insert(waiter, Want { ranges, until: now + ttl });
        }
        if waiters.is_empty() {
            sources.remove(&source);
        }
        if is_new {
            self.changed.send_replace(());
        }
        Ok(())
    }

    /// Nobody waits any more for what has come.
    pub(crate) fn satisfy(&self, source: SourceId, recorded: &[Range<u64>]) {
        if let Some(waiters) = self.lock().get_mut(&source) {
            for want in waiters.values_mut() {
                recorded.iter().cloned().for_each(|range| want.ranges.remove(range));
            }
        }
    }

    /// All that is waited for.
    pub(crate) fn of(&self, source: SourceId) -> ByteRanges {
        let now = Instant::now();
        let sources = self.lock();
        let waiters = sources.get(&source).into_iter().flat_map(HashMap::values);
        waiters.filter(|want| want.until > now).flat_map(|want| want.ranges.iter()).collect()
    }

    /// Frees what nobody asks about any more.
    pub(crate) fn forget_expired(&self) {
        let now = Instant::now();
        self.lock().retain(|_, waiters| {
            waiters.retain(|_, want| want.until > now);
            !waiters.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(range: Range<u64>) -> ByteRanges {
        ByteRanges::from(range)
    }

    #[tokio::test(start_paused = true)]
    async fn a_want_ends_by_time_by_bytes_or_by_word() {
        let (wants, source) = (Wants::default(), SourceId::generate());
        let ttl = Duration::from_secs(5);
        wants.set(source, "a".into(), ranges(0..10), ttl).unwrap();
        wants.set(source, "b".into(), ranges(5..20), ttl * 2).unwrap();
        assert_eq!(wants.of(source), ranges(0..20));
        wants.satisfy(source, &[0..3, 12..20]);
        assert_eq!(wants.of(source), ranges(3..12));
        tokio::time::advance(ttl).await;
        assert_eq!(wants.of(source), ranges(5..12));
        wants.set(source, "b".into(), ByteRanges::new(), ttl).unwrap();
        assert!(wants.of(source).is_empty());
        assert!(wants.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_are_bounded_and_the_dead_make_room() {
        let (wants, source) = (Wants::default(), SourceId::generate());
        let set = |n: usize| wants.set(source, n.to_string(), ranges(0..1), Duration::from_secs(1));
        (0..MOST_WAITERS).for_each(|n| set(n).unwrap());
        assert_eq!(set(MOST_WAITERS).unwrap_err().reason, Reason::ResourceExhausted);
        set(0).unwrap();
        tokio::time::advance(Duration::from_secs(2)).await;
        set(MOST_WAITERS).unwrap();
        tokio::time::advance(Duration::from_secs(2)).await;
        wants.forget_expired();
        assert!(wants.lock().is_empty());
    }
}
