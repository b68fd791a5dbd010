//! Ranges somebody waits for, to be sent next.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    ops::Range,
    time::{Duration, Instant},
};

use crate::ranges::ByteRanges;

/// Ranges told to a sender at once, at the most: what it sends first answers the rest soon enough.
pub const MOST_RANGES: usize = 64;

/// The wants of one source, by who waits. A want ends when its waiter says so, when its bytes are there, or when the
/// waiter has not renewed it for the time it gave: a killed waiter costs nothing for long.
#[derive(Debug, Clone)]
pub struct Wants<Waiter> {
    waiters: HashMap<Waiter, Waiting>,
    /// Counts calls, so that older wants come first.
    calls: u64,
}

#[derive(Debug, Clone)]
struct Waiting {
    /// Ranges → the call that first asked for them.
    ranges: BTreeMap<u64, (u64, u64)>,
    expires: Instant,
}

impl<Waiter> Default for Wants<Waiter> {
    fn default() -> Self {
        Self { waiters: HashMap::new(), calls: 0 }
    }
}

impl<Waiter: Eq + Hash> Wants<Waiter> {
    /// Nobody waits.
    pub fn new() -> Self {
        Self::default()
    }

    /// `waiter` waits for `ranges` and for nothing else, until `ttl` after `now`. Empty ranges end its wait.
    pub fn set(&mut self, waiter: Waiter, ranges: &ByteRanges, now: Instant, ttl: Duration) {
        self.calls += 1;
        let before = self.waiters.remove(&waiter);
        if ranges.is_empty() {
            return;
        }
        let since = |range: &Range<u64>| {
            let known = before.as_ref()?.ranges.get(&range.start)?;
            Some(known.1)
        };
        let ranges =
            ranges.iter().map(|range| (range.start, (range.end, since(&range).unwrap_or(self.calls)))).collect();
        self.waiters.insert(waiter, Waiting { ranges, expires: now + ttl });
    }

    /// What is wanted at `now` and not in `recorded`, the longest wanted first, no byte twice, at most [`MOST_RANGES`].
    pub fn pending(&mut self, recorded: &ByteRanges, now: Instant) -> Vec<Range<u64>> {
        self.waiters.retain(|_, waiting| waiting.expires > now);
        let mut asked: Vec<(u64, Range<u64>)> = Vec::new();
        for waiting in self.waiters.values() {
            asked.extend(waiting.ranges.iter().map(|(&start, &(end, since))| (since, start..end)));
        }
        asked.sort_unstable_by_key(|(since, range)| (*since, range.start, range.end));
        let (mut told, mut pending) = (ByteRanges::new(), Vec::new());
        for (_, range) in asked {
            for missing in recorded.missing_from(range).iter() {
                let fresh = told.missing_from(missing.clone());
                pending.extend(fresh.iter());
                told.insert(missing);
            }
        }
        pending.truncate(MOST_RANGES);
        pending
    }

    /// Whether nobody waits, as far as is known at `now`.
    pub fn is_empty(&self, now: Instant) -> bool {
        self.waiters.values().all(|waiting| waiting.expires <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(15);

    fn set(wants: &mut Wants<&'static str>, waiter: &'static str, range: Range<u64>, now: Instant) {
        wants.set(waiter, &range.into(), now, TTL);
    }

    #[test]
    fn the_longest_wanted_come_first_and_none_twice() {
        let (mut wants, now, nothing) = (Wants::new(), Instant::now(), ByteRanges::new());
        set(&mut wants, "index", 90..100, now);
        set(&mut wants, "start", 0..20, now);
        set(&mut wants, "other", 10..30, now);
        assert_eq!(wants.pending(&nothing, now), [90..100, 0..20, 20..30]);
        // A renewed want keeps its place.
        set(&mut wants, "index", 90..100, now);
        assert_eq!(wants.pending(&nothing, now), [90..100, 0..20, 20..30]);
        assert_eq!(wants.pending(&ByteRanges::from_iter([92..95, 0..25]), now), [90..92, 95..100, 25..30]);
    }

    #[test]
    fn wants_end() {
        let (mut wants, now, nothing) = (Wants::new(), Instant::now(), ByteRanges::new());
        set(&mut wants, "one", 0..10, now);
        set(&mut wants, "two", 10..20, now + TTL / 2);
        wants.set("one", &nothing, now, TTL);
        assert_eq!(wants.pending(&nothing, now + TTL), vec![10..20; 1]);
        assert!(!wants.is_empty(now + TTL));
        assert!(wants.is_empty(now + TTL * 2));
        assert_eq!(wants.pending(&nothing, now + TTL * 2), []);
    }

    #[test]
    fn a_sender_is_not_flooded() {
        let (mut wants, now, nothing) = (Wants::new(), Instant::now(), ByteRanges::new());
        wants.set("many", &(0..1000).map(|at| at * 2..at * 2 + 1).collect(), now, TTL);
        assert_eq!(wants.pending(&nothing, now).len(), MOST_RANGES);
    }
}
