//! Fields of the stored form.

use super::StoredIndexError;
use crate::samples::varint;

const CHECKSUM: usize = 4;

/// Writes fields one after the other.
#[derive(Default)]
pub(super) struct Output(Vec<u8>);

impl Output {
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub fn number(&mut self, value: u64) {
        varint::put(&mut self.0, value);
    }

    pub fn signed(&mut self, value: i64) {
        varint::put_signed(&mut self.0, value);
    }

    pub fn bytes(&mut self, value: &[u8]) {
        self.number(value.len() as u64);
        self.raw(value);
    }

    pub fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    pub fn optional<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T)) {
        self.byte(value.is_some().into());
        if let Some(value) = value {
            put(self, value);
        }
    }

    pub fn with(&mut self, put: impl FnOnce(&mut Vec<u8>)) {
        put(&mut self.0);
    }

    /// All fields and their checksum.
    pub fn finish(mut self) -> Vec<u8> {
        let sum = crc32c::crc32c(&self.0);
        self.raw(&sum.to_le_bytes());
        self.0
    }
}

/// Reads fields one after the other.
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// The fields from byte `start` of `stored` on, whose checksum is right.
    pub fn checked(stored: &'a [u8], start: usize) -> Result<Self, StoredIndexError> {
        let (body, sum) = stored.split_last_chunk::<CHECKSUM>().ok_or(StoredIndexError::Damaged("it is cut off"))?;
        if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
            return Err(StoredIndexError::Damaged("its checksum is another"));
        }
        Ok(Self(body.get(start..).unwrap_or_default()))
    }

    pub fn byte(&mut self) -> Result<u8, StoredIndexError> {
        let (&byte, rest) = self.0.split_first().ok_or(StoredIndexError::Damaged("a byte"))?;
        self.0 = rest;
        Ok(byte)
    }

    pub fn flag(&mut self) -> Result<bool, StoredIndexError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(StoredIndexError::Damaged("a flag")),
        }
    }

    pub fn number(&mut self) -> Result<u64, StoredIndexError> {
        varint::take(&mut self.0).ok_or(StoredIndexError::Damaged("a number"))
    }

    /// A number that fits a smaller type.
    pub fn narrow<T: TryFrom<u64>>(&mut self) -> Result<T, StoredIndexError> {
        T::try_from(self.number()?).map_err(|_| StoredIndexError::Damaged("a number"))
    }

    pub fn signed(&mut self) -> Result<i64, StoredIndexError> {
        varint::take_signed(&mut self.0).ok_or(StoredIndexError::Damaged("a number"))
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], StoredIndexError> {
        let len: usize = self.narrow()?;
        self.0.split_off(..len).ok_or(StoredIndexError::Damaged("a length"))
    }

    pub fn text(&mut self) -> Result<String, StoredIndexError> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| StoredIndexError::Damaged("a text"))
    }

    pub fn optional<T>(
        &mut self,
        take: impl FnOnce(&mut Self) -> Result<T, StoredIndexError>,
    ) -> Result<Option<T>, StoredIndexError> {
        if self.flag()? { take(self).map(Some) } else { Ok(None) }
    }

    /// A count and as many of what `take` takes.
    pub fn list<T>(
        &mut self,
        mut take: impl FnMut(&mut Self) -> Result<T, StoredIndexError>,
    ) -> Result<Vec<T>, StoredIndexError> {
        let count = self.number()?;
        // Nothing is allocated for a count that may lie.
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(take(self)?);
        }
        Ok(all)
    }

    pub fn with<T>(
        &mut self,
        take: impl FnOnce(&mut &'a [u8]) -> Result<T, &'static str>,
    ) -> Result<T, StoredIndexError> {
        take(&mut self.0).map_err(StoredIndexError::Damaged)
    }

    /// Nothing may follow.
    pub fn end(self) -> Result<(), StoredIndexError> {
        if self.0.is_empty() { Ok(()) } else { Err(StoredIndexError::Damaged("bytes behind its end")) }
    }
}
