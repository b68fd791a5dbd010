//! One connection that all of a purpose share.

use std::sync::Arc;

use lapin::{Channel, Connection};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};
use vidstream_backends::retry::Backoff;

use crate::broker::{Broker, Trouble};

/// A connection, made when it is first needed and again when it was lost, by whoever needs it. While the broker is away it is
/// tried at growing intervals, not by everybody.
pub(crate) struct Line {
    broker: Arc<Broker>,
    purpose: &'static str,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<Connection>,
    /// Which connection it is, counted.
    number: u64,
    made: Option<Instant>,
    backoff: Backoff,
    /// Until then the broker is not tried again, and this is why.
    away: Option<(Instant, Trouble)>,
    /// It was said that the broker is away.
    told: bool,
}

impl Line {
    pub(crate) fn new(broker: Arc<Broker>, purpose: &'static str) -> Self {
        Self { broker, purpose, state: Mutex::default() }
    }

    /// A new channel, and the number of its connection.
    pub(crate) async fn channel(&self) -> Result<(Channel, u64), Trouble> {
        let mut state = self.state.lock().await;
        if let Some((until, trouble)) = &state.away
            && Instant::now() < *until
        {
            return Err(trouble.clone());
        }
        let opened = match self.connected(&mut state).await {
            Ok(connection) => self.broker.answer(connection.create_channel()).await,
            Err(trouble) => Err(trouble),
        };
        match opened {
            Ok(channel) => {
                if std::mem::take(&mut state.told) {
                    tracing::info!(broker = %self.broker.url, purpose = self.purpose, "the job queue is back");
                }
                Ok((channel, state.number))
            }
            Err(trouble) => {
                self.lose(&mut state, &trouble);
                Err(trouble)
            }
        }
    }

    async fn connected<'state>(&self, state: &'state mut State) -> Result<&'state Connection, Trouble> {
        if state.connection.as_ref().is_some_and(|connection| !connection.status().connected()) {
            state.connection = None;
        }
        if state.connection.is_none() {
            let connection = self.broker.connect(self.purpose).await?;
            state.number += 1;
            state.made = Some(Instant::now());
            state.connection = Some(connection);
        }
        state.connection.as_ref().ok_or_else(|| self.broker.channel_broken("there is no connection"))
    }

    /// Gives up connection `number` because of `trouble`, unless somebody else has or it is good for more.
    pub(crate) async fn hang_up(&self, number: u64, trouble: &Trouble) {
        let mut state = self.state.lock().await;
        if state.number == number && !trouble.spares_the_connection() {
            self.lose(&mut state, trouble);
        }
    }

    fn lose(&self, state: &mut State, trouble: &Trouble) {
        state.connection = None;
        if let Some(made) = state.made.take() {
            state.backoff.worked_for(made.elapsed());
        }
        if !std::mem::replace(&mut state.told, true) {
            tracing::warn!(%trouble, purpose = self.purpose, "the job queue is away; bells are lost until it is back");
        }
        state.away = Some((Instant::now() + state.backoff.next_wait(), trouble.clone()));
    }

    /// Waits until the broker may be tried again.
    pub(crate) async fn rest(&self) {
        let until = self.state.lock().await.away.as_ref().map(|(until, _)| *until);
        // A channel that was closed at once is not opened again at once.
        let least = Instant::now() + Backoff::default().next_wait();
        sleep_until(until.unwrap_or(least).max(least)).await;
    }
}
