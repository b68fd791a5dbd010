//! Listening.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{
    StreamExt as _,
    stream::{BoxStream, select_all},
};
use lapin::{
    Channel,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions},
    types::FieldTable,
};
use tokio::time::timeout_at;
use vidstream_backends::queue::{Bells, Class, QueueError};

use crate::{
    broker::{Broker, Trouble, is_bell},
    line::Line,
    unavailable,
};

/// A wait is begun anew that often, whatever broker and client believe, so that nothing they forget lasts.
const ROUND: Duration = Duration::from_mins(1);

/// One worker's ear.
pub(crate) struct AmqpBells {
    broker: Arc<Broker>,
    line: Arc<Line>,
    classes: Vec<Class>,
}

/// What a wait has of the broker. Dropping it closes the channel, and the broker gives to others what was on its way.
struct Consuming {
    channel: Channel,
    /// Of its connection.
    number: u64,
    deliveries: Deliveries,
}

type Deliveries = BoxStream<'static, (Class, lapin::Result<Delivery>)>;

impl AmqpBells {
    pub(crate) fn new(broker: Arc<Broker>, line: Arc<Line>, classes: &[Class]) -> Self {
        Self { broker, line, classes: classes.to_vec() }
    }

    /// A bell, or none in this round.
    async fn round(&self) -> Result<Option<Class>, Trouble> {
        let open = open(Arc::clone(&self.broker), Arc::clone(&self.line), self.classes.clone());
        // To its end also when this wait is dropped: the client would forget a channel or a consumer that it is just opening,
        // the broker would not, and the next bell would go there.
        let opened = tokio::spawn(open).await;
        let consuming = opened.unwrap_or_else(|_| Err(self.broker.channel_broken("the runtime is shutting down")))?;
        let number = consuming.number;
        let heard = self.hear(consuming).await;
        if let Err(trouble) = &heard {
            self.line.hang_up(number, trouble).await;
        }
        heard
    }

    async fn hear(&self, mut consuming: Consuming) -> Result<Option<Class>, Trouble> {
        let end = tokio::time::Instant::now() + ROUND;
        loop {
            let Ok(next) = timeout_at(end, consuming.deliveries.next()).await else { return Ok(None) };
            match next {
                Some((class, Ok(delivery))) if is_bell(&delivery.properties) => {
                    acknowledge(delivery, consuming);
                    return Ok(Some(class));
                }
                Some((class, Ok(delivery))) => self.bury(class, &delivery, &consuming.channel).await?,
                Some((_, Err(error))) => return Err(self.lost(&consuming.channel, &error)),
                None => return Err(self.broker.channel_broken("the queue is not there any more")),
            }
        }
    }

    fn lost(&self, channel: &Channel, error: &lapin::Error) -> Trouble {
        match error.kind() {
            // A cancelled consumer; the channel is as it was.
            lapin::ErrorKind::InvalidChannel(0) if channel.status().connected() => {
                self.broker.channel_broken("the queue is not there any more")
            }
            _ => self.broker.trouble(error),
        }
    }

    /// Moves what is no bell out of the way, and forgets it only when it is safe elsewhere.
    async fn bury(&self, class: Class, delivery: &Delivery, channel: &Channel) -> Result<(), Trouble> {
        tracing::warn!(%class, queue = %self.broker.dead(), "a message that is no bell was moved to the dead letters");
        let broker = &self.broker;
        broker.answer(channel.confirm_select(ConfirmSelectOptions::default())).await?;
        broker.declare_dead(channel).await?;
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirmed = async {
            let properties = delivery.properties.clone();
            channel.basic_publish("".into(), broker.dead(), options, &delivery.data, properties).await?.await
        };
        match broker.answer(confirmed).await? {
            lapin::Confirmation::Ack(None) => broker.answer(delivery.ack(BasicAckOptions::default())).await.map(drop),
            _ => Err(broker.channel_broken("it could not keep a dead letter")),
        }
    }
}

async fn open(broker: Arc<Broker>, line: Arc<Line>, classes: Vec<Class>) -> Result<Consuming, Trouble> {
    let (channel, number) = line.channel().await?;
    match consume(&broker, &channel, &classes).await {
        Ok(deliveries) => Ok(Consuming { channel, number, deliveries }),
        Err(trouble) => {
            line.hang_up(number, &trouble).await;
            Err(trouble)
        }
    }
}

async fn consume(broker: &Broker, channel: &Channel, classes: &[Class]) -> Result<Deliveries, Trouble> {
    // Of each consumer: quorum queues know no other.
    broker.answer(channel.basic_qos(1, BasicQosOptions::default())).await?;
    let mut consumers = Vec::new();
    for &class in classes {
        broker.declare(channel, class).await?;
        let options = BasicConsumeOptions::default();
        let consume = channel.basic_consume(broker.queue(class), "".into(), options, FieldTable::default());
        let consumer = broker.answer(consume).await?;
        // One that was cancelled, because its queue was deleted, must not leave the others waiting.
        let ended = futures::stream::once(async { Err(lapin::ErrorKind::InvalidChannel(0).into()) });
        consumers.push(consumer.chain(ended).map(move |delivery| (class, delivery)).boxed());
    }
    Ok(select_all(consumers).boxed())
}

/// Without waiting for it: a wait that is dropped after the bell was acknowledged and before it was heard would lose it.
fn acknowledge(delivery: Delivery, consuming: Consuming) {
    tokio::spawn(async move {
        if let Err(error) = delivery.ack(BasicAckOptions::default()).await {
            tracing::debug!(%error, "a bell could not be acknowledged; it rings once more");
        }
        drop(consuming);
    });
}

#[async_trait]
impl Bells for AmqpBells {
    async fn next(&mut self) -> Result<Class, QueueError> {
        if self.classes.is_empty() {
            return std::future::pending().await;
        }
        loop {
            match self.round().await {
                Ok(Some(class)) => return Ok(class),
                Ok(None) => {}
                Err(trouble) if trouble.is_lasting() => {
                    let classes: Vec<_> = self.classes.iter().map(|class| class.as_str()).collect();
                    return Err(unavailable(format!("listen for {} work", classes.join(" and ")), trouble));
                }
                Err(trouble) => {
                    tracing::debug!(%trouble, "a wait for bells is begun anew");
                    self.line.rest().await;
                }
            }
        }
    }
}
