//! A network of a given speed: a relay that lets so many bytes a second through, each way, however many connections there are.

use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// What passes without waiting after a pause, as it does through a switch's buffers: 2 ms of a gigabit.
const BURST: u64 = 256 << 10;
/// Bytes that are carried at once.
const STEP: usize = 64 << 10;

/// A relay on 127.0.0.1 that works as long as the runtime it was started on.
pub struct Link {
    /// `http://127.0.0.1:PORT`.
    pub address: String,
}

/// One way: a bucket of tokens, as the time up to which they are given away.
struct Way {
    bytes_a_second: u64,
    given: Mutex<Instant>,
}

impl Way {
    fn new(bytes_a_second: u64) -> Arc<Self> {
        Arc::new(Self { bytes_a_second, given: Mutex::new(Instant::now()) })
    }

    fn time_of(&self, bytes: u64) -> Duration {
        Duration::from_nanos(bytes * 1_000_000_000 / self.bytes_a_second)
    }

    /// Waits until `bytes` may pass.
    async fn pass(&self, bytes: usize) {
        let until = {
            let mut given = self.given.lock().await;
            let full = Instant::now().checked_sub(self.time_of(BURST)).unwrap_or(*given);
            *given = (*given).max(full) + self.time_of(bytes as u64);
            *given
        };
        tokio::time::sleep_until(until).await;
    }
}

impl Link {
    /// A link to the server on `port` of this machine.
    pub async fn to(port: u16, bits_a_second: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("it is bound"));
        let (up, down) = (Way::new(bits_a_second / 8), Way::new(bits_a_second / 8));
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("connections can be accepted");
                let server = TcpStream::connect(("127.0.0.1", port)).await.expect("it answers");
                for end in [&client, &server] {
                    end.set_nodelay(true).expect("a socket");
                }
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                tokio::spawn(carry(from_client, to_server, Arc::clone(&up)));
                tokio::spawn(carry(from_server, to_client, Arc::clone(&down)));
            }
        });
        Self { address }
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: Arc<Way>) {
    let mut buffer = vec![0; STEP];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        way.pass(length).await;
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
