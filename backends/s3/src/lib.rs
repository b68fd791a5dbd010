//! The object store on S3 and whatever speaks its protocol.
//!
//! Paths have the bucket (`http://HOST/BUCKET/KEY`), and of the protocol only that is used which many servers have: PUT with
//! `If-None-Match`, GET with ranges, HEAD, DELETE, `ListObjectsV2`; `DeleteObjects` where it works; multipart uploads above 64 MiB.
//! Checksums go with a request only where the protocol wants them: many servers refuse them otherwise, and what is stored is checked by
//! sums of ours.
//!
//! A killed writer leaves nothing that can be seen. Of an upload in parts it may leave parts: give the bucket a lifecycle rule that
//! aborts incomplete uploads after a day (`MinIO` does so by itself).

mod body;
mod clock;
mod connect;
mod credentials;
mod export;
mod failure;
mod list;
mod multipart;
mod read;
mod store;
mod write;

pub use self::{
    connect::OpenError,
    export::{Export, ExportError},
    failure::{Failure, Kind},
    store::{Patience, S3Store},
};
