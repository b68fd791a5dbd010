//! Ranges of a file as a stream, read without waiting where the page cache has them.

use std::{fs::File, io::IoSliceMut, ops::Range, os::unix::fs::FileExt as _, path::Path, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use rustix::io::{Errno, ReadWriteFlags};

use super::{blocking, failed, unavailable};
use crate::objects::{ByteStream, ObjectError, ObjectName};

/// Bytes read at once: large enough that calls cost little, small enough that many streams fit in memory.
const READ: u64 = 256 * 1024;

pub(super) struct Reader {
    file: Arc<File>,
    name: ObjectName,
    left: Range<u64>,
}

impl Reader {
    pub(super) fn open(path: &Path, name: ObjectName, range: Range<u64>) -> Result<Self, ObjectError> {
        let opened = File::open(path).and_then(|file| file.metadata().map(|metadata| (file, metadata)));
        let (file, metadata) = opened.map_err(|error| failed("open object", &name, error))?;
        if !metadata.is_file() {
            return Err(ObjectError::NotFound { name });
        }
        let size = metadata.len();
        if range.start > range.end || range.end > size {
            return Err(ObjectError::RangeOutside { name, start: range.start, end: range.end, size });
        }
        Ok(Self { file: Arc::new(file), name, left: range })
    }

    pub(super) fn stream(self) -> ByteStream {
        stream::try_unfold(self, |mut reader| async move {
            if reader.left.is_empty() {
                return Ok(None);
            }
            let piece = reader.left.start..reader.left.end.min(reader.left.start + READ);
            let bytes = read(&reader.file, &reader.name, piece.clone()).await?;
            reader.left.start = piece.end;
            Ok(Some((bytes, reader)))
        })
        .boxed()
    }
}

async fn read(file: &Arc<File>, name: &ObjectName, piece: Range<u64>) -> Result<Bytes, ObjectError> {
    let len = usize::try_from(piece.end - piece.start).expect("a piece is at most 256 KiB");
    let mut buffer = vec![0; len];
    let cached = read_cached(file, &mut buffer, piece.start);
    if cached == len {
        return Ok(buffer.into());
    }
    let (file, name) = (Arc::clone(file), name.clone());
    blocking(move || {
        let from = piece.start + cached as u64;
        file.read_exact_at(&mut buffer[cached..], from)
            .map_err(|error| unavailable("read object", name.to_string(), error))?;
        Ok(buffer.into())
    })
    .await
}

/// Reads what the page cache has and returns how much that was; on the calling thread, because it never waits for a disk.
/// Where the kernel or file system can't tell, that is nothing.
#[cfg(target_os = "linux")]
fn read_cached(file: &File, buffer: &mut [u8], from: u64) -> usize {
    let mut filled = 0;
    while filled < buffer.len() {
        let rest = &mut [IoSliceMut::new(&mut buffer[filled..])];
        match rustix::io::preadv2(file, rest, from + filled as u64, ReadWriteFlags::NOWAIT) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(_) => break,
        }
    }
    filled
}

#[cfg(not(target_os = "linux"))]
fn read_cached(_: &File, _: &mut [u8], _: u64) -> usize {
    0
}
