//! Where an original goes.

use crate::errors::Failure;
use crate::part::Part;
use bytes::Bytes;
use std::io::{self, Write};
use vidstream_proto::error::Exit;
use vidstream_s3::{Export, ExportError};

/// Takes the bytes of an original, one after the other.
pub enum Target {
    /// Whoever reads stdout: what was written can't be taken back.
    Stdout,
    /// A file of this machine, continued by a later run.
    File(Part),
    /// An object on S3, which is there when all of it is or never.
    Object(Box<Export>),
}

impl Target {
    /// Begins anew: what came before is of something else. `has_some` says whether anything came.
    pub fn restart(&mut self, etag: Option<&str>, has_some: bool) -> Result<(), Failure> {
        match self {
            Self::File(part) => part.restart(etag),
            Self::Stdout | Self::Object(_) if has_some => {
                Err(Failure::failed("the connection was lost and can't be resumed"))
            }
            Self::Stdout | Self::Object(_) => Ok(()),
        }
    }

    /// Takes the next bytes.
    pub async fn append(&mut self, bytes: Bytes) -> Result<(), Failure> {
        match self {
            Self::Stdout => io::stdout().write_all(&bytes).map_err(|error| Failure::stdout(&error)),
            Self::File(part) => part.append(&bytes),
            Self::Object(export) => export.write(bytes).await.map_err(failed),
        }
    }

    /// All bytes came, and they are the right ones.
    pub async fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Stdout => io::stdout().flush().map_err(|error| Failure::stdout(&error)),
            Self::File(part) => part.finish(),
            Self::Object(export) => export.finish().await.map_err(failed),
        }
    }

    /// Other bytes came than should have; `what` says so.
    pub async fn discard(self, what: String) -> Failure {
        let failure = Failure::failed(what);
        match self {
            Self::Stdout => failure,
            Self::File(part) => match part.discard() {
                Ok(()) => failure.hint("it was thrown away; the same command starts again"),
                Err(error) => error,
            },
            Self::Object(export) => {
                export.give_up().await;
                failure.hint("no object was made; the same command starts again")
            }
        }
    }

    /// No more comes. A file is continued another time, and of an object nothing is left.
    pub async fn give_up(self) {
        if let Self::Object(export) = self {
            export.give_up().await;
        }
    }
}

/// Why an object did not come to be.
pub fn failed(error: ExportError) -> Failure {
    let words = error.to_string();
    match error {
        ExportError::Unfit(_) => Failure::new(Exit::Usage, words),
        ExportError::Exists(_) => Failure::failed(words).hint("`--replace` writes over it"),
        ExportError::Failed { .. } => Failure::failed(words),
    }
}
