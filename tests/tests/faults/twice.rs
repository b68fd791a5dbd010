//! A relay in front of RabbitMQ that gives every message to its consumer twice (AMQP 0-9-1, §2.3.5, §4.2).

use crate::between;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const CHANNEL_OPEN: [u8; 4] = [0, 20, 0, 10];
const DELIVER: [u8; 4] = [0, 60, 0, 60];
/// `basic.ack`, `.reject` and `.nack`: of the second copy they would be about a message that the broker has settled.
const SETTLE: [[u8; 4]; 3] = [[0, 60, 0, 80], [0, 60, 0, 90], [0, 60, 0, 120]];

/// The relay. It works as long as the runtime that it was started on.
pub struct Twice {
    port: u16,
    doubled: Arc<AtomicU64>,
}

/// Deliveries of a connection that were settled, by channel and tag.
type Settled = Arc<Mutex<HashSet<(u16, u64)>>>;

struct Frame {
    kind: u8,
    channel: u16,
    bytes: Vec<u8>,
}

impl Twice {
    /// One in front of the broker on `port`.
    pub async fn start(port: u16) -> Self {
        let doubled = Arc::<AtomicU64>::default();
        let noted = Arc::clone(&doubled);
        let carry = move |client: TcpStream, broker: TcpStream| {
            let doubled = Arc::clone(&noted);
            async move {
                let ((from_client, to_client), (from_broker, to_broker)) = (client.into_split(), broker.into_split());
                let settled = Settled::default();
                tokio::select! {
                    _ = up(from_client, to_broker, Arc::clone(&settled)) => {}
                    _ = down(from_broker, to_client, doubled) => {}
                }
            }
        };
        Self { port: between::listen(port, carry).await, doubled }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Messages that came twice so far.
    pub fn doubled(&self) -> u64 {
        self.doubled.load(Ordering::Relaxed)
    }
}

impl Frame {
    async fn read(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Self> {
        let mut bytes = vec![0; 7];
        from.read_exact(&mut bytes).await?;
        let length = u32::from_be_bytes([bytes[3], bytes[4], bytes[5], bytes[6]]) as usize;
        bytes.resize(7 + length + 1, 0);
        from.read_exact(&mut bytes[7..]).await?;
        Ok(Self { kind: bytes[0], channel: u16::from_be_bytes([bytes[1], bytes[2]]), bytes })
    }

    fn payload(&self) -> &[u8] {
        &self.bytes[7..self.bytes.len() - 1]
    }

    fn is_method(&self, method: [u8; 4]) -> bool {
        self.kind == METHOD && self.payload().starts_with(&method)
    }

    fn long(&self, at: usize) -> u64 {
        self.payload().get(at..at + 8).map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().expect("eight bytes")))
    }
}

/// What the client says: all, but that it settles a message a second time.
async fn up(
    mut client: impl AsyncRead + Unpin,
    mut broker: impl AsyncWrite + Unpin,
    settled: Settled,
) -> std::io::Result<()> {
    let mut greeting = [0; 8];
    client.read_exact(&mut greeting).await?;
    broker.write_all(&greeting).await?;
    loop {
        let frame = Frame::read(&mut client).await?;
        if frame.is_method(CHANNEL_OPEN) {
            settled.lock().await.retain(|(channel, _)| *channel != frame.channel);
        }
        if SETTLE.into_iter().any(|method| frame.is_method(method)) {
            let tag = frame.long(4);
            if !settled.lock().await.insert((frame.channel, tag)) {
                continue;
            }
        }
        broker.write_all(&frame.bytes).await?;
    }
}

/// What the broker says: all, and every message once more when it is whole.
async fn down(
    mut broker: impl AsyncRead + Unpin,
    mut client: impl AsyncWrite + Unpin,
    doubled: Arc<AtomicU64>,
) -> std::io::Result<()> {
    // Of each channel, the message that is coming: what of it came, and how much of its body is missing.
    let mut coming: HashMap<u16, (Vec<u8>, u64)> = HashMap::new();
    loop {
        let frame = Frame::read(&mut broker).await?;
        client.write_all(&frame.bytes).await?;
        if frame.is_method(DELIVER) {
            coming.insert(frame.channel, (frame.bytes, 0));
            continue;
        }
        let Some((message, left)) = coming.get_mut(&frame.channel) else { continue };
        match frame.kind {
            HEADER => *left = frame.long(4),
            BODY => *left -= frame.payload().len() as u64,
            _ => continue,
        }
        message.extend_from_slice(&frame.bytes);
        if *left == 0 {
            client.write_all(message).await?;
            coming.remove(&frame.channel);
            doubled.fetch_add(1, Ordering::Relaxed);
        }
    }
}
