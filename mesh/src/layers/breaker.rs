//! Leaves a replica in peace that fails again and again.

use std::time::Duration;
use tokio::time::Instant;

/// So many failures in a row open a breaker.
const FAILURES: u32 = 5;
/// How long it stays open the first time, and at the most; each time twice as long.
const OPEN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The breaker of one replica.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Breaker {
    /// Calls pass. So many failed in a row.
    Closed(u32),
    /// None does until then. It is open for this many times in a row.
    Open(Instant, u32),
    /// One tries, and decides; another may if that one has not come back by then.
    Trying(Instant, u32),
}

impl Breaker {
    /// Whether a call may pass.
    pub(crate) fn lets_pass(&self) -> bool {
        match self {
            Self::Closed(_) => true,
            Self::Open(until, _) | Self::Trying(until, _) => *until <= Instant::now(),
        }
    }

    /// A call passes.
    pub(crate) fn pass(&mut self) {
        if let Self::Open(_, times) | Self::Trying(_, times) = *self {
            *self = Self::Trying(Instant::now() + pause(times), times);
        }
    }

    /// A call was answered, whatever the answer says.
    pub(crate) fn succeeded(&mut self) {
        *self = Self::Closed(0);
    }

    /// A call failed in a way that says that the replica is not well. True if that opened the breaker.
    pub(crate) fn failed(&mut self) -> bool {
        let times = match *self {
            Self::Closed(failures) if failures + 1 < FAILURES => {
                *self = Self::Closed(failures + 1);
                return false;
            }
            // It had passed before.
            Self::Open(..) => return false,
            Self::Closed(_) => 1,
            Self::Trying(_, times) => times.saturating_add(1),
        };
        *self = Self::Open(Instant::now() + pause(times), times);
        true
    }
}

fn pause(times: u32) -> Duration {
    OPEN.0.saturating_mul(1 << times.saturating_sub(1).min(16)).min(OPEN.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_open_it_for_growing_times() {
        let mut breaker = Breaker::Closed(0);
        for _ in 0..10 {
            (1..FAILURES).for_each(|_| assert!(!breaker.failed()));
            breaker.succeeded();
        }
        (1..FAILURES).for_each(|_| assert!(!breaker.failed() && breaker.lets_pass()));
        assert!(breaker.failed() && !breaker.lets_pass());
        // One that had passed before changes nothing.
        assert!(!breaker.failed());
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            advance(Duration::from_millis(seconds * 1000 - 1)).await;
            assert!(!breaker.lets_pass(), "{seconds}");
            advance(Duration::from_millis(1)).await;
            assert!(breaker.lets_pass(), "{seconds}");
            breaker.pass();
            assert!(!breaker.lets_pass(), "one tries");
            assert!(breaker.failed(), "it decides");
        }
        advance(OPEN.1).await;
        breaker.pass();
        breaker.succeeded();
        assert_eq!(breaker, Breaker::Closed(0));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_tries_and_never_comes_back_does_not_block_the_rest() {
        let mut breaker = Breaker::Closed(0);
        for _ in 0..FAILURES {
            breaker.failed();
        }
        advance(OPEN.0).await;
        breaker.pass();
        assert!(!breaker.lets_pass());
        advance(OPEN.0).await;
        assert!(breaker.lets_pass());
    }
}
