//! The replicas of a service, as their names resolve now.

use super::replica::{Place, Replica};
use super::{ClientOptions, Peer, Peers};
use hyper::client::conn::http2::SendRequest;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::net::lookup_host;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic::body::Body;

/// Time for a name to be resolved.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The least time between two looks at a name, however many connections fail.
const LOOKS_APART: Duration = Duration::from_millis(500);

/// So often does the log say, at the most, that calls find nobody.
const LAMENTS_APART: Duration = Duration::from_secs(10);

/// All replicas of a service.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) peers: Peers,
    pub(super) options: ClientOptions,
    began: Instant,
    known: Mutex<Known>,
    news: Arc<News>,
    /// Where the next search for a replica begins, so that idle ones take turns.
    turn: AtomicUsize,
    stopped: CancellationToken,
    /// When the log was last told that calls find nobody.
    lamented: Mutex<Option<Instant>>,
}

/// What is known of the replicas.
#[derive(Debug, Default)]
struct Known {
    entries: Vec<Entry>,
    /// Why the last name that could not be resolved could not.
    unresolved: Option<String>,
}

#[derive(Debug)]
struct Entry {
    replica: Arc<Replica>,
    /// Ends with the entry; answers that are coming go on.
    _driver: AbortOnDropHandle<()>,
}

/// What replicas tell.
#[derive(Debug, Default)]
pub(super) struct News {
    changed: watch::Sender<()>,
    /// Somebody wants names to be resolved.
    pub(super) resolve: Notify,
}

impl News {
    /// Tells all who wait for a replica that something is different.
    pub(super) fn tell(&self) {
        self.changed.send_replace(());
    }
}

/// A replica that a call can be sent to.
pub(super) struct Chosen {
    pub(super) replica: Arc<Replica>,
    pub(super) sender: SendRequest<Body>,
    pub(super) place: Place,
    /// Whether the call could go to another one as well.
    pub(super) has_others: bool,
}

impl Pool {
    /// Begins to resolve and to connect.
    pub(super) fn start(peers: Peers, options: ClientOptions, stopped: CancellationToken) -> Arc<Self> {
        let news = Arc::new(News::default());
        let pool = Arc::new(Self {
            peers,
            options,
            began: Instant::now(),
            known: Mutex::default(),
            news: Arc::clone(&news),
            turn: AtomicUsize::new(fastrand::usize(..)),
            stopped: stopped.clone(),
            lamented: Mutex::default(),
        });
        let follow = follow(Arc::downgrade(&pool), news);
        tokio::spawn(async move { stopped.run_until_cancelled(follow).await });
        pool
    }

