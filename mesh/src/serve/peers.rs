//! How many connections each address has, so that one can't take all the places.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Open connections by address.
#[derive(Debug)]
pub struct Peers {
    most: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// The place of one connection, given back when it is dropped.
#[derive(Debug)]
pub struct PeerPlace {
    peers: Arc<Peers>,
    of: IpAddr,
}

impl Peers {
    /// At most `most` connections an address.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, open: Mutex::default() })
    }

    /// A place for a connection from `address`, unless it has all that it gets.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<PeerPlace> {
        let of = network(address);
        let mut open = self.lock();
        let count = open.entry(of).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(PeerPlace { peers: Arc::clone(self), of })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PeerPlace {
    fn drop(&mut self) {
        let mut open = self.peers.lock();
        if let Some(count) = open.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.of);
            }
        }
    }
}

/// Whom an address belongs to: every customer of IPv6 has a /64 network at least (RFC 6177), any address of it at will.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_whom_they_belong_to() {
        let peers = Peers::new(2);
        let enter = |address: &str| peers.enter(address.parse().expect("an address"));
        let first = enter("192.0.2.1").expect("a place");
        let _second = enter("::ffff:192.0.2.1").expect("the same address, another place");
        assert!(enter("192.0.2.1").is_none());
        let _other = enter("192.0.2.2").expect("another address");
        drop(first);
        let _again = enter("192.0.2.1").expect("a place was given back");
        let _one = (enter("2001:db8::1").expect("a place"), enter("2001:db8::2:3").expect("a place"));
        assert!(enter("2001:db8::4").is_none(), "the same network");
        let _next = enter("2001:db8:0:1::1").expect("another network");
    }

    #[test]
    fn nothing_is_kept_of_who_left() {
        let peers = Peers::new(1);
        drop(peers.enter([192, 0, 2, 1].into()));
        assert!(peers.lock().is_empty());
    }
}
