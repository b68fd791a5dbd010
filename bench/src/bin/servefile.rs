//! The peer of `segments`: tower-http's `ServeFile` over a folder, as axum's documentation has it. Says its address on stdout.

use axum::Router;
use axum::serve::ListenerExt;
use tower_http::services::ServeDir;

#[tokio::main]
async fn main() {
    let folder = std::env::args().nth(1).expect("a folder");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("http://{}", listener.local_addr().expect("bound"));
    let listener = listener.tap_io(|socket| socket.set_nodelay(true).expect("a socket"));
    // `ServeDir` opens and sends each file as `ServeFile` does.
    axum::serve(listener, Router::new().fallback_service(ServeDir::new(folder))).await.expect("it serves");
}
