//! Notices inside one process.

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use tokio::sync::broadcast::{self, error::RecvError};

use super::{BusError, Event, EventBus, Events, LARGEST_PAYLOAD, Topic};

/// Notices kept for the slowest subscriber before it misses some.
const KEPT: usize = 1024;

/// Notices inside one process.
#[derive(Debug)]
pub struct LocalBus {
    notices: broadcast::Sender<(Topic, Bytes)>,
}

impl Default for LocalBus {
    fn default() -> Self {
        Self { notices: broadcast::Sender::new(KEPT) }
    }
}

#[async_trait]
impl EventBus for LocalBus {
    async fn publish(&self, topic: &Topic, payload: Bytes) -> Result<(), BusError> {
        if payload.len() > LARGEST_PAYLOAD {
            return Err(BusError::TooLarge { topic: topic.clone(), size: payload.len() });
        }
        // An error says only that nobody is subscribed.
        let _ = self.notices.send((topic.clone(), payload));
        Ok(())
    }

    async fn subscribe(&self, topic: &Topic) -> Result<Events, BusError> {
        let subscription = (self.notices.subscribe(), topic.clone());
        Ok(stream::unfold(subscription, |(mut notices, wanted)| async move {
            loop {
                let event = match notices.recv().await {
                    Ok((topic, _)) if !topic.is_within(&wanted) => continue,
                    Ok((topic, payload)) => Event::Notice { topic, payload },
                    Err(RecvError::Lagged(_)) => Event::Missed,
                    Err(RecvError::Closed) => return None,
                };
                return Some((event, (notices, wanted)));
            }
        })
        .boxed())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::bus::contract::bus_contract;

    #[tokio::test(start_paused = true)]
    async fn it_passes_the_contract() {
        bus_contract(Arc::new(LocalBus::default())).await;
    }

    #[tokio::test]
    async fn it_ends_with_the_bus() {
        let bus = LocalBus::default();
        let topic: Topic = "a".parse().unwrap();
        let events = bus.subscribe(&topic).await.unwrap();
        bus.publish(&topic, Bytes::from_static(b"last")).await.unwrap();
        drop(bus);
        assert_eq!(events.collect::<Vec<_>>().await, [Event::Notice { topic, payload: Bytes::from_static(b"last") }]);
    }
}
