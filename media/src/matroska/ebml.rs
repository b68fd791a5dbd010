//! EBML (RFC 8794): numbers of variable length, element headers, and elements whose bytes are at hand.

use crate::indexer::IndexError;
use std::borrow::Cow;

/// The longest header of an element: an ID of four bytes, a size of eight.
pub(super) const LONGEST_HEADER: usize = 12;

/// The header of an element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    /// Its ID, marker included, as in the specification.
    pub id: u32,
    /// Bytes of the header.
    pub len: usize,
    /// Bytes of the body; none where it is not known and ends with what can't be in it.
    pub size: Option<u64>,
}

/// What a few bytes say about a header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HeaderRead {
    /// All of it.
    Whole(Header),
    /// Fewer bytes than a header has.
    Short,
    /// No ID or no size begins like this.
    Impossible,
}

impl Header {
    /// Reads the header at the start of `bytes`.
    pub fn read(bytes: &[u8]) -> HeaderRead {
        let Some(&first) = bytes.first() else { return HeaderRead::Short };
        let id_len = first.leading_zeros() as usize + 1;
        if id_len > 4 {
            return HeaderRead::Impossible;
        }
        let Some((id, rest)) = bytes.split_at_checked(id_len) else { return HeaderRead::Short };
        match rest.first() {
            None => return HeaderRead::Short,
            Some(0) => return HeaderRead::Impossible,
            Some(_) => {}
        }
        let Some((size, size_len)) = number(rest) else { return HeaderRead::Short };
        let id = id.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
        HeaderRead::Whole(Self { id, len: id_len + size_len, size: (size != unknown(size_len)).then_some(size) })
    }
}

/// The number of `len` bytes that means nothing is known: all of its bits are set.
fn unknown(len: usize) -> u64 {
    (1 << (7 * len)) - 1
}

/// The number at the start of `bytes` and how many bytes it takes; none where it is cut off, or longer than eight bytes.
pub(super) fn number(bytes: &[u8]) -> Option<(u64, usize)> {
    let len = bytes.first()?.leading_zeros() as usize + 1;
    let all = bytes.get(..len).filter(|_| len <= 8)?;
    let value = all.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
    // Without the marker, which is the highest bit that is set.
    Some((value & unknown(len), len))
}

/// The same of a signed number (RFC 9559 §10.3.3): half of the range is below zero.
pub(super) fn signed_number(bytes: &[u8]) -> Option<(i64, usize)> {
    let (value, len) = number(bytes)?;
    let bias = (1_i64 << (7 * len - 1)) - 1;
    Some((value.cast_signed() - bias, len))
}

/// An element whose body is at hand.
#[derive(Clone, Debug)]
pub(super) struct Element<'a> {
    /// Where it is in the tree, as `Tracks/TrackEntry[2]`.
    pub path: Cow<'static, str>,
    /// Where its body begins in the file.
    pub offset: u64,
    pub body: &'a [u8],
}

impl<'a> Element<'a> {
    /// An error about the byte `at` of the body.
    pub fn malformed(&self, at: usize, problem: impl Into<Cow<'static, str>>) -> IndexError {
        let offset = self.offset.saturating_add(at as u64);
        IndexError::Malformed { path: self.path.clone().into_owned(), offset, problem: problem.into() }
    }

    /// What it contains, if it is a master; ends after the first error.
    pub fn children(&self) -> Children<'a, '_> {
        Children { parent: self, at: 0 }
    }
}

/// What a master contains, in order.
pub(super) struct Children<'a, 'e> {
    parent: &'e Element<'a>,
    at: usize,
}

impl<'a, 'e> Iterator for Children<'a, 'e> {
    type Item = Result<Child<'a, 'e>, IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (at, parent) = (self.at, self.parent);
        let rest = parent.body.get(at..).filter(|rest| !rest.is_empty())?;
        self.at = parent.body.len();
        let HeaderRead::Whole(Header { id, len, size }) = Header::read(rest) else {
            return Some(Err(parent.malformed(at, "something that is no element")));
        };
        let body = size.and_then(|size| usize::try_from(size).ok()).and_then(|size| rest[len..].get(..size));
        let Some(body) = body else {
            return Some(Err(parent.malformed(at, format!("element {id:X} is larger than its parent"))));
        };
        self.at = at + len + body.len();
        Some(Ok(Child { parent, id, at: at + len, body }))
    }
}

/// An element that was met in another one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Child<'a, 'e> {
    parent: &'e Element<'a>,
    pub id: u32,
    /// Where its body begins in the parent's.
    at: usize,
    pub body: &'a [u8],
}

