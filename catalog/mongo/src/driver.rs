//! What the driver says, in a line: its own words are its whole view of all servers, and are written for its makers.

use mongodb::error::{Error, ErrorKind, WriteFailure};
use std::fmt;

/// The driver's error.
#[derive(Debug)]
pub struct Driver(pub Error);

impl std::error::Error for Driver {}

impl Driver {
    /// Whether no server is there whose certificate is trusted, because of one that is not: nobody speaks TLS as it was told to.
    pub fn distrusts(&self) -> bool {
        // What rustls says of certificates, which the driver passes on as text.
        let text = "invalid peer certificate";
        matches!(&*self.0.kind, ErrorKind::ServerSelection { message, .. } if message.contains(text))
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0.kind {
            ErrorKind::ServerSelection { message, .. } => f.write_str(&nobody(message)),
            ErrorKind::ConnectionPoolCleared { message, .. } => f.write_str(&cleared(message)),
            ErrorKind::Write(WriteFailure::WriteError(error)) => {
                write!(f, "a write was refused ({}): {}", error.code, error.message)
            }
            ErrorKind::Write(WriteFailure::WriteConcernError(error)) => {
                write!(f, "a write may not be kept ({}): {}", error.code, error.message)
            }
            kind => kind.fmt(f),
        }
    }
}

/// Address and trouble of each server in the driver's view, which it has as text only. What is written otherwise is left as it
/// is.
fn nobody(message: &str) -> String {
    let (why, view) = message.split_once(". Topology: ").unwrap_or((message, ""));
    let servers: Vec<String> = view.split("{ Address: ").skip(1).filter_map(server).collect();
    if servers.is_empty() { message.to_owned() } else { format!("{why}: {}", servers.join("; ")) }
}

/// `HOST:PORT, Type: …, Error: …`
fn server(text: &str) -> Option<String> {
    let (address, rest) = text.split_once(", Type: ")?;
    Some(match rest.split_once(", Error: ") {
        Some((_, error)) => format!("{address}: {}", kind(error)),
        None => format!("{address} ({})", rest.split([',', ' ']).next()?),
    })
}

/// `Connection pool for HOST:PORT cleared because another operation failed with: …`
fn cleared(message: &str) -> String {
    let of = || {
        let (address, error) = message.strip_prefix("Connection pool for ")?.split_once(" cleared because ")?;
        let (_, error) = error.split_once(": ")?;
        Some(format!("{address}: {}", kind(error)))
    };
    of().unwrap_or_else(|| message.to_owned())
}

/// What an error within an error is about: `Kind: …, labels: …`
fn kind(error: &str) -> &str {
    let error = error.strip_prefix("Kind: ").unwrap_or(error);
    error.split_once(", labels: ").map_or(error, |(kind, _)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_with_their_troubles() {
        let none = "Server selection timeout: No available servers. Topology: { Type: Unknown, Servers: [ { Address: \
                    127.0.0.1:1, Type: Unknown, Error: Kind: I/O error: Connection refused (os error 111), labels: {}, \
                    source: None, server response: None }, { Address: db:27017, Type: Unknown } ] }";
        assert_eq!(
            nobody(none),
            "Server selection timeout: No available servers: 127.0.0.1:1: I/O error: Connection refused (os error 111); \
             db:27017 (Unknown)"
        );
        assert_eq!(nobody("said otherwise"), "said otherwise");
        let pool = "Connection pool for 127.0.0.1:1 cleared because another operation failed with: Kind: I/O error: \
                    timed out, labels: {}, source: None, server response: None";
        assert_eq!(cleared(pool), "127.0.0.1:1: I/O error: timed out");
        assert_eq!(cleared("said otherwise"), "said otherwise");
    }
}
