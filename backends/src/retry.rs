//! How long to wait before a server is tried again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(3);

/// Waits that double from a tenth of a second up to three seconds; of each, between half and all of it, so that the many
/// who lost one server do not come back at once.
#[derive(Debug)]
pub struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (wait * 2).min(LONGEST);
        wait / 2 + wait / 2 * u32::from(uuid::Uuid::new_v4().as_bytes()[0]) / 255
    }

    /// Begins with short waits again if what was tried had worked for `so_long`. What breaks at once is not pressed.
    pub fn worked_for(&mut self, so_long: Duration) {
        if so_long > LONGEST {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_bound() {
        let mut backoff = Backoff::default();
        for most in [100, 200, 400, 800, 1600, 3000, 3000].map(Duration::from_millis) {
            let wait = backoff.next_wait();
            assert!(wait >= most / 2 && wait <= most, "{wait:?} of {most:?}");
        }
        backoff.worked_for(Duration::from_secs(1));
        assert!(backoff.next_wait() >= LONGEST / 2);
        backoff.worked_for(Duration::from_mins(1));
        assert!(backoff.next_wait() <= FIRST);
    }
}
