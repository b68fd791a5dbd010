//! The contract: messages and services of `vidstream.v1`, and strict typed mirrors of what crosses a boundary.
//!
//! [`pb`] is what the wire carries. Receivers turn it into the typed mirrors (`TryFrom`, which names the wrong field);
//! senders turn mirrors into messages (`From`, which cannot fail). This crate knows nothing of any backend.

pub mod captions;
pub mod error;
pub mod field;
pub mod finding;
pub mod ids;
pub mod job;
pub mod json;
pub mod ranges;
pub mod segments;
pub mod source;
pub mod time;
pub mod upload;
pub mod video;
pub mod watched;

/// Generated messages, clients and servers.
#[expect(clippy::pedantic, clippy::large_enum_variant, reason = "generated code; its docs are the contract's comments")]
pub mod pb {
    tonic::include_proto!("vidstream.v1");
}

/// Descriptors of every message and service with their imports, for reflection and JSON.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/vidstream.v1.bin"));
