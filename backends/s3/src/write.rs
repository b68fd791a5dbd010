//! Writing and deleting one object.

use std::{sync::Arc, time::Duration};

use aws_sdk_s3::{Config, config::Builder};
use bytes::Bytes;
use uuid::Uuid;
use vidstream_backends::objects::{ObjectError, ObjectName};

use crate::{
    body::Content,
    connect::timeouts,
    failure::{Failure, Kind},
    store::{Inner, failed},
};

/// Largest object that goes in one request, bytes. Extents have 8 MiB.
const LARGEST_WHOLE: u64 = 64 << 20;
/// How often a write is tried that meets others of the same name, and the pause before each time, which grows.
const CONFLICTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);
/// The metadata that say which call wrote an object.
pub(crate) const WRITER: &str = "vidstream-writer";

pub(crate) const DOING: &str = "write object";

/// What to do with an object that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    Replace,
    Keep,
}

impl Existing {
    /// As a condition of the request.
    pub(crate) fn if_none_match(self) -> Option<String> {
        (self == Self::Keep).then(|| "*".into())
    }
}

impl Inner {
    pub(crate) async fn write(
        self: &Arc<Self>,
        name: &ObjectName,
        chunks: Vec<Bytes>,
        existing: Existing,
    ) -> Result<(), ObjectError> {
        let content = Content::new(chunks);
        // Around everything: each request has its own deadline, and a write may need several.
        let written = self.write_at_last(name, &content, existing);
        tokio::time::timeout(self.patience.operation, written).await.unwrap_or_else(|_| {
            let words = format!("{self:?} did not take the object in time");
            Err(failed_to_write(name, Failure::new(Kind::Unavailable, words)))
        })
    }

    async fn write_at_last(
        self: &Arc<Self>,
        name: &ObjectName,
        content: &Content,
        existing: Existing,
    ) -> Result<(), ObjectError> {
        let writer = Uuid::new_v4().simple().to_string();
        let mut tries = 1;
        loop {
            let written = if content.len() > LARGEST_WHOLE {
                self.put_parts(name, content, existing, &writer).await
            } else {
                self.put_key(&self.key(name), content, existing, &writer).await
            };
            match written {
                Ok(()) => return Ok(()),
                // Somebody deletes it right now, say: whether it exists is not decided.
                Err(failure) if failure.kind == Kind::Conflict && tries < CONFLICTS => {
                    tokio::time::sleep(PAUSE * tries).await;
                    tries += 1;
                }
                Err(failure) if failure.kind == Kind::Condition && existing == Existing::Keep => {
                    return self.whose(name, &writer).await;
                }
                Err(failure) => return Err(failed_to_write(name, failure)),
            }
        }
    }

    /// Writes `content` under `key` in one request.
    pub(crate) async fn put_key(
        &self,
        key: &str,
        content: &Content,
        existing: Existing,
        writer: &str,
    ) -> Result<(), Failure> {
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .set_if_none_match(existing.if_none_match())
            .metadata(WRITER, writer)
            .content_length(content.len().try_into().unwrap_or(i64::MAX))
            .body(content.body());
        let sent = put.customize().config_override(self.time_to_send(content.len())).send().await;
        sent.map(|_| ()).map_err(|error| self.failure(&error))
    }

    pub(crate) fn time_to_send(&self, bytes: u64) -> Builder {
        Config::builder().timeout_config(timeouts(&self.patience, bytes))
    }

    /// An object was in the way. It may be our own: a request whose answer got lost is sent again.
    async fn whose(&self, name: &ObjectName, writer: &str) -> Result<(), ObjectError> {
        match self.is_by(name, writer).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(ObjectError::NotFound { .. }) => Err(ObjectError::AlreadyExists { name: name.clone() }),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn is_by(&self, name: &ObjectName, writer: &str) -> Result<bool, ObjectError> {
        let found = self.look_up(name).await?;
        Ok(found.metadata().and_then(|metadata| metadata.get(WRITER)).is_some_and(|by| by == writer))
    }

    pub(crate) async fn delete(&self, name: &ObjectName) -> Result<(), ObjectError> {
        let failure = match self.client.delete_object().bucket(&self.bucket).key(self.key(name)).send().await {
            Ok(_) => return Ok(()),
            Err(error) => self.failure(&error),
        };
        if failure.kind == Kind::NoObject { Ok(()) } else { Err(failed("delete object", name, failure)) }
    }
}

/// A write that finds nothing has not found an object missing.
fn failed_to_write(name: &ObjectName, failure: Failure) -> ObjectError {
    match failure.kind {
        Kind::NoObject => ObjectError::Unavailable { doing: DOING, name: name.to_string(), source: failure.into() },
        _ => failed(DOING, name, failure),
    }
}
