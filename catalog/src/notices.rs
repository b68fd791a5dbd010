//! Notices of changes, on the bus. All of them may be lost: whoever waits for one looks again by itself after a while. So
//! nobody waits until one is told: they stand in a row, one task tells them in their order, and what has no room is lost.

use bytes::Bytes;
use futures::future::ready;
use futures::stream::{self, StreamExt};
use prost::Message;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::timeout;
use uuid::Uuid;
use vidstream_backends::bus::{Event, EventBus, Events, LARGEST_PAYLOAD, Topic};
use vidstream_proto::ids::{SourceId, VideoId};
use vidstream_proto::pb;

/// Whoever begins to listen waits for the bus no longer: it is listened to later, and what was missed is announced.
const HEAR_WITHIN: Duration = Duration::from_millis(500);
/// Until the bus is listened to again that could not be.
const HEAR_AGAIN: Duration = Duration::from_secs(5);

/// Notices that wait to be told: of a bus that does not answer, what came in some seconds.
const MOST_WAITING: usize = 1024;

/// Tells and hears what changed.
#[derive(Clone, Debug)]
pub(crate) struct Notices {
    bus: Arc<dyn EventBus>,
    waiting: mpsc::Sender<(Topic, Bytes)>,
    /// Tells what this catalog says from what others say.
    name: Uuid,
}

fn topic(name: &str) -> Topic {
    name.parse().expect("words and ids make a topic")
}

impl Notices {
    /// Tells by a task that ends with the last clone of this.
    pub(crate) fn new(bus: Arc<dyn EventBus>) -> Self {
        let (waiting, told) = mpsc::channel(MOST_WAITING);
        tokio::spawn(tell(Arc::clone(&bus), told));
        Self { bus, waiting, name: Uuid::new_v4() }
    }

    /// What carries them.
    pub(crate) fn bus(&self) -> &dyn EventBus {
        &*self.bus
    }

    /// A video's row changed.
    pub(crate) fn video_changed(&self, id: VideoId) {
        self.publish(topic(&format!("video.{id}")), Bytes::new());
    }

    /// Records, wants or state of a source changed; the message says how.
    pub(crate) fn source_changed(&self, id: SourceId, message: &pb::WatchSourceResponse) {
        let mut payload = message.encode_to_vec();
        if payload.len() > LARGEST_PAYLOAD {
            payload = pb::WatchSourceResponse { lagged: true, ..pb::WatchSourceResponse::default() }.encode_to_vec();
        }
        self.publish(topic(&format!("source.{id}")), payload.into());
    }

    /// Somebody waits for bytes of a source; the message says for which.
    pub(crate) fn wanted(&self, id: SourceId, message: &pb::WantRangesRequest) {
        self.publish(topic(&format!("want.{}.{id}", self.name)), message.encode_to_vec().into());
    }

    /// What other catalogs are told that somebody waits for, from now on, of all sources.
    pub(crate) async fn wants(&self) -> Events {
        let own = topic(&format!("want.{}", self.name));
        let others = move |event: &Event| match event {
            Event::Notice { topic, .. } => !topic.is_within(&own),
            Event::Missed => true,
        };
        self.subscribe(&topic("want")).await.filter(move |event| ready(others(event))).boxed()
    }

    /// Changes of any video from now on.
    pub(crate) async fn videos(&self) -> Events {
        self.subscribe(&topic("video")).await
    }

    /// Changes of one source from now on.
    pub(crate) async fn source(&self, id: SourceId) -> Events {
        self.subscribe(&topic(&format!("source.{id}"))).await
    }

    fn publish(&self, topic: Topic, payload: Bytes) {
        if let Err(TrySendError::Full((topic, _))) = self.waiting.try_send((topic, payload)) {
            tracing::debug!(%topic, "a notice was lost: too many wait for the bus");
        }
    }

    /// Subscribes, and again whenever that ends or can't be had; what may have been lost meanwhile is announced.
    async fn subscribe(&self, topic: &Topic) -> Events {
        let heard = timeout(HEAR_WITHIN, listen(&*self.bus, topic)).await.ok().flatten();
        let ear = (Arc::clone(&self.bus), topic.clone(), heard);
        let events = stream::unfold(ear, |(bus, topic, mut heard)| async {
            loop {
                if let Some(events) = &mut heard
                    && let Some(event) = events.next().await
                {
                    return Some((event, (bus, topic, heard)));
                }
                tokio::time::sleep(HEAR_AGAIN).await;
                heard = listen(&*bus, &topic).await;
                if heard.is_some() {
                    return Some((Event::Missed, (bus, topic, heard)));
                }
            }
        });
        events.boxed()
    }
}

async fn tell(bus: Arc<dyn EventBus>, mut waiting: mpsc::Receiver<(Topic, Bytes)>) {
    while let Some((topic, payload)) = waiting.recv().await {
        if let Err(error) = bus.publish(&topic, payload).await {
            tracing::warn!(%topic, %error, "a notice was lost; watchers will see the change later");
        }
    }
}

async fn listen(bus: &dyn EventBus, topic: &Topic) -> Option<Events> {
    let events = bus.subscribe(topic).await;
    events.inspect_err(|error| tracing::debug!(%topic, %error, "no notices for now; looking at intervals")).ok()
}
