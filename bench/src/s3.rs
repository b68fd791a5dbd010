//! `MinIO` on this machine, and a plain client of S3.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Config, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use vidstream_test_servers::{Kind, PASSWORD, Server, USER};

const BUCKET: &str = "bench";
/// Bytes of a part: our cell.
const PART: u64 = 8 << 20;
/// Parts on their way at once: as many as a gateway stores cells.
const PARALLEL: usize = 3;

/// A server with a bucket.
pub struct Minio {
    server: Server,
}

impl Minio {
    /// A new one, with nothing in it.
    pub async fn start() -> Self {
        let server = Server::start(Kind::Minio).await;
        server.make_bucket(BUCKET).await;
        Self { server }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.server.url()
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.server.id()
    }
}

/// `--objects` of a gateway whose store is reached at `endpoint`.
pub fn objects(endpoint: &str, prefix: &str) -> String {
    format!("s3://{USER}:{PASSWORD}@{BUCKET}/{prefix}?region=us-east-1&endpoint={endpoint}")
}

/// The SDK as anybody would use it.
#[derive(Clone)]
pub struct Plain {
    client: Client,
}

impl Plain {
    /// A client of the store at `endpoint`.
    pub fn at(endpoint: &str) -> Self {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::new(USER, PASSWORD, None, None, "bench"))
            .region(Region::new("us-east-1"))
            .endpoint_url(endpoint)
            .force_path_style(true)
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Self { client: Client::from_conf(config) }
    }

    /// Puts a file as one object of parts.
    pub async fn put_file(&self, file: &Path, key: &str) {
        let begun = self.client.create_multipart_upload().bucket(BUCKET).key(key).send().await.expect("begun");
        let id: Arc<str> = begun.upload_id().expect("an id").into();
        let size = std::fs::metadata(file).expect("a file").len();
        let (source, next) = (Arc::new(File::open(file).expect("readable")), Arc::new(AtomicU64::new(0)));
        let mut tasks = Vec::new();
        for _ in 0..PARALLEL {
            let (plain, key, id) = (self.clone(), key.to_owned(), Arc::clone(&id));
            let (source, next) = (Arc::clone(&source), Arc::clone(&next));
            tasks.push(tokio::spawn(async move { plain.put_parts(&key, &id, &source, &next, size).await }));
        }
        let mut parts = Vec::new();
        for task in tasks {
            parts.extend(task.await.expect("no panic"));
        }
        parts.sort_by_key(CompletedPart::part_number);
        let all = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = self.client.complete_multipart_upload().bucket(BUCKET).key(key).upload_id(&*id);
        complete.multipart_upload(all).send().await.expect("complete");
    }

    async fn put_parts(
        &self,
        key: &str,
        id: &str,
        source: &Arc<File>,
        next: &AtomicU64,
        size: u64,
    ) -> Vec<CompletedPart> {
        let mut parts = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let offset = number * PART;
            if offset >= size {
                return parts;
            }
            let (source, length) = (Arc::clone(source), usize::try_from(PART.min(size - offset)).expect("fits"));
            let read = tokio::task::spawn_blocking(move || {
                let mut bytes = vec![0; length];
                source.read_exact_at(&mut bytes, offset).expect("readable");
                bytes
            });
            let number = i32::try_from(number + 1).expect("few parts");
            let part = self.client.upload_part().bucket(BUCKET).key(key).upload_id(id).part_number(number);
            let sent = part.body(read.await.expect("read").into()).send().await.expect("sent");
            parts.push(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build());
        }
    }

    /// Puts an object in one request.
    pub async fn put(&self, key: &str, bytes: Vec<u8>) {
        self.client.put_object().bucket(BUCKET).key(key).body(bytes.into()).send().await.expect("stored");
    }

    /// Path and query by which anybody reads an object.
    pub async fn path_of(&self, key: &str) -> String {
        let until = PresigningConfig::expires_in(Duration::from_hours(1)).expect("an hour");
        let signed = self.client.get_object().bucket(BUCKET).key(key).presigned(until).await.expect("signed");
        let address = signed.uri().to_owned();
        let from = address.match_indices('/').nth(2).expect("a path").0;
        address[from..].to_owned()
    }

    /// Removes an object.
    pub async fn delete(&self, key: &str) {
        self.client.delete_object().bucket(BUCKET).key(key).send().await.expect("removed");
    }
}
