//! Encrypted connections to a server: TLS 1.2 and 1.3 by rustls on ring.

use crate::errors::Failure;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What is spoken over an encrypted connection: it is agreed upon by TLS (ALPN).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spoken {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, which gRPC needs.
    Http2,
}

impl Spoken {
    /// As ALPN calls it.
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }
}

/// Whose signatures under a server's certificate are believed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Trust {
    config: Arc<ClientConfig>,
}

impl Trust {
    /// Those in the PEM `file`; without one, those that this machine believes.
    pub fn read(file: Option<&Path>) -> Result<Self, Failure> {
        let roots = match file {
            Some(file) => of_file(file)?,
            None => of_machine()?,
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| Failure::failed(format!("can't encrypt: {error}")))?;
        Ok(Self { config: Arc::new(builder.with_root_certificates(roots).with_no_client_auth()) })
    }

    /// Encrypts `stream` to who proves to be `host`: a name, or an address without brackets.
    pub async fn connect(&self, host: &str, stream: TcpStream, spoken: Spoken) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = vec![spoken.name().to_vec()];
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

fn of_file(file: &Path) -> Result<RootCertStore, Failure> {
    let unusable = |why: &dyn Display| Failure::failed(format!("can't use `{}`: {why}", file.display()));
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut roots = RootCertStore::empty();
    for certificate in read.map_err(|error| unusable(&error))? {
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() { Err(unusable(&"there is no certificate in it")) } else { Ok(roots) }
}

fn of_machine() -> Result<RootCertStore, Failure> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A machine's collection has some that nobody can read; what counts is whether any is left.
    roots.add_parsable_certificates(found.certs);
    if !roots.is_empty() {
        return Ok(roots);
    }
    let why = found.errors.first().map_or_else(String::new, |error| format!(": {error}"));
    let failure = Failure::failed(format!("this machine names no authorities that sign certificates{why}"));
    Err(failure.hint("`--ca-file FILE` names those of the server"))
}
