//! The connection that publishes.

use std::{sync::Arc, time::Duration};

use redis::{RedisError, aio::MultiplexedConnection};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use vidstream_backends::retry::Backoff;

use crate::{
    ANSWER_WITHIN, CONNECT_WITHIN,
    server::{Server, Trouble, is_answer},
};

/// A notice is published, or its publisher told that it is not, within this time.
pub const PUBLISH_WITHIN: Duration = Duration::from_secs(5);
const _: () = assert!(PUBLISH_WITHIN.as_secs() >= CONNECT_WITHIN.as_secs() + ANSWER_WITHIN.as_secs());

/// Publishes over one connection that all share. A lost one is replaced by whoever publishes next; while the server is
/// away nobody waits for it: notices that can't be sent now are lost, as is in their nature.
pub(crate) struct Mouth {
    server: Arc<Server>,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    connection: Option<MultiplexedConnection>,
    /// Which connection it is, counted.
    number: u64,
    backoff: Backoff,
    made: Option<Instant>,
    /// Until then the server is not tried again, and this is why.
    away: Option<(Instant, Trouble)>,
}

impl Mouth {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self { server, line: Mutex::default() }
    }

    pub(crate) async fn publish(&self, channel: &str, payload: &[u8]) -> Result<(), Trouble> {
        let published = timeout(PUBLISH_WITHIN, self.publish_in_time(channel, payload)).await;
        published.unwrap_or_else(|_| Err(self.server.silent(PUBLISH_WITHIN)))
    }

    async fn publish_in_time(&self, channel: &str, payload: &[u8]) -> Result<(), Trouble> {
        let mut tried_another = false;
        loop {
            let (mut connection, number) = self.connection().await?;
            let sent: Result<(), RedisError> =
                redis::cmd("PUBLISH").arg(channel).arg(payload).query_async(&mut connection).await;
            let Err(error) = sent else { return Ok(()) };
            if !is_answer(&error) {
                self.hang_up(number).await;
                // A connection that broke while nobody used it says so only now. A notice may come twice, that is harmless.
                if !tried_another && !error.is_timeout() {
                    tried_another = true;
                    continue;
                }
            }
            return Err(self.server.trouble(&error));
        }
    }

    async fn connection(&self) -> Result<(MultiplexedConnection, u64), Trouble> {
        let mut line = self.line.lock().await;
        if let Some(connection) = &line.connection {
            return Ok((connection.clone(), line.number));
        }
        if let Some((until, trouble)) = &line.away
            && Instant::now() < *until
        {
            return Err(trouble.clone());
        }
        match self.server.connect().await {
            Ok(connection) => {
                line.number += 1;
                line.away = None;
                line.made = Some(Instant::now());
                line.connection = Some(connection.clone());
                Ok((connection, line.number))
            }
            Err(trouble) => {
                line.away = Some((Instant::now() + line.backoff.next_wait(), trouble.clone()));
                Err(trouble)
            }
        }
    }

    /// Gives up connection `number`, unless somebody else has.
    async fn hang_up(&self, number: u64) {
        let mut line = self.line.lock().await;
        if line.number == number {
            line.connection = None;
            if let Some(made) = line.made.take() {
                line.backoff.worked_for(made.elapsed());
            }
        }
    }
}
