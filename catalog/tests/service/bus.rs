//! A bus and a queue that can be away, as those far away can; and who waits for them.

use crate::world::{Client, World, request_id};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use vidstream_backends::bus::{BusError, EventBus, Events, LocalBus, Topic};
use vidstream_backends::queue::{Bells, Class, JobQueue, QueueError};
use vidstream_catalog::{Catalog, Config};
use vidstream_mesh::in_process;
use vidstream_proto::pb;

/// How a bus is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum State {
    #[default]
    Well,
    /// Every call fails at once.
    Away,
    /// No call is answered.
    Frozen,
}

#[derive(Debug, Default)]
pub struct Bus {
    bus: LocalBus,
    state: Mutex<State>,
}

impl Bus {
    /// It is `state` from now on.
    pub fn be(&self, state: State) {
        *self.state.lock().unwrap() = state;
    }

    async fn answer(&self, topic: &Topic) -> Result<(), BusError> {
        let state = *self.state.lock().unwrap();
        match state {
            State::Well => Ok(()),
            State::Away => Err(BusError::Unavailable { topic: topic.clone(), source: "it is away".into() }),
            State::Frozen => std::future::pending().await,
        }
    }
}

#[async_trait]
impl EventBus for Bus {
    async fn publish(&self, topic: &Topic, payload: Bytes) -> Result<(), BusError> {
        self.answer(topic).await?;
        self.bus.publish(topic, payload).await
    }

    async fn subscribe(&self, topic: &Topic) -> Result<Events, BusError> {
        self.answer(topic).await?;
        self.bus.subscribe(topic).await
    }
}

/// A queue that answers nobody.
#[derive(Debug)]
struct Frozen;

#[async_trait]
impl JobQueue for Frozen {
    async fn ring(&self, _: Class) -> Result<(), QueueError> {
        std::future::pending().await
    }

    async fn listen(&self, _: &[Class]) -> Result<Box<dyn Bells>, QueueError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn nobody_waits_for_a_bus_or_a_queue_that_does_not_answer() {
    let mut world = World::still(Config::default()).await;
    let bus = Arc::new(Bus::default());
    bus.be(State::Frozen);
    let catalog = Catalog::builder(world.store.clone(), Arc::new(Frozen), bus, world.objects.clone()).build();
    world.client = Client::new(in_process::channel(catalog.service()));
    let upload = async {
        // Many more notices than are kept.
        let source = world.create(10).await;
        for _ in 0..1100 {
            let want =
                pb::WantRangesRequest { source_id: source.id.clone(), waiter: request_id(), ..Default::default() };
            world.client.want_ranges(want).await.unwrap();
        }
        let watch = pb::WatchSourceRequest { source_id: source.id.clone() };
        let mut records = world.client.watch_source(watch).await.unwrap().into_inner();
        records.message().await.unwrap().expect("what is there");
        let mut entries = world.client.watch_entries(pb::WatchEntriesRequest::default()).await.unwrap().into_inner();
        entries.message().await.unwrap().expect("what is there");
        let source = world.uploaded().await;
        world.work().await;
        assert_eq!(world.video(&source.video_ids[0]).await.state(), pb::VideoState::Ready);
    };
    tokio::time::timeout(Duration::from_mins(1), upload).await.expect("everything is answered");
}
