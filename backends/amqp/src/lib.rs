//! The job queue on `RabbitMQ`.
//!
//! Each class has one durable quorum queue, `PREFIX.bells.CLASS`, which keeps one message: a bell that nobody heard yet,
//! as in one process. A newer one takes its place.
//!
//! **Who waits, consumes.** A listener opens a channel and a consumer (prefetch 1) when it begins to wait, and closes them
//! when it has heard, or is dropped. So a busy worker takes no bell: with a consumer that lives longer, the broker
//! would push the next bell to it, and nobody else could have it. Handing that back helps nothing, as it comes again at once;
//! and asking (`basic.get`) from time to time hears too late. A channel that closes gives back by itself whatever was on
//! its way to a wait that is not there any more. It costs a few round trips a wait; workers wait when there is nothing
//! to do.
//!
//! **A bell is acknowledged as soon as it is heard**, not when the work is done: the work is a row under a lease in the
//! catalog. No `consumer_timeout` can strike, and whatever the broker does after that hurts nobody.
//!
//! **Bells may come twice, or not at all.** Who hears one asks the catalog for a job, and only the catalog gives it away: to one.
//! A second bell finds nothing. A lost one is rung again by the next sweep. So an acknowledgement, or a confirmation, that a
//! connection took with it is simply repeated.
//!
//! | what happens | who rings | who waits |
//! |---|---|---|
//! | broker restarted | refused until it is back, at most [`RING_WITHIN`] each | goes on by itself |
//! | broker silent | the same | the same, after two heartbeats of 5 s |
//! | data wiped, queue deleted | the queue is made anew | the queue is made anew |
//! | connection or channel cut | one more attempt | goes on by itself |
//! | user or password wrong, a queue that is not ours | told | told |
//! | a message that is no bell | – | moved to the queue `PREFIX.dead-letters`, which keeps the last 1,000 |

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use vidstream_backends::queue::{AmqpUrl, Bells, Class, JobQueue, QueueError};

mod broker;
mod line;
mod listen;
mod ring;

use self::{broker::Broker, line::Line, listen::AmqpBells, ring::Ringer};
pub use self::{broker::Trouble, ring::RING_WITHIN};

/// A connection is there, logged in, within this time.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// The broker does one thing within this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Each side says something that often. After twice that without a word the other one is taken for gone.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// A job queue on `RabbitMQ`.
pub struct AmqpQueue {
    broker: Arc<Broker>,
    ringer: Ringer,
    // One of its own: a broker that is short of memory or disk stops to read from those who publish.
    line: Arc<Line>,
}

/// Opens the queue at `url`. A broker that can't be reached yet is waited for in the background: services start in any
/// order.
///
/// # Errors
///
/// What waiting does not mend: credentials that are refused, files of credentials that can't be read.
pub async fn open(url: &AmqpUrl) -> Result<Arc<dyn JobQueue>, Trouble> {
    let broker = Arc::new(Broker::new(url.clone()));
    let line = Arc::new(Line::new(Arc::clone(&broker), "listens for bells"));
    match line.channel().await {
        Err(trouble) if trouble.is_lasting() => return Err(trouble),
        Err(trouble) => tracing::warn!(%trouble, "the job queue is not there yet; it is waited for"),
        Ok(_) => {}
    }
    Ok(Arc::new(AmqpQueue { ringer: Ringer::new(Arc::clone(&broker)), line, broker }))
}

impl fmt::Debug for AmqpQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AmqpQueue({})", self.broker.url)
    }
}

#[async_trait]
impl JobQueue for AmqpQueue {
    async fn ring(&self, class: Class) -> Result<(), QueueError> {
        self.ringer.ring(class).await.map_err(|trouble| unavailable(format!("ring for {class} work"), trouble))
    }

    async fn listen(&self, classes: &[Class]) -> Result<Box<dyn Bells>, QueueError> {
        Ok(Box::new(AmqpBells::new(Arc::clone(&self.broker), Arc::clone(&self.line), classes)))
    }
}

fn unavailable(doing: String, trouble: Trouble) -> QueueError {
    QueueError { doing, source: Box::new(trouble) }
}