    /// Changes from now on.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.news.changed.subscribe()
    }

    /// The connected replica with the fewest open calls; one of `avoided` only if there is no other, and one that is left in
    /// peace only if all are: what all fail by, their database say, is no replica's own, and ends for all at once.
    pub(super) fn choose(&self, avoided: &[SocketAddr]) -> Option<Chosen> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let known = self.known();
        let count = known.entries.len();
        let mut fresh = 0;
        let best = (0..count)
            .filter_map(|step| {
                let replica = &known.entries[turn.wrapping_add(step) % count].replica;
                let sender = replica.sender()?;
                let (rests, avoided) = (replica.rests(), avoided.contains(&replica.address));
                fresh += usize::from(!rests && !avoided);
                Some(((rests, avoided, replica.open()), replica, sender))
            })
            .min_by_key(|(rank, ..)| *rank);
        let ((rests, ..), replica, sender) = best?;
        if !rests {
            replica.breaker().pass();
        }
        Some(Chosen { sender, place: replica.enter(), replica: Arc::clone(replica), has_others: fresh > 1 })
    }

    /// Until when calls wait for a replica to come, if there is none.
    pub(super) fn patience_ends(&self) -> Instant {
        let known = self.known();
        let lost = known.entries.iter().map(|entry| entry.replica.why_not().1).max();
        lost.unwrap_or(self.began) + self.options.patience
    }

    /// Whether some replica is connected; if not, why.
    pub(super) fn standing(&self) -> Result<(), String> {
        let known = self.known();
        if known.entries.iter().any(|entry| entry.replica.sender().is_some()) {
            return Ok(());
        }
        let mut reasons: Vec<String> = Vec::new();
        for Entry { replica, .. } in &known.entries {
            let (peer, address) = (replica.peer.to_string(), replica.address.to_string());
            let why = replica.why_not().0;
            reasons.push(if peer == address { format!("{peer}: {why}") } else { format!("{peer} ({address}): {why}") });
        }
        reasons.extend(known.unresolved.clone());
        if reasons.is_empty() {
            reasons.push("it is being looked up".to_owned());
        }
        Err(reasons.join("; "))
    }

    /// Says in the log that calls find nobody, and why: once for all that do so within some seconds.
    pub(super) fn lament(&self) {
        let now = Instant::now();
        let mut lamented = self.lamented.lock().unwrap_or_else(PoisonError::into_inner);
        if lamented.is_none_or(|last| now - last >= LAMENTS_APART)
            && let Err(why) = self.standing()
        {
            *lamented = Some(now);
            tracing::warn!(peers = %self.peers, why, "calls fail: no replica can be reached");
        }
    }

    /// Whether the life ended, and with it every attempt to connect.
    pub(super) fn is_over(&self) -> bool {
        self.stopped.is_cancelled()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what the names stand for now. A name that could not be resolved keeps what it stood for.
    fn take_over(&self, resolved: Vec<(Peer, Result<Vec<SocketAddr>, String>)>) {
        let mut known = self.known();
        known.unresolved = None;
        let mut wanted: Vec<(Peer, SocketAddr)> = Vec::new();
        for (peer, outcome) in resolved {
            let addresses = outcome.unwrap_or_else(|why| {
                known.unresolved = Some(format!("{peer}: {why}"));
                let kept = known.entries.iter().map(|entry| &entry.replica).filter(|replica| replica.peer == peer);
                kept.map(|replica| replica.address).collect()
            });
            for address in addresses {
                if wanted.iter().all(|(_, other)| *other != address) {
                    wanted.push((peer.clone(), address));
                }
            }
        }
        known.entries.retain(|Entry { replica, .. }| wanted.iter().any(|(_, address)| *address == replica.address));
        for (peer, address) in wanted {
            if known.entries.iter().all(|entry| entry.replica.address != address) {
                let replica = Arc::new(Replica::new(peer, address));
                let drive = Arc::clone(&replica).drive(self.options.clone(), Arc::clone(&self.news));
                let stopped = self.stopped.clone();
                let driver = tokio::spawn(async move {
                    stopped.run_until_cancelled(drive).await;
                });
                known.entries.push(Entry { replica, _driver: AbortOnDropHandle::new(driver) });
            }
        }
        drop(known);
        self.news.tell();
    }
}

/// Resolves the names now, at intervals, and when a connection failed, as long as there is a pool.
async fn follow(pool: Weak<Pool>, news: Arc<News>) {
    while let Some((peers, every)) = pool.upgrade().map(|pool| (pool.peers.clone(), pool.options.resolve_every)) {
        let mut resolved = Vec::new();
        for peer in peers.iter() {
            resolved.push((peer.clone(), resolve(peer).await));
        }
        let Some(pool) = pool.upgrade() else { return };
        pool.take_over(resolved);
        drop(pool);
        sleep(LOOKS_APART.min(every)).await;
        // Nobody asks: then it is time anyway.
        let _ = timeout(every.saturating_sub(LOOKS_APART), news.resolve.notified()).await;
    }
}

async fn resolve(peer: &Peer) -> Result<Vec<SocketAddr>, String> {
    match timeout(RESOLVE_TIMEOUT, lookup_host((peer.host(), peer.port()))).await {
        Ok(Ok(addresses)) => {
            let addresses: Vec<_> = addresses.collect();
            if addresses.is_empty() { Err("the name stands for no address".to_owned()) } else { Ok(addresses) }
        }
        Ok(Err(error)) => Err(format!("the name can't be resolved: {error}")),
        Err(_) => Err(format!("the name was not resolved within {RESOLVE_TIMEOUT:?}")),
    }
}
