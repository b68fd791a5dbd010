//! Places of workers: how many jobs of a class run at once. A job that only waits gives its place to others.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All places of one class.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    working: Arc<Semaphore>,
    /// Bounds those who wait, and with them the leases that one worker holds.
    waiting: Arc<Semaphore>,
}

/// One place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    held: Option<OwnedSemaphorePermit>,
}

/// Too many wait already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Full;

impl Places {
    /// Places for so many jobs, while so many others wait.
    pub fn new(working: usize, waiting: usize) -> Self {
        Self { working: Arc::new(Semaphore::new(working)), waiting: Arc::new(Semaphore::new(waiting)) }
    }

    /// A place, as soon as one is free.
    pub async fn take(&self) -> Place {
        let held = Arc::clone(&self.working).acquire_owned().await.ok();
        Place { places: self.clone(), held }
    }
}

impl Place {
    /// Waits for `event` while others use the place, and returns with a place again. Without room to wait the event is
    /// dropped.
    pub async fn lend<T>(&mut self, event: impl Future<Output = T>) -> Result<T, Full> {
        let Ok(_waiting) = self.places.waiting.try_acquire() else { return Err(Full) };
        self.held = None;
        let outcome = event.await;
        self.held = Arc::clone(&self.places.working).acquire_owned().await.ok();
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn who_waits_lends_the_place_and_gets_one_back() {
        let places = Places::new(1, 1);
        let mut first = places.take().await;
        let (ring, bell) = oneshot::channel();
        let waiting = tokio::spawn(async move { first.lend(bell).await.map(|heard| (heard, first)) });
        let second = places.take().await;
        ring.send("now").expect("it waits");
        let mut third = Box::pin(places.take());
        assert!(futures::poll!(&mut third).is_pending());
        drop(second);
        // In the order in which they asked, the one who lent it too.
        drop(third.await);
        let (heard, first) = waiting.await.expect("no panic").expect("room");
        assert_eq!(heard, Ok("now"));
        let mut fourth = Box::pin(places.take());
        assert!(futures::poll!(&mut fourth).is_pending());
        drop(first);
        fourth.await;
    }

    #[tokio::test]
    async fn the_waiting_room_is_bounded() {
        let places = Places::new(2, 1);
        let (mut one, mut two) = (places.take().await, places.take().await);
        let mut waits = Box::pin(one.lend(pending::<()>()));
        assert!(futures::poll!(&mut waits).is_pending());
        assert_eq!(two.lend(ready(())).await, Err(Full));
        drop(waits);
        assert_eq!(two.lend(ready(())).await, Ok(()));
    }
}
