//! What the contract says about each rpc.

use prost::Message;
use prost_types::method_options::IdempotencyLevel;
use prost_types::{FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, MethodOptions};
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use vidstream_proto::FILE_DESCRIPTOR_SET;

/// What a caller may do with an rpc.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rpc {
    /// Either side sends a stream.
    pub(crate) streams: bool,
    /// It only reads.
    pub(crate) reads: bool,
    /// Calling it twice is as good as once: by its option, or because its request carries a `request_id`.
    pub(crate) repeatable: bool,
}

static RPCS: LazyLock<HashMap<String, Rpc>> = LazyLock::new(|| {
    // A build would have refused descriptors that can't be read; without them nothing is repeated.
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap_or_default();
    let identified: HashSet<String> = set.file.iter().flat_map(identified).collect();
    let mut rpcs = HashMap::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                rpcs.insert(path, rpc(method, &identified));
            }
        }
    }
    rpcs
});

/// The rpc at a request's path; none if the contract has none.
pub(crate) fn rpc_at(path: &str) -> Option<Rpc> {
    RPCS.get(path).copied()
}

/// The full names of a file's messages that carry a `request_id`, with a dot before, as methods name them.
fn identified(file: &FileDescriptorProto) -> impl Iterator<Item = String> {
    let carry = file.message_type.iter().filter(|it| it.field.iter().any(|field| field.name() == "request_id"));
    carry.map(|message| format!(".{}.{}", file.package(), message.name()))
}

fn rpc(method: &MethodDescriptorProto, identified: &HashSet<String>) -> Rpc {
    let level = method.options.as_ref().map(MethodOptions::idempotency_level);
    let level = level.unwrap_or(IdempotencyLevel::IdempotencyUnknown);
    Rpc {
        streams: method.client_streaming() || method.server_streaming(),
        reads: level == IdempotencyLevel::NoSideEffects,
        repeatable: level != IdempotencyLevel::IdempotencyUnknown || identified.contains(method.input_type()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_taking_a_job_is_not_repeatable() {
        let of = |service: &str| {
            let path = format!("/vidstream.v1.{service}/");
            RPCS.iter().filter(move |(rpc, _)| rpc.starts_with(&path)).collect::<Vec<_>>()
        };
        assert_eq!((of("CatalogService").len(), of("TranscoderService").len()), (26, 3));
        let calls = of("CatalogService").into_iter().filter(|(_, rpc)| !rpc.streams);
        let once: Vec<_> = calls.filter(|(_, rpc)| !rpc.repeatable).map(|(path, _)| path.as_str()).collect();
        assert_eq!(once, ["/vidstream.v1.CatalogService/TakeJob"]);
        let rpc = |name: &str| rpc_at(&format!("/vidstream.v1.CatalogService/{name}")).expect("it is there");
        assert_eq!(rpc("GetEntry"), Rpc { streams: false, reads: true, repeatable: true });
        assert_eq!(rpc("CreateSource"), Rpc { streams: false, reads: false, repeatable: true });
        assert_eq!(rpc("WatchSource"), Rpc { streams: true, reads: true, repeatable: true });
        assert_eq!(rpc_at("/vidstream.v1.CatalogService/Nothing"), None);
    }
}
