//! The catalog's change feed, followed so that views stay true without asking.
//!
//! The feed says now and then that it is current: everything which changed until then was told. That confirms, as of the
//! moment it is heard, every view that was asked for since the feed is followed and that no change named since. Silence
//! confirms nothing: a feed that broke unnoticed costs questions, never truth.

use super::views::Views;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tonic::Status;
use vidstream_mesh::channel::Channel;
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_proto::error::Problem;
use vidstream_proto::field;
use vidstream_proto::ids::VideoId;
use vidstream_proto::pb;
use vidstream_proto::pb::catalog_service_client::CatalogServiceClient;
use vidstream_proto::pb::watch_entries_response::Event;
use vidstream_proto::video::Entry;

/// First and longest wait before a broken feed is opened again.
const RETRY: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(5);

/// What the feed vouches for.
#[derive(Debug, Default)]
pub struct Confirmations {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Sessions so far.
    begun: u64,
    session: Option<Session>,
    heard: Option<Instant>,
}

/// An unbroken stretch of the feed: whatever changes in it is told before anything later is confirmed, also across
/// connections, because each goes on where the last one broke.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Session(u64);

impl Confirmations {
    /// The session that watches over what is asked from now on; none while changes may be missed.
    pub fn session(&self) -> Option<Session> {
        self.lock().session
    }

    /// When the feed last confirmed what was asked in `session`.
    pub fn heard(&self, session: Session) -> Option<Instant> {
        let state = self.lock();
        state.heard.filter(|_| state.session == Some(session))
    }

    /// All changes up to now were told.
    fn confirm(&self) {
        let mut state = self.lock();
        if state.session.is_none() {
            state.begun += 1;
            state.session = Some(Session(state.begun));
        }
        state.heard = Some(Instant::now());
    }

    /// Changes may have been missed: nothing asked so far is watched over any more.
    fn end_session(&self) {
        self.lock().session = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows the feed into `views` until the process stops.
pub async fn follow(views: Views, catalog: CatalogServiceClient<Channel>, lifecycle: Lifecycle) {
    let stopping = lifecycle.stopping().clone();
    let mut follower = Follower { views, catalog, position: String::new(), heard: false };
    stopping.run_until_cancelled(follower.run()).await;
}

struct Follower {
    views: Views,
    catalog: CatalogServiceClient<Channel>,
    /// Where to go on after a break; empty before anything was heard.
    position: String,
    /// Something came over this connection.
    heard: bool,
}

impl Follower {
    async fn run(&mut self) {
        let mut wait = *RETRY.start();
        loop {
            let ended = self.watch().await;
            if std::mem::take(&mut self.heard) {
                wait = *RETRY.start();
            }
            // Said after the wait: a process that stops breaks its feed, and has nothing to say of it.
            sleep(wait).await;
            tracing::warn!(reason = ended.message(), "the change feed broke; opening it again");
            wait = (wait * 2).min(*RETRY.end());
        }
    }

    /// Hears the feed until it breaks; how it did.
    async fn watch(&mut self) -> Status {
        let request = pb::WatchEntriesRequest { position: self.position.clone(), video_id: String::new() };
        let mut feed = match self.catalog.watch_entries(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return status,
        };
        loop {
            match feed.message().await {
                Ok(Some(message)) => self.hear(message),
                Ok(None) => return Status::unavailable("it ended"),
                Err(status) => return status,
            }
        }
    }

    fn hear(&mut self, message: pb::WatchEntriesResponse) {
        self.heard = true;
        match message.event {
            Some(Event::Changed(entry)) => match Entry::try_from(entry) {
                Ok(entry) => self.views.changed(&entry),
                Err(problem) => self.misheard(&problem),
            },
            Some(Event::Purged(purged)) => match field::id::<VideoId>("video_id", &purged.video_id) {
                Ok(id) => self.views.purged(id),
                Err(problem) => self.misheard(&problem),
            },
            Some(Event::Reset(_)) => {
                self.position.clear();
                self.views.confirmations().end_session();
                return;
            }
            Some(Event::Current(_)) => self.views.confirmations().confirm(),
            None => {}
        }
        if !message.position.is_empty() {
            self.position = message.position;
        }
    }

    /// A message that can't be read may be about any video.
    fn misheard(&mut self, problem: &Problem) {
        tracing::warn!(%problem, "a message of the change feed can't be read");
        self.views.confirmations().end_session();
    }
}
