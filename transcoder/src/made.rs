//! Fragments on their way from ffmpeg into a made file, indexed without reading them again.
//!
//! Of what passes, all boxes but the media are kept: a few bytes a sample. When the file is whole, the indexer is shown
//! these, and nothing where the media is, which it does not look at.

use crate::ffmpeg::filter::Sink;
use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;
use std::ops::Range;
use vidstream_backends::objects::ObjectError;
use vidstream_media::index::MediaIndex;
use vidstream_media::mp4::{IndexError, Indexer, Limits, Step};
use vidstream_source::made::{MadeFile, MadeWriter};

/// Size and type of a box, and its large size.
const LONGEST_HEADER: usize = 16;
/// Bytes of boxes that are kept, at the most.
const MOST_KEPT: u64 = 512 << 20;

/// Writes a made file and remembers what its index is in.
#[derive(Debug)]
pub(crate) struct Recording {
    writer: MadeWriter,
    boxes: Boxes,
}

/// Why what ffmpeg wrote did not become a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// The store failed.
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// It makes no sense.
    #[error("what ffmpeg wrote can't be read")]
    Index(#[from] IndexError),
    /// Reading its tables broke off.
    #[error("reading the tables of what ffmpeg wrote broke off")]
    Broke(#[from] tokio::task::JoinError),
    /// There are too many samples.
    #[error("what ffmpeg wrote has more than {} MiB of tables", MOST_KEPT >> 20)]
    TooMuch,
}

impl Recording {
    pub fn new(writer: MadeWriter) -> Self {
        Self { writer, boxes: Boxes::default() }
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.writer.size()
    }

    /// Takes the next bytes.
    pub async fn push(&mut self, bytes: Bytes) -> Result<(), RecordError> {
        self.boxes.pass(&bytes);
        if self.boxes.held > MOST_KEPT {
            return Err(RecordError::TooMuch);
        }
        Ok(self.writer.push(bytes).await?)
    }

    /// The file, durable, and its index.
    pub async fn finish(self, limits: Limits) -> Result<(MadeFile, MediaIndex), RecordError> {
        let Self { writer, boxes } = self;
        let file = writer.finish().await?;
        let size = file.size();
        let index = tokio::task::spawn_blocking(move || boxes.index(size, limits)).await??;
        Ok((file, index))
    }
}

impl Sink for Recording {
    type Error = RecordError;

    async fn take(&mut self, bytes: Bytes) -> Result<(), RecordError> {
        self.push(bytes).await
    }
}

/// The boxes at the top level of a file that passes, without the payload of `mdat`.
#[derive(Debug, Default)]
struct Boxes {
    /// Where the next byte is.
    at: u64,
    /// The bytes of a header that did not come whole yet.
    header: BytesMut,
    /// What is left of the present box, and whether it is kept.
    left: u64,
    keeps: bool,
    kept: BTreeMap<u64, BytesMut>,
    held: u64,
}

impl Boxes {
    fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left == 0 {
                bytes = self.begin(bytes);
                continue;
            }
            let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            let (part, rest) = bytes.split_at(len);
            if self.keeps {
                self.keep(part);
            }
            self.at += len as u64;
            self.left -= len as u64;
            bytes = rest;
        }
    }

    /// Takes of `bytes` what is missing of a header; gives the rest.
    fn begin<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let wanted = match self.header.first_chunk::<4>() {
            Some([0, 0, 0, 1]) => LONGEST_HEADER,
            _ => 8,
        };
        let (part, rest) = bytes.split_at((wanted - self.header.len()).min(bytes.len()));
        self.header.extend_from_slice(part);
        let Some((size, header)) = parsed(&self.header) else { return rest };
        let start = self.at;
        let whole = std::mem::take(&mut self.header);
        self.keeps = whole[4..8] != *b"mdat";
        self.kept.insert(start, BytesMut::new());
        self.keep(&whole);
        self.at += header;
        self.left = size.saturating_sub(header);
        rest
    }

    /// Appends to the last box.
    fn keep(&mut self, bytes: &[u8]) {
        if let Some(mut last) = self.kept.last_entry() {
            last.get_mut().extend_from_slice(bytes);
            self.held += bytes.len() as u64;
        }
    }

    /// The bytes of `range`: what was kept, and zeros.
    fn read(&self, range: Range<u64>) -> Bytes {
        let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0);
        let mut out = BytesMut::zeroed(len);
        let before = self.kept.range(..=range.start).next_back().map_or(range.start, |(start, _)| *start);
        for (start, bytes) in self.kept.range(before..range.end) {
            let end = start + bytes.len() as u64;
            let (from, to) = (range.start.max(*start), range.end.min(end));
            if from < to {
                let within = |at: u64, of: u64| usize::try_from(at - of).expect("inside of what is in memory");
                out[within(from, range.start)..within(to, range.start)]
                    .copy_from_slice(&bytes[within(from, *start)..within(to, *start)]);
            }
        }
        out.freeze()
    }

    fn index(&self, size: u64, limits: Limits) -> Result<MediaIndex, IndexError> {
        let mut indexer = Indexer::new(size, limits);
        let mut bytes = Bytes::new();
        loop {
            match indexer.step(&bytes)? {
                Step::Need(range) | Step::Await(range) => bytes = self.read(range.start..range.end.min(size)),
                Step::Done(index) => return Ok(*index),
            }
        }
    }
}

/// Size of a box and of its header, if the header is whole. One that says that it goes on to the end does.
fn parsed(header: &[u8]) -> Option<(u64, u64)> {
    let size = u32::from_be_bytes(*header.first_chunk()?);
    if header.len() < 8 {
        return None;
    }
    match size {
        0 => Some((u64::MAX, 8)),
        1 => Some((u64::from_be_bytes(*header.get(8..16)?.first_chunk()?), 16)),
        size => Some((u64::from(size).max(8), 8)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_box(kind: [u8; 4], payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(8 + payload.len()).expect("small");
        [&size.to_be_bytes()[..], &kind, payload].concat()
    }

    #[test]
    fn media_is_left_out_however_the_bytes_come() {
        let mut large = 1_u32.to_be_bytes().to_vec();
        large.extend_from_slice(b"mdat");
        large.extend_from_slice(&(16_u64 + 100).to_be_bytes());
        large.extend_from_slice(&[9; 100]);
        let file = [a_box(*b"ftyp", b"isom"), a_box(*b"moof", &[7; 50]), large, a_box(*b"mdat", &[9; 30])].concat();
        let mut expected = file.clone();
        let media = 12 + 58 + 16..12 + 58 + 116;
        expected[media].fill(0);
        let end = file.len();
        expected[end - 30..].fill(0);
        for step in [1, 3, 7, 16, file.len()] {
            let mut boxes = Boxes::default();
            file.chunks(step).for_each(|chunk| boxes.pass(chunk));
            assert_eq!(boxes.read(0..file.len() as u64), expected, "in steps of {step}");
            assert_eq!(boxes.read(10..75), expected[10..75]);
            assert_eq!(boxes.held, 12 + 58 + 16 + 8);
        }
    }
}
