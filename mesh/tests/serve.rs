//! A listener under peers that are silent, slow or many, over real sockets with short limits.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{get, post};
use futures::stream;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use vidstream_mesh::lifecycle::Lifecycle;
use vidstream_mesh::serve::{Limits, Stalled, serve};

const SHORT: Duration = Duration::from_millis(300);
/// Long after everything short is over, on a busy machine too.
const LONG: Duration = Duration::from_secs(20);

fn limits() -> Limits {
    Limits { head_timeout: SHORT, stall_timeout: SHORT, ..Limits::default() }
}

async fn listen(router: Router, limits: Limits) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(serve(listener, router, limits, Lifecycle::new()));
    address
}

/// Answers "yes", and to a `POST` the number of its bytes, 408 where they stall.
fn counting() -> Router {
    let count = async |body: Body| match axum::body::to_bytes(body, 1 << 30).await {
        Ok(bytes) => (StatusCode::OK, bytes.len().to_string()),
        Err(error) if Stalled::caused(&error) => (StatusCode::REQUEST_TIMEOUT, String::new()),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
    };
    Router::new().route("/", get(async || "yes").post(count))
}

/// What comes until the server closes the connection, which it has to.
async fn to_the_end(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    match timeout(LONG, stream.read_to_end(&mut answer)).await.expect("it is closed") {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

async fn sent(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(bytes).await.expect("it is open");
    stream
}

#[tokio::test]
async fn two_hundred_silent_connections_are_closed() {
    let address = listen(counting(), limits()).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(address).await.expect("it listens"));
    }
    let began = Instant::now();
    for stream in silent {
        assert_eq!(to_the_end(stream).await, "");
    }
    assert!(began.elapsed() < LONG, "together, not one after the other");
}

