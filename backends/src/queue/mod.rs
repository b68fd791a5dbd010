//! The job queue: bells, not jobs.
//!
//! A bell says only "work of this class may exist". Which work that is, and who gets it, is decided where jobs are rows.
//! So bells may be lost, doubled or late without harm: a lost one costs one sweep.

use std::{fmt, str::FromStr};

use async_trait::async_trait;

use crate::url::{Family, ServerUrl, UrlError, encode};

pub mod contract;
mod local;

pub use self::local::LocalQueue;

/// The class of work a bell is rung for: a short lowercase word, fixed in the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(&'static str);

impl Class {
    /// The class called `name`.
    ///
    /// # Panics
    ///
    /// If `name` is not 1 to 32 of `a-z` and `-`; in a constant that is a compile error.
    pub const fn new(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        assert!(!bytes.is_empty() && bytes.len() <= 32, "a class has 1 to 32 letters");
        let mut at = 0;
        while at < bytes.len() {
            assert!(bytes[at].is_ascii_lowercase() || bytes[at] == b'-', "a class is of a-z and -");
            at += 1;
        }
        Self(name)
    }

    /// The class's name.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A queue of bells. Every implementation passes [`contract::queue_contract`].
#[async_trait]
pub trait JobQueue: Send + Sync + fmt::Debug {
    /// Rings for `class`: wakes one of the workers waiting for it or, when all are busy, the next to wait. Bells nobody
    /// has heard yet may become one.
    async fn ring(&self, class: Class) -> Result<(), QueueError>;

    /// Begins to listen for bells of any of `classes`.
    async fn listen(&self, classes: &[Class]) -> Result<Box<dyn Bells>, QueueError>;
}

/// One worker's ear.
#[async_trait]
pub trait Bells: Send {
    /// Waits for the next bell. Only a worker that is in this call takes a bell: when the call is dropped the bell goes
    /// to another worker, or stays for the next.
    async fn next(&mut self) -> Result<Class, QueueError>;
}

/// The queue can't be reached or broke down. The call may be repeated.
#[derive(Debug, thiserror::Error)]
#[error("job queue unavailable while it should {doing}")]
pub struct QueueError {
    /// What was being done, such as "ring for light work".
    pub doing: String,
    /// The cause.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Which job queue, as written in the settings: `local:`, `amqp://HOST` or `amqps://HOST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueUrl {
    /// In this process, for workers in this process.
    Local,
    /// On `RabbitMQ`; the crate `vidstream-amqp` opens it.
    Amqp(AmqpUrl),
}

/// `amqp[s]://[user[:password]@]host[:port][/vhost][?ca=PATH&password-file=PATH&prefix=WORD]`; the port is 5672, with TLS
/// 5671.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmqpUrl {
    /// Where the broker is, and who logs in.
    pub server: ServerUrl,
    /// The virtual host. `/` where nothing follows the host, or only a `/`.
    pub vhost: String,
}

const FAMILY: Family = Family { backend: "the job queue", known: "local:, amqp://HOST" };

impl FromStr for QueueUrl {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        match FAMILY.split(url)? {
            ("local", "") => Ok(Self::Local),
            ("local", _) => Err(FAMILY.malformed(url, "nothing may follow local:")),
            (scheme @ ("amqp" | "amqps"), rest) => {
                let tls = scheme == "amqps";
                let (server, path) = ServerUrl::parse(&FAMILY, url, rest, tls, if tls { 5671 } else { 5672 })?;
                let vhost = path.filter(|path| !path.is_empty()).unwrap_or_else(|| "/".into());
                Ok(Self::Amqp(AmqpUrl { server, vhost }))
            }
            (scheme, _) => Err(FAMILY.unknown(scheme)),
        }
    }
}

impl fmt::Display for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local:"),
            Self::Amqp(url) => url.fmt(f),
        }
    }
}

impl fmt::Display for AmqpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.server.tls { "amqps" } else { "amqp" };
        self.server.written(scheme, &format!("/{}", encode(&self.vhost)), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        assert_eq!("local:".parse(), Ok(QueueUrl::Local));
        assert_eq!(
            "local:x".parse::<QueueUrl>().unwrap_err().to_string(),
            "\"local:x\" for the job queue: nothing may follow local:"
        );
        assert_eq!(
            "redis://broker".parse::<QueueUrl>().unwrap_err().to_string(),
            "redis: is not a known scheme for the job queue; known: local:, amqp://HOST"
        );
        for (url, written) in [
            ("amqp://broker", "amqp://broker:5672/%2F"),
            ("amqps://u:secret@broker/a%2fb?prefix=x", "amqps://u@broker:5671/a%2Fb?prefix=x"),
        ] {
            let parsed = url.parse::<QueueUrl>().unwrap();
            assert_eq!(parsed.to_string(), written);
            assert!(!format!("{parsed:?}").contains("secret"));
        }
    }
}
