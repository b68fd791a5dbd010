//! What the URLs of the three backends have in common: a scheme that picks the implementation, and for servers an address
//! and credentials.

mod server;

pub(crate) use self::server::encode;
pub use self::server::{CredentialError, Secret, ServerUrl};

/// Why a backend's URL was refused. The messages are for the person who wrote the setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// There is no `scheme:` at all.
    #[error("{url:?} has no scheme; known for {backend}: {known}")]
    NoScheme {
        /// What the URL was given for, such as "the object store".
        backend: &'static str,
        /// The URL as given.
        url: String,
        /// The known forms, ready to print.
        known: &'static str,
    },
    /// The scheme is none of ours.
    #[error("{scheme}: is not a known scheme for {backend}; known: {known}")]
    UnknownScheme {
        /// What the URL was given for.
        backend: &'static str,
        /// The scheme as given, without its colon.
        scheme: String,
        /// The known forms, ready to print.
        known: &'static str,
    },
    /// The scheme is known, what follows it is not understood.
    #[error("{url:?} for {backend}: {reason}")]
    Malformed {
        /// What the URL was given for.
        backend: &'static str,
        /// The URL as given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// One backend's name and schemes, so that all three refuse in the same words.
pub(crate) struct Family {
    pub(crate) backend: &'static str,
    pub(crate) known: &'static str,
}

impl Family {
    /// Splits `scheme:rest`.
    pub(crate) fn split<'url>(&self, url: &'url str) -> Result<(&'url str, &'url str), UrlError> {
        url.split_once(':').ok_or_else(|| UrlError::NoScheme {
            backend: self.backend,
            url: url.to_owned(),
            known: self.known,
        })
    }

    pub(crate) fn unknown(&self, scheme: &str) -> UrlError {
        UrlError::UnknownScheme { backend: self.backend, scheme: scheme.to_owned(), known: self.known }
    }

    pub(crate) fn malformed(&self, url: &str, reason: &'static str) -> UrlError {
        UrlError::Malformed { backend: self.backend, url: url.to_owned(), reason }
    }
}
