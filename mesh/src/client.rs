//! Channels to services of other processes.

use crate::channel::{Channel, ChannelError};
use crate::lifecycle::Lifecycle;
use crate::trace;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use tonic::body::Body;
use tonic::transport::{self, Endpoint};
use tower::ServiceExt;

/// Where the processes of one service listen: `HOST:PORT`, several after commas.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peers(Vec<String>);

impl FromStr for Peers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let peer = |peer: &str| {
            let wrong = || format!("`{peer}` is not HOST:PORT, such as catalog.example:7070 or [::1]:7070");
            let authority: http::uri::Authority = peer.parse().map_err(|_| wrong())?;
            authority.port_u16().filter(|port| *port > 0 && !authority.host().is_empty()).ok_or_else(wrong)?;
            Ok(authority.to_string())
        };
        text.split(',').map(|one| peer(one.trim())).collect::<Result<_, String>>().map(Self)
    }
}

impl fmt::Display for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

/// How a service is called.
#[derive(Clone, Debug, Default)]
pub struct ClientOptions {}

/// A service of other processes.
pub struct Service {
    /// Calls go to any of its processes.
    pub channel: Channel,
    /// Whether one is there.
    pub reach: Reach,
}

/// Tells whether a service can be reached.
#[derive(Clone, Debug)]
pub struct Reach(Peers);

/// Nobody can be reached.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreached(String);

impl Reach {
    /// Connects to any of the processes.
    pub async fn now(&self) -> Result<(), Unreached> {
        let mut why = String::new();
        for peer in &self.0.0 {
            match tokio::time::timeout(Duration::from_secs(3), tokio::net::TcpStream::connect(peer)).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => why = format!("{peer}: {error}"),
                Err(_) => why = format!("{peer} does not answer"),
            }
        }
        Err(Unreached(why))
    }
}

/// A service that listens at `peers`.
pub fn connect(peers: Peers, _options: ClientOptions, _life: &Lifecycle) -> Service {
    let endpoints = peers.0.iter().filter_map(|peer| Endpoint::from_shared(format!("http://{peer}")).ok());
    let channel = transport::Channel::balance_list(endpoints);
    let channel = channel.map_request(|mut request: http::Request<Body>| {
        trace::inject(request.headers_mut());
        request
    });
    Service { channel: Channel::new(channel.map_err(ChannelError::new)), reach: Reach(peers) }
}
