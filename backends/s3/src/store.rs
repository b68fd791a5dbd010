//! The store: the calls of the trait, each where it is made.

use std::{fmt, ops::Range, sync::Arc, sync::atomic::AtomicBool, time::Duration};

use async_trait::async_trait;
use aws_sdk_s3::{
    Client,
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    operation::head_object::HeadObjectOutput,
    presigning::PresigningConfig,
};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream, stream::BoxStream};
use vidstream_backends::objects::{
    ByteStream, Object, ObjectError, ObjectInfo, ObjectName, ObjectPrefix, ObjectStore, S3Url,
};

use crate::{
    clock::ServerClock,
    connect::{Connection, OpenError},
    failure::{Failure, Kind},
    write::Existing,
};

/// An object store in a bucket.
#[derive(Debug, Clone)]
pub struct S3Store {
    pub(crate) inner: Arc<Inner>,
}

/// How long a store waits, and how often it tries. Pauses between attempts grow and are random.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the answer to one attempt; what is sent may take a second a MiB longer.
    pub attempt: Duration,
    /// For a whole call up to its answer, all attempts and pauses. Less than a write deadline: behind that, nobody expects a write to
    /// come through any more.
    pub operation: Duration,
    /// For the next piece of a body.
    pub piece: Duration,
    /// Attempts of a call.
    pub attempts: u32,
    /// How often a stream that broke is taken up where it was.
    pub resumptions: u32,
}

impl Patience {
    /// What the slowest way to a server carries, bytes a second.
    pub(crate) const SLOWEST: u64 = 1 << 20;
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            attempt: Duration::from_secs(10),
            operation: Duration::from_secs(45),
            piece: Duration::from_secs(15),
            // With their pauses about 12 s on average: a server that is started again is back by then.
            attempts: 12,
            resumptions: 4,
        }
    }
}

pub(crate) struct Inner {
    pub(crate) client: Client,
    public: Client,
    pub(crate) clock: ServerClock,
    endpoint: String,
    pub(crate) bucket: String,
    /// Before each key; empty or ending in a slash.
    pub(crate) prefix: String,
    pub(crate) patience: Patience,
    /// Whether the server was seen not to have `DeleteObjects`.
    pub(crate) one_by_one: AtomicBool,
}

impl S3Store {
    /// Opens the store that `url` names, with the environment's `AWS_…` for what it leaves open, and checks that its bucket is there.
    pub async fn open(url: &S3Url) -> Result<Self, OpenError> {
        Self::open_with(url, Patience::default()).await
    }

    /// Like [`open`](Self::open), with other deadlines.
    pub async fn open_with(url: &S3Url, patience: Patience) -> Result<Self, OpenError> {
        let connection = Connection::new(url, &patience, &|name| std::env::var(name).ok())
            .await
            .map_err(|reason| OpenError::Settings { url: url.to_string(), reason })?;
        let server = |failure| OpenError::Server { url: url.to_string(), failure };
        connection.check(&url.bucket).await.map_err(server)?;
        let prefix = match url.prefix.as_str() {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let Connection { client, public, endpoint, clock } = connection;
        let (bucket, one_by_one) = (url.bucket.clone(), AtomicBool::new(false));
        Ok(Self { inner: Arc::new(Inner { client, public, clock, endpoint, bucket, prefix, patience, one_by_one }) })
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, bucket, prefix, .. } = self;
        write!(f, "s3://{bucket}/{prefix} at {endpoint}")
    }
}

#[async_trait]
impl ObjectStore for S3Store {
    async fn put(&self, name: &ObjectName, chunks: Vec<Bytes>) -> Result<(), ObjectError> {
        self.inner.write(name, chunks, Existing::Replace).await
    }

    async fn put_new(&self, name: &ObjectName, chunks: Vec<Bytes>) -> Result<(), ObjectError> {
        self.inner.write(name, chunks, Existing::Keep).await
    }

    async fn head(&self, name: &ObjectName) -> Result<ObjectInfo, ObjectError> {
        let found = self.inner.look_up(name).await?;
        let size = found.content_length().and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
        Ok(ObjectInfo { name: name.clone(), size, age: self.inner.clock.age(found.last_modified()) })
    }

    async fn get_range(&self, name: &ObjectName, range: Range<u64>) -> Result<ByteStream, ObjectError> {
        self.inner.get_range(name, range).await
    }

    async fn get_ranges(&self, name: &ObjectName, ranges: Vec<Range<u64>>) -> Result<ByteStream, ObjectError> {
        self.inner.get_ranges(name, ranges).await
    }

    async fn get(&self, name: &ObjectName) -> Result<Object, ObjectError> {
        self.inner.get(name).await
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), ObjectError> {
        self.inner.delete(name).await
    }

    async fn delete_prefix(&self, prefix: &ObjectPrefix) -> Result<u64, ObjectError> {
        self.inner.delete_prefix(prefix).await
    }

    fn list(&self, prefix: &ObjectPrefix) -> BoxStream<'static, Result<ObjectInfo, ObjectError>> {
        let pages = Arc::clone(&self.inner).pages(prefix);
        pages.map_ok(|page| stream::iter(page).map(Ok)).try_flatten().boxed()
    }

    async fn presigned(
        &self,
        name: &ObjectName,
        content_type: &str,
        expires: Duration,
    ) -> Result<Option<String>, ObjectError> {
        let refused = |error: Box<dyn std::error::Error + Send + Sync>| ObjectError::Unavailable {
            doing: "sign an address of object",
            name: name.to_string(),
            source: error,
        };
        let until = PresigningConfig::expires_in(expires).map_err(|error| refused(error.into()))?;
        let get = self.inner.public.get_object().bucket(&self.inner.bucket).key(self.inner.key(name));
        let get = get.response_content_type(content_type);
        let signed = get.presigned(until).await.map_err(|error| refused(self.inner.failure(&error).into()))?;
        Ok(Some(signed.uri().to_owned()))
    }
}

impl Inner {
    pub(crate) fn key(&self, name: &ObjectName) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(crate) fn failure<E>(&self, error: &SdkError<E, HttpResponse>) -> Failure
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        Failure::of(error, &self.endpoint, &self.bucket)
    }

    /// Everything that is known of an object, or that it is not there.
    pub(crate) async fn look_up(&self, name: &ObjectName) -> Result<HeadObjectOutput, ObjectError> {
        const DOING: &str = "look up object";
        let error = match self.client.head_object().bucket(&self.bucket).key(self.key(name)).send().await {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        let mut failure = self.failure(&error);
        if failure.kind == Kind::NoObject {
            // Answers to HEAD have no body, so this one can't say that it is the bucket that is missing.
            match self.client.list_objects_v2().bucket(&self.bucket).max_keys(1).send().await {
                Ok(_) => return Err(ObjectError::NotFound { name: name.clone() }),
                Err(error) => failure = self.failure(&error),
            }
        }
        Err(failed(DOING, name, failure))
    }
}

/// `failure` as the trait has it.
pub(crate) fn failed(doing: &'static str, name: &ObjectName, failure: Failure) -> ObjectError {
    match failure.kind {
        Kind::NoObject => ObjectError::NotFound { name: name.clone() },
        Kind::NoSpace => ObjectError::NoSpace { name: name.clone() },
        _ => ObjectError::Unavailable { doing, name: name.to_string(), source: failure.into() },
    }
}
