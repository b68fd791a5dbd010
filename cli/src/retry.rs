//! Waiting out an outage: growing delays with jitter, or as long as the server says, and an end.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use tokio::time::Instant;

/// How long nothing may get better before it is given up.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a server may go on saying when to come back: it lives, and others are before us.
const QUEUED: Duration = Duration::from_hours(1);
/// The longest time of the server's that is kept.
const LONGEST_TOLD: Duration = Duration::from_mins(5);
/// The first delay; each further one is twice as long.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// The longest delay.
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// A time in which attempts fail. It begins with the first failure and ends with the first success.
#[derive(Default, Debug)]
pub struct Outage {
    since: Option<Instant>,
    queued: Option<Instant>,
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

    /// Waits before the next attempt, at least as long as the server `told`; false if it has lasted too long.
    pub async fn wait(&mut self, told: Option<Duration>) -> bool {
        let (since, patience) = match told {
            Some(_) => {
                self.since = None;
                (&mut self.queued, QUEUED)
            }
            None => (&mut self.since, PATIENCE),
        };
        if since.get_or_insert_with(Instant::now).elapsed() >= patience {
            return false;
        }
        let delay = FIRST_DELAY.saturating_mul(1 << self.attempts.min(10)).min(LONGEST_DELAY);
        self.attempts += 1;
        tokio::time::sleep(jittered(delay).max(told.unwrap_or_default().min(LONGEST_TOLD))).await;
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
        outage.wait(Some(Duration::from_secs(30))).await;
        assert!(start.elapsed() >= Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_says_when_is_waited_for_longer() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        while start.elapsed() < 10 * PATIENCE {
            assert!(outage.wait(Some(Duration::from_secs(2))).await);
        }
        assert!(!outage.is_new());
        assert!(outage.wait(None).await, "an outage begins only when it says nothing");
        while outage.wait(Some(Duration::from_secs(2))).await {}
        assert!((QUEUED..QUEUED + LONGEST_TOLD).contains(&start.elapsed()), "{:?}", start.elapsed());
    }
}
