//! Listing, and deleting what was listed.

use std::sync::{Arc, atomic::Ordering};

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use vidstream_backends::objects::{ObjectError, ObjectInfo, ObjectName, ObjectPrefix};

use crate::{
    failure::{Failure, Kind},
    store::Inner,
};

/// Keys of a page, and of one deletion: servers allow no more.
const PAGE: i32 = 1000;
/// Pages that are deleted at the same time, the next one listed meanwhile.
const BATCHES_AT_ONCE: usize = 2;
/// Objects deleted at the same time where a server only deletes one by one.
const DELETIONS_AT_ONCE: usize = 16;

/// Where a listing goes on.
enum Next {
    Begin,
    Behind(String),
    Nowhere,
}

impl Inner {
    /// All objects below `prefix`, a page at a time.
    pub(crate) fn pages(
        self: Arc<Self>,
        prefix: &ObjectPrefix,
    ) -> impl Stream<Item = Result<Vec<ObjectInfo>, ObjectError>> + Send + use<> {
        let below = prefix.clone();
        stream::try_unfold(Next::Begin, move |next| {
            let (store, below) = (Arc::clone(&self), below.clone());
            async move {
                match store.page(&below, next).await {
                    Ok(page) => Ok(page),
                    Err(failure) => Err(failed_below("list", &below, failure)),
                }
            }
        })
    }

    async fn page(&self, below: &ObjectPrefix, next: Next) -> Result<Option<(Vec<ObjectInfo>, Next)>, Failure> {
        let token = match next {
            Next::Begin => None,
            Next::Behind(token) => Some(token),
            Next::Nowhere => return Ok(None),
        };
        let prefix = match below.as_str() {
            "" => self.prefix.clone(),
            below => format!("{}{below}/", self.prefix),
        };
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).max_keys(PAGE);
        let listed =
            request.set_continuation_token(token.clone()).send().await.map_err(|error| self.failure(&error))?;
        let page = listed.contents().iter().filter_map(|object| {
            let key = object.key()?.strip_prefix(&self.prefix)?;
            // What others keep in the bucket is not ours: folders of consoles, say.
            let name: ObjectName =
                key.parse().inspect_err(|error| tracing::debug!(%error, "not an object of ours")).ok()?;
            let size = object.size().and_then(|size| u64::try_from(size).ok())?;
            Some(ObjectInfo { name, size, age: self.clock.age(object.last_modified()) })
        });
        let page = page.collect();
        let next = match (listed.is_truncated().unwrap_or_default(), listed.next_continuation_token) {
            (false, _) => Next::Nowhere,
            (true, Some(behind)) if token.as_ref() != Some(&behind) => Next::Behind(behind),
            (true, _) => return Err(Failure::new(Kind::Other, "a list goes on and does not say where")),
        };
        Ok(Some((page, next)))
    }

    pub(crate) async fn delete_prefix(self: &Arc<Self>, prefix: &ObjectPrefix) -> Result<u64, ObjectError> {
        let batches = Arc::clone(self).pages(prefix).map(|page| async {
            match page {
                Ok(page) if page.is_empty() => Ok(0),
                Ok(page) => self.delete_all(page, prefix).await,
                Err(error) => Err(error),
            }
        });
        let counts = batches.buffer_unordered(BATCHES_AT_ONCE);
        counts.try_fold(0, |sum, count| async move { Ok(sum + count) }).await
    }

    async fn delete_all(&self, page: Vec<ObjectInfo>, prefix: &ObjectPrefix) -> Result<u64, ObjectError> {
        if !self.one_by_one.load(Ordering::Relaxed) {
            match self.delete_batch(&page).await {
                Ok(()) => return Ok(page.len() as u64),
                Err(failure) if failure.kind == Kind::Unsupported => {
                    tracing::info!(reason = %failure, "objects are deleted one by one: this server has nothing quicker");
                    self.one_by_one.store(true, Ordering::Relaxed);
                }
                Err(failure) => return Err(failed_below("delete objects below", prefix, failure)),
            }
        }
        self.delete_one_by_one(page).await
    }

    async fn delete_one_by_one(&self, page: Vec<ObjectInfo>) -> Result<u64, ObjectError> {
        let deletions = stream::iter(page).map(|object| async move { self.delete(&object.name).await });
        deletions.buffer_unordered(DELETIONS_AT_ONCE).try_fold(0, |sum, ()| async move { Ok(sum + 1) }).await
    }

    async fn delete_batch(&self, page: &[ObjectInfo]) -> Result<(), Failure> {
        let keys = page.iter().map(|object| ObjectIdentifier::builder().key(self.key(&object.name)).build());
        let keys = keys.collect::<Result<Vec<_>, _>>().map_err(|error| Failure::new(Kind::Other, error.to_string()))?;
        let batch = Delete::builder().set_objects(Some(keys)).quiet(true).build();
        let batch = batch.map_err(|error| Failure::new(Kind::Other, error.to_string()))?;
        let request = self.client.delete_objects().bucket(&self.bucket).delete(batch);
        let answer = request.send().await.map_err(|error| self.failure(&error))?;
        // Whoever was deleted by somebody else meanwhile is deleted.
        match answer.errors().iter().find(|error| !matches!(error.code(), Some("NoSuchKey"))) {
            None => Ok(()),
            Some(error) => {
                let (key, code) = (error.key().unwrap_or_default(), error.code().unwrap_or_default());
                let words = format!("{key} was not deleted ({code}: {})", error.message().unwrap_or_default());
                Err(Failure::new(Kind::Unavailable, words))
            }
        }
    }
}

fn failed_below(doing: &'static str, prefix: &ObjectPrefix, failure: Failure) -> ObjectError {
    let name = if prefix.as_str().is_empty() { "everything" } else { prefix.as_str() };
    ObjectError::Unavailable { doing, name: name.to_owned(), source: failure.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::S3Store;
    use vidstream_backends::objects::{ObjectStore as _, ObjectsUrl};
    use vidstream_test_servers::{Kind as Server, PASSWORD, USER};

    #[tokio::test]
    async fn a_server_without_batches_is_asked_for_each() {
        let server = vidstream_test_servers::Server::start(Server::VersityGw).await;
        server.make_bucket("films").await;
        let url = format!("s3://{USER}:{PASSWORD}@films/in?endpoint={}", server.url()).parse();
        let Ok(ObjectsUrl::S3(url)) = url else { panic!("{url:?}") };
        let store = S3Store::open(&url).await.unwrap();
        store.inner.one_by_one.store(true, Ordering::Relaxed);
        for at in 0..40 {
            store.put(&format!("one/{at}").parse().unwrap(), vec![]).await.unwrap();
        }
        store.put(&"other/1".parse().unwrap(), vec![]).await.unwrap();
        assert_eq!(store.delete_prefix(&"one".parse().unwrap()).await.unwrap(), 40);
        assert_eq!(store.delete_prefix(&ObjectPrefix::all()).await.unwrap(), 1);
    }
}
