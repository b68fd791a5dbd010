//! Objects too large for one request: parts, a few at a time, that become an object all at once or never.

use std::sync::Arc;

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use vidstream_backends::objects::{ObjectError, ObjectName};

use crate::{
    body::Content,
    failure::{Failure, Kind},
    store::Inner,
    write::{Existing, WRITER},
};

/// Bytes of a part, and how many are on their way at the same time.
const PART: usize = 16 << 20;
const AT_ONCE: usize = 3;
/// Parts that an upload has at the most.
pub(crate) const MOST_PARTS: u64 = 10_000;

/// An upload that is aborted unless it is completed, also when whoever makes it goes away.
pub(crate) struct Upload {
    store: Arc<Inner>,
    key: String,
    id: String,
    completed: bool,
}

impl Inner {
    /// Writes `content` in parts.
    pub(crate) async fn put_parts(
        self: &Arc<Self>,
        name: &ObjectName,
        content: &Content,
        existing: Existing,
        writer: &str,
    ) -> Result<(), Failure> {
        let mut upload = Upload::begin(self, self.key(name), writer).await?;
        let completed = upload.send(content).await?;
        match upload.complete(completed, existing).await {
            // Completed by a request whose answer got lost, if it was.
            Err(failure) if failure.kind == Kind::NoUpload => match self.is_by(name, writer).await {
                Ok(true) => {}
                Ok(false) | Err(ObjectError::NotFound { .. }) => return Err(failure),
                Err(error) => return Err(Failure::new(Kind::Unavailable, error.to_string())),
            },
            outcome => outcome?,
        }
        upload.completed();
        Ok(())
    }
}

impl Upload {
    pub(crate) async fn begin(store: &Arc<Inner>, key: String, writer: &str) -> Result<Self, Failure> {
        let create = store.client.create_multipart_upload().bucket(&store.bucket).key(&key).metadata(WRITER, writer);
        let created = create.send().await.map_err(|error| store.failure(&error))?;
        let id = created.upload_id.ok_or_else(|| Failure::new(Kind::Other, "the upload that was begun has no id"))?;
        Ok(Self { store: Arc::clone(store), key, id, completed: false })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// It became an object, and is not to be aborted.
    pub(crate) fn completed(&mut self) {
        self.completed = true;
    }

    /// Takes away the parts that were sent, and waits for it.
    pub(crate) async fn abort(mut self) {
        self.completed = true;
        self.aborting().await;
    }

    fn aborting(&self) -> impl Future<Output = ()> + Send + use<> {
        let (store, key, id) = (Arc::clone(&self.store), self.key.clone(), self.id.clone());
        async move {
            let abort = store.client.abort_multipart_upload().bucket(&store.bucket).key(&key).upload_id(&id);
            if let Err(error) = abort.send().await {
                let error = store.failure(&error);
                tracing::warn!(%error, key, "parts of an upload that failed stay in the bucket until its rule removes them");
            }
        }
    }

    async fn send(&self, content: &Content) -> Result<CompletedMultipartUpload, Failure> {
        let size = PART.max(usize::try_from(content.len().div_ceil(MOST_PARTS)).unwrap_or(usize::MAX));
        let parts = content
            .parts(size)
            .into_iter()
            .zip(1..)
            .map(|(part, number)| send_part(&self.store, &self.key, &self.id, part, number));
        let parts: Vec<CompletedPart> = stream::iter(parts).buffered(AT_ONCE).try_collect().await?;
        Ok(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
    }

    pub(crate) async fn complete(&self, parts: CompletedMultipartUpload, existing: Existing) -> Result<(), Failure> {
        let Inner { client, bucket, .. } = &*self.store;
        let complete = client.complete_multipart_upload().bucket(bucket).key(&self.key).upload_id(&self.id);
        let complete = complete.multipart_upload(parts).set_if_none_match(existing.if_none_match());
        complete.send().await.map(|_| ()).map_err(|error| self.store.failure(&error))
    }
}

/// Sends one part of an upload.
pub(crate) async fn send_part(
    store: &Inner,
    key: &str,
    id: &str,
    part: Content,
    number: i32,
) -> Result<CompletedPart, Failure> {
    let request = store.client.upload_part().bucket(&store.bucket).key(key).upload_id(id).part_number(number);
    let request = request.content_length(part.len().try_into().unwrap_or(i64::MAX)).body(part.body());
    let sent = request.customize().config_override(store.time_to_send(part.len())).send().await;
    let sent = sent.map_err(|error| store.failure(&error))?;
    Ok(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build())
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Without a runtime the process ends; the bucket's rule takes the parts away.
        if let (false, Ok(runtime)) = (self.completed, tokio::runtime::Handle::try_current()) {
            runtime.spawn(self.aborting());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::S3Store;
    use bytes::Bytes;
    use std::time::Duration;
    use vidstream_backends::objects::ObjectsUrl;
    use vidstream_test_servers::{Kind as What, PASSWORD, Server, USER};

    #[tokio::test]
    async fn an_upload_that_is_given_up_leaves_no_parts() {
        for kind in [What::Minio, What::VersityGw] {
            let server = Server::start(kind).await;
            server.make_bucket("films").await;
            let url = format!("s3://{USER}:{PASSWORD}@films/in?endpoint={}", server.url()).parse();
            let Ok(ObjectsUrl::S3(url)) = url else { panic!("{url:?}") };
            let store = S3Store::open(&url).await.unwrap().inner;
            let uploads = || async {
                let list = store.client.list_multipart_uploads().bucket("films").prefix("in/given/up");
                list.send().await.unwrap().uploads().len()
            };
            let upload = Upload::begin(&store, store.key(&"given/up".parse().unwrap()), "me").await.unwrap();
            upload.send(&Content::new(vec![Bytes::from(vec![7; PART + 1])])).await.unwrap();
            assert_eq!(uploads().await, 1, "{kind:?}");
            drop(upload);
            while uploads().await > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}
