//! Typed mirrors of what a client sends of a file.

use crate::error::{Problem, Reason};
use crate::field;
use crate::ids::{RequestId, UploadId};
use crate::pb;
use bytes::Bytes;

/// Offsets and lengths are multiples of this, but for the file's end: 64 KiB.
pub const GRANULE: u64 = 64 * 1024;
/// The longest piece of a stream: 1 MiB.
pub const MAX_PIECE: usize = 1024 * 1024;
/// The longest chunk of a unary call or `PUT`: 8 MiB.
pub const MAX_CHUNK: usize = 8 * 1024 * 1024;
/// The largest file: 16 TiB.
pub const MAX_FILE: u64 = 16 << 40;

/// A wish to upload a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreateUpload {
    /// Makes a repeat harmless.
    pub request_id: RequestId,
    /// Name without folders.
    pub file_name: String,
    /// Bytes, at least 1.
    pub size: u64,
    /// The video's title.
    pub title: String,
    /// The file's checksum, if the client knows it.
    pub blake3: Option<[u8; 32]>,
}

impl CreateUpload {
    fn checked(request_id: &str, file_name: &str, size: u64, title: &str, blake3: &[u8]) -> Result<Self, Problem> {
        let file_name = field::text("file_name", file_name, 1, 255)?;
        if file_name.contains(['/', '\\', '\n', '\r', '\t']) || file_name == "." || file_name == ".." {
            return Err(Problem::field("file_name", "must be a name without folders"));
        }
        if size == 0 || size > MAX_FILE {
            return Err(Problem::field("size", format!("must be 1 to {MAX_FILE} bytes, is {size}")));
        }
        let title = match field::text("title", title.trim(), 0, 200)? {
            given if !given.is_empty() => given,
            _ => title_of(&file_name),
        };
        Ok(Self {
            request_id: field::id("request_id", request_id)?,
            file_name,
            size,
            title,
            blake3: field::blake3("blake3", blake3)?,
        })
    }
}

/// The file's name without its ending, at most 200 characters.
fn title_of(file_name: &str) -> String {
    let stem = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem);
    let title = if stem.trim().is_empty() { file_name } else { stem.trim() };
    title.chars().take(200).collect()
}

impl TryFrom<pb::CreateUploadRequest> for CreateUpload {
    type Error = Problem;

    fn try_from(r: pb::CreateUploadRequest) -> Result<Self, Problem> {
        Self::checked(&r.request_id, &r.file_name, r.size, &r.title, &r.blake3)
    }
}

impl TryFrom<pb::CreateSourceRequest> for CreateUpload {
    type Error = Problem;

    fn try_from(r: pb::CreateSourceRequest) -> Result<Self, Problem> {
        Self::checked(&r.request_id, &r.file_name, r.size, &r.title, &r.blake3)
    }
}

impl From<CreateUpload> for pb::CreateSourceRequest {
    fn from(c: CreateUpload) -> Self {
        Self {
            request_id: c.request_id.to_string(),
            file_name: c.file_name,
            size: c.size,
            title: c.title,
            blake3: c.blake3.map_or_else(Vec::new, |sum| sum.to_vec()),
            room: None,
        }
    }
}

/// Bytes of a file at an offset, on the grid of granules. The sum is checked by whoever writes them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// First byte, a multiple of [`GRANULE`].
    pub offset: u64,
    /// At least one byte.
    pub data: Bytes,
    /// CRC-32C of `data`, as the client says.
    pub crc32c: u32,
}

impl Piece {
    /// Checks what can be checked without knowing the file: `longest` is [`MAX_PIECE`] or [`MAX_CHUNK`].
    pub fn checked(offset: u64, data: Bytes, crc32c: u32, longest: usize) -> Result<Self, Problem> {
        if !offset.is_multiple_of(GRANULE) || data.is_empty() {
            return Err(Problem::new(
                Reason::InvalidOffset,
                format!(
                    "offset {offset} with {} bytes: offsets are multiples of {GRANULE}, lengths at least 1",
                    data.len()
                ),
            ));
        }
        if data.len() > longest {
            return Err(Problem::new(Reason::TooManyBytes, format!("{} bytes: at most {longest} at once", data.len())));
        }
        Ok(Self { offset, data, crc32c })
    }

