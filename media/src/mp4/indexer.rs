//! The walk over a file's top-level boxes to its index, without I/O.

use super::boxes::{BoxHeader, FourCc, HeaderRead, Node};
use super::error::IndexError;
use super::{movie, sniff};
use crate::index::{Container, MediaIndex};
use std::ops::Range;

/// Bytes asked for at the beginning of a box: some headers and small boxes come with it.
const HEAD_BYTES: u64 = 4096;

/// The longest box header: size, type, large size.
const LONGEST_HEADER: u64 = 16;

/// Kinds of boxes that an error names at most.
const NAMED_BOXES: usize = 8;

/// How much of a file is read, and believed, at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of `moov`, which is held in memory as a whole while it is read.
    pub movie_bytes: u64,
    /// Samples of all tracks that are taken, together.
    pub samples: u64,
    /// Tracks, of whatever kind.
    pub tracks: u64,
    /// Boxes at the top level before `moov`.
    pub top_level_boxes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { movie_bytes: 256 << 20, samples: 20_000_000, tracks: 1000, top_level_boxes: 4096 }
    }
}

/// What an [`Indexer`] wants next, or gives.
#[derive(Clone, Debug)]
pub enum Step {
    /// Call [`Indexer::step`] again with exactly these bytes of the file, or all of them that exist.
    Need(Range<u64>),
    /// The index.
    Done(Box<MediaIndex>),
}

/// Reads the media index of an MP4 or MOV file, asking for the byte ranges it needs one after the other: box headers,
/// then `moov`. Media data is passed over, so an index at the file's end costs one more small read.
///
/// ```
/// # use vidstream_media::mp4::{Indexer, IndexError, Limits, Step};
/// # fn read(_: std::ops::Range<u64>) -> Vec<u8> { Vec::new() }
/// # fn index(file_size: u64) -> Result<(), IndexError> {
/// let mut indexer = Indexer::new(file_size, Limits::default());
/// let mut bytes = Vec::new();
/// let index = loop {
///     match indexer.step(&bytes)? {
///         Step::Need(range) => bytes = read(range),
///         Step::Done(index) => break index,
///     }
/// };
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Indexer {
    file_size: u64,
    limits: Limits,
    container: Container,
    /// By its brand the file is a still picture, unless a movie is found in it.
    still: bool,
    /// What was met so far, for the error if nothing else is.
    seen: Vec<FourCc>,
    boxes: u64,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Start,
    /// Bytes of the range were asked for, which begins with a box header.
    Headers(Range<u64>),
    /// The whole `moov` was asked for.
    Movie(Movie),
}

/// Where `moov` is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Movie {
    start: u64,
    header: u64,
    end: u64,
}

impl Indexer {
    /// An indexer for a file of `file_size` bytes.
    pub fn new(file_size: u64, limits: Limits) -> Self {
        Self {
            file_size,
            limits,
            container: Container::Mov,
            still: false,
            seen: Vec::new(),
            boxes: 0,
            state: State::Start,
        }
    }

    /// Takes the bytes asked for by the last step (none for the first one) and says what comes next.
    ///
    /// Fewer bytes than asked for mean that the file ends there, which is an error. After [`Step::Done`] or an error
    /// the indexer begins again with the next call.
    pub fn step(&mut self, bytes: &[u8]) -> Result<Step, IndexError> {
        match std::mem::replace(&mut self.state, State::Start) {
            State::Start if self.file_size == 0 => Err(IndexError::Empty),
            State::Start => {
                *self = Self::new(self.file_size, self.limits);
                Ok(self.ask_headers(0))
            }
            State::Headers(range) => {
                let window = self.exactly(&range, bytes)?;
                if range.start == 0
                    && let Some(found) = sniff::not_mp4(&window[..window.len().min(sniff::SNIFF_BYTES)])
                {
                    return Err(IndexError::NotMp4 { found });
                }
                self.walk(range.start, window)
            }
            State::Movie(movie) => {
                let window = self.exactly(&(movie.start..movie.end), bytes)?;
                self.read_movie(movie, window)
            }
        }
    }

    fn ask_headers(&mut self, at: u64) -> Step {
        let range = at..self.file_size.min(at.saturating_add(HEAD_BYTES));
        self.state = State::Headers(range.clone());
        Step::Need(range)
    }