impl<'a> Child<'a, '_> {
    /// The child as an element of its own, called `name`.
    pub fn open(&self, name: &str) -> Element<'a> {
        let path = format!("{}/{name}", self.parent.path).into();
        Element { path, offset: self.parent.offset.saturating_add(self.at as u64), body: self.body }
    }

    /// A whole number, big endian; nothing is zero (RFC 8794 §7.2).
    pub fn unsigned(&self) -> Result<u64, IndexError> {
        unsigned(self.body).ok_or_else(|| self.too_long())
    }

    /// A floating point number of four or eight bytes, or none, which is zero (§7.3).
    pub fn float(&self) -> Result<f64, IndexError> {
        match (self.body.len(), self.body.first_chunk(), self.body.first_chunk()) {
            (0, _, _) => Ok(0.0),
            (4, Some(short), _) => Ok(f32::from_be_bytes(*short).into()),
            (8, _, Some(long)) => Ok(f64::from_be_bytes(*long)),
            _ => Err(self.too_long()),
        }
    }

    /// A text up to its first zero (§7.5); what is no text in it is replaced.
    pub fn text(&self) -> String {
        let text = self.body.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }

    fn too_long(&self) -> IndexError {
        self.parent.malformed(self.at, format!("element {:X} is a number of {} bytes", self.id, self.body.len()))
    }
}

/// A whole number of at most eight bytes.
pub(super) fn unsigned(body: &[u8]) -> Option<u64> {
    (body.len() <= 8).then(|| body.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: u64, len: usize) -> Vec<u8> {
        let marked = value | 1 << (7 * len);
        marked.to_be_bytes()[8 - len..].to_vec()
    }

    proptest! {
        #[test]
        fn numbers_come_back(value in 0..1_u64 << 56, more in 0_usize..8, rest: Vec<u8>) {
            let least = (1..=8).find(|len| value < 1 << (7 * len)).unwrap();
            let len = (least + more).min(8);
            let bytes = [written(value, len), rest].concat();
            prop_assert_eq!(number(&bytes), Some((value, len)));
            prop_assert_eq!(number(&bytes[..len - 1]), None);
            let signed = value.cast_signed() - ((1 << (7 * len - 1)) - 1);
            prop_assert_eq!(signed_number(&bytes), Some((signed, len)));
        }

        #[test]
        fn any_bytes_are_a_header_or_none(bytes: Vec<u8>) {
            if let HeaderRead::Whole(header) = Header::read(&bytes) {
                prop_assert!((2..=LONGEST_HEADER).contains(&header.len) && header.len <= bytes.len());
            }
            let element = Element { path: "any".into(), offset: u64::MAX, body: &bytes };
            let all: usize = element.children().filter_map(Result::ok).map(|child| child.body.len() + 2).sum();
            prop_assert!(all <= bytes.len());
        }
    }

    #[test]
    fn headers_of_every_form() {
        let whole = |id, len, size| HeaderRead::Whole(Header { id, len, size });
        assert_eq!(Header::read(&[0xa3, 0x81]), whole(0xa3, 2, Some(1)));
        assert_eq!(Header::read(&[0x1a, 0x45, 0xdf, 0xa3, 0x40, 2]), whole(0x1a45_dfa3, 6, Some(2)));
        assert_eq!(Header::read(&[0xe7, 1, 0, 0, 0, 0, 0, 0, 9]), whole(0xe7, 9, Some(9)));
        assert_eq!(Header::read(&[0xe7, 0xff]), whole(0xe7, 2, None));
        assert_eq!(Header::read(&[0xe7, 1, 255, 255, 255, 255, 255, 255, 255]), whole(0xe7, 9, None));
        assert_eq!(Header::read(&[0x1a, 0x45, 0xdf]), HeaderRead::Short);
        assert_eq!(Header::read(&[0xe7]), HeaderRead::Short);
        assert_eq!(Header::read(&[0xe7, 0x40]), HeaderRead::Short);
        assert_eq!(Header::read(&[0x08, 0x80]), HeaderRead::Impossible);
        assert_eq!(Header::read(&[0xe7, 0]), HeaderRead::Impossible);
    }

    #[test]
    fn a_child_larger_than_its_parent_is_named_with_its_place() {
        let element = Element { path: "Info".into(), offset: 100, body: &[0xec, 0x81, 7, 0x2a, 0xd7, 0xb1, 0x84, 1] };
        let found: Vec<_> = element.children().collect();
        assert_eq!(found[0].as_ref().unwrap().unsigned(), Ok(7));
        let error = found[1].as_ref().unwrap_err().to_string();
        assert_eq!(error, "damaged file: Info at byte 103: element 2AD7B1 is larger than its parent");
    }
}
