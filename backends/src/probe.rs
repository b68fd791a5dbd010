//! Whether a backend does what it should, tried out on something that is nobody's: for whoever looks for what is wrong.
//!
//! Each probe may run beside all that uses the backend, beside itself, and be dropped at any point. What it leaves behind
//! then is one small object below [`PREFIX`], or a bell that nobody waits for.

use crate::bus::{BusError, Event, EventBus, Topic};
use crate::objects::{ObjectError, ObjectName, ObjectStore};
use crate::queue::{Class, JobQueue, QueueError};
use bytes::Bytes;
use futures::stream::StreamExt;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

/// What names of probes' objects begin with.
pub const PREFIX: &str = "probes";
/// A bell or notice that takes longer is lost.
const HEARD_WITHIN: Duration = Duration::from_secs(5);
/// What has not answered by then is away.
const PATIENCE: Duration = Duration::from_secs(8);
/// Between two rings: one that others took is not heard here.
const AGAIN: Duration = Duration::from_millis(500);
/// The class of bells that no work is for.
const NOBODY: Class = Class::new("probe");

/// Why a backend does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The object store refused, or can't be reached.
    #[error("can't {doing}: {source}")]
    Objects {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: ObjectError,
    },
    /// An object came back as another than was put.
    #[error("gives back other bytes than it was given")]
    OtherBytes,
    /// An object was deleted and is there.
    #[error("still has an object that it has deleted")]
    NotDeleted,
    /// The queue refused, or can't be reached.
    #[error("{}: {}", .0, .0.source)]
    Queue(#[from] QueueError),
    /// A bell was rung, and whoever waited did not hear it.
    #[error("takes bells, and none of them is heard within {} s", HEARD_WITHIN.as_secs())]
    Unrung,
    /// The bus refused, or can't be reached.
    #[error("{}", of_bus(.0))]
    Bus(#[from] BusError),
    /// Nothing was said at all.
    #[error("does not answer within {} s", PATIENCE.as_secs())]
    Silent,
    /// A notice was sent, and whoever was subscribed did not get it.
    #[error("takes notices, and none of them arrives within {} s", HEARD_WITHIN.as_secs())]
    Unheard,
}

/// What a probe came to.
#[derive(Debug)]
pub struct Probed {
    /// What was probed, as people call it.
    pub part: &'static str,
    /// What it should do, how long it took, or why it does not.
    pub found: Result<String, ProbeError>,
    /// What to do if it does not.
    pub advice: &'static str,
}

/// Probes the object store.
pub async fn look_at_objects(store: &dyn ObjectStore) -> Probed {
    let took = within(objects(store)).await;
    Probed {
        part: "object store",
        found: took.map(|took| format!("writes, reads and deletes an object in {}", text(took))),
        advice: "is it running, is there room, and do --objects and its credentials fit? until then nothing can be \
                 uploaded, and only what caches hold can be played",
    }
}

/// Probes the job queue.
pub async fn look_at_queue(queue: &dyn JobQueue) -> Probed {
    let took = within(self::queue(queue)).await;
    Probed {
        part: "job queue",
        found: took.map(|took| format!("a bell is heard in {}", text(took))),
        advice: "is it running, and does --queue fit? until then workers look for jobs every half minute",
    }
}

/// Probes the event bus.
pub async fn look_at_bus(bus: &dyn EventBus) -> Probed {
    let took = within(self::bus(bus)).await;
    Probed {
        part: "event bus",
        found: took.map(|took| format!("a notice arrives in {}", text(took))),
        advice: "is it running, and does --events fit? until then changes are seen some seconds later, and no progress is",
    }
}

async fn within(probe: impl Future<Output = Result<Duration, ProbeError>>) -> Result<Duration, ProbeError> {
    timeout(PATIENCE, probe).await.unwrap_or(Err(ProbeError::Silent))
}

fn text(took: Duration) -> String {
    match took.as_millis() {
        0 => "less than a millisecond".into(),
        millis => format!("{millis} ms"),
    }
}

fn of_bus(error: &BusError) -> String {
    match error {
        BusError::Unavailable { source, .. } => format!("{error}: {source}"),
        BusError::TooLarge { .. } => error.to_string(),
    }
}

/// Puts an object, reads it, deletes it and looks whether it is gone. How long that took.
pub async fn objects(store: &dyn ObjectStore) -> Result<Duration, ProbeError> {
    let began = Instant::now();
    let failed = |doing| move |source| ProbeError::Objects { doing, source };
    let id = Uuid::new_v4();
    let name: ObjectName = format!("{PREFIX}/{id}").parse().expect("letters, digits and dashes");
    let bytes = Bytes::from(id.to_string());
    store.put(&name, vec![bytes.clone()]).await.map_err(failed("write an object"))?;
    let read = store.read(&name, bytes.len() as u64).await.map_err(failed("read an object that it has taken"))?;
    let deleted = store.delete(&name).await.map_err(failed("delete an object"));
    if read != bytes {
        return Err(ProbeError::OtherBytes);
    }
    deleted?;
    match store.head(&name).await {
        Err(ObjectError::NotFound { .. }) => Ok(began.elapsed()),
        Ok(_) => Err(ProbeError::NotDeleted),
        Err(source) => Err(ProbeError::Objects { doing: "say that an object is gone", source }),
    }
}

/// Rings until the bell is heard. How long that took.
pub async fn queue(queue: &dyn JobQueue) -> Result<Duration, ProbeError> {
    let mut bells = queue.listen(&[NOBODY]).await?;
    let began = Instant::now();
    let ringing = async {
        loop {
            if let Err(error) = queue.ring(NOBODY).await {
                return error;
            }
            // Who else probes just now may have taken it.
            sleep(AGAIN).await;
        }
    };
    let heard = async {
        tokio::select! {
            heard = bells.next() => heard.map(drop),
            error = ringing => Err(error),
        }
    };
    match timeout(HEARD_WITHIN, heard).await {
        Ok(heard) => Ok(heard.map(|()| began.elapsed())?),
        Err(_) => Err(ProbeError::Unrung),
    }
}

/// Subscribes, and publishes what it then waits for. How long that took.
pub async fn bus(bus: &dyn EventBus) -> Result<Duration, ProbeError> {
    let id = Uuid::new_v4().simple().to_string();
    let topic: Topic = format!("probe.{id}").parse().expect("letters and digits");
    let mut events = bus.subscribe(&topic).await?;
    let began = Instant::now();
    let payload = Bytes::from(id);
    bus.publish(&topic, payload.clone()).await?;
    let came = async {
        while let Some(event) = events.next().await {
            if matches!(&event, Event::Notice { payload: came, .. } if *came == payload) {
                return true;
            }
        }
        false
    };
    match timeout(HEARD_WITHIN, came).await {
        Ok(true) => Ok(began.elapsed()),
        Ok(false) | Err(_) => Err(ProbeError::Unheard),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::LocalBus;
    use crate::objects::{FileStore, ObjectPrefix};
    use crate::queue::LocalQueue;

    #[tokio::test]
    async fn what_works_is_found_to_work_and_nothing_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = FileStore::open(folder.path()).await.expect("opens");
        objects(&store).await.expect("works");
        let left: Vec<_> = store.list(&PREFIX.parse::<ObjectPrefix>().expect("a prefix")).collect().await;
        assert!(left.is_empty(), "{left:?}");
        let both = LocalQueue::default();
        let (one, other) = tokio::join!(queue(&both), queue(&both));
        one.expect("works");
        other.expect("works beside another");
        bus(&LocalBus::default()).await.expect("works");
    }

    #[tokio::test]
    async fn a_store_that_can_t_be_written_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = FileStore::open(folder.path()).await.expect("opens");
        std::fs::write(folder.path().join(PREFIX), b"in the way").expect("written");
        let error = objects(&store).await.expect_err("no folder can be made there");
        assert!(error.to_string().starts_with("can't write an object: "), "{error}");
    }
}
