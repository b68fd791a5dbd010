//! Which broker, its connections, our names on it, and what its errors mean.

use std::{future::Future, sync::Arc, time::Duration};

use lapin::{
    BasicProperties, Channel, Connection, ConnectionBuilder, ConnectionProperties, ErrorKind,
    options::QueueDeclareOptions,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
    tcp::OwnedTLSConfig,
    types::{FieldTable, ShortString},
    uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo},
};
use tokio::time::timeout;
use vidstream_backends::{
    queue::{AmqpUrl, Class},
    url::CredentialError,
};

use crate::{ANSWER_WITHIN, CONNECT_WITHIN, HEARTBEAT};

/// The type that our messages have.
const BELL: &str = "vidstream.bell";
/// Bells that wait in a queue.
const BELLS_KEPT: u32 = 1;
/// Messages kept of those that nobody understands.
const DEAD_KEPT: u32 = 1000;
/// A bell that was given back so often is dropped. It happens when waits end just as it comes to them; a sweep rings again.
const DELIVERIES: u32 = 1000;

/// What is wrong with a broker, in words.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Trouble {
    /// It does not let us in, or not do what we need.
    #[error(
        "{url} refuses the user, the password or the virtual host ({reason}); they come from the URL, the password perhaps \
         from its password-file"
    )]
    Refused {
        /// Which broker.
        url: String,
        /// What it says.
        reason: String,
    },
    /// A queue of that name exists and is none of ours.
    #[error("{url} has a queue of another kind under our name ({reason}); delete it, or choose another prefix")]
    Foreign {
        /// Which broker.
        url: String,
        /// What it says.
        reason: String,
    },
    /// A file that the URL names.
    #[error(transparent)]
    Credentials(#[from] Arc<CredentialError>),
    /// No word from it.
    #[error("{url} did not answer within {waited:?}")]
    Silent {
        /// Which broker.
        url: String,
        /// How long was waited.
        waited: Duration,
    },
    /// Anything else.
    #[error("{url}: {reason}")]
    Broken {
        /// Which broker.
        url: String,
        /// What happened.
        reason: String,
        /// It was about this channel only, its connection is good for more.
        channel_only: bool,
    },
}

impl Trouble {
    /// Whether somebody has to do something about it.
    pub(crate) fn is_lasting(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Foreign { .. } | Self::Credentials(_))
    }

    /// Whether the connection it happened on is good for more.
    pub(crate) fn spares_the_connection(&self) -> bool {
        matches!(self, Self::Foreign { .. } | Self::Broken { channel_only: true, .. })
    }
}

/// A broker, and our names on it.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) url: AmqpUrl,
}

impl Broker {
    pub(crate) fn new(url: AmqpUrl) -> Self {
        Self { url }
    }

    /// The queue of a class's bells.
    pub(crate) fn queue(&self, class: Class) -> ShortString {
        format!("{}.bells.{class}", self.url.server.prefix).into()
    }

    /// The queue of what is no bell.
    pub(crate) fn dead(&self) -> ShortString {
        format!("{}.dead-letters", self.url.server.prefix).into()
    }

    /// Makes a class's queue, if it is not there.
    pub(crate) async fn declare(&self, channel: &Channel, class: Class) -> Result<(), Trouble> {
        let mut arguments = quorum(BELLS_KEPT);
        arguments.insert("x-delivery-limit".into(), DELIVERIES.into());
        self.declare_queue(channel, self.queue(class), arguments).await
    }

    /// Makes the queue of what is no bell, if it is not there.
    pub(crate) async fn declare_dead(&self, channel: &Channel) -> Result<(), Trouble> {
        self.declare_queue(channel, self.dead(), quorum(DEAD_KEPT)).await
    }

    async fn declare_queue(&self, channel: &Channel, name: ShortString, arguments: FieldTable) -> Result<(), Trouble> {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.answer(channel.queue_declare(name, options, arguments)).await.map(drop)
    }

    /// A new connection, logged in.
    pub(crate) async fn connect(&self, purpose: &str) -> Result<Connection, Trouble> {
        let server = &self.url.server;
        let password = server.password().await.map_err(Arc::new)?;
        let tls = OwnedTLSConfig { identity: None, cert_chain: server.authorities().await.map_err(Arc::new)? };
        let milliseconds = CONNECT_WITHIN.as_millis().try_into().unwrap_or(u64::MAX);
        let uri = AMQPUri {
            scheme: if server.tls { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: server.user.clone().unwrap_or_else(|| "guest".into()),
                    password: password.map_or_else(|| "guest".into(), |password| password.reveal().to_owned()),
                },
                host: server.host.clone(),
                port: server.port,
            },
            vhost: self.url.vhost.clone(),
            query: AMQPQueryString {
                heartbeat: HEARTBEAT.as_secs().try_into().ok(),
                connection_timeout: Some(milliseconds),
                ..AMQPQueryString::default()
            },
        };
        let properties = ConnectionProperties::default().with_connection_name(format!("vidstream, {purpose}").into());
        let connect = async {
            let builder = ConnectionBuilder::new()?.with_uri(uri).with_properties(properties).with_tls_config(tls);
            builder.connect().await
        };
        match timeout(CONNECT_WITHIN, connect).await {
            Ok(connected) => connected.map_err(|error| self.trouble(&error)),
            Err(_) => Err(self.silent(CONNECT_WITHIN)),
        }
    }

    /// What the broker answers in time.
    pub(crate) async fn answer<T>(&self, asked: impl Future<Output = lapin::Result<T>>) -> Result<T, Trouble> {
        match timeout(ANSWER_WITHIN, asked).await {
            Ok(answered) => answered.map_err(|error| self.trouble(&error)),
            Err(_) => Err(self.silent(ANSWER_WITHIN)),
        }
    }

    pub(crate) fn silent(&self, waited: Duration) -> Trouble {
        Trouble::Silent { url: self.url.to_string(), waited }
    }

    /// Something that happened to a channel.
    pub(crate) fn channel_broken(&self, reason: &str) -> Trouble {
        Trouble::Broken { url: self.url.to_string(), reason: reason.into(), channel_only: true }
    }

    pub(crate) fn trouble(&self, error: &lapin::Error) -> Trouble {
        let (url, reason) = (self.url.to_string(), error.to_string());
        let ErrorKind::ProtocolError(said) = error.kind() else {
            return Trouble::Broken { url, reason, channel_only: false };
        };
        match said.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => {
                Trouble::Refused { url, reason }
            }
            // A queue with other arguments, or one of another connection alone.
            AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED | AMQPSoftError::RESOURCELOCKED) => {
                Trouble::Foreign { url, reason }
            }
            AMQPErrorKind::Soft(_) => Trouble::Broken { url, reason, channel_only: true },
            AMQPErrorKind::Hard(_) => Trouble::Broken { url, reason, channel_only: false },
        }
    }
}

/// A bell's properties: kept on disk, and told from what others send.
pub(crate) fn bell() -> BasicProperties {
    BasicProperties::default().with_type(BELL.into()).with_delivery_mode(2)
}

pub(crate) fn is_bell(properties: &BasicProperties) -> bool {
    properties.kind().as_ref().is_some_and(|kind| kind.as_str() == BELL)
}

/// A quorum queue that drops its oldest message for a new one beyond so many.
fn quorum(kept: u32) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), lapin::types::AMQPValue::LongString("quorum".into()));
    arguments.insert("x-max-length".into(), kept.into());
    arguments.insert("x-overflow".into(), lapin::types::AMQPValue::LongString("drop-head".into()));
    arguments
}
