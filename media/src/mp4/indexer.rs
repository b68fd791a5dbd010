//! The walk over a file's top-level boxes to its index, without I/O.

use super::boxes::{BoxHeader, FourCc, HeaderRead, Node};
use super::fragments::Fragments;
use super::sieve::{Sieve, Sieved};
use super::{movie, sniff};
use crate::index::Container;
use crate::indexer::{IndexError, Limits, Step};
use std::ops::Range;

/// Bytes asked for at the beginning of a box: some headers and small boxes come with it.
const HEAD_BYTES: u64 = 4096;

/// The longest box header: size, type, large size.
const LONGEST_HEADER: u64 = 16;

/// Bytes of `moov` that are read at once.
const PIECE_BYTES: u64 = 4 << 20;

/// Bytes of `moov` beside its sample tables, and beside large boxes that nobody reads, that are believed.
const MOST_KEPT: u64 = 16 << 20;

/// Fragments that begin closer to each other than this are read together with what lies between them.
const NEAR: u64 = 64 << 10;

/// Bytes that are then read at once.
const WINDOW_BYTES: u64 = 1 << 20;

/// What is taken for the size of a file that is still being written: more than any has, and sums with it do not overflow.
const GROWING: u64 = 1 << 62;

/// Kinds of boxes that an error names at most.
const NAMED_BOXES: usize = 8;

/// Reads the media index of an MP4 or MOV file, asking for the byte ranges it needs one after the other: box headers,
/// then `moov` in pieces, then every `moof` if the movie has fragments. Media data is passed over, so an index at the file's end
/// costs one more small read.
///
/// ```
/// # use vidstream_media::mp4::{Indexer, IndexError, Limits, Step};
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
    container: Container,
    /// By its brand the file is a still picture, unless a movie is found in it.
    still: bool,
    /// What was met so far, for the error if nothing else is.
    seen: Vec<FourCc>,
    boxes: u64,
    fragmented: Option<Box<Fragmented>>,
    state: State,
}

/// A movie whose fragments are being read.
#[derive(Debug)]
struct Fragmented {
    movie: Place,
    /// What was kept of the `moov`.
    sieved: Sieved,
    fragments: Fragments,
    /// Where the last `moof` began, and whether the next one was near.
    last: u64,
    near: bool,
}

#[derive(Debug)]
enum State {
    Start,
    /// Bytes of the range were asked for, which begins with a box header.
    Headers(Range<u64>),
    /// A piece of `moov` was asked for, the next one that the sieve takes.
    Movie(Place, Box<Sieve>),
}

/// Where a box is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    start: u64,
    header: u64,
    end: u64,
}

impl Place {
    /// The box, of which `bytes` are all.
    fn node<'b>(self, name: &str, bytes: &'b [u8]) -> Node<'b> {
        let body = usize::try_from(self.header).ok().and_then(|header| bytes.get(header..)).unwrap_or_default();
        Node { path: name.to_owned(), offset: self.start + self.header, body, sieved: None }
    }

    /// The `moov` of which `sieved` was kept.
    fn movie(self, sieved: &Sieved) -> Node<'_> {
        Node { offset: self.header, sieved: Some((sieved, self.start)), ..self.node("moov", sieved.bytes()) }
    }
}

/// What follows from a box that was looked at.
enum Visit {
    /// The next one begins here.
    Next(u64),
    /// Something has to be read first, or all is done.
    Ask(Step),
}

