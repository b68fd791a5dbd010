//! An object outside of what a store has, whose bytes come one after the other: an original that leaves.

use std::{fmt, mem, sync::Arc};

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    S3Store,
    body::Content,
    failure::{Failure, Kind},
    multipart::{MOST_PARTS, Upload, send_part},
    store::Inner,
    write::Existing,
};

/// The smallest part, bytes. What is not larger goes in one request.
const PART: u64 = 16 << 20;
/// Parts that are on their way at the same time; one more is gathered meanwhile.
const AT_ONCE: usize = 3;
/// The largest object that S3 holds, bytes.
const LARGEST: u64 = 5 << 40;
/// The longest key that S3 takes, bytes.
const LONGEST_KEY: usize = 1024;

/// Why an export did not become an object. What was begun is taken back.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// An object has the name already, and was not to be replaced.
    #[error("{0} exists already")]
    Exists(String),
    /// The name or the size is none that S3 takes.
    #[error("{0}")]
    Unfit(&'static str),
    /// The server refused or failed.
    #[error("{place}: {failure}")]
    Failed {
        /// Where it was to be.
        place: String,
        /// What happened.
        failure: Failure,
    },
}

/// An object on its way. Nobody sees it before it is finished; dropped before, it never was.
pub struct Export {
    store: Arc<Inner>,
    key: String,
    existing: Existing,
    writer: String,
    /// Bytes of a part.
    part: u64,
    gathered: Vec<Bytes>,
    /// Bytes of what is gathered.
    bytes: u64,
    upload: Option<Upload>,
    /// The number of the last part that was begun.
    begun: i32,
    sending: JoinSet<Result<CompletedPart, Failure>>,
    sent: Vec<CompletedPart>,
}

impl S3Store {
    /// Begins an object of `size` bytes under `key` of the bucket, whatever the store's own prefix is.
    ///
    /// # Errors
    /// S3 takes no such key or size, or the key is taken and `replace` is not said. That is asked before anything is sent, and again,
    /// by the server, when the object is finished.
    pub async fn export(&self, key: &str, size: u64, replace: bool) -> Result<Export, ExportError> {
        if key.is_empty() || key.len() > LONGEST_KEY || key.chars().any(char::is_control) {
            return Err(ExportError::Unfit("a key has 1 to 1024 bytes and no control characters"));
        }
        if size > LARGEST {
            return Err(ExportError::Unfit("S3 holds no object of more than 5 TiB"));
        }
        let export = Export {
            store: Arc::clone(&self.inner),
            key: key.to_owned(),
            existing: if replace { Existing::Replace } else { Existing::Keep },
            writer: Uuid::new_v4().simple().to_string(),
            part: PART.max(size.div_ceil(MOST_PARTS)),
            gathered: Vec::new(),
            bytes: 0,
            upload: None,
            begun: 0,
            sending: JoinSet::new(),
            sent: Vec::new(),
        };
        let is_taken = !replace && export.writer_of_what_is_there().await.map_err(|e| export.failed(e))?.is_some();
        if is_taken { Err(ExportError::Exists(export.place())) } else { Ok(export) }
    }
}

impl Export {
    /// Takes the next bytes; waits while enough are on their way.
    ///
    /// # Errors
    /// A part before them was not taken.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), ExportError> {
        while !bytes.is_empty() {
            // A full part waits for the byte after it: what is no larger than one part needs no parts.
            if self.bytes == self.part {
                self.send().await.map_err(|failure| self.failed(failure))?;
            }
            let room = usize::try_from(self.part - self.bytes).unwrap_or(usize::MAX);
            let piece = bytes.split_to(bytes.len().min(room));
            self.bytes += piece.len() as u64;
            self.gathered.push(piece);
        }
        Ok(())
    }

    /// Makes what was written an object, which is durable when this returns.
    ///
    /// # Errors
    /// It was not taken, or the name was taken by another meanwhile.
    pub async fn finish(mut self) -> Result<(), ExportError> {
        let finished = if self.upload.is_some() { self.complete().await } else { self.put().await };
        let Err(failure) = finished else { return Ok(()) };
        // It is there nevertheless, if the answer to an earlier attempt got lost.
        let is_told_apart = matches!(failure.kind, Kind::Condition | Kind::NoUpload);
        if is_told_apart && self.writer_of_what_is_there().await.ok().flatten().as_ref() == Some(&self.writer) {
            self.upload.iter_mut().for_each(Upload::completed);
            return Ok(());
        }
        let error = self.failed(failure);
        self.give_up().await;
        Err(error)
    }

    /// Takes back what was begun, and waits until it is. Dropped alone, that goes on behind, if the process does.
    pub async fn give_up(mut self) {
        self.sending.shutdown().await;
        if let Some(upload) = self.upload.take() {
            upload.abort().await;
        }
    }

    /// Begins to send what is gathered as a part, once not too many are on their way.
    async fn send(&mut self) -> Result<(), Failure> {
        if self.upload.is_none() {
            self.upload = Some(Upload::begin(&self.store, self.key.clone(), &self.writer).await?);
        }
        while self.sending.len() >= AT_ONCE {
            self.sent.extend(next(&mut self.sending).await?);
        }
        let Some(upload) = &self.upload else { return Ok(()) };
        self.begun += 1;
        self.bytes = 0;
        let content = Content::new(mem::take(&mut self.gathered));
        let (store, key, id, number) = (Arc::clone(&self.store), self.key.clone(), upload.id().to_owned(), self.begun);
        self.sending.spawn(async move { send_part(&store, &key, &id, content, number).await });
        Ok(())
    }

    async fn complete(&mut self) -> Result<(), Failure> {
        self.send().await?;
        while let Some(sent) = next(&mut self.sending).await? {
            self.sent.push(sent);
        }
        self.sent.sort_by_key(CompletedPart::part_number);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(mem::take(&mut self.sent))).build();
        let Some(upload) = &mut self.upload else { return Ok(()) };
        upload.complete(parts, self.existing).await?;
        upload.completed();
        Ok(())
    }

    async fn put(&mut self) -> Result<(), Failure> {
        let content = Content::new(mem::take(&mut self.gathered));
        self.store.put_key(&self.key, &content, self.existing, &self.writer).await
    }

    /// Which call wrote the object that has the key, `Some` and empty where it does not say.
    async fn writer_of_what_is_there(&self) -> Result<Option<String>, Failure> {
        let Inner { client, bucket, .. } = &*self.store;
        match client.head_object().bucket(bucket).key(&self.key).send().await {
            Ok(found) => {
                let writer = found.metadata().and_then(|metadata| metadata.get(crate::write::WRITER));
                Ok(Some(writer.cloned().unwrap_or_default()))
            }
            Err(error) => match self.store.failure(&error) {
                failure if failure.kind == Kind::NoObject => Ok(None),
                failure => Err(failure),
            },
        }
    }

    fn place(&self) -> String {
        format!("s3://{}/{}", self.store.bucket, self.key)
    }

    fn failed(&self, failure: Failure) -> ExportError {
        match failure.kind {
            Kind::Condition => ExportError::Exists(self.place()),
            _ => ExportError::Failed { place: self.place(), failure },
        }
    }
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export").field("place", &self.place()).field("parts", &self.begun).finish_non_exhaustive()
    }
}

async fn next(sending: &mut JoinSet<Result<CompletedPart, Failure>>) -> Result<Option<CompletedPart>, Failure> {
    match sending.join_next().await {
        None => Ok(None),
        Some(Ok(sent)) => sent.map(Some),
        Some(Err(_)) => Err(Failure::new(Kind::Unavailable, "sending a part broke off")),
    }
}
