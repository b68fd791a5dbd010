//! Ringing.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex as SyncMutex, PoisonError},
    time::Duration,
};

use lapin::{
    Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use tokio::{sync::Mutex, time::timeout};
use vidstream_backends::queue::Class;

use crate::{
    broker::{Broker, Trouble, bell},
    line::Line,
};

/// A bell is rung, kept by the broker on disk, or whoever rings told that it is not, within this time.
pub const RING_WITHIN: Duration = Duration::from_secs(10);

/// Rings over one channel that all share, and on which the broker confirms.
pub(crate) struct Ringer {
    broker: Arc<Broker>,
    line: Line,
    desk: Mutex<Option<Desk>>,
}

#[derive(Clone)]
struct Desk {
    channel: Channel,
    /// Of its connection.
    number: u64,
    /// The queues that are known to be there.
    declared: Arc<SyncMutex<HashSet<Class>>>,
}

impl Desk {
    fn knows(&self, class: Class) -> bool {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner).contains(&class)
    }

    fn note(&self, class: Class) {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner).insert(class);
    }

    fn forget(&self, class: Class) {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner).remove(&class);
    }
}

impl Ringer {
    pub(crate) fn new(broker: Arc<Broker>) -> Self {
        Self { line: Line::new(Arc::clone(&broker), "rings"), broker, desk: Mutex::default() }
    }

    pub(crate) async fn ring(&self, class: Class) -> Result<(), Trouble> {
        let rung = timeout(RING_WITHIN, async {
            match self.try_to_ring(class).await {
                // What broke while nobody used it says so only now. The bell may be there already: a second one is harmless.
                Err(Trouble::Broken { .. }) => self.try_to_ring(class).await,
                rung => rung,
            }
        });
        rung.await.unwrap_or_else(|_| Err(self.broker.silent(RING_WITHIN)))
    }

    async fn try_to_ring(&self, class: Class) -> Result<(), Trouble> {
        let desk = self.desk().await?;
        let rung = self.ring_at(&desk, class).await;
        if let Err(trouble) = &rung {
            self.leave(&desk, trouble).await;
        }
        rung
    }

    async fn ring_at(&self, desk: &Desk, class: Class) -> Result<(), Trouble> {
        if !desk.knows(class) {
            self.broker.declare(&desk.channel, class).await?;
            desk.note(class);
        }
        // Without a queue it comes back, instead of vanishing.
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirmed = async {
            let published =
                desk.channel.basic_publish("".into(), self.broker.queue(class), options, &[], bell()).await?;
            published.await
        };
        match self.broker.answer(confirmed).await? {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(_)) => {
                desk.forget(class);
                Err(self.broker.channel_broken("the queue is not there any more"))
            }
            Confirmation::Nack(_) => Err(self.broker.channel_broken("it could not keep the bell")),
            Confirmation::NotRequested => Err(self.broker.channel_broken("it does not confirm what it keeps")),
        }
    }

    async fn desk(&self) -> Result<Desk, Trouble> {
        let mut desk = self.desk.lock().await;
        if let Some(desk) = desk.as_ref().filter(|desk| desk.channel.status().connected()) {
            return Ok(desk.clone());
        }
        *desk = None;
        let (channel, number) = self.line.channel().await?;
        if let Err(trouble) = self.broker.answer(channel.confirm_select(ConfirmSelectOptions::default())).await {
            self.line.hang_up(number, &trouble).await;
            return Err(trouble);
        }
        Ok(desk.insert(Desk { channel, number, declared: Arc::default() }).clone())
    }

    /// Gives up what `trouble` was about.
    async fn leave(&self, left: &Desk, trouble: &Trouble) {
        self.line.hang_up(left.number, trouble).await;
        let mut desk = self.desk.lock().await;
        let is_it = desk.as_ref().is_some_and(|desk| Arc::ptr_eq(&desk.declared, &left.declared));
        if is_it && (!trouble.spares_the_connection() || !left.channel.status().connected()) {
            *desk = None;
        }
    }
}
