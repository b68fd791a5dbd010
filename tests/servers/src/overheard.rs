//! A relay in front of a server that speaks HTTP/1.1 in the clear, which notes what the server is asked for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// More than any head has.
const LONGEST_HEAD: usize = 64 << 10;

/// A relay on 127.0.0.1 that listens to what it carries. It works as long as the runtime that it was started on.
pub struct Overheard {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    answered: Arc<AtomicU64>,
}

/// A request that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `GET`.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// First and last byte, where a range was asked for.
    pub range: Option<(u64, u64)>,
}

impl Overheard {
    /// One in front of the server on `port`.
    ///
    /// # Panics
    /// If there is no port.
    pub async fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let own = listener.local_addr().expect("it is bound").port();
        let (asked, answered) = (Arc::default(), Arc::default());
        let relay = Self { port: own, asked: Arc::clone(&asked), answered: Arc::clone(&answered) };
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("connections can be accepted");
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(listen(from_client, to_server, Arc::clone(&asked)));
                tokio::spawn(count(from_server, to_client, Arc::clone(&answered)));
            }
        });
        relay
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the server was asked for since this was asked last.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Bytes that came from the server, heads included, since this was asked last.
    pub fn answered(&self) -> u64 {
        self.answered.swap(0, Ordering::Relaxed)
    }
}

/// Carries requests until either side ends, then ends the other.
async fn listen(mut client: OwnedReadHalf, mut server: OwnedWriteHalf, asked: Arc<Mutex<Vec<Asked>>>) {
    let mut buffer = vec![0; 64 << 10];
    let (mut head, mut body) = (Vec::new(), 0);
    while let Ok(length @ 1..) = client.read(&mut buffer).await {
        let mut bytes = &buffer[..length];
        while !bytes.is_empty() {
            let skipped = usize::try_from(body).unwrap_or(usize::MAX).min(bytes.len());
            body -= skipped as u64;
            bytes = &bytes[skipped..];
            let Some((first, rest)) = bytes.split_first() else { break };
            head.push(*first);
            bytes = rest;
            if head.ends_with(b"\r\n\r\n") {
                let (request, length) = read(&String::from_utf8_lossy(&head));
                asked.lock().unwrap_or_else(PoisonError::into_inner).push(request);
                (head, body) = (Vec::new(), length);
            }
            assert!(head.len() < LONGEST_HEAD, "what is carried is not HTTP/1.1");
        }
        if server.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// The request that has this head, and how many bytes follow.
fn read(head: &str) -> (Asked, u64) {
    let mut words = head.split([' ', '\r']);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let field = |name: &str| {
        let fields = head.lines().filter_map(|line| line.split_once(':'));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    };
    let range = field("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let range = range.and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let length = field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    (Asked { method: method.to_owned(), path, range }, length)
}

async fn count(mut server: OwnedReadHalf, mut client: OwnedWriteHalf, answered: Arc<AtomicU64>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = server.read(&mut buffer).await {
        answered.fetch_add(length as u64, Ordering::Relaxed);
        if client.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read() {
        let (asked, length) = read("GET /films/a?x-id=GetObject HTTP/1.1\r\nhost: x\r\nRange: bytes=5-9\r\n\r\n");
        assert_eq!(asked, Asked { method: "GET".into(), path: "/films/a".into(), range: Some((5, 9)) });
        assert_eq!(length, 0);
        let (asked, length) = read("PUT /films/a HTTP/1.1\r\ncontent-length: 12\r\n\r\n");
        assert_eq!((asked.method.as_str(), asked.range, length), ("PUT", None, 12));
    }
}
