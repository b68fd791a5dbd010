//! A relay in front of Redis that tells subscribers every notice twice (RESP2, "Redis serialization protocol specification").

use crate::between;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// How what a subscriber is told begins: of a channel, and of a pattern.
const NOTICES: [&[u8]; 2] = [b"*3\r\n$7\r\nmessage\r\n", b"*4\r\n$8\r\npmessage\r\n"];

/// The relay. It works as long as the runtime that it was started on.
pub struct Echo {
    port: u16,
    doubled: Arc<AtomicU64>,
}

impl Echo {
    /// One in front of the Redis on `port`.
    pub async fn start(port: u16) -> Self {
        let doubled = Arc::<AtomicU64>::default();
        let noted = Arc::clone(&doubled);
        let carry = move |client: TcpStream, server: TcpStream| {
            let doubled = Arc::clone(&noted);
            async move {
                let ((mut from_client, to_client), (from_server, mut to_server)) =
                    (client.into_split(), server.into_split());
                tokio::select! {
                    _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
                    _ = down(BufReader::new(from_server), to_client, &doubled) => {}
                }
            }
        };
        Self { port: between::listen(port, carry).await, doubled }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Notices that came twice so far.
    pub fn doubled(&self) -> u64 {
        self.doubled.load(Ordering::Relaxed)
    }
}

/// What the server says: all, and every notice once more.
async fn down(
    mut server: impl AsyncBufRead + Unpin,
    mut client: impl AsyncWrite + Unpin,
    doubled: &AtomicU64,
) -> std::io::Result<()> {
    loop {
        let value = value(&mut server).await?;
        client.write_all(&value).await?;
        if NOTICES.into_iter().any(|notice| value.starts_with(notice)) {
            client.write_all(&value).await?;
            doubled.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The next value with all that it is made of, as it is.
async fn value(server: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let (mut bytes, mut left) = (Vec::new(), 1);
    while left > 0 {
        left -= 1;
        let begin = bytes.len();
        if server.read_until(b'\n', &mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = String::from_utf8_lossy(&bytes[begin..]).into_owned();
        // -1 says that there is none.
        let length = || usize::try_from(line[1..].trim_end().parse::<i64>().expect("a length")).ok();
        match line.as_bytes()[0] {
            b'*' => left += length().unwrap_or(0),
            b'$' => {
                if let Some(length) = length() {
                    let begin = bytes.len();
                    bytes.resize(begin + length + 2, 0);
                    server.read_exact(&mut bytes[begin..]).await?;
                }
            }
            _ => {}
        }
    }
    Ok(bytes)
}

#[tokio::test]
async fn notices_are_doubled_and_nothing_else() {
    let answers = b"+OK\r\n$-1\r\n*2\r\n*1\r\n:1\r\n$2\r\n\r\n\r\n".as_slice();
    let notice = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$3\r\n*3\n\r\n".as_slice();
    let (mut told, doubled) = (Vec::new(), AtomicU64::new(0));
    let ended = down([answers, notice, answers].concat().as_slice(), &mut told, &doubled).await;
    assert_eq!(ended.expect_err("its end").kind(), std::io::ErrorKind::UnexpectedEof);
    assert_eq!(told, [answers, notice, notice, answers].concat());
    assert_eq!(doubled.into_inner(), 1);
}
