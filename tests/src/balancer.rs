//! A load balancer as people put before gateways: it asks each whether it is ready, again and again, and sends new
//! connections to those that are. One that refuses a connection all the same is no business of its: the client sees it.

use crate::proxy::pipe;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two questions to a gateway.
const EVERY: Duration = Duration::from_millis(100);
/// Who does not answer for so long is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// A balancer. Threads of connections end with these, the others with the process.
pub struct Balancer {
    /// `http://127.0.0.1:PORT`.
    pub address: String,
    shared: Arc<Shared>,
}

struct Shared {
    ready: Mutex<Vec<(SocketAddr, bool)>>,
    turn: AtomicUsize,
}

impl Balancer {
    /// A balancer before the gateways at `addresses`, once one is ready.
    pub fn before(addresses: &[SocketAddr]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let ready = addresses.iter().map(|address| (*address, false)).collect();
        let shared = Arc::new(Shared { ready: Mutex::new(ready), turn: AtomicUsize::new(0) });
        for place in 0..addresses.len() {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || look_after(&shared, place));
        }
        let balancing = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // Nobody there, or nobody listens: the client sees its connection closed.
                let Some(Ok(server)) = balancing.next().map(TcpStream::connect) else { continue };
                pipe(&client, &server, Arc::default());
                pipe(&server, &client, Arc::default());
            }
        });
        let balancer = Self { address, shared };
        balancer.wait(1);
        balancer
    }

    /// Waits until at least so many gateways are ready.
    pub fn wait(&self, count: usize) {
        let begun = Instant::now();
        while self.shared.lock().iter().filter(|(_, ready)| *ready).count() < count {
            assert!(begun.elapsed() < Duration::from_mins(2), "{count} ready of {:?}", self.shared.lock());
            std::thread::sleep(EVERY / 2);
        }
    }
}

impl Shared {
    /// The next gateway that is ready.
    fn next(&self) -> Option<SocketAddr> {
        let ready: Vec<_> = self.lock().iter().filter(|(_, ready)| *ready).map(|(address, _)| *address).collect();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        ready.get(turn.checked_rem(ready.len())?).copied()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(SocketAddr, bool)>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks one gateway, again and again.
fn look_after(shared: &Shared, place: usize) -> ! {
    let address = shared.lock()[place].0;
    loop {
        let ready = is_ready(address).unwrap_or(false);
        shared.lock()[place].1 = ready;
        std::thread::sleep(EVERY);
    }
}

fn is_ready(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    Ok(&head == b"HTTP/1.1 200")
}
