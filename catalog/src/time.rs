//! What time it is: the store's, if it has a clock of its own, so that all catalogs of a store agree whatever their machines
//! say. One may be told when somebody began to watch, and another when they went on.

use crate::Catalog;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use vidstream_mesh::clock::Clock;
use vidstream_proto::error::Problem;

/// An answer that took longer says too little of the time.
const PROMPT: Duration = Duration::from_secs(1);

/// How much a clock is behind another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Offset {
    /// Not at all.
    #[default]
    None,
    /// So much.
    Behind(Duration),
    /// So much before it.
    Ahead(Duration),
}

/// The machine's clock, set by the store's.
#[derive(Debug)]
pub(crate) struct StoreClock {
    machine: Arc<dyn Clock>,
    offset: Mutex<Offset>,
}

impl StoreClock {
    pub(crate) fn new(machine: Arc<dyn Clock>) -> Self {
        Self { machine, offset: Mutex::default() }
    }

    pub(crate) fn now(&self) -> SystemTime {
        let machine = self.machine.now();
        match *self.offset.lock().unwrap_or_else(PoisonError::into_inner) {
            Offset::None => machine,
            Offset::Behind(time) => machine + time,
            Offset::Ahead(time) => machine - time,
        }
    }

    /// Sets it to `time`, which was when the machine's clock said `machine`.
    fn set(&self, time: SystemTime, machine: SystemTime) {
        let offset = match time.duration_since(machine) {
            Ok(behind) => Offset::Behind(behind),
            Err(ahead) => Offset::Ahead(ahead.duration()),
        };
        *self.offset.lock().unwrap_or_else(PoisonError::into_inner) = offset;
    }
}

impl Catalog {
    /// Sets the clock by the store's, if that has one and answers promptly.
    ///
    /// # Errors
    /// The store can't be asked.
    pub async fn set_clock(&self) -> Result<(), Problem> {
        let (before, asked) = (self.clock.machine.now(), Instant::now());
        let Some(time) = self.store.time().await? else { return Ok(()) };
        let took = asked.elapsed();
        if took <= PROMPT {
            // It was read on the way.
            self.clock.set(time, before + took / 2);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vidstream_mesh::clock::system;

    #[test]
    fn a_clock_is_set_forth_and_back() {
        let clock = StoreClock::new(system());
        let machine = SystemTime::now();
        for time in [machine + Duration::from_secs(30), machine - Duration::from_secs(30), machine] {
            clock.set(time, machine);
            let off = clock.now().duration_since(time).expect("it goes on");
            assert!(off < Duration::from_secs(10), "{off:?}");
        }
    }
}
