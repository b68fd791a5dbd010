//! A proxy that counts what goes up, at an address that stays when the server behind it moves.

use crate::server::Server;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A proxy in front of one server at a time. Its threads end with their connections, the listener with the process.
pub struct Proxy {
    /// `http://127.0.0.1:PORT`.
    pub address: String,
    target: Arc<Mutex<String>>,
    sent: Arc<AtomicU64>,
}

impl Proxy {
    /// A proxy in front of `server`.
    pub fn before(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let proxy = Self { address, target: Arc::default(), sent: Arc::default() };
        proxy.lead_to(server);
        let (target, sent) = (Arc::clone(&proxy.target), Arc::clone(&proxy.sent));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let target = target.lock().expect("no thread panics with it").clone();
                // A server that is gone: the client sees its connection closed.
                let Ok(server) = TcpStream::connect(target) else { continue };
                pipe(&client, &server, Arc::clone(&sent));
                pipe(&server, &client, Arc::default());
            }
        });
        proxy
    }

    /// New connections go to `server`.
    pub fn lead_to(&self, server: &Server) {
        let address = server.address.trim_start_matches("http://").to_owned();
        *self.target.lock().expect("no thread panics with it") = address;
    }

    /// Bytes that clients sent up to now.
    pub fn passed(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Bytes that clients sent since this was asked last.
    pub fn sent(&self) -> u64 {
        self.sent.swap(0, Ordering::Relaxed)
    }
}

/// Copies one way until either side ends, then ends both.
pub(crate) fn pipe(from: &TcpStream, to: &TcpStream, count: Arc<AtomicU64>) {
    let mut from = from.try_clone().expect("a handle");
    let mut to = to.try_clone().expect("a handle");
    std::thread::spawn(move || {
        let mut buffer = vec![0; 256 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            count.fetch_add(length as u64, Ordering::Relaxed);
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        // Already closed is fine.
        drop(from.shutdown(Shutdown::Both));
        drop(to.shutdown(Shutdown::Both));
    });
}
