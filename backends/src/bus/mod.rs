//! The event bus: notices to whoever listens now.
//!
//! It is lossy by nature: a notice is never kept for somebody who comes later, and a listener that is too slow loses the
//! oldest ones and is told so. Truth is asked for elsewhere; a notice only says when to ask.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::url::{Family, ServerUrl, UrlError};

pub mod contract;
mod local;

pub use self::local::LocalBus;

/// Largest payload of a notice, in bytes.
pub const LARGEST_PAYLOAD: usize = 64 * 1024;

/// What a notice is about: segments of `A-Z a-z 0-9 - _` joined by `.`, at most 255 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

/// Why a text is no topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no topic: it needs segments of A-Z a-z 0-9 - _ joined by dots, at most 255 bytes")]
pub struct InvalidTopic(String);

impl Topic {
    /// The topic as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The topic `segment` below this one.
    pub fn below(&self, segment: &str) -> Result<Self, InvalidTopic> {
        format!("{self}.{segment}").parse()
    }

    /// Whether this is `other` or below it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.strip_prefix(&*other.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl FromStr for Topic {
    type Err = InvalidTopic;

    fn from_str(topic: &str) -> Result<Self, InvalidTopic> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let valid =
            topic.len() <= 255 && topic.split('.').all(|segment| !segment.is_empty() && segment.bytes().all(plain));
        if valid { Ok(Self(Arc::from(topic))) } else { Err(InvalidTopic(topic.chars().take(100).collect())) }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What a subscriber receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Somebody published this.
    Notice {
        /// What it is about.
        topic: Topic,
        /// What its publisher put in, at most [`LARGEST_PAYLOAD`] bytes.
        payload: Bytes,
    },
    /// Notices were lost, perhaps some subscribed to: whoever keeps a copy of the truth asks for it again.
    Missed,
}

/// What a subscriber listens to. It ends when the bus is closed; whoever wants more subscribes again.
pub type Events = BoxStream<'static, Event>;

/// A bus of notices. Every implementation passes [`contract::bus_contract`].
#[async_trait]
pub trait EventBus: Send + Sync + fmt::Debug {
    /// Sends `payload` to everybody who is subscribed to `topic` now. Never waits for them.
    async fn publish(&self, topic: &Topic, payload: Bytes) -> Result<(), BusError>;

    /// Subscribes to `topic` and all topics below it. What is published after this returns is received, or is announced
    /// as [`Event::Missed`]; notices of one publisher come in order.
    async fn subscribe(&self, topic: &Topic) -> Result<Events, BusError>;
}

/// Why a call on the bus did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The payload is larger than [`LARGEST_PAYLOAD`].
    #[error("a notice on {topic} has {size} bytes; at most {LARGEST_PAYLOAD} are allowed")]
    TooLarge {
        /// What the notice is about.
        topic: Topic,
        /// Its size in bytes.
        size: usize,
    },
    /// The bus can't be reached or broke down. The call may be repeated.
    #[error("event bus unavailable for {topic}")]
    Unavailable {
        /// What was to be published or listened to.
        topic: Topic,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Which event bus, as written in the settings: `local:`, `redis://HOST` or `rediss://HOST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusUrl {
    /// Inside this process.
    Local,
    /// On a Redis server; the crate `vidstream-redis` opens it.
    Redis(RedisUrl),
}

/// `redis[s]://[user[:password]@]host[:port][/database][?ca=PATH&password-file=PATH&prefix=WORD]`; the port is 6379.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisUrl {
    /// Where the server is, and who logs in.
    pub server: ServerUrl,
    /// The database's number. Notices reach all databases of a server, so it is the prefix that keeps meshes apart.
    pub database: u32,
}

const FAMILY: Family = Family { backend: "the event bus", known: "local:, redis://HOST" };

impl FromStr for BusUrl {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        match FAMILY.split(url)? {
            ("local", "") => Ok(Self::Local),
            ("local", _) => Err(FAMILY.malformed(url, "nothing may follow local:")),
            (scheme @ ("redis" | "rediss"), rest) => {
                let (server, path) = ServerUrl::parse(&FAMILY, url, rest, scheme == "rediss", 6379)?;
                let database = match path.as_deref() {
                    None | Some("") => 0,
                    Some(number) => number.parse().map_err(|_| {
                        FAMILY.malformed(
                            &format!("{scheme}://{}", server.address()),
                            "after the host only the number of a database may follow",
                        )
                    })?,
                };
                Ok(Self::Redis(RedisUrl { server, database }))
            }
            (scheme, _) => Err(FAMILY.unknown(scheme)),
        }
    }
}

impl fmt::Display for BusUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local:"),
            Self::Redis(url) => url.fmt(f),
        }
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.server.tls { "rediss" } else { "redis" };
        self.server.written(scheme, &format!("/{}", self.database), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics() {
        let video: Topic = "video.1".parse().unwrap();
        assert!(video.is_within(&"video".parse().unwrap()));
        assert!(video.is_within(&video));
        assert!(!video.is_within(&"vid".parse().unwrap()));
        assert!(!video.is_within(&"video.1.progress".parse().unwrap()));
        for topic in ["", ".", "a.", ".a", "a..b", "a b", "a*", &"a".repeat(256)] {
            assert!(topic.parse::<Topic>().is_err(), "{topic:?}");
        }
    }

    #[test]
    fn urls() {
        assert_eq!("local:".parse(), Ok(BusUrl::Local));
        let url = "rediss://mesh:secret@cache/3?ca=/ca.pem&prefix=a";
        let parsed = url.parse::<BusUrl>().unwrap();
        assert_eq!(parsed.to_string(), "rediss://mesh@cache:6379/3?prefix=a");
        assert!(!format!("{parsed:?}").contains("secret"));
        let BusUrl::Redis(RedisUrl { server, database }) = parsed else { panic!("{url}") };
        assert_eq!((server.tls, server.port, database), (true, 6379, 3));
        assert_eq!(
            "amqp://cache".parse::<BusUrl>().unwrap_err().to_string(),
            "amqp: is not a known scheme for the event bus; known: local:, redis://HOST"
        );
        let wrong = "redis://u:secret@cache/jobs".parse::<BusUrl>().unwrap_err().to_string();
        assert!(wrong.contains("number of a database") && !wrong.contains("secret"), "{wrong}");
    }
}
