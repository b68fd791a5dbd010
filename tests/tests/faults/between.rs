//! What stands between a mesh and one of its servers.

use tokio::net::{TcpListener, TcpStream};

/// Listens in front of the server on `port` and lets `carry` have each connection with one to the server; gives where it listens. It works
/// as long as the runtime that it was started on.
pub async fn listen<C: Future<Output = ()> + Send + 'static>(
    port: u16,
    carry: impl Fn(TcpStream, TcpStream) -> C + Send + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let own = listener.local_addr().expect("it is bound").port();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.expect("connections can be accepted");
            // Who does not come through hears it as a closed connection.
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
            tokio::spawn(carry(client, server));
        }
    });
    own
}
