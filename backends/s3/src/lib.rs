//! The object store on S3 and whatever speaks its protocol.
