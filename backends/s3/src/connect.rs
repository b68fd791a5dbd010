//! From a URL to a client of the SDK that has proved to reach its bucket.

use std::{path::Path, time::Duration};

use aws_sdk_s3::{
    Client, Config,
    config::{
        IdentityCache, Region, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
        StalledStreamProtectionConfig,
        retry::{RetryConfig, RetryPartition},
        timeout::TimeoutConfig,
    },
};
use aws_smithy_http_client::{Builder, tls};
use vidstream_backends::objects::{S3Url, url};

use crate::{
    clock::ServerClock,
    credentials,
    failure::{Failure, Kind},
    store::Patience,
};

/// Between two attempts at first; doubled each time, and of that a random part.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Between two attempts at the most.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// Whoever opens a store wants to hear soon what is wrong, and tries again as they like.
const ATTEMPTS_TO_OPEN: u32 = 2;
/// Connections that are kept though nobody uses them.
const IDLE_CONNECTIONS: usize = 32;

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Keys, certificates or addresses are missing or wrong, here or in the environment.
    #[error("{url}: {reason}")]
    Settings {
        /// Which store, without its keys.
        url: String,
        /// What is missing or wrong.
        reason: String,
    },
    /// The server refused, was not reached, or has no such bucket.
    #[error("{url}: {failure}")]
    Server {
        /// Which store, without its keys.
        url: String,
        /// What the server did.
        failure: Failure,
    },
}

impl OpenError {
    /// Whether opening may succeed later with nothing changed in the settings: the server is not there yet, say.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Server { failure: Failure { kind, .. }, .. } if kind.may_pass())
    }
}

/// A client, and where it leads.
pub(crate) struct Connection {
    pub(crate) client: Client,
    /// Makes the addresses that are given away.
    pub(crate) public: Client,
    /// For messages.
    pub(crate) endpoint: String,
    pub(crate) clock: ServerClock,
}

impl Connection {
    /// Everything but a request.
    pub(crate) async fn new(
        url: &S3Url,
        patience: &Patience,
        env: &(dyn Fn(&str) -> Option<String> + Sync),
    ) -> Result<Self, String> {
        let env = &|name: &str| env(name).filter(|value| !value.is_empty());
        let endpoint = match url.endpoint.clone() {
            Some(endpoint) => Some(endpoint),
            None => env("AWS_ENDPOINT_URL_S3")
                .or_else(|| env("AWS_ENDPOINT_URL"))
                .map(|text| url::endpoint(text).map_err(|reason| format!("AWS_ENDPOINT_URL: {reason}")))
                .transpose()?,
        };
        let region = url.region.clone().or_else(|| env("AWS_REGION")).or_else(|| env("AWS_DEFAULT_REGION"));
        // What servers that have no regions take, all that we know.
        let region = region.unwrap_or_else(|| "us-east-1".into());
        let clock = ServerClock::default();
        let plain = endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http:"));
        let mut config = Config::builder()
            .behavior_version_latest()
            .credentials_provider(credentials::find(url, env)?)
            // It would keep keys for a quarter of an hour; ours are at hand.
            .identity_cache(IdentityCache::no_cache())
            .region(Region::new(region.clone()))
            .force_path_style(true)
            .http_client(http(plain, url.ca.as_deref()).await?)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            // Attempts have deadlines, and readers wait for each piece only so long.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(timeouts(patience, 0))
            .retry_config(retries(patience.attempts))
            // The budget of retries is each server's own.
            .retry_partition(RetryPartition::new(format!("{endpoint:?} {region}")))
            .interceptor(clock.clone());
        config.set_endpoint_url(endpoint.clone());
        let config = config.build();
        let public = match &url.public {
            Some(public) => Client::from_conf(config.to_builder().endpoint_url(public).build()),
            None => Client::from_conf(config.clone()),
        };
        let endpoint = endpoint.unwrap_or_else(|| format!("Amazon S3 in {region}"));
        Ok(Self { client: Client::from_conf(config), public, endpoint, clock })
    }

    /// Asks for the bucket as the store will be used: who may not list may not collect garbage either.
    pub(crate) async fn check(&self, bucket: &str) -> Result<(), Failure> {
        let ask = self.client.list_objects_v2().bucket(bucket).max_keys(1).customize();
        match ask.config_override(Config::builder().retry_config(retries(ATTEMPTS_TO_OPEN))).send().await {
            // Anything with a 200 is read as an empty list; S3 says which bucket it is of.
            Ok(list) if list.name().is_some() => Ok(()),
            Ok(_) => {
                let words = format!("what answers at {} does not speak S3's protocol", self.endpoint);
                Err(Failure::new(Kind::Other, words))
            }
            Err(error) => Err(Failure::of(&error, &self.endpoint, bucket)),
        }
    }
}

fn retries(attempts: u32) -> RetryConfig {
    let config = RetryConfig::standard().with_max_attempts(attempts);
    config.with_initial_backoff(FIRST_PAUSE).with_max_backoff(LONGEST_PAUSE)
}

/// How long a request with `bytes` to send may take.
pub(crate) fn timeouts(patience: &Patience, bytes: u64) -> TimeoutConfig {
    let sending = Duration::from_secs(bytes / Patience::SLOWEST);
    TimeoutConfig::builder()
        .connect_timeout(patience.connect)
        .operation_attempt_timeout((patience.attempt + sending).min(patience.operation))
        .operation_timeout(patience.operation)
        .build()
}

async fn http(plain: bool, ca: Option<&Path>) -> Result<SharedHttpClient, String> {
    let builder = Builder::new().pool_max_idle_per_host(IDLE_CONNECTIONS);
    if plain {
        return match ca {
            None => Ok(builder.build_http()),
            Some(_) => Err("ca= is for an endpoint with https:".into()),
        };
    }
    let trusted = match ca {
        Some(path) => tls::TrustStore::empty().with_pem_certificate(authorities(path).await?),
        None => tls::TrustStore::default(),
    };
    let context = tls::TlsContext::builder().with_trust_store(trusted).build();
    let context = context.map_err(|error| format!("TLS can't be set up: {error}"))?;
    let tls = builder.tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring));
    Ok(tls.tls_context(context).build_https())
}

/// The certificates in the file, looked at: the SDK panics on bad ones.
async fn authorities(path: &Path) -> Result<Vec<u8>, String> {
    use rustls::{RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject as _};

    let name = path.display();
    let pem = tokio::fs::read(path).await.map_err(|error| format!("the authorities {name} can't be read: {error}"))?;
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| format!("the authorities {name} are not PEM: {error}"))?;
        store.add(certificate).map_err(|error| format!("the authorities {name} have a bad certificate: {error}"))?;
    }
    if store.is_empty() { Err(format!("the authorities {name} have no certificate")) } else { Ok(pem) }
}
