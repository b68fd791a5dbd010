//! Encryption of listeners and of connections between services: TLS 1.2 and 1.3 by rustls on ring. Certificates are read again
//! when their files changed.

use crate::reread::Reread;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, InvalidMessage, RootCertStore, ServerConfig};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// A certificate with those that lead to its authority, and its key: files in PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The certificate, then others up to the authority's.
    pub certificate: PathBuf,
    /// Its private key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// Why files don't give what TLS needs.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}: {why}", file.display())]
pub struct TlsError {
    file: PathBuf,
    why: String,
}

/// What a listener encrypts by.
#[derive(Clone)]
pub struct ServerTls(Arc<Reread<Arc<ServerConfig>>>);

/// What a client encrypts by.
#[derive(Clone)]
pub struct ClientTls(Arc<Reread<Arc<ClientConfig>>>);

impl ServerTls {
    /// Reads the identity, and who may connect: everybody, or clients whose certificates are signed by one of the
    /// authorities in the file `clients`.
    pub fn read(identity: Identity, clients: Option<PathBuf>) -> Result<Self, TlsError> {
        let files = [identity.certificate, identity.key].into_iter().chain(clients).collect();
        Reread::read("a listener's certificate", files, server_config).map(|config| Self(Arc::new(config)))
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<server::TlsStream<TcpStream>> {
        TlsAcceptor::from(self.0.current(server_config)).accept(stream).await
    }
}

impl ClientTls {
    /// Reads which authorities sign servers' certificates, and who the client says that it is.
    pub fn read(identity: Option<Identity>, authorities: PathBuf) -> Result<Self, TlsError> {
        let identity = identity.into_iter().flat_map(|identity| [identity.certificate, identity.key]);
        let files = [authorities].into_iter().chain(identity).collect();
        Reread::read("a client's certificate", files, client_config).map(|config| Self(Arc::new(config)))
    }

    /// Connects to who proves to be `host`, a name or an address; why not, in words.
    pub(crate) async fn connect(&self, host: &str, stream: TcpStream) -> Result<client::TlsStream<TcpStream>, String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        TlsConnector::from(self.0.current(client_config)).connect(name, stream).await.map_err(|error| refused(&error))
    }
}

fn refused(error: &io::Error) -> String {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    // The first byte that came is none of TLS.
    if let Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) = cause {
        return "it does not speak TLS: its listener has no certificate (--mesh-tls-cert), or is another one"
            .to_owned();
    }
    error.to_string()
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerTls").field(&self.0.files()).finish()
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientTls").field(&self.0.files()).finish()
    }
}

/// From the files of a certificate, its key, and perhaps the authorities of clients.
fn server_config(files: &[PathBuf]) -> Result<Arc<ServerConfig>, TlsError> {
    let (certificate, key) = (&files[0], &files[1]);
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(certificate, error))?;
    let builder = match files.get(2) {
        Some(file) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(file)?), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(|error| wrong(file, error))?)
        }
        None => builder.with_no_client_auth(),
    };
    let built = builder.with_single_cert(certificates(certificate)?, private_key(key)?);
    let mut config = built.map_err(|error| wrong(certificate, error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// From the files of servers' authorities, and perhaps of a certificate and its key.
fn client_config(files: &[PathBuf]) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&files[0], error))?
        .with_root_certificates(authorities(&files[0])?);
    let mut config = match &files[1..] {
        [certificate, key] => builder
            .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
            .map_err(|error| wrong(certificate, error))?,
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

fn authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(file)? {
        store.add(certificate).map_err(|error| wrong(file, error))?;
    }
    Ok(store)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| wrong(file, error))?;
    if certificates.is_empty() { Err(wrong(file, "there is no certificate in it")) } else { Ok(certificates) }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| wrong(file, format!("no private key could be read: {error}")))
}

fn wrong(file: &Path, why: impl fmt::Display) -> TlsError {
    TlsError { file: file.to_owned(), why: why.to_string() }
}