    /// The bytes of `range` out of what was given for it.
    fn exactly<'b>(&self, range: &Range<u64>, bytes: &'b [u8]) -> Result<&'b [u8], IndexError> {
        let wanted = usize::try_from(range.end - range.start).ok();
        wanted.and_then(|wanted| bytes.get(..wanted)).ok_or_else(|| {
            let have = range.start.saturating_add(bytes.len() as u64);
            IndexError::Truncated { have, need: self.file_size }
        })
    }

    /// Goes from box to box, from the one at `start`, where `window` begins.
    fn walk(&mut self, start: u64, window: &[u8]) -> Result<Step, IndexError> {
        let mut at = start;
        loop {
            // What is too short for a box is no box: some tools leave a few bytes behind the last one.
            if self.file_size - at < 8 {
                return Err(self.no_movie());
            }
            let rest = usize::try_from(at - start).ok().and_then(|at| window.get(at..)).unwrap_or_default();
            if (rest.len() as u64) < LONGEST_HEADER.min(self.file_size - at) {
                return Ok(self.ask_headers(at));
            }
            let header = self.header(at, rest)?;
            let end = header.size.map_or(Some(self.file_size), |size| at.checked_add(size));
            let end = end.ok_or_else(|| self.malformed(at, format!("box {} ends beyond 2⁶⁴", header.kind)))?;
            match &header.kind.0 {
                b"ftyp" => (self.container, self.still) = brand(rest),
                b"moof" => return Err(IndexError::Fragmented),
                b"moov" => return self.found_movie(Movie { start: at, header: header.header, end }, rest),
                _ => {}
            }
            if end > self.file_size {
                return Err(IndexError::Truncated { have: self.file_size, need: end });
            }
            self.remember(header.kind, at)?;
            at = end;
        }
    }

    fn header(&self, at: u64, bytes: &[u8]) -> Result<BoxHeader, IndexError> {
        let problem = match BoxHeader::read(bytes) {
            HeaderRead::Whole(header) if header.kind.is_plausible() => return Ok(header),
            HeaderRead::Whole(header) => format!("something that is no box ({})", header.kind),
            HeaderRead::Short => "a box header is cut off".to_owned(),
            HeaderRead::Impossible(kind) => format!("box {kind} is smaller than its own header"),
        };
        Err(self.malformed(at, problem))
    }

    #[expect(clippy::unused_self, reason = "reads as the other errors")]
    fn malformed(&self, offset: u64, problem: String) -> IndexError {
        IndexError::Malformed { path: "top level".to_owned(), offset, problem: problem.into() }
    }

    fn remember(&mut self, kind: FourCc, at: u64) -> Result<(), IndexError> {
        self.boxes += 1;
        if self.boxes > self.limits.top_level_boxes {
            return Err(IndexError::OverLimit {
                path: "top level".to_owned(),
                offset: at,
                found: self.boxes,
                limit: self.limits.top_level_boxes,
                unit: "boxes",
            });
        }
        if self.seen.len() < NAMED_BOXES && !self.seen.contains(&kind) {
            self.seen.push(kind);
        }
        Ok(())
    }

    fn no_movie(&self) -> IndexError {
        if self.still {
            return IndexError::NotMp4 { found: "a still picture (HEIF or AVIF)" };
        }
        let names: Vec<_> = self.seen.iter().map(ToString::to_string).collect();
        let found = if names.is_empty() { "no boxes".to_owned() } else { format!("only {}", names.join(", ")) };
        IndexError::NoMovie { found }
    }

    fn found_movie(&mut self, movie: Movie, rest: &[u8]) -> Result<Step, IndexError> {
        let size = movie.end - movie.start;
        if size > self.limits.movie_bytes {
            return Err(IndexError::OverLimit {
                path: "moov".to_owned(),
                offset: movie.start,
                found: size,
                limit: self.limits.movie_bytes,
                unit: "bytes",
            });
        }
        if movie.end > self.file_size {
            return Err(IndexError::Truncated { have: self.file_size, need: movie.end });
        }
        if let Some(whole) = usize::try_from(size).ok().and_then(|size| rest.get(..size)) {
            return self.read_movie(movie, whole);
        }
        self.state = State::Movie(movie);
        Ok(Step::Need(movie.start..movie.end))
    }

    fn read_movie(&self, movie: Movie, bytes: &[u8]) -> Result<Step, IndexError> {
        let body = usize::try_from(movie.header).ok().and_then(|header| bytes.get(header..)).unwrap_or_default();
        let node = Node { path: "moov".to_owned(), offset: movie.start + movie.header, body };
        let file = movie::File { container: self.container, size: self.file_size, limits: self.limits };
        movie::read(&node, file).map(|index| Step::Done(Box::new(index)))
    }
}

/// What the major brand of the `ftyp` that `bytes` begin with says: the container, and whether it is a still picture.
/// A file without `ftyp` is an old `QuickTime` movie.
fn brand(bytes: &[u8]) -> (Container, bool) {
    let brand = bytes.get(8..12).unwrap_or_default();
    let container = if brand == b"qt  " { Container::Mov } else { Container::Mp4 };
    (container, matches!(brand, b"heic" | b"heix" | b"heim" | b"heis" | b"mif1" | b"avif"))
}
