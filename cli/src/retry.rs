//! Waiting out an outage: growing delays with jitter, and an end.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use tokio::time::Instant;

/// How long nothing may get better before it is given up.
const PATIENCE: Duration = Duration::from_mins(1);
/// The first delay; each further one is twice as long.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// The longest delay.
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// A time in which attempts fail. It begins with the first failure and ends with the first success.
#[derive(Default, Debug)]
pub struct Outage {
    since: Option<Instant>,
    attempts: u32,
}

impl Outage {
    /// It is over: something went forward.
    pub fn end(&mut self) {
        *self = Self::default();
    }

    /// Whether it has just begun, so that people are told once.
    pub fn is_new(&self) -> bool {
        self.attempts == 0
    }

    /// Waits before the next attempt, at least `at_least`; false if it has lasted too long.
    pub async fn wait(&mut self, at_least: Option<Duration>) -> bool {
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() >= PATIENCE {
            return false;
        }
        let delay = FIRST_DELAY.saturating_mul(1 << self.attempts.min(10)).min(LONGEST_DELAY);
        self.attempts += 1;
        tokio::time::sleep(jittered(delay).max(at_least.unwrap_or_default().min(LONGEST_DELAY))).await;
        true
    }
}

/// Between half and the whole of `delay`, so that many clients do not come back at once.
fn jittered(delay: Duration) -> Duration {
    // Each `RandomState` is seeded anew: random enough for spreading.
    let share = u32::try_from(RandomState::new().hash_one(0) % 512).unwrap_or(0);
    delay * (512 + share) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_waited_out_for_a_minute() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        assert!(outage.is_new());
        let mut attempts = 0;
        while outage.wait(None).await {
            assert!(!outage.is_new());
            attempts += 1;
        }
        assert!((PATIENCE..PATIENCE + LONGEST_DELAY).contains(&start.elapsed()), "{:?}", start.elapsed());
        assert!((12..40).contains(&attempts), "{attempts} attempts");
    }

    #[tokio::test(start_paused = true)]
    async fn success_ends_an_outage() {
        let mut outage = Outage::default();
        for _ in 0..100 {
            assert!(outage.wait(None).await);
            outage.end();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_servers_wish_is_kept() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        outage.wait(Some(Duration::from_secs(3))).await;
        assert!(start.elapsed() >= Duration::from_secs(3));
    }
}
