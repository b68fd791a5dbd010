//! Clients of services that run elsewhere, in any number of replicas.
//!
//! Names are resolved again and again, each address has one connection of HTTP/2, and a call goes to the replica that has the
//! fewest. A connection counts once its peer has spoken, so no call is given to one that only accepts; a call that was not
//! sent goes on to another replica. Nobody waits for a service when the mesh starts: calls do, for a bounded time.

mod balance;
mod greeted;
mod peers;
mod pool;
mod reach;
mod replica;

pub use peers::{Peer, Peers, PeersError};
pub use reach::{Reach, Unreached};

use crate::channel::Channel;
use crate::layers::deadline::Deadline;
use crate::layers::retry::Retry;
use crate::lifecycle::Lifecycle;
use crate::tls::ClientTls;
use crate::token::MeshToken;
use balance::Balance;
use pool::Pool;
use std::time::Duration;

/// How a client connects and waits.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// By which connections are encrypted; none leaves them as they are.
    pub tls: Option<ClientTls>,
    /// Sent with each call.
    pub token: Option<MeshToken>,
    /// Time for a connection to come up, until its peer has spoken.
    pub connect_timeout: Duration,
    /// How long after the last replica was lost, or after the start, calls wait for one; later ones fail at once. Longer than
    /// the only replica of a service takes to start again.
    pub patience: Duration,
    /// How often names are resolved.
    pub resolve_every: Duration,
    /// How often a silent peer is asked whether it lives, and how long it may take to answer.
    pub keepalive: (Duration, Duration),
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            tls: None,
            token: None,
            connect_timeout: Duration::from_secs(3),
            patience: Duration::from_secs(5),
            resolve_every: Duration::from_secs(5),
            keepalive: (Duration::from_secs(10), Duration::from_secs(10)),
        }
    }
}

/// A service that runs elsewhere.
#[derive(Clone, Debug)]
pub struct Service {
    /// For its generated client.
    pub channel: Channel,
    /// Whether it is there.
    pub reach: Reach,
}

/// A client of the service whose replicas are at `peers`. Connections are made in the background, until the life has stopped
/// or the last clone of both parts is dropped; a life that is stopping can still make calls.
///
/// Must be called inside a runtime.
pub fn connect(peers: Peers, options: ClientOptions, life: &Lifecycle) -> Service {
    let pool = Pool::start(peers, options, life.stopped().clone());
    Service { channel: Channel::new(Deadline::new(Retry::new(Balance::new(pool.clone())))), reach: Reach::of(pool) }
}
