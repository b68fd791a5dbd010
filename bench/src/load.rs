//! Load over HTTP/1.1: connections that are kept, each asking for one thing after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Came {
    /// Answers that came whole.
    pub answers: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// How long it took.
    pub wall: Duration,
}

/// One kept connection.
pub struct Connection {
    host: String,
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// A connection to the server at `address`.
    pub async fn to(address: &str) -> Self {
        let host = address.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&host).await.expect("it answers");
        stream.set_nodelay(true).expect("a socket");
        Self { host, stream, buffer: vec![0; 256 << 10] }
    }

    /// The length of what is at `path`, all of which is read and forgotten.
    pub async fn get(&mut self, path: &str) -> u64 {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        self.stream.write_all(request.as_bytes()).await.expect("sent");
        let mut filled = 0;
        let head = loop {
            filled += self.stream.read(&mut self.buffer[filled..]).await.expect("answered");
            if let Some(end) = self.buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let fields = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
        assert!(fields.starts_with("http/1.1 200"), "{fields}");
        let length = fields.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        let length: usize = length.trim().parse().expect("a number");
        let mut left = length - (filled - head);
        while left > 0 {
            let most = left.min(self.buffer.len());
            left -= self.stream.read(&mut self.buffer[..most]).await.expect("all of it");
        }
        length as u64
    }
}

/// How long to ask.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// Over and over, for so long.
    Time(Duration),
    /// Each thing once.
    Once,
}

/// Asks `address` for `paths`, in turn, over `connections`.
pub async fn of(address: &str, paths: &Arc<[String]>, connections: usize, until: Until) -> Came {
    let (next, answers, bytes) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let began = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let (paths, next) = (Arc::clone(paths), Arc::clone(&next));
        let (answers, bytes) = (Arc::clone(&answers), Arc::clone(&bytes));
        let mut connection = Connection::to(address).await;
        tasks.push(tokio::spawn(async move {
            loop {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                let over = match until {
                    Until::Time(time) => began.elapsed() >= time,
                    Until::Once => turn >= paths.len(),
                };
                if over {
                    return;
                }
                let path = &paths[turn % paths.len()];
                bytes.fetch_add(connection.get(path).await, Ordering::Relaxed);
                answers.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    for task in tasks {
        task.await.expect("no panic");
    }
    Came { answers: answers.load(Ordering::Relaxed), bytes: bytes.load(Ordering::Relaxed), wall: began.elapsed() }
}
