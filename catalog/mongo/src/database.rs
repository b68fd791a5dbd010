//! The connection, its deadlines and errors.

use crate::driver::Driver;
use crate::schema;
use futures::TryStreamExt;
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::{Acknowledgment, ClientOptions, ReadConcern, WriteConcern};
use mongodb::{Client, Collection, Cursor};
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use vidstream_catalog::store::{Result, StoreError, rows};

/// The longest that one call on the database may take. What is seen after it was given up is seen late: the feed looks back
/// further than this.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// How long a server is looked for.
const SELECTION: Duration = Duration::from_secs(5);
/// The database that a connection string names by default.
const DATABASE: &str = "vidstream";

/// MongoDB's numbers of errors.
const DUPLICATE_KEY: i32 = 11000;
const OUT_OF_DISK_SPACE: i32 = 14031;
const UNAUTHORIZED: i32 = 13;
const AUTHENTICATION_FAILED: i32 = 18;
const INDEX_OPTIONS_CONFLICT: i32 = 85;
const INDEX_KEY_SPECS_CONFLICT: i32 = 86;

/// The collections of one catalog.
#[derive(Clone, Debug)]
pub struct Mongo {
    pub videos: Collection<Document>,
    pub sources: Collection<Document>,
    pub pages: Collection<Document>,
    pub jobs: Collection<Document>,
    pub requests: Collection<Document>,
    pub viewers: Collection<Document>,
    /// What there is one of: the feed, the version of the collections.
    pub meta: Collection<Document>,
    /// Tells positions of this database from another's.
    pub feed: u64,
}

/// A call took longer than [`DEADLINE`].
#[derive(Debug, thiserror::Error)]
#[error("the database did not answer within {} s", DEADLINE.as_secs())]
struct Late;

impl Mongo {
    pub async fn open(url: &str) -> Result<Self> {
        let mut options = ClientOptions::parse(url).await.map_err(failed)?;
        options.app_name.get_or_insert_with(|| "vidstream-catalog".to_owned());
        options.server_selection_timeout.get_or_insert(SELECTION);
        options.connect_timeout.get_or_insert(SELECTION);
        let concern = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(DEADLINE).build();
        options.write_concern = Some(concern);
        options.read_concern = Some(ReadConcern::majority());
        let name = options.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
        let database = Client::with_options(options).map_err(failed)?.database(&name);
        let mut mongo = Self {
            videos: database.collection("videos"),
            sources: database.collection("sources"),
            pages: database.collection("pages"),
            jobs: database.collection("jobs"),
            requests: database.collection("requests"),
            viewers: database.collection("viewers"),
            meta: database.collection("meta"),
            feed: 0,
        };
        schema::prepare(&mongo).await?;
        mongo.feed = schema::feed_name(&mongo).await?;
        Ok(mongo)
    }

    /// What time it is by whoever takes the writes.
    pub async fn time_of_server(&self) -> Result<SystemTime> {
        let hello = done(self.meta.client().database("admin").run_command(doc! { "hello": 1 })).await?;
        let time = hello.get_datetime("localTime");
        time.map(|time| time.to_system_time()).map_err(|error| rows::corrupt("answer to hello", error))
    }
}

/// Runs a call within the deadline.
pub async fn done<T>(call: impl IntoFuture<Output = mongodb::error::Result<T>>) -> Result<T> {
    match tokio::time::timeout(DEADLINE, call.into_future()).await {
        Ok(outcome) => outcome.map_err(failed),
        Err(_) => Err(StoreError::Unavailable(Arc::new(Late))),
    }
}

/// All documents that a call finds, within the deadline.
pub async fn all(call: impl IntoFuture<Output = mongodb::error::Result<Cursor<Document>>>) -> Result<Vec<Document>> {
    done(async { call.into_future().await?.try_collect().await }).await
}

/// Whether a call inserted something; a key that is there already is no error.
pub async fn inserted<T>(call: impl IntoFuture<Output = mongodb::error::Result<T>>) -> Result<bool> {
    done(async {
        match call.into_future().await {
            Ok(_) => Ok(true),
            Err(error) if code(&error) == Some(DUPLICATE_KEY) => Ok(false),
            Err(error) => Err(error),
        }
    })
    .await
}

fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        _ => None,
    }
}

fn failed(error: Error) -> StoreError {
    match code(&error) {
        Some(OUT_OF_DISK_SPACE) => StoreError::Full,
        _ => StoreError::Unavailable(Arc::new(Driver(error))),
    }
}

/// Whether an index could not be made because there is one of its name, or of its keys, in another form.
pub fn is_other_index(error: &StoreError) -> bool {
    let StoreError::Unavailable(cause) = error else { return false };
    let code = cause.downcast_ref().and_then(|Driver(error)| code(error));
    matches!(code, Some(INDEX_OPTIONS_CONFLICT | INDEX_KEY_SPECS_CONFLICT))
}

/// A condition that several others hold.
pub fn every(conditions: Vec<Document>) -> Document {
    doc! { "$and": conditions }
}

/// A limit of documents.
pub fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Whether `error` is about a server that does not answer now, and not about what it was told.
pub fn may_pass(error: &StoreError) -> bool {
    let StoreError::Unavailable(cause) = error else { return false };
    let told = |driver: &Driver| {
        let error = &driver.0;
        let kinds = [UNAUTHORIZED, AUTHENTICATION_FAILED];
        code(error).is_some_and(|code| kinds.contains(&code))
            || matches!(
                &*error.kind,
                ErrorKind::Authentication { .. }
                    | ErrorKind::InvalidArgument { .. }
                    | ErrorKind::InvalidTlsConfig { .. }
                    | ErrorKind::IncompatibleServer { .. }
            )
            || driver.distrusts()
    };
    cause.is::<Late>() || cause.downcast_ref().is_some_and(|driver| !told(driver))
}
