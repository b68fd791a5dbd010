//! Identifiers: UUIDs that can't be taken for one another.

use crate::error::{Problem, Reason};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(Uuid);

        impl $name {
            /// A new one, sortable by time of creation (UUID version 7, RFC 9562 §5.7).
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// From its 128 bits.
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// From bits of a hash (UUID version 8, RFC 9562 §5.8).
            pub fn of_hash(bits: [u8; 16]) -> Self {
                Self(uuid::Builder::from_custom_bytes(bits).into_uuid())
            }

            /// Its 128 bits.
            pub fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Problem;

            /// Only the canonical form: an id has one name, so that it is one key everywhere.
            fn from_str(text: &str) -> Result<Self, Problem> {
                let id = Uuid::try_parse(text).map(Self).ok().filter(|id| id.to_string() == text);
                id.ok_or_else(|| {
                    let seen: String = text.chars().take(60).collect();
                    Problem::new(Reason::InvalidArgument, format!("`{seen}` is not the id of {}", $what))
                })
            }
        }
    };
}

id!(
    /// A video.
    VideoId,
    "a video"
);
id!(
    /// A source.
    SourceId,
    "a source"
);
id!(
    /// An upload.
    UploadId,
    "an upload"
);
id!(
    /// Whoever watches, as far as anybody knows: a random number that a player keeps.
    ViewerId,
    "a viewer"
);
id!(
    /// Captions of a video; what it stands for never changes.
    CaptionsId,
    "captions"
);
id!(
    /// A request made by a client; a repeat gets the first answer.
    RequestId,
    "a request"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = VideoId::generate();
        assert_eq!(id.to_string().parse::<VideoId>().expect("canonical"), id);
        assert!(id.to_string().to_uppercase().parse::<VideoId>().is_err());
        assert!(id.as_uuid().simple().to_string().parse::<VideoId>().is_err());
        assert!("../../etc/passwd".parse::<VideoId>().is_err());
    }
}