    /// Checks the piece against the file it belongs to.
    pub fn within(self, file_size: u64) -> Result<Self, Problem> {
        let length = self.data.len() as u64;
        let end = self.offset.checked_add(length).filter(|end| *end <= file_size).ok_or_else(|| {
            Problem::new(
                Reason::TooManyBytes,
                format!("offset {} with {length} bytes reaches past the file's {file_size} bytes", self.offset),
            )
        })?;
        if end != file_size && !length.is_multiple_of(GRANULE) {
            return Err(Problem::new(
                Reason::InvalidOffset,
                format!("{length} bytes at {}: lengths are multiples of {GRANULE} but at the file's end", self.offset),
            ));
        }
        Ok(self)
    }
}

impl TryFrom<pb::Piece> for Piece {
    type Error = Problem;

    fn try_from(p: pb::Piece) -> Result<Self, Problem> {
        Self::checked(p.offset, p.data, p.crc32c, MAX_PIECE)
    }
}

/// A chunk of an upload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// Which upload.
    pub upload_id: UploadId,
    /// Its bytes.
    pub piece: Piece,
}

impl TryFrom<pb::PutChunkRequest> for Chunk {
    type Error = Problem;

    fn try_from(c: pb::PutChunkRequest) -> Result<Self, Problem> {
        Ok(Self {
            upload_id: field::id("upload_id", &c.upload_id)?,
            piece: Piece::checked(c.offset, c.data, c.crc32c, MAX_CHUNK)?,
        })
    }
}

/// A wish to end an upload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CompleteUpload {
    /// Makes a repeat harmless.
    pub request_id: RequestId,
    /// Which upload.
    pub upload_id: UploadId,
    /// The file's checksum, if the client knows it.
    pub blake3: Option<[u8; 32]>,
}

impl TryFrom<pb::CompleteUploadRequest> for CompleteUpload {
    type Error = Problem;

    fn try_from(c: pb::CompleteUploadRequest) -> Result<Self, Problem> {
        Ok(Self {
            request_id: field::id("request_id", &c.request_id)?,
            upload_id: field::id("upload_id", &c.upload_id)?,
            blake3: field::blake3("blake3", &c.blake3)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(file_name: &str, title: &str) -> Result<CreateUpload, Problem> {
        pb::CreateUploadRequest {
            request_id: RequestId::generate().to_string(),
            file_name: file_name.into(),
            size: 1,
            title: title.into(),
            blake3: vec![],
        }
        .try_into()
    }

    #[test]
    fn titles_come_from_names() {
        assert_eq!(create("holiday.2024.mp4", "").expect("valid").title, "holiday.2024");
        assert_eq!(create(".mp4", " ").expect("valid").title, ".mp4");
        assert_eq!(create("a.mp4", " Sea ").expect("valid").title, "Sea");
    }

    #[test]
    fn names_have_no_folders() {
        for name in ["", "../x.mp4", "a/b", "a\\b", "..", "a\u{0}b"] {
            assert_eq!(create(name, "").expect_err(name).fields[0].field, "file_name");
        }
    }

    #[test]
    fn pieces_lie_on_the_grid() {
        let piece = |offset, len: usize| Piece::checked(offset, Bytes::from(vec![0; len]), 0, MAX_PIECE);
        assert_eq!(piece(1, 1).expect_err("offset").reason, Reason::InvalidOffset);
        assert_eq!(piece(0, 0).expect_err("empty").reason, Reason::InvalidOffset);
        assert_eq!(piece(0, MAX_PIECE + 1).expect_err("long").reason, Reason::TooManyBytes);
        assert_eq!(
            piece(GRANULE, 5).expect("piece").within(GRANULE + 4).expect_err("end").reason,
            Reason::TooManyBytes
        );
        assert_eq!(piece(0, 5).expect("piece").within(6).expect_err("middle").reason, Reason::InvalidOffset);
        piece(GRANULE, 5).expect("piece").within(GRANULE + 5).expect("the file's end may be odd");
    }
}
