//! The event bus on Redis.
//!
//! A process has two connections. One publishes. The other one listens for all who are subscribed in this process: each
//! topic is subscribed to once, as a channel (the topic itself) and a pattern (all below it), and what comes is
//! handed on in memory. Redis keeps no notice, so nothing is lost with its data; what is lost with a connection is
//! announced as [`Event::Missed`] to all subscribers as soon as there is one again.
//!
//! | what happens | publishers | subscribers |
//! |---|---|---|
//! | server restarted | refused until it is back, at most [`PUBLISH_WITHIN`] each | `Missed`, then what is new |
//! | server silent | the same | the same, once a ping of every 3 s was not answered for 3 s |
//! | data wiped | nothing | nothing |
//! | user or password wrong | told at [`open`], later with each notice | told at [`open`], later at each attempt |
//! | too slow for the server's output buffer | nothing | cut off by the server: `Missed` |

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use vidstream_backends::bus::{BusError, EventBus, Events, LARGEST_PAYLOAD, RedisUrl, Topic};

mod ear;
mod mouth;
mod server;

use self::{ear::Ear, mouth::Mouth, server::Server};
pub use self::{mouth::PUBLISH_WITHIN, server::Trouble};

/// A connection is there, logged in, within this time.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// The server answers within this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// An event bus on a Redis server.
pub struct RedisBus {
    server: Arc<Server>,
    mouth: Mouth,
    ear: Ear,
}

/// Opens the bus at `url`. A server that can't be reached yet is waited for in the background: services start in any
/// order.
///
/// # Errors
///
/// What waiting does not mend: credentials that are refused, files of credentials that can't be read.
pub async fn open(url: &RedisUrl) -> Result<Arc<dyn EventBus>, Trouble> {
    let server = Arc::new(Server::new(url.clone()));
    match server.check().await {
        Err(trouble @ (Trouble::Refused { .. } | Trouble::Credentials(_))) => return Err(trouble),
        Err(trouble) => tracing::warn!(%trouble, "the event bus is not there yet; it is waited for"),
        Ok(()) => {}
    }
    Ok(Arc::new(RedisBus { mouth: Mouth::new(Arc::clone(&server)), ear: Ear::new(Arc::clone(&server)), server }))
}

impl fmt::Debug for RedisBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisBus({})", self.server.url)
    }
}

#[async_trait]
impl EventBus for RedisBus {
    async fn publish(&self, topic: &Topic, payload: Bytes) -> Result<(), BusError> {
        if payload.len() > LARGEST_PAYLOAD {
            return Err(BusError::TooLarge { topic: topic.clone(), size: payload.len() });
        }
        let published = self.mouth.publish(&self.server.channel(topic), &payload).await;
        published.map_err(|trouble| unavailable(topic, trouble))
    }

    async fn subscribe(&self, topic: &Topic) -> Result<Events, BusError> {
        self.ear.subscribe(topic).await.map_err(|trouble| unavailable(topic, trouble))
    }
}

fn unavailable(topic: &Topic, trouble: Trouble) -> BusError {
    BusError::Unavailable { topic: topic.clone(), source: Box::new(trouble) }
}
