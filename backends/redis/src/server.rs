//! Which server, how its connections are made, and what its errors mean.

use std::{sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, ProtocolVersion,
    RedisConnectionInfo, RedisError, TlsCertificates,
    aio::{MultiplexedConnection, PubSub},
};
use tokio::time::timeout;
use vidstream_backends::{
    bus::{RedisUrl, Topic},
    url::CredentialError,
};

use crate::{ANSWER_WITHIN, CONNECT_WITHIN};

/// What is wrong with a server, in words.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Trouble {
    /// It does not let us in, or not do what we need.
    #[error("{url} refuses the user or the password ({reason}); they come from the URL, or from its password-file")]
    Refused {
        /// Which server.
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
        /// Which server.
        url: String,
        /// How long was waited.
        waited: Duration,
    },
    /// Anything else.
    #[error("{url}: {reason}")]
    Broken {
        /// Which server.
        url: String,
        /// What happened.
        reason: String,
    },
}

/// A Redis server and our names on it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: RedisUrl,
}

impl Server {
    pub(crate) fn new(url: RedisUrl) -> Self {
        Self { url }
    }

    /// The channel of a topic.
    pub(crate) fn channel(&self, topic: &Topic) -> String {
        format!("{}.{topic}", self.url.server.prefix)
    }

    /// The pattern of all channels below a topic. Neither prefixes nor topics have characters that mean something in it.
    pub(crate) fn pattern(&self, topic: &Topic) -> String {
        format!("{}.{topic}.*", self.url.server.prefix)
    }

    /// The name of the topic of a channel.
    pub(crate) fn topic_of<'name>(&self, channel: &'name str) -> Option<&'name str> {
        channel.strip_prefix(self.url.server.prefix.as_str())?.strip_prefix('.')
    }

    /// The name of the topic that a pattern is below of.
    pub(crate) fn topic_below<'name>(&self, pattern: &'name str) -> Option<&'name str> {
        self.topic_of(pattern)?.strip_suffix(".*")
    }

    /// Whether it is there and lets us in.
    pub(crate) async fn check(&self) -> Result<(), Trouble> {
        let mut connection = self.connect().await?;
        redis::cmd("PING").query_async(&mut connection).await.map_err(|error| self.trouble(&error))
    }

    /// A connection for commands.
    pub(crate) async fn connect(&self) -> Result<MultiplexedConnection, Trouble> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_WITHIN))
            .set_response_timeout(Some(ANSWER_WITHIN));
        self.in_time(async |client: Client| client.get_multiplexed_async_connection_with_config(&config).await).await
    }

    /// A connection for subscriptions.
    pub(crate) async fn listen(&self) -> Result<PubSub, Trouble> {
        self.in_time(async |client: Client| client.get_async_pubsub().await).await
    }

    async fn in_time<T>(&self, connect: impl AsyncFnOnce(Client) -> Result<T, RedisError>) -> Result<T, Trouble> {
        let client = self.client().await?;
        match timeout(CONNECT_WITHIN, connect(client)).await {
            Ok(connected) => connected.map_err(|error| self.trouble(&error)),
            Err(_) => Err(self.silent(CONNECT_WITHIN)),
        }
    }

    /// Made anew for each connection, because the password may have changed.
    async fn client(&self) -> Result<Client, Trouble> {
        let server = &self.url.server;
        let password = server.password().await.map_err(Arc::new)?;
        let authorities = server.authorities().await.map_err(Arc::new)?;
        let mut login =
            RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2).set_db(i64::from(self.url.database));
        if let Some(user) = &server.user {
            login = login.set_username(user);
        }
        if let Some(password) = password {
            login = login.set_password(password.reveal());
        }
        let (host, port) = (server.host.clone(), server.port);
        let address = if server.tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        let client =
            address.into_connection_info().map(|info| info.set_redis_settings(login)).and_then(
                |info| match authorities {
                    Some(pem) => {
                        let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem.into_bytes()) };
                        Client::build_with_tls(info, certificates)
                    }
                    None => Client::open(info),
                },
            );
        client.map_err(|error| self.trouble(&error))
    }

    pub(crate) fn silent(&self, waited: Duration) -> Trouble {
        Trouble::Silent { url: self.url.to_string(), waited }
    }

    pub(crate) fn broken(&self, reason: &str) -> Trouble {
        Trouble::Broken { url: self.url.to_string(), reason: reason.into() }
    }

    pub(crate) fn trouble(&self, error: &RedisError) -> Trouble {
        let (url, reason) = (self.url.to_string(), error.to_string());
        let refused = error.kind() == ErrorKind::AuthenticationFailed
            || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"));
        if refused {
            Trouble::Refused { url, reason }
        } else if error.is_timeout() {
            self.silent(ANSWER_WITHIN)
        } else {
            Trouble::Broken { url, reason }
        }
    }
}

/// Whether the server answered, so that its connection is good for more.
pub(crate) fn is_answer(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}
