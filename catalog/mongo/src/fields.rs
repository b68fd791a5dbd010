//! Fields of documents. Ids are UUIDs, times nanoseconds since 1970, rows the contract's messages as bytes.

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, Timestamp};
use uuid::Uuid;
use vidstream_catalog::store::{Result, StoreError, rows};

/// An id as a field.
pub fn uuid(id: Uuid) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: id.as_bytes().to_vec() })
}

/// Bytes as a field.
pub fn blob(bytes: impl Into<Vec<u8>>) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.into() })
}

/// Fields of one document of a kind.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    what: &'static str,
    document: &'a Document,
}

impl<'a> Fields<'a> {
    /// Those of `document`; `what` it is, for errors.
    pub fn of(what: &'static str, document: &'a Document) -> Self {
        Self { what, document }
    }

    fn wrong(&self, name: &str) -> StoreError {
        rows::corrupt(self.what, format!("its field `{name}` is missing or of another type"))
    }

    fn given(&self, name: &str) -> Option<&'a Bson> {
        self.document.get(name).filter(|value| !matches!(value, Bson::Null))
    }

    pub fn has(&self, name: &str) -> bool {
        self.given(name).is_some()
    }

    pub fn blob(&self, name: &str) -> Result<&'a [u8]> {
        match self.given(name) {
            Some(Bson::Binary(binary)) => Ok(&binary.bytes),
            _ => Err(self.wrong(name)),
        }
    }

    pub fn uuid(&self, name: &str) -> Result<Uuid> {
        Uuid::from_slice(self.blob(name)?).map_err(|_| self.wrong(name))
    }

    pub fn int(&self, name: &str) -> Result<i64> {
        match self.given(name) {
            Some(Bson::Int64(number)) => Ok(*number),
            Some(Bson::Int32(number)) => Ok(i64::from(*number)),
            _ => Err(self.wrong(name)),
        }
    }

    pub fn number(&self, name: &str) -> Result<u32> {
        u32::try_from(self.int(name)?).map_err(|_| self.wrong(name))
    }

    pub fn text(&self, name: &str) -> Result<&'a str> {
        match self.given(name) {
            Some(Bson::String(text)) => Ok(text),
            _ => Err(self.wrong(name)),
        }
    }

    /// A flag that is left out where it is not set.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.given(name), Some(Bson::Boolean(true)))
    }

    pub fn timestamp(&self, name: &str) -> Result<Timestamp> {
        match self.given(name) {
            Some(Bson::Timestamp(time)) => Ok(*time),
            _ => Err(self.wrong(name)),
        }
    }
}
