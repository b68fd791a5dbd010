//! Boxes (ISO/IEC 14496-12 §4.2; `QuickTime` calls them atoms): headers, children, fields, with errors that say where.

use super::columns::Column;
use super::sieve::Sieved;
use crate::indexer::IndexError;
use std::borrow::Cow;
use std::fmt;

/// A box type or another code of four bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FourCc(pub [u8; 4]);

impl FourCc {
    /// Whether every byte is a printable Latin-1 character, as in every registered code (`QuickTime`'s begin with `©`).
    pub fn is_plausible(self) -> bool {
        self.0.iter().all(|&b| matches!(b, 0x20..=0x7e | 0xa9))
    }
}

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in &self.0 {
            match byte {
                0x20..=0x7e => write!(f, "{}", char::from(byte))?,
                0xa9 => f.write_str("©")?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The first 8 or 16 bytes of a box.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BoxHeader {
    /// Its type.
    pub kind: FourCc,
    /// Bytes of the header itself.
    pub header: u64,
    /// Bytes of the whole box, header included; none: it reaches to the end of what contains it.
    pub size: Option<u64>,
}

/// What a few bytes say about a box header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HeaderRead {
    /// All of it.
    Whole(BoxHeader),
    /// Fewer bytes than a header has.
    Short,
    /// A size smaller than the header itself.
    Impossible(FourCc),
}

impl BoxHeader {
    /// Reads the header at the start of `bytes`.
    pub fn read(bytes: &[u8]) -> HeaderRead {
        let Some((size, rest)) = bytes.split_first_chunk() else { return HeaderRead::Short };
        let Some((kind, rest)) = rest.split_first_chunk() else { return HeaderRead::Short };
        let kind = FourCc(*kind);
        let (header, size) = match u32::from_be_bytes(*size) {
            0 => (8, None),
            1 => match rest.first_chunk() {
                Some(large) => (16, Some(u64::from_be_bytes(*large))),
                None => return HeaderRead::Short,
            },
            size => (8, Some(u64::from(size))),
        };
        if size.is_some_and(|size| size < header) {
            return HeaderRead::Impossible(kind);
        }
        HeaderRead::Whole(Self { kind, header, size })
    }
}

/// A box whose bytes are at hand.
#[derive(Clone, Debug)]
pub(crate) struct Node<'a> {
    /// Where it is in the tree of boxes.
    pub path: String,
    /// Offset of `body` in the file, or in what was kept of it.
    pub offset: u64,
    /// The bytes after the header.
    pub body: &'a [u8],
    /// What was kept of a `moov`, and where it begins in the file; none where all of it is here.
    pub sieved: Option<(&'a Sieved, u64)>,
}

impl<'a> Node<'a> {
    /// An error about the byte `at` of this box's body.
    pub fn malformed(&self, at: usize, problem: impl Into<Cow<'static, str>>) -> IndexError {
        let offset = self.in_file(self.offset.saturating_add(at as u64));
        IndexError::Malformed { path: self.path.clone(), offset, problem: problem.into() }
    }

    /// An error about a row of this table, whose rows begin `fields` bytes from the beginning of its body, `at` bytes before
    /// the row.
    pub fn malformed_row(&self, fields: usize, at: usize, problem: impl Into<Cow<'static, str>>) -> IndexError {
        let offset = self.in_file(self.offset).saturating_add((fields + at) as u64);
        IndexError::Malformed { path: self.path.clone(), offset, problem: problem.into() }
    }

    fn in_file(&self, offset: u64) -> u64 {
        let Some((sieved, start)) = self.sieved else { return offset };
        start.saturating_add(offset).saturating_add(sieved.left_out(offset))
    }

    /// The rows of this sample table, of which it counts `count`, `fields` bytes from the beginning of its body.
    pub fn table(&self, fields: usize, count: u64) -> Result<&'a Column, IndexError> {
        let table = self.sieved.and_then(|(sieved, _)| sieved.table(self.offset));
        let table = table.ok_or_else(|| self.malformed(fields, "the box is too short"))?;
        if count > table.room {
            let problem = format!("claims {count} entries and has room for {}", table.room);
            return Err(self.malformed_row(fields, 0, problem));
        }
        Ok(&table.column)
    }

    /// An error about more `unit` than `limit`.
    pub fn over_limit(&self, found: u64, limit: u64, unit: &'static str) -> IndexError {
        IndexError::OverLimit { path: self.path.clone(), offset: self.in_file(self.offset), found, limit, unit }
    }

    /// The children that begin at byte `start` of the body.
    ///
    /// Fewer than eight bytes after the last child are ignored: `QuickTime` ends some lists with a zero of 32 bits.
    pub fn children_from(&self, start: usize) -> Children<'a, '_> {
        Children { parent: self, at: start.min(self.body.len()) }
    }

    /// The children of a plain container.
    pub fn children(&self) -> Children<'a, '_> {
        self.children_from(0)
    }

    /// The first child of type `kind`.
    pub fn find(&self, kind: [u8; 4]) -> Result<Option<Node<'a>>, IndexError> {
        for child in self.children() {
            let child = child?;
            if child.kind == FourCc(kind) {
                return Ok(Some(child.open(self)));
            }
        }
        Ok(None)
    }

    /// The first child of type `kind`, which the specification demands.
    pub fn require(&self, kind: [u8; 4]) -> Result<Node<'a>, IndexError> {
        self.find(kind)?.ok_or_else(|| self.malformed(0, format!("has no {} box", FourCc(kind))))
    }

    /// Its fields from the first byte.
    pub fn fields(&self) -> Fields<'a, '_> {
        Fields { node: self, at: 0 }
    }

    /// Version and flags of a full box, and the fields after them.
    pub fn full(&self) -> Result<(u8, u32, Fields<'a, '_>), IndexError> {
        let mut fields = self.fields();
        let [version, flags @ ..] = fields.array::<4>()?;
        Ok((version, u32::from_be_bytes([0, flags[0], flags[1], flags[2]]), fields))
    }
}

