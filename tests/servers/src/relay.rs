//! A relay in front of a server: its connections can be cut, and it can speak TLS to its clients.

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// A relay on 127.0.0.1. It works as long as the runtime that it was started on.
pub struct Relay {
    port: u16,
    cuts: watch::Sender<()>,
    keys: Option<TempDir>,
}

impl Relay {
    /// One in front of the server on `port`.
    pub async fn start(port: u16) -> Self {
        Self::relay(port, None).await
    }

    /// One that clients have to speak TLS with. Its certificate for 127.0.0.1 is signed by [`authority`](Self::authority).
    pub async fn start_with_tls(port: u16) -> Self {
        let keys = TempDir::with_prefix("vidstream-relay-").expect("a temporary folder can be made");
        make_keys(keys.path());
        let certificate = CertificateDer::from_pem_file(keys.path().join("server.pem")).expect("openssl wrote it");
        let key = PrivateKeyDer::from_pem_file(keys.path().join("server.key")).expect("openssl wrote it");
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
        let acceptor = TlsAcceptor::from(Arc::new(config.expect("they belong together")));
        Self { keys: Some(keys), ..Self::relay(port, Some(acceptor)).await }
    }

    async fn relay(server: u16, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        let cuts = watch::Sender::new(());
        let cut = cuts.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("connections can be accepted");
                let (mut cut, tls) = (cut.subscribe(), tls.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = connect(client, tls, server) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { port, cuts, keys: None }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The file with the certificate of who signed the relay's own.
    ///
    /// # Panics
    /// If the relay speaks no TLS.
    pub fn authority(&self) -> PathBuf {
        self.keys.as_ref().expect("the relay speaks TLS").path().join("authority.pem")
    }

    /// Cuts all connections there are. New ones work.
    pub fn cut(&self) {
        self.cuts.send_replace(());
    }
}

async fn connect(client: TcpStream, tls: Option<TlsAcceptor>, server: u16) {
    // Who does not come through hears it as a closed connection.
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    match tls {
        None => pass(client, server).await,
        Some(tls) => {
            if let Ok(client) = tls.accept(client).await {
                pass(client, server).await;
            }
        }
    }
}

async fn pass(mut client: impl AsyncRead + AsyncWrite + Unpin, mut server: TcpStream) {
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

/// An authority, and a certificate of it that is none itself.
fn make_keys(folder: &Path) {
    let common = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj";
    let authority = "/CN=authority -keyout authority.key -out authority.pem";
    let server = "/CN=server -CA authority.pem -CAkey authority.key -addext basicConstraints=critical,CA:FALSE \
                  -addext subjectAltName=IP:127.0.0.1 -keyout server.key -out server.pem";
    for own in [authority, server] {
        let mut command = Command::new("openssl");
        command.current_dir(folder).stdin(Stdio::null());
        let output = command.args(common.split(' ')).args(own.split_whitespace()).output();
        let output = output.expect("openssl is installed (Debian: openssl)");
        assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
    }
}
