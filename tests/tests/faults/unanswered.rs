//! A relay in front of MongoDB that loses answers: what was asked for is done, and whoever asked hears only that the
//! connection is gone (MongoDB wire protocol, `OP_MSG`).

use crate::between;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Of so many writes one is not answered.
const EVERY: u64 = 15;
/// Where the name of a command begins: behind the header, flags, the kind of a section, and a document's length.
const COMMAND: usize = 16 + 4 + 1 + 4;
const WRITES: [&[u8]; 4] = [b"\x02insert\0", b"\x02update\0", b"\x02delete\0", b"\x02findAndModify\0"];

/// The relay. It works as long as the runtime that it was started on.
pub struct Unanswered {
    port: u16,
    losses: Arc<Losses>,
}

#[derive(Default)]
struct Losses {
    on: AtomicBool,
    writes: AtomicU64,
    /// What was lost, by the names of its commands and collections.
    what: Mutex<Vec<String>>,
}

impl Unanswered {
    /// One in front of the database on `port`, which loses nothing yet.
    pub async fn start(port: u16) -> Self {
        let losses = Arc::<Losses>::default();
        let noted = Arc::clone(&losses);
        let carry = move |client: TcpStream, server: TcpStream| {
            let losses = Arc::clone(&noted);
            async move {
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                // No request has this number.
                let lost = AtomicI32::new(0);
                tokio::select! {
                    _ = up(from_client, to_server, &losses, &lost) => {}
                    _ = down(from_server, to_client, &lost) => {}
                }
            }
        };
        Self { port: between::listen(port, carry).await, losses }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Begins or ends to lose answers.
    pub fn lose(&self, on: bool) {
        self.losses.on.store(on, Ordering::Relaxed);
    }

    /// Writes whose answers were lost so far, as `insert viewers`.
    pub fn lost(&self) -> Vec<String> {
        self.losses.what.lock().expect("nobody panics with it").clone()
    }
}

/// A message with its header, as it is.
async fn message(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; 16];
    from.read_exact(&mut bytes).await?;
    let length = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
    bytes.resize(length.max(16), 0);
    from.read_exact(&mut bytes[16..]).await?;
    Ok(bytes)
}

fn number(message: &[u8], at: usize) -> i32 {
    i32::from_le_bytes(message[at..at + 4].try_into().expect("four bytes"))
}

/// The command and its collection, of what writes.
fn written(message: &[u8]) -> Option<String> {
    let command = message.get(COMMAND..)?;
    let write = WRITES.into_iter().find(|write| command.starts_with(write))?;
    // A text has its length before it, and a zero behind.
    let collection: Vec<u8> = command[write.len() + 4..].iter().copied().take_while(|byte| *byte != 0).collect();
    let name = write[1..write.len() - 1].to_vec();
    Some(format!("{} {}", String::from_utf8_lossy(&name), String::from_utf8_lossy(&collection)))
}

async fn up(
    mut client: impl AsyncRead + Unpin,
    mut server: impl AsyncWrite + Unpin,
    losses: &Losses,
    lost: &AtomicI32,
) -> std::io::Result<()> {
    loop {
        let message = message(&mut client).await?;
        // Noted before the server can answer.
        if losses.on.load(Ordering::Relaxed)
            && let Some(what) = written(&message)
            && losses.writes.fetch_add(1, Ordering::Relaxed) % EVERY == EVERY - 1
        {
            losses.what.lock().expect("nobody panics with it").push(what);
            lost.store(number(&message, 4), Ordering::Relaxed);
        }
        server.write_all(&message).await?;
    }
}

async fn down(
    mut server: impl AsyncRead + Unpin,
    mut client: impl AsyncWrite + Unpin,
    lost: &AtomicI32,
) -> std::io::Result<()> {
    loop {
        let message = message(&mut server).await?;
        let answers = number(&message, 8);
        if answers != 0 && answers == lost.load(Ordering::Relaxed) {
            return Ok(());
        }
        client.write_all(&message).await?;
    }
}
