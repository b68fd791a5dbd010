//! Where the replicas of a service are.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// One or more places, `HOST:PORT[,HOST:PORT…]`. Each name may stand for several addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peers(Vec<Peer>);

/// One name or address, and a port.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Peer {
    host: String,
    port: u16,
}

/// What is wrong with a text that should say where replicas are.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{text}` {why}")]
pub struct PeersError {
    text: String,
    why: &'static str,
}

impl Peers {
    /// The places, without repeats, in the order they were given.
    pub fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.0.iter()
    }
}

impl Peer {
    /// The name or address; of IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Peers {
    type Err = PeersError;

    fn from_str(text: &str) -> Result<Self, PeersError> {
        let mut peers = Vec::new();
        for peer in text.split(',') {
            let peer = peer.trim().parse()?;
            if !peers.contains(&peer) {
                peers.push(peer);
            }
        }
        Ok(Self(peers))
    }
}

impl FromStr for Peer {
    type Err = PeersError;

    fn from_str(text: &str) -> Result<Self, PeersError> {
        let wrong = |why| PeersError { text: text.to_owned(), why };
        if text.contains("://") {
            return Err(wrong("is a URL; say HOST:PORT"));
        }
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(|| wrong("has no `]` after the address"))?;
            host.parse::<Ipv6Addr>().map_err(|_| wrong("has no address of IPv6 between its brackets"))?;
            (host, rest.strip_prefix(':').ok_or_else(|| wrong("has no port; say [ADDRESS]:PORT"))?)
        } else {
            let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong("has no port; say HOST:PORT"))?;
            if host.contains(':') {
                return Err(wrong("has colons in its host; write addresses of IPv6 as [ADDRESS]:PORT"));
            }
            let named = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
            if host.is_empty() || !host.chars().all(named) {
                return Err(wrong("has no name or address before its port"));
            }
            (host, port)
        };
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(|| wrong("has no port from 1 to 65535"))?;
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, peer)| {
            f.write_str(if at == 0 { "" } else { "," })?;
            fmt::Display::fmt(peer, f)
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse() {
            Ok(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_written() {
        let peers: Peers =
            "catalog:7000, 10.0.0.1:1,[::1]:65535,catalog:7000,my_service.ns.svc:80".parse().expect("valid");
        assert_eq!(peers.to_string(), "catalog:7000,10.0.0.1:1,[::1]:65535,my_service.ns.svc:80");
        assert_eq!(peers.to_string().parse(), Ok(peers.clone()));
        let hosts: Vec<_> = peers.iter().map(|peer| (peer.host(), peer.port())).collect();
        assert_eq!(hosts, [("catalog", 7000), ("10.0.0.1", 1), ("::1", 65535), ("my_service.ns.svc", 80)]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, part) in [
            ("", "`` has no port"),
            ("catalog", "no port"),
            ("a:1,", "`` has no port"),
            ("a:1,,b:2", "`` has no port"),
            (":1", "no name"),
            ("a:0", "no port from 1"),
            ("a:65536", "no port from 1"),
            ("a:http", "no port from 1"),
            ("http://a:1", "is a URL"),
            ("::1:7000", "[ADDRESS]:PORT"),
            ("[::1]", "no port"),
            ("[::1", "no `]`"),
            ("[a]:1", "address of IPv6"),
            ("a b:1", "no name"),
            ("user@a:1", "no name"),
        ] {
            let error = text.parse::<Peers>().expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
