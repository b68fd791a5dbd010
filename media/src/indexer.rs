//! From a file of any kind that is read to its [`MediaIndex`]: which reader it is for, and what all readers have in common.

mod error;

pub use error::IndexError;

use crate::index::MediaIndex;
use crate::{matroska, mp4};
use std::ops::Range;

/// How much of a file is read, and believed, at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of `moov`, or of one element of Matroska that is read whole. While it is read, its tables are held in memory as differences: of ordinary ones a fraction of that,
    /// of noise a quarter more.
    pub movie_bytes: u64,
    /// Samples of all tracks that are taken, together.
    pub samples: u64,
    /// Tracks, of whatever kind.
    pub tracks: u64,
    /// Pixels of a picture: what a decoder takes of memory follows from them.
    pub pixels: u64,
    /// Seconds that a video may last.
    pub seconds: u64,
    /// Boxes at the top level before `moov`.
    pub top_level_boxes: u64,
    /// Bytes of one `moof`, which is held in memory as a whole while it is read.
    pub fragment_bytes: u64,
    /// Boxes at the top level behind the `moov` of a fragmented movie; each fragment has two or more.
    pub fragment_boxes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            movie_bytes: 256 << 20,
            samples: 20_000_000,
            tracks: 1000,
            // The largest pictures of level 6.2 of H.264, HEVC and AV1.
            pixels: 8192 * 4352,
            seconds: 48 * 3600,
            top_level_boxes: 4096,
            fragment_bytes: 16 << 20,
            fragment_boxes: 4_000_000,
        }
    }
}

/// What an indexer wants next, or gives.
#[derive(Clone, Debug)]
pub enum Step {
    /// Call [`Indexer::step`] again with exactly these bytes of the file, or all of them that exist.
    Need(Range<u64>),
    /// The same, but where the file is still on its way these bytes need not be hurried: those before them are needed too.
    Await(Range<u64>),
    /// The index.
    Done(Box<MediaIndex>),
}

/// Reads the media index of a file, whichever container its first bytes are those of.
///
/// ```
/// # use vidstream_media::indexer::{Indexer, IndexError, Limits, Step};
/// # fn read(_: std::ops::Range<u64>) -> Vec<u8> { Vec::new() }
/// # fn index(file_size: u64) -> Result<(), IndexError> {
/// let mut indexer = Indexer::new(file_size, Limits::default());
/// let mut bytes = Vec::new();
/// let index = loop {
///     match indexer.step(&bytes)? {
///         Step::Need(range) | Step::Await(range) => bytes = read(range),
///         Step::Done(index) => break index,
///     }
/// };
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Indexer {
    file_size: u64,
    limits: Limits,
    reader: Reader,
}

#[derive(Debug)]
enum Reader {
    /// Nothing was asked for yet, or the first bytes were, which MP4's reader asks for and says what they are otherwise.
    Mp4(mp4::Indexer),
    Matroska(Box<matroska::Indexer>),
}

impl Indexer {
    /// An indexer for a file of `file_size` bytes.
    pub fn new(file_size: u64, limits: Limits) -> Self {
        Self { file_size, limits, reader: Reader::Mp4(mp4::Indexer::new(file_size, limits)) }
    }

    /// Takes the bytes asked for by the last step (none for the first one) and says what comes next.
    ///
    /// Fewer bytes than asked for mean that the file ends there, which is an error. After an error nothing is to be
    /// asked of it any more.
    pub fn step(&mut self, bytes: &[u8]) -> Result<Step, IndexError> {
        match &mut self.reader {
            Reader::Mp4(mp4) if mp4.is_at_start() && matroska::begins(bytes) => {
                let mut matroska = Box::new(matroska::Indexer::new(self.file_size, self.limits));
                let step = matroska.step(&[])?;
                self.reader = Reader::Matroska(matroska);
                // Asked for as many bytes from the same place, which are here.
                match step {
                    Step::Need(range) if range == (0..bytes.len() as u64) => self.step(bytes),
                    other => Ok(other),
                }
            }
            Reader::Mp4(mp4) => mp4.step(bytes),
            Reader::Matroska(matroska) => matroska.step(bytes),
        }
    }
}

/// Indexes a file whose bytes are all at hand: for tests and small files.
pub fn index_bytes(file: &[u8]) -> Result<MediaIndex, IndexError> {
    index_bytes_within(file, Limits::default())
}

/// The same within other limits than the usual ones.
pub fn index_bytes_within(file: &[u8], limits: Limits) -> Result<MediaIndex, IndexError> {
    let mut indexer = Indexer::new(file.len() as u64, limits);
    let mut bytes: &[u8] = &[];
    loop {
        match indexer.step(bytes)? {
            Step::Need(range) | Step::Await(range) => {
                let at = |offset| usize::try_from(offset).unwrap_or(file.len()).min(file.len());
                bytes = &file[at(range.start)..at(range.end)];
            }
            Step::Done(index) => return Ok(*index),
        }
    }
}
