//! Notices of changes, on the bus. All of them may be lost: whoever waits for one looks again by itself after a while.

use bytes::Bytes;
use futures::future::ready;
use futures::stream::{self, StreamExt};
use prost::Message;
use std::sync::Arc;
use uuid::Uuid;
use vidstream_backends::bus::{Event, EventBus, Events, LARGEST_PAYLOAD, Topic};
use vidstream_proto::ids::{SourceId, VideoId};
use vidstream_proto::pb;

/// Tells and hears what changed.
#[derive(Clone, Debug)]
pub(crate) struct Notices {
    bus: Arc<dyn EventBus>,
    /// Tells what this catalog says from what others say.
    name: Uuid,
}

fn topic(name: &str) -> Topic {
    name.parse().expect("words and ids make a topic")
}

impl Notices {
    pub(crate) fn new(bus: Arc<dyn EventBus>) -> Self {
        Self { bus, name: Uuid::new_v4() }
    }

    /// What carries them.
    pub(crate) fn bus(&self) -> &dyn EventBus {
        &*self.bus
    }

    /// A video's row changed.
    pub(crate) async fn video_changed(&self, id: VideoId) {
        self.publish(&topic(&format!("video.{id}")), Bytes::new()).await;
    }

    /// Records, wants or state of a source changed; the message says how.
    pub(crate) async fn source_changed(&self, id: SourceId, message: &pb::WatchSourceResponse) {
        let mut payload = message.encode_to_vec();
        if payload.len() > LARGEST_PAYLOAD {
            payload = pb::WatchSourceResponse { lagged: true, ..pb::WatchSourceResponse::default() }.encode_to_vec();
        }
        self.publish(&topic(&format!("source.{id}")), payload.into()).await;
    }

    /// Somebody waits for bytes of a source; the message says for which.
    pub(crate) async fn wanted(&self, id: SourceId, message: &pb::WantRangesRequest) {
        self.publish(&topic(&format!("want.{}.{id}", self.name)), message.encode_to_vec().into()).await;
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

    async fn publish(&self, topic: &Topic, payload: Bytes) {
        if let Err(error) = self.bus.publish(topic, payload).await {
            tracing::warn!(%topic, %error, "a notice was lost; watchers will see the change later");
        }
    }

    async fn subscribe(&self, topic: &Topic) -> Events {
        match self.bus.subscribe(topic).await {
            Ok(events) => events,
            Err(error) => {
                tracing::warn!(%topic, %error, "no notices; looking at intervals");
                Box::pin(stream::empty())
            }
        }
    }
}
