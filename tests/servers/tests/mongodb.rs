//! What the MongoDB server acknowledged is there after a kill, and errors have the codes that drivers look at.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use vidstream_test_servers::{Kind, Server};

/// A connection that speaks as much BSON and `OP_MSG` as this takes.
struct Connection(TcpStream);

impl Connection {
    fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout can be set");
        Self(stream)
    }

    /// Sends a command of database `test`, made of elements, and gives the answer's document.
    fn call(&mut self, elements: &[Vec<u8>]) -> io::Result<Vec<u8>> {
        let body = document(&[elements, &[text("$db", "test")]].concat());
        let mut message = Vec::new();
        for number in [21 + i32::try_from(body.len()).expect("small"), 1, 0, 2013, 0] {
            message.extend(number.to_le_bytes());
        }
        message.push(0);
        message.extend(body);
        self.0.write_all(&message)?;
        let mut head = [0; 21];
        self.0.read_exact(&mut head)?;
        let size = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let mut answer = vec![0; size as usize - head.len()];
        self.0.read_exact(&mut answer)?;
        Ok(answer)
    }

    fn insert(&mut self, id: i32) -> io::Result<Vec<u8>> {
        let documents = part(4, "documents", &document(&[part(3, "0", &document(&[number("_id", id)]))]));
        self.call(&[text("insert", "rows"), documents])
    }

    fn has(&mut self, id: i32) -> bool {
        let query = part(3, "query", &document(&[number("_id", id)]));
        holds(&self.call(&[text("count", "rows"), query]).expect("an answer"), &number("n", 1))
    }
}

fn part(kind: u8, name: &str, value: &[u8]) -> Vec<u8> {
    [&[kind], name.as_bytes(), &[0], value].concat()
}

fn number(name: &str, value: i32) -> Vec<u8> {
    part(16, name, &value.to_le_bytes())
}

fn text(name: &str, value: &str) -> Vec<u8> {
    let size = u32::try_from(value.len() + 1).expect("small").to_le_bytes();
    part(2, name, &[&size, value.as_bytes(), &[0]].concat())
}

fn document(elements: &[Vec<u8>]) -> Vec<u8> {
    let elements = elements.concat();
    let size = u32::try_from(elements.len() + 5).expect("small").to_le_bytes();
    [&size, elements.as_slice(), &[0]].concat()
}

/// Whether an answer has this element, not below another.
fn holds(answer: &[u8], element: &[u8]) -> bool {
    answer.windows(element.len()).any(|part| part == element)
}

#[tokio::test]
async fn acknowledged_writes_survive_a_kill() {
    const WRITERS: i32 = 8;
    let server = Server::start(Kind::MongoDb).await;
    for round in 0..3 {
        let done = &AtomicUsize::new(0);
        let port = server.port();
        let acknowledged: Vec<i32> = std::thread::scope(|threads| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    threads.spawn(move || {
                        let mut connection = Connection::open(port);
                        let ids = (0..).map(|count| round * 1_000_000 + count * WRITERS + writer);
                        ids.take_while(|id| {
                            let stored = connection.insert(*id).is_ok_and(|answer| holds(&answer, &number("n", 1)));
                            done.fetch_add(usize::from(stored), Ordering::Relaxed);
                            stored
                        })
                        .collect::<Vec<_>>()
                    })
                })
                .collect();
            while done.load(Ordering::Relaxed) < 500 {
                assert!(!writers.iter().all(std::thread::ScopedJoinHandle::is_finished), "no writer goes on");
                std::thread::sleep(Duration::from_millis(1));
            }
            // In mid-write, of some.
            server.kill();
            writers.into_iter().flat_map(|writer| writer.join().expect("a writer ends")).collect()
        });
        server.restart().await;
        let mut connection = Connection::open(port);
        let lost: Vec<_> = acknowledged.iter().filter(|id| !connection.has(**id)).collect();
        assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), acknowledged.len());
        assert!(!connection.has(-1), "it says yes to everything");
    }
}

#[tokio::test]
async fn errors_have_their_codes() {
    let server = Server::start(Kind::MongoDb).await;
    let mut connection = Connection::open(server.port());
    let hello = connection.call(&[number("hello", 1)]).expect("an answer");
    assert!(holds(&hello, &number("maxWireVersion", 17)) && holds(&hello, &number("logicalSessionTimeoutMinutes", 30)));
    let unknown = connection.call(&[number("fly", 1)]).expect("an answer");
    assert!(holds(&unknown, &number("code", 59)), "{}", String::from_utf8_lossy(&unknown));
    let missing = connection.call(&[text("drop", "nothing")]).expect("an answer");
    assert!(holds(&missing, &number("code", 26)), "{}", String::from_utf8_lossy(&missing));
    connection.insert(7).expect("an answer");
    let twice = connection.insert(7).expect("an answer");
    assert!(holds(&twice, &number("code", 11000)), "{}", String::from_utf8_lossy(&twice));
}