/// A child that was met, its path not yet made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Child<'a> {
    /// Its type.
    pub kind: FourCc,
    /// Offset of its body in the parent's body.
    start: usize,
    /// The bytes after its header.
    pub body: &'a [u8],
}

impl<'a> Child<'a> {
    /// The child as a node of its own.
    pub fn open(self, parent: &Node<'a>) -> Node<'a> {
        self.open_as(parent, &self.kind.to_string())
    }

    /// The same with a name of its own in paths, such as `trak[2]`.
    pub fn open_as(self, parent: &Node<'a>, name: &str) -> Node<'a> {
        let path = format!("{}/{name}", parent.path);
        let offset = parent.offset.saturating_add(self.start as u64);
        Node { path, offset, body: self.body, sieved: parent.sieved }
    }
}

/// The children of a box, in order; ends after the first error.
pub(crate) struct Children<'a, 'n> {
    parent: &'n Node<'a>,
    at: usize,
}

impl<'a> Iterator for Children<'a, '_> {
    type Item = Result<Child<'a>, IndexError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (at, body) = (self.at, self.parent.body);
        let rest = &body[at..];
        if rest.len() < 8 {
            return None;
        }
        self.at = body.len();
        let header = match BoxHeader::read(rest) {
            HeaderRead::Whole(header) => header,
            HeaderRead::Short => return Some(Err(self.parent.malformed(at, "a box header is cut off"))),
            HeaderRead::Impossible(kind) => {
                return Some(Err(self.parent.malformed(at, format!("box {kind} is smaller than its own header"))));
            }
        };
        let size = match header.size.map_or(Some(rest.len()), |size| usize::try_from(size).ok()) {
            Some(size) if size <= rest.len() => size,
            _ => return Some(Err(self.parent.malformed(at, format!("box {} is larger than its parent", header.kind)))),
        };
        // Bounded by `size`, which is at least the header: neither can overflow.
        let header_len = if header.header == 16 { 16 } else { 8 };
        self.at = at + size;
        Some(Ok(Child { kind: header.kind, start: at + header_len, body: &rest[header_len..size] }))
    }
}

/// Fields of a box, read in order.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a, 'n> {
    node: &'n Node<'a>,
    at: usize,
}

