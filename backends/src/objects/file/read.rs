//! Ranges of a file as a stream, opened and read without waiting where the kernel has them in memory.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, IoSliceMut},
    ops::Range,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags},
    io::{Errno, ReadWriteFlags},
};

use super::{
    blocking,
    buffers::{Buffer, Buffers},
    failed, unavailable,
};
use crate::objects::{ByteStream, ObjectError, ObjectName};

/// Bytes read at once: large enough that calls cost little, small enough that many streams fit in memory.
pub(super) const READ: usize = 256 * 1024;

/// Bytes of a gap that cost about as much to copy as another call of the kernel costs.
pub(super) const SMALL_GAP: u64 = 8 * 1024;

pub(super) struct Reader {
    file: Arc<File>,
    name: ObjectName,
    buffers: Arc<Buffers>,
    left: VecDeque<Range<u64>>,
}

impl Reader {
    pub(super) async fn open(
        path: PathBuf,
        name: ObjectName,
        ranges: Vec<Range<u64>>,
        buffers: Arc<Buffers>,
    ) -> Result<Self, ObjectError> {
        let opened = match open_cached(&path) {
            Some(opened) => opened,
            None => blocking(move || Ok(File::open(&path))).await?,
        };
        let opened = opened.and_then(|file| file.metadata().map(|metadata| (file, metadata)));
        let (file, metadata) = opened.map_err(|error| failed("open object", &name, error))?;
        if !metadata.is_file() {
            return Err(ObjectError::NotFound { name });
        }
        let size = metadata.len();
        if let Some(range) = ranges.iter().find(|range| range.start > range.end || range.end > size) {
            return Err(ObjectError::RangeOutside { name, start: range.start, end: range.end, size });
        }
        let left = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        Ok(Self { file: Arc::new(file), name, buffers, left })
    }

    pub(super) fn stream(self) -> ByteStream {
        stream::try_unfold(self, |mut reader| async move {
            let pieces = reader.next_pieces();
            if pieces.is_empty() {
                return Ok(None);
            }
            let bytes = reader.read(pieces).await?;
            Ok(Some((bytes, reader)))
        })
        .boxed()
    }

    /// What to read next: as many ranges as fit in one buffer, the last one cut.
    fn next_pieces(&mut self) -> Vec<Range<u64>> {
        let mut room = READ as u64;
        let mut pieces = Vec::new();
        while room > 0
            && let Some(range) = self.left.front_mut()
        {
            let piece = range.start..range.end.min(range.start + room);
            room -= piece.end - piece.start;
            range.start = piece.end;
            if range.is_empty() {
                self.left.pop_front();
            }
            pieces.push(piece);
        }
        pieces
    }

    async fn read(&self, pieces: Vec<Range<u64>>) -> Result<Bytes, ObjectError> {
        let len = pieces.iter().map(|piece| piece.end - piece.start).sum::<u64>();
        let mut buffer = self.buffers.take(usize::try_from(len).expect("at most a buffer"));
        let cached = read_cached(&self.file, buffer.bytes(), &pieces);
        if cached == buffer.bytes().len() {
            return Ok(buffer.freeze());
        }
        let (file, name) = (Arc::clone(&self.file), self.name.clone());
        blocking(move || {
            read_rest(&file, &mut buffer, &pieces, cached)
                .map_err(|error| unavailable("read object", name.to_string(), error))?;
            Ok(buffer.freeze())
        })
        .await
    }
}

/// Opens the file on the calling thread if the kernel knows every directory of its path, because then it never waits for a
/// disk. None where it does not, or can't tell.
#[cfg(target_os = "linux")]
fn open_cached(path: &Path) -> Option<io::Result<File>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    match rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED) {
        Ok(file) => Some(Ok(file.into())),
        // Also where something forbids the call, as the filters of old container engines do.
        Err(Errno::AGAIN | Errno::NOSYS | Errno::PERM | Errno::INVAL) => None,
        Err(error) => Some(Err(error.into())),
    }
}

#[cfg(not(target_os = "linux"))]
fn open_cached(_: &Path) -> Option<io::Result<File>> {
    None
}

/// Reads what the page cache has of `pieces`, one after the other, and returns how much that was; on the calling thread,
/// because it never waits for a disk. Where the kernel or file system can't tell, that is nothing.
#[cfg(target_os = "linux")]
fn read_cached(file: &File, mut buffer: &mut [u8], pieces: &[Range<u64>]) -> usize {
    let mut filled = 0;
    for piece in pieces {
        let (mut into, rest) = split(buffer, piece);
        let mut from = piece.start;
        while !into.is_empty() {
            match rustix::io::preadv2(file, &mut [IoSliceMut::new(into)], from, ReadWriteFlags::NOWAIT) {
                Ok(0) => return filled,
                Ok(read) => {
                    (filled, from) = (filled + read, from + read as u64);
                    into = &mut into[read..];
                }
                Err(Errno::INTR) => {}
                Err(_) => return filled,
            }
        }
        buffer = rest;
    }
    filled
}

#[cfg(not(target_os = "linux"))]
fn read_cached(_: &File, _: &mut [u8], _: &[Range<u64>]) -> usize {
    0
}

/// Reads all but the first `done` bytes of `pieces`.
fn read_rest(file: &File, buffer: &mut Buffer, pieces: &[Range<u64>], mut done: usize) -> io::Result<()> {
    let mut buffer = buffer.bytes();
    for piece in pieces {
        let (into, rest) = split(buffer, piece);
        let skipped = done.min(into.len());
        file.read_exact_at(&mut into[skipped..], piece.start + skipped as u64)?;
        done -= skipped;
        buffer = rest;
    }
    Ok(())
}

/// The place of `piece` at the buffer's beginning, and the rest.
fn split<'a>(buffer: &'a mut [u8], piece: &Range<u64>) -> (&'a mut [u8], &'a mut [u8]) {
    buffer.split_at_mut(usize::try_from(piece.end - piece.start).expect("inside of a buffer"))
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "the file is small")]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_in_memory_is_read_where_the_rest_stopped() {
        let content: Vec<u8> = (0..100).collect();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("object");
        std::fs::write(&path, &content).unwrap();
        let file = File::open(path).unwrap();
        let pieces = [10..20, 25..26, 50..90];
        let expected: Vec<u8> = pieces.iter().flat_map(|piece| piece.start as u8..piece.end as u8).collect();
        for done in 0..=expected.len() {
            let mut buffer = Arc::new(Buffers::default()).take(expected.len());
            buffer.bytes()[..done].copy_from_slice(&expected[..done]);
            read_rest(&file, &mut buffer, &pieces, done).unwrap();
            assert_eq!(buffer.freeze(), expected, "after {done}");
        }
        let mut buffer = Arc::new(Buffers::default()).take(10);
        read_rest(&file, &mut buffer, std::slice::from_ref(&(95..105)), 0).expect_err("it ends before");
    }
}