/// An error, and the box it was met in.
struct Fault {
    at: u64,
    error: IndexError,
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
            fragmented: None,
            state: State::Start,
        }
    }

    /// An indexer for a file that is still being written, from its beginning on. It asks for bytes further and further into it;
    /// when it is whole, [`Indexer::ends_at`] says where that is.
    pub fn growing(limits: Limits) -> Self {
        Self::new(GROWING, limits)
    }

    /// Says where a file ends that was still being written. What was asked for last is to be given as far as it is there.
    ///
    /// # Errors
    /// [`IndexError::Truncated`] where what was read speaks of more.
    pub fn ends_at(&mut self, size: u64) -> Result<(), IndexError> {
        let described = self.fragmented.as_ref().map_or(0, |fragmented| fragmented.fragments.end());
        let asked = match &mut self.state {
            State::Start => 0,
            State::Headers(range) => {
                range.end = range.end.min(size);
                range.start
            }
            State::Movie(movie, _) => movie.end,
        };
        let need = described.max(asked);
        if need > size {
            return Err(IndexError::Truncated { have: size, need });
        }
        self.file_size = size;
        Ok(())
    }

    /// Whether the first bytes of the file are what was asked for.
    pub(crate) fn is_at_start(&self) -> bool {
        matches!(&self.state, State::Headers(range) if range.start == 0)
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
                match self.walk(range.start, window) {
                    // What was recorded before a crash plays.
                    Err(Fault { at, error }) if self.plays_as_far_as(&error) => self.finish_fragments(Some(at)),
                    Err(Fault { error, .. }) => Err(error),
                    Ok(step) => Ok(step),
                }
            }
            State::Movie(movie, sieve) => {
                let piece = self.exactly(&piece(movie, &sieve), bytes)?;
                self.take_movie(movie, sieve, piece)
            }
        }
    }

    fn ask_headers(&mut self, at: u64) -> Step {
        self.ask(at, HEAD_BYTES)
    }

    /// Asks for `len` bytes from the box at `at` on, or more where that saves another read.
    fn ask(&mut self, at: u64, len: u64) -> Step {
        let near = self.fragmented.as_ref().is_some_and(|fragmented| fragmented.near);
        let len = if near { len.max(WINDOW_BYTES) } else { len };
        let range = at..self.file_size.min(at.saturating_add(len));
        self.state = State::Headers(range.clone());
        if self.fragmented.is_some() { Step::Await(range) } else { Step::Need(range) }
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
    fn walk(&mut self, start: u64, window: &[u8]) -> Result<Step, Fault> {
        let mut at = start;
        loop {
            // What is too short for a box is no box: some tools leave a few bytes behind the last one.
            if self.file_size - at < 8 {
                return self.end().map_err(|error| Fault { at, error });
            }
            let rest = usize::try_from(at - start).ok().and_then(|at| window.get(at..)).unwrap_or_default();
            match self.visit(at, rest).map_err(|error| Fault { at, error })? {
                Visit::Next(next) => at = next,
                Visit::Ask(step) => return Ok(step),
            }
        }
    }

    /// Looks at the box at `at`, where `rest` begins.
    fn visit(&mut self, at: u64, rest: &[u8]) -> Result<Visit, IndexError> {
        if (rest.len() as u64) < LONGEST_HEADER.min(self.file_size - at) {
            return Ok(Visit::Ask(self.ask_headers(at)));
        }
        let header = self.header(at, rest)?;
        let end = header.size.map_or(Some(self.file_size), |size| at.checked_add(size));
        let end = end.ok_or_else(|| self.malformed(at, format!("box {} ends beyond 2⁶⁴", header.kind)))?;
        let place = Place { start: at, header: header.header, end };
        match &header.kind.0 {
            b"ftyp" => (self.container, self.still) = brand(rest),
            b"moov" if self.fragmented.is_none() => return self.found_movie(place, rest).map(Visit::Ask),
            b"moof" if self.fragmented.is_some() => {
                if let Some(step) = self.found_fragment(place, rest)? {
                    return Ok(Visit::Ask(step));
                }
            }
            _ => {}
        }
        if end > self.file_size {
            return Err(IndexError::Truncated { have: self.file_size, need: end });
        }
        self.remember(header.kind, at)?;
        Ok(Visit::Next(end))
    }

    /// What the file amounts to at its end.
    fn end(&mut self) -> Result<Step, IndexError> {
        if self.fragmented.is_some() { self.finish_fragments(None) } else { Err(self.no_movie()) }
    }

    /// Whether fragments before `error` are worth showing. What is beyond a limit is refused as a whole.
    fn plays_as_far_as(&self, error: &IndexError) -> bool {
        let over_limit = matches!(error, IndexError::OverLimit { .. });
        !over_limit && self.fragmented.as_ref().is_some_and(|fragmented| !fragmented.fragments.is_empty())
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
        let limits = self.limits;
        let limit = if self.fragmented.is_some() { limits.fragment_boxes } else { limits.top_level_boxes };
        if self.boxes > limit {
            let path = "top level".to_owned();
            return Err(IndexError::OverLimit { path, offset: at, found: self.boxes, limit, unit: "boxes" });
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

    /// Reads the `moov` at `place`, of which `rest` is the beginning, or asks for more of it.
    fn found_movie(&mut self, place: Place, rest: &[u8]) -> Result<Step, IndexError> {
        let here = self.whole("moov", place, self.limits.movie_bytes, rest)?.unwrap_or(rest);
        self.take_movie(place, Box::new(Sieve::new(place.end - place.start, place.header)), here)
    }

    /// Takes the next bytes of `moov`, and reads it or asks for more.
    fn take_movie(&mut self, movie: Place, mut sieve: Box<Sieve>, bytes: &[u8]) -> Result<Step, IndexError> {
        sieve.push(bytes);
        let found = sieve.kept();
        if found > MOST_KEPT {
            let (path, unit) = ("moov".to_owned(), "bytes beside its sample tables");
            return Err(IndexError::OverLimit { path, offset: movie.start, found, limit: MOST_KEPT, unit });
        }
        if sieve.taken() == movie.end - movie.start {
            return self.read_movie(movie, sieve.finish());
        }
        let next = piece(movie, &sieve);
        self.state = State::Movie(movie, sieve);
        Ok(Step::Need(next))
    }

    /// Reads the `moof` at `place`, or asks for all of it.
    fn found_fragment(&mut self, place: Place, rest: &[u8]) -> Result<Option<Step>, IndexError> {
        let Some(whole) = self.whole("moof", place, self.limits.fragment_bytes, rest)? else {
            return Ok(Some(self.ask(place.start, place.end - place.start)));
        };
        let Some(fragmented) = &mut self.fragmented else { return Ok(None) };
        fragmented.near = place.start - fragmented.last < NEAR;
        fragmented.last = place.start;
        fragmented.fragments.read(&place.node("moof", whole), place.start)?;
        Ok(None)
    }

    /// The bytes of the box at `place` if `rest` has them all; none if there are more in the file.
    fn whole<'b>(&self, kind: &str, place: Place, limit: u64, rest: &'b [u8]) -> Result<Option<&'b [u8]>, IndexError> {
        let size = place.end - place.start;
        if size > limit {
            let (path, offset) = (kind.to_owned(), place.start);
            return Err(IndexError::OverLimit { path, offset, found: size, limit, unit: "bytes" });
        }
        if place.end > self.file_size {
            return Err(IndexError::Truncated { have: self.file_size, need: place.end });
        }
        Ok(usize::try_from(size).ok().and_then(|size| rest.get(..size)))
    }

    fn read_movie(&mut self, movie: Place, sieved: Sieved) -> Result<Step, IndexError> {
        let node = movie.movie(&sieved);
        let Some(fragments) = movie::fragments(&node, self.file())? else {
            return movie::read(&node, self.file(), None).map(|index| Step::Done(Box::new(index)));
        };
        let last = movie.end;
        let fragmented = Fragmented { movie, sieved, fragments, last, near: false };
        (self.fragmented, self.boxes) = (Some(Box::new(fragmented)), 0);
        if self.file_size - movie.end < 8 { self.end() } else { Ok(self.ask_headers(movie.end)) }
    }

    /// The index of a fragmented movie, whole or cut off at a place in the file.
    fn finish_fragments(&mut self, cut_off: Option<u64>) -> Result<Step, IndexError> {
        let Some(fragmented) = self.fragmented.take() else { return Err(self.no_movie()) };
        let Fragmented { movie, sieved, fragments, last, .. } = *fragmented;
        let cut_off = cut_off.or_else(|| fragments.is_cut_off().then_some(last));
        let mut index = movie::read(&movie.movie(&sieved), self.file(), Some(fragments))?;
        index.cut_off = cut_off;
        Ok(Step::Done(Box::new(index)))
    }

    fn file(&self) -> movie::File {
        movie::File { container: self.container, size: self.file_size, limits: self.limits }
    }
}

/// The piece of `movie` that comes next.
fn piece(movie: Place, sieve: &Sieve) -> Range<u64> {
    let start = movie.start + sieve.taken();
    start..movie.end.min(start + PIECE_BYTES)
}

/// What the major brand of the `ftyp` that `bytes` begin with says: the container, and whether it is a still picture.
/// A file without `ftyp` is an old `QuickTime` movie.
fn brand(bytes: &[u8]) -> (Container, bool) {
    let brand = bytes.get(8..12).unwrap_or_default();
    let container = if brand == b"qt  " { Container::Mov } else { Container::Mp4 };
    (container, matches!(brand, b"heic" | b"heix" | b"heim" | b"heis" | b"mif1" | b"avif"))
}