#[tokio::test]
async fn heads_have_to_be_whole_in_time() {
    let address = listen(counting(), limits()).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    // A head that ends nowhere, a part of HTTP/2's first words, all of them and nothing after, as many settings as one likes.
    let settings = [&preface[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    for begin in [&b"GET / HTTP/1.1\r\nHost: x\r\n"[..], &preface[..9], preface, &settings] {
        to_the_end(sent(address, begin).await).await;
    }
    // One that never ends, byte by byte.
    let mut slow = sent(address, b"GET / HTTP/1.1\r\nX: ").await;
    let dripping = async {
        while slow.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LONG, dripping).await.expect("it is closed");
}

#[tokio::test]
async fn a_connection_that_asks_nothing_more_is_closed() {
    let address = listen(counting(), limits()).await;
    let answer = to_the_end(sent(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("yes"), "{answer}");
}

#[tokio::test]
async fn bodies_have_to_keep_coming() {
    let address = listen(counting(), limits()).await;
    let head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n";
    let silent = to_the_end(sent(address, head).await).await;
    assert!(silent.starts_with("HTTP/1.1 408"), "{silent}");
    // A trickle.
    let (mut reads, mut writes) = sent(address, head).await.into_split();
    let dripping = tokio::spawn(async move {
        while writes.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    let mut answer = vec![0; 12];
    timeout(LONG, reads.read_exact(&mut answer)).await.expect("in time").expect("an answer");
    assert_eq!(answer, b"HTTP/1.1 408");
    timeout(LONG, dripping).await.expect("it is closed").expect("no panic");
    // What keeps coming may take longer than that in all.
    let mut steady = sent(address, head).await;
    let tenth = vec![0; 100_000];
    for _ in 0..10 {
        steady.write_all(&tenth).await.expect("it is open");
        sleep(SHORT / 4).await;
    }
    let answer = to_the_end(steady).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("1000000"), "{answer}");
}

/// One of the open answers.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Answers without end, and how many of them are open.
fn endless() -> (Router, Arc<AtomicUsize>) {
    let open = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&open);
    let body = async move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let one = Open(counted);
        Body::from_stream(stream::repeat_with(move || {
            let Open(_) = &one;
            Ok::<_, std::io::Error>(Bytes::from(vec![0; 1 << 18]))
        }))
    };
    (Router::new().route("/", get(body)), open)
}

#[tokio::test]
async fn who_does_not_read_is_closed() {
    let (router, open) = endless();
    let address = listen(router, limits()).await;
    let never_reads = sent(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut reads = sent(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut buffer = vec![0; 1 << 16];
    let began = Instant::now();
    // Longer than the limit, with pauses.
    while began.elapsed() < SHORT * 4 {
        assert_ne!(timeout(LONG, reads.read(&mut buffer)).await.expect("in time").expect("open"), 0);
        sleep(SHORT / 50).await;
    }
    let closed = async |left: usize| {
        while open.load(Ordering::SeqCst) > left {
            sleep(SHORT / 50).await;
        }
    };
    timeout(LONG, closed(1)).await.expect("the answer that nobody reads is dropped");
    assert_ne!(reads.read(&mut buffer).await.expect("open"), 0, "and the other is not");
    drop(reads);
    timeout(LONG, closed(0)).await.expect("as is one whose reader left");
    assert!(to_the_end(never_reads).await.starts_with("HTTP/1.1 200"), "what was sent is there");
}

/// A client of HTTP/2 that gives each stream so much window, and no more by itself; it answers pings.
async fn stingy(address: SocketAddr, window: u32) -> h2::client::SendRequest<Bytes> {
    let socket = TcpStream::connect(address).await.expect("it listens");
    let shaken = h2::client::Builder::new().initial_window_size(window).handshake(socket).await;
    let (client, connection) = shaken.expect("it speaks HTTP/2");
    tokio::spawn(connection);
    client.ready().await.expect("it takes requests")
}

async fn asked(client: &mut h2::client::SendRequest<Bytes>, path: &str) -> h2::RecvStream {
    let request = http::Request::get(format!("http://localhost{path}")).body(()).expect("a request");
    let (answer, _) = client.send_request(request, true).expect("open");
    timeout(LONG, answer).await.expect("in time").expect("an answer").into_body()
}

#[tokio::test]
async fn a_stream_whose_reader_takes_nothing_is_reset() {
    let (router, open) = endless();
    // The other kind of answer is whole at once, and as long.
    let whole = async || Bytes::from(vec![0; 1 << 18]);
    let address = listen(router.route("/whole", get(whole)), limits()).await;
    for window in [0, 1, 1000] {
        let mut client = stingy(address, window).await;
        for path in ["/", "/whole"] {
            let mut body = asked(&mut client, path).await;
            let reset = async {
                loop {
                    match body.data().await.expect("it does not end well") {
                        Ok(data) => assert!(data.len() <= 1000),
                        Err(error) => return error,
                    }
                }
            };
            let error = timeout(LONG, reset).await.expect("it is reset");
            assert_eq!(error.reason(), Some(h2::Reason::CANCEL), "{error}");
            let gone = async {
                while open.load(Ordering::SeqCst) > 0 {
                    sleep(SHORT / 50).await;
                }
            };
            timeout(LONG, gone).await.expect("what it held is gone");
        }
        // The connection is well.
        drop(asked(&mut client, "/").await);
    }
}

#[tokio::test]
async fn a_stream_whose_reader_takes_a_little_goes_on() {
    let (router, _) = endless();
    let address = listen(router, limits()).await;
    let mut client = stingy(address, 1 << 16).await;
    let mut body = asked(&mut client, "/").await;
    let (began, mut came) = (Instant::now(), 0);
    while began.elapsed() < SHORT * 4 {
        let data = timeout(LONG, body.data()).await.expect("in time").expect("no end").expect("no reset");
        came += data.len();
        body.flow_control().release_capacity(data.len()).expect("it was taken");
        sleep(SHORT / 50).await;
    }
    assert!(came > 1 << 16, "{came}");
}

#[tokio::test]
async fn streams_of_grpc_may_be_read_later() {
    let (router, open) = endless();
    let as_grpc = async |answer: Response| ([(CONTENT_TYPE, "application/grpc+proto")], answer);
    let router = router.layer(map_response(as_grpc));
    let address = listen(router, limits()).await;
    let mut client = stingy(address, 1).await;
    let mut body = asked(&mut client, "/").await;
    assert_eq!(body.data().await.expect("a byte").expect("no reset").len(), 1);
    sleep(SHORT * 4).await;
    assert_eq!(open.load(Ordering::SeqCst), 1);
    body.flow_control().release_capacity(1).expect("it was taken");
    assert_eq!(timeout(LONG, body.data()).await.expect("in time").expect("a byte").expect("no reset").len(), 1);
}

#[tokio::test]
async fn services_may_connect_and_ask_for_nothing() {
    let lively = Limits { head_timeout: SHORT, keepalive: (SHORT / 3, LONG), ..Limits::mesh() };
    let address = listen(counting(), lively).await;
    let mut idle = stingy(address, 1 << 16).await;
    sleep(SHORT * 4).await;
    assert_eq!(asked(&mut idle, "/").await.data().await.expect("a body").expect("no reset"), "yes");
    // Who says nothing, or does not answer when it is asked whether it lives, is closed there as well.
    let strict = Limits { keepalive: (SHORT / 3, SHORT / 3), ..Limits::mesh() };
    let address = listen(counting(), Limits { head_timeout: SHORT, ..strict }).await;
    for begin in
        [&b""[..], b"PRI * HTTP/2.0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", b"GET / HTTP/1.1\r\n"]
    {
        to_the_end(sent(address, begin).await).await;
    }
}

#[tokio::test]
async fn one_address_does_not_get_all_places() {
    let limits = Limits { peer_connections: 3, head_timeout: LONG, ..Limits::default() };
    let address = listen(counting(), limits).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(sent(address, b"GET /").await);
    }
    assert_eq!(to_the_end(TcpStream::connect(address).await.expect("it listens")).await, "");
    // From another address of this machine there is a place.
    let other = tokio::net::TcpSocket::new_v4().expect("a socket");
    other.bind("127.0.0.2:0".parse().expect("an address")).expect("loopback");
    let mut other = other.connect(address).await.expect("it listens");
    other.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.expect("it is open");
    assert!(to_the_end(other).await.ends_with("yes"));
    // And when one leaves, there is one again.
    held.pop();
    let again = async {
        loop {
            let mut next = sent(address, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
            let mut answer = String::new();
            if next.read_to_string(&mut answer).await.is_ok() && answer.ends_with("yes") {
                return;
            }
        }
    };
    timeout(LONG, again).await.expect("a place");
}

#[tokio::test]
async fn streams_of_grpc_may_rest() {
    let (came, mut told) = mpsc::channel(1);
    let reading = async move |body: Body| {
        let bytes = axum::body::to_bytes(body, 1 << 20).await;
        came.send(bytes.map(|bytes| bytes.len()).map_err(|error| error.to_string())).await.expect("the test waits");
    };
    let address = listen(Router::new().route("/", post(reading)), limits()).await;
    let head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc+proto\r\nContent-Length: 2\r\n\r\n";
    let mut stream = sent(address, head).await;
    sleep(SHORT * 3).await;
    stream.write_all(b"ab").await.expect("it is open");
    assert_eq!(timeout(LONG, told.recv()).await.expect("in time"), Some(Ok(2)));
}
