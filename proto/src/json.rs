//! The proto3 JSON mapping of any message of the contract: lowerCamelCase, 64-bit integers as strings, enums by name,
//! default values printed (<https://protobuf.dev/programming-guides/json/>).

use crate::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use std::sync::LazyLock;

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the build script encoded it"));

/// JSON of `message`, whose full name is `vidstream.v1.{name}`, on one line.
pub fn to_string<M: Message>(name: &str, message: &M) -> String {
    to_value(name, message).to_string()
}

/// JSON of `message`, whose full name is `vidstream.v1.{name}`.
pub fn to_value<M: Message>(name: &str, message: &M) -> serde_json::Value {
    let descriptor = POOL.get_message_by_name(&format!("vidstream.v1.{name}")).expect("a message of the contract");
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).expect("same schema");
    let options = SerializeOptions::new().skip_default_fields(false).stringify_64_bit_integers(true);
    dynamic.serialize_with_options(serde_json::value::Serializer, &options).expect("maps to JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb;

    #[test]
    fn maps_as_proto3_says() {
        let video = pb::Video {
            id: "x".into(),
            state: pb::VideoState::Ready.into(),
            revision: 7,
            create_time: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
            ..Default::default()
        };
        let json = to_value("Video", &video);
        assert_eq!(json["state"], "VIDEO_STATE_READY");
        assert_eq!(json["revision"], "7");
        assert_eq!(json["createTime"], "1970-01-01T00:00:00Z");
        assert_eq!(json["fileName"], "");
        assert_eq!(json["tags"], serde_json::json!([]));
    }
}
