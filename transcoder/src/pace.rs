//! Waiting: with jitter, so that many workers do not knock at once, and longer each time something fails.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(10);

/// How long to wait after a failure: doubled each time, up to ten seconds.
#[derive(Debug)]
pub(crate) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    /// The next wait.
    pub fn next(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (wait * 2).min(LONGEST);
        jittered(wait)
    }
}

/// Between half of `duration` and all of it.
pub(crate) fn jittered(duration: Duration) -> Duration {
    let random = u32::from(uuid::Uuid::new_v4().as_bytes()[0]);
    duration / 2 + duration / 2 * random / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_bound_and_never_to_more() {
        let mut backoff = Backoff::default();
        for expected in [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000] {
            let (wait, most) = (backoff.next(), Duration::from_millis(expected));
            assert!(wait >= most / 2 && wait <= most, "{wait:?} of {most:?}");
        }
    }
}