impl<'a> Fields<'a, '_> {
    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], IndexError> {
        let Some(bytes) = self.node.body.get(self.at..).and_then(|rest| rest.first_chunk()) else {
            return Err(self.node.malformed(self.at, "the box is too short"));
        };
        self.at += N;
        Ok(*bytes)
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], IndexError> {
        let Some(bytes) = self.node.body.get(self.at..).and_then(|rest| rest.get(..count)) else {
            return Err(self.node.malformed(self.at, "the box is too short"));
        };
        self.at += count;
        Ok(bytes)
    }

    /// Passes over `count` bytes.
    pub fn skip(&mut self, count: usize) -> Result<(), IndexError> {
        self.bytes(count).map(|_| ())
    }

    /// All bytes that are left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = self.node.body.get(self.at..).unwrap_or_default();
        self.at = self.node.body.len();
        rest
    }

    /// An unsigned byte.
    pub fn u8(&mut self) -> Result<u8, IndexError> {
        self.array().map(u8::from_be_bytes)
    }

    /// An unsigned number of 16 bits.
    pub fn u16(&mut self) -> Result<u16, IndexError> {
        self.array().map(u16::from_be_bytes)
    }

    /// An unsigned number of 32 bits.
    pub fn u32(&mut self) -> Result<u32, IndexError> {
        self.array().map(u32::from_be_bytes)
    }

    /// An unsigned number of 64 bits.
    pub fn u64(&mut self) -> Result<u64, IndexError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A signed number of 32 bits.
    pub fn i32(&mut self) -> Result<i32, IndexError> {
        self.array().map(i32::from_be_bytes)
    }

    /// A table of `count` entries of `N` bytes, none of which is trusted to be there.
    pub fn table<const N: usize>(&mut self, count: u32) -> Result<&'a [[u8; N]], IndexError> {
        let (entries, _) = self.node.body.get(self.at..).unwrap_or_default().as_chunks::<N>();
        let count = count as usize;
        let Some(entries) = entries.get(..count) else {
            let problem = format!("claims {count} entries and has room for {}", entries.len());
            return Err(self.node.malformed(self.at, problem));
        };
        self.at += count * N;
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(body: &[u8]) -> Node<'_> {
        Node { path: "moov".into(), offset: 100, body, sieved: None }
    }

    #[test]
    fn headers_of_every_form() {
        let whole = |kind: &[u8; 4], header, size| HeaderRead::Whole(BoxHeader { kind: FourCc(*kind), header, size });
        assert_eq!(BoxHeader::read(b"\0\0\0\x10ftyp"), whole(b"ftyp", 8, Some(16)));
        assert_eq!(BoxHeader::read(b"\0\0\0\0mdat"), whole(b"mdat", 8, None));
        assert_eq!(BoxHeader::read(b"\0\0\0\x01mdat\0\0\0\x01\0\0\0\0"), whole(b"mdat", 16, Some(1 << 32)));
        assert_eq!(BoxHeader::read(b"\0\0\0\x01mdat\0\0\0"), HeaderRead::Short);
        assert_eq!(BoxHeader::read(b"\0\0\0\x08mda"), HeaderRead::Short);
        assert_eq!(BoxHeader::read(b"\0\0\0\x07mdat"), HeaderRead::Impossible(FourCc(*b"mdat")));
        assert_eq!(BoxHeader::read(b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x0f"), HeaderRead::Impossible(FourCc(*b"mdat")));
    }

    #[test]
    fn children_end_at_their_parent() {
        let node = node(b"\0\0\0\x0aaaaa12\0\0\0\x08bbbb\0\0\0\0");
        let kinds: Vec<_> = node.children().map(|c| c.unwrap()).map(|c| (c.kind.0, c.body)).collect();
        assert_eq!(kinds, [(*b"aaaa", &b"12"[..]), (*b"bbbb", &b""[..])]);
        assert_eq!(node.find(*b"bbbb").unwrap().unwrap().offset, 118);
    }

    #[test]
    fn a_child_larger_than_its_parent_is_named_with_its_place() {
        let node = node(b"\0\0\0\x08aaaa\0\0\0\x09bbbb");
        let error = node.find(*b"bbbb").unwrap_err();
        assert_eq!(error.to_string(), "damaged file: moov at byte 108: box bbbb is larger than its parent");
    }

    #[test]
    fn a_table_is_never_longer_than_its_bytes() {
        let node = node(&[0; 11]);
        assert_eq!(node.fields().table::<4>(2).unwrap().len(), 2);
        assert!(node.fields().table::<4>(3).is_err());
        assert!(node.fields().table::<4>(u32::MAX).is_err());
    }
}
