//! What each element of a file is for, in the order in which they are met.

use super::block::{self, BlockHeader, Frame, Lacing};
use super::choice::{Choice, File};
use super::ebml::{self, Element, Header, HeaderRead, LONGEST_HEADER};
use super::ids;
use super::stream::Block;
use super::times::Clock;
use crate::index::{Container, MediaIndex};
use crate::indexer::{IndexError, Limits};

/// Bytes of `Info` and of the file's own header at most.
const LARGEST_HEAD: u64 = 1 << 20;

/// Bytes of `Tracks` at most.
const LARGEST_TRACKS: u64 = 16 << 20;

/// Bytes of a block with several frames at most: they are what is too small for blocks of their own.
const LARGEST_LACE: u64 = 2 << 20;

/// Kinds of elements that an error names at most.
const NAMED: usize = 8;

/// What follows from an element that was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Visit {
    /// The next one begins here.
    Next(u64),
    /// So many bytes from its beginning have to be there first.
    Ask(u64),
    /// There is nothing more that is read; whether there is something, and where.
    End(Option<u64>),
}

/// How far a file was read.
#[derive(Debug)]
pub(super) struct Walk {
    file_size: u64,
    limits: Limits,
    container: Option<Container>,
    clock: Option<Clock>,
    choice: Option<Choice>,
    segment: Option<Segment>,
    cluster: Option<Cluster>,
    group: Option<Group>,
    /// Frames taken.
    frames: u64,
    /// What was met before the tracks, for the error if they are not, and how many.
    seen: Vec<u32>,
    elements: u64,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    /// Where it ends, if it says so.
    end: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Cluster {
    end: Option<u64>,
    time: Option<i64>,
}

/// A block group, whose elements come in any order.
#[derive(Debug)]
struct Group {
    end: u64,
    /// Its block: the track, what its frames have in common, and they.
    block: Option<(u64, Block, Vec<Frame>)>,
    refers: bool,
    discard: i64,
}

/// An element, as its header says.
#[derive(Clone, Copy, Debug)]
struct Place {
    id: u32,
    start: u64,
    /// Where its body begins.
    body: u64,
    end: u64,
}

impl Walk {
    pub fn new(file_size: u64, limits: Limits) -> Self {
        Self {
            file_size,
            limits,
            container: None,
            clock: None,
            choice: None,
            segment: None,
            cluster: None,
            group: None,
            frames: 0,
            seen: Vec::new(),
            elements: 0,
        }
    }

    /// Whether the tracks are known, and what comes is media.
    pub fn is_in_media(&self) -> bool {
        self.choice.is_some()
    }

    /// Whether any track has a frame.
    pub fn has_frames(&self) -> bool {
        self.choice.as_ref().is_some_and(|choice| !choice.is_empty())
    }

    /// Looks at the element at `at`, where `rest` begins.
    pub fn visit(&mut self, at: u64, rest: &[u8]) -> Result<Visit, IndexError> {
        self.close(at);
        if at >= self.file_size {
            let ends = [self.segment.and_then(|s| s.end), self.cluster.and_then(|c| c.end)];
            let more = ends.into_iter().flatten().any(|end| end > self.file_size);
            return Ok(Visit::End((more || self.group.is_some()).then_some(self.file_size)));
        }
        if (rest.len() as u64) < (LONGEST_HEADER as u64).min(self.file_size - at) {
            return Ok(Visit::Ask(LONGEST_HEADER as u64));
        }
        if self.segment.and_then(|segment| segment.end).is_some_and(|end| end <= at) {
            // What is behind the segment is nothing, or another one.
            let another = [ids::EBML, ids::SEGMENT].iter().any(|id| rest.starts_with(&id.to_be_bytes()));
            return Ok(Visit::End(another.then_some(at)));
        }
        let header = match Header::read(rest) {
            HeaderRead::Whole(header) => header,
            HeaderRead::Short => return Err(self.truncated(self.file_size.saturating_add(1))),
            HeaderRead::Impossible => return Err(malformed("top level", at, "something that is no element")),
        };
        match (&self.group, self.cluster, self.segment) {
            (Some(_), _, _) => self.in_group(at, header, rest),
            (None, Some(_), _) => self.in_cluster(at, header, rest),
            (None, None, Some(_)) => self.in_segment(at, header, rest),
            (None, None, None) => self.at_top(at, header, rest),
        }
    }

    /// Closes what ends at `at`.
    fn close(&mut self, at: u64) {
        if let Some(group) = self.group.take_if(|group| group.end <= at) {
            self.take_group(group);
        }
        let ended = |end: Option<u64>| end.is_some_and(|end| end <= at);
        let segment = self.segment.and_then(|segment| segment.end);
        self.cluster.take_if(|cluster| ended(cluster.end) || ended(segment));
    }

    /// The place of an element, which ends within what contains it.
    fn place(&self, at: u64, header: Header) -> Result<Place, IndexError> {
        let body = at.saturating_add(header.len as u64);
        let Some(size) = header.size else {
            return Err(malformed(&ids::name(header.id), at, "its size is not known"));
        };
        let end = body.saturating_add(size);
        let parents = [
            ("BlockGroup", self.group.as_ref().map(|group| group.end)),
            ("Cluster", self.cluster.and_then(|cluster| cluster.end)),
            ("Segment", self.segment.and_then(|segment| segment.end)),
        ];
        for (name, parent) in parents {
            if parent.is_some_and(|parent| end > parent) {
                return Err(malformed(name, at, format!("{} ends beyond it", ids::name(header.id))));
            }
        }
        Ok(Place { id: header.id, start: at, body, end })
    }

    /// The same of an element that is there as a whole.
    fn place_in_file(&self, at: u64, header: Header) -> Result<Place, IndexError> {
        let place = self.place(at, header)?;
        if place.end > self.file_size { Err(self.truncated(place.end)) } else { Ok(place) }
    }

    fn truncated(&self, need: u64) -> IndexError {
        IndexError::Truncated { have: self.file_size, need }
    }

    /// The element at `place`, all of which is read, if `rest` has it; else what has to be asked for.
    fn whole(place: Place, most: u64, rest: &[u8]) -> Result<Result<Element<'_>, Visit>, IndexError> {
        let (size, name) = (place.end - place.start, ids::name(place.id));
        if size > most {
            let (path, offset) = (name, place.start);
            return Err(IndexError::OverLimit { path, offset, found: size, limit: most, unit: "bytes" });
        }
        let range = usize::try_from(place.body - place.start).ok().zip(usize::try_from(size).ok());
        let body = range.and_then(|(body, end)| rest.get(body..end));
        Ok(body.map(|body| Element { path: name.into(), offset: place.body, body }).ok_or(Visit::Ask(size)))
    }

    /// Counts what comes before the tracks.
    fn remember(&mut self, id: u32, at: u64) -> Result<(), IndexError> {
        self.elements += 1;
        let (found, limit) = (self.elements, self.limits.top_level_boxes);
        if found > limit && self.choice.is_none() {
            let path = "top level".to_owned();
            return Err(IndexError::OverLimit { path, offset: at, found, limit, unit: "elements before its tracks" });
        }
        if self.seen.len() < NAMED && !self.seen.contains(&id) {
            self.seen.push(id);
        }
        Ok(())
    }

    fn at_top(&mut self, at: u64, header: Header, rest: &[u8]) -> Result<Visit, IndexError> {
        self.remember(header.id, at)?;
        match header.id {
            ids::SEGMENT => {
                let body = at.saturating_add(header.len as u64);
                self.segment = Some(Segment { end: header.size.map(|size| body.saturating_add(size)) });
                return Ok(Visit::Next(body));
            }
            ids::EBML if self.container.is_none() => {
                let place = self.place_in_file(at, header)?;
                let element = match Self::whole(place, LARGEST_HEAD, rest)? {
                    Ok(element) => element,
                    Err(ask) => return Ok(ask),
                };
                self.container = Some(container(&element)?);
            }
            _ => {}
        }
        Ok(Visit::Next(self.place_in_file(at, header)?.end))
    }

    fn in_segment(&mut self, at: u64, header: Header, rest: &[u8]) -> Result<Visit, IndexError> {
        if self.choice.is_none() {
            self.remember(header.id, at)?;
        }
        match header.id {
            // Of a segment of unknown size, this is the end.
            ids::EBML | ids::SEGMENT => return Ok(Visit::End(Some(at))),
            ids::CLUSTER if self.choice.is_none() => return Err(self.no_tracks()),
            ids::CLUSTER => {
                let body = at.saturating_add(header.len as u64);
                let end = match header.size {
                    Some(_) => Some(self.place(at, header)?.end),
                    None => None,
                };
                self.cluster = Some(Cluster { end, time: None });
                return Ok(Visit::Next(body));
            }
            ids::INFO if self.clock.is_none() => {
                let place = self.place_in_file(at, header)?;
                match Self::whole(place, LARGEST_HEAD, rest)? {
                    Ok(element) => self.clock = Some(clock(&element)?),
                    Err(ask) => return Ok(ask),
                }
                return Ok(Visit::Next(place.end));
            }
            ids::TRACKS if self.choice.is_none() => {
                let place = self.place_in_file(at, header)?;
                match Self::whole(place, LARGEST_TRACKS.min(self.limits.movie_bytes), rest)? {
                    Ok(element) => self.choice = Some(Choice::read(&element, self.limits)?),
                    Err(ask) => return Ok(ask),
                }
                return Ok(Visit::Next(place.end));
            }
            _ => {}
        }
        Ok(Visit::Next(self.place_in_file(at, header)?.end))
    }

    fn in_cluster(&mut self, at: u64, header: Header, rest: &[u8]) -> Result<Visit, IndexError> {
        if ids::ends_a_cluster(header.id) {
            self.cluster = None;
            return Ok(Visit::Next(at));
        }
        let place = match header.id {
            // A block that is cut off ends the file before it, and so does its group.
            ids::BLOCK_GROUP => self.place(at, header)?,
            _ => self.place_in_file(at, header)?,
        };
        match header.id {
            ids::CLUSTER_TIMESTAMP => {
                let element = match Self::whole(place, LARGEST_HEAD, rest)? {
                    Ok(element) => element,
                    Err(ask) => return Ok(ask),
                };
                let time = ebml::unsigned(element.body).and_then(|time| i64::try_from(time).ok());
                // Beyond this, sums of a few such times can overflow.
                let time = time.filter(|time| self.clock().nanos(*time) < 1 << 62);
                let time = time.ok_or_else(|| element.malformed(0, "it is centuries from the beginning"))?;
                self.cluster = self.cluster.map(|cluster| Cluster { time: Some(time), ..cluster });
            }
            ids::SIMPLE_BLOCK => return self.block(place, rest),
            ids::BLOCK_GROUP => {
                self.group = Some(Group { end: place.end, block: None, refers: false, discard: 0 });
                return Ok(Visit::Next(place.body));
            }
            _ => {}
        }
        Ok(Visit::Next(place.end))
    }

    fn in_group(&mut self, at: u64, header: Header, rest: &[u8]) -> Result<Visit, IndexError> {
        let place = self.place_in_file(at, header)?;
        let number = match header.id {
            ids::BLOCK => return self.block(place, rest),
            ids::DISCARD_PADDING => match Self::whole(place, LARGEST_HEAD, rest)? {
                Ok(element) => signed(element.body),
                Err(ask) => return Ok(ask),
            },
            _ => 0,
        };
        if let Some(group) = &mut self.group {
            match header.id {
                ids::REFERENCE_BLOCK => group.refers = true,
                ids::DISCARD_PADDING => group.discard = number,
                _ => {}
            }
        }
        Ok(Visit::Next(place.end))
    }

    /// Takes the block at `place`, or asks for its beginning, of several frames for all of it.
    fn block(&mut self, place: Place, rest: &[u8]) -> Result<Visit, IndexError> {
        let bad = |problem: &'static str| malformed(&ids::name(place.id), place.start, problem);
        let (size, head) = (place.end - place.body, place.body - place.start);
        let body = usize::try_from(head).ok().and_then(|head| rest.get(head..)).unwrap_or_default();
        let body = &body[..usize::try_from(size).unwrap_or(usize::MAX).min(body.len())];
        let beginning = size.min(block::BEGINNING as u64);
        if (body.len() as u64) < beginning {
            return Ok(Visit::Ask(head + beginning));
        }
        let header = BlockHeader::read(body).ok_or_else(|| bad("its header is cut off"))?;
        let clock = self.clock();
        let Some(stream) = self.choice.as_mut().and_then(|choice| choice.stream(header.track)) else {
            return Ok(Visit::Next(place.end));
        };
        if header.lacing != Lacing::None {
            if size > LARGEST_LACE {
                return Err(bad("it has several frames and is larger than such are"));
            }
            if (body.len() as u64) < size {
                return Ok(Visit::Ask(head + size));
            }
        }
        let frames = block::frames(&header, body, size).map_err(bad)?;
        self.frames += frames.iter().filter(|frame| frame.size > 0).count() as u64;
        if self.frames > self.limits.samples {
            let (path, limit) = ("Segment".to_owned(), self.limits.samples);
            return Err(IndexError::OverLimit {
                path,
                offset: place.start,
                found: self.frames,
                limit,
                unit: "samples",
            });
        }
        let time = self.cluster.and_then(|cluster| cluster.time);
        let time = time.ok_or_else(|| bad("its cluster has no time"))? + i64::from(header.time);
        let block = Block { offset: place.body, time, keyframe: header.keyframe, discard: 0 };
        match &mut self.group {
            Some(group) => {
                group.block.get_or_insert((header.track, block, frames));
            }
            None => stream.push(block, &frames, clock),
        }
        Ok(Visit::Next(place.end))
    }

    /// Takes the block of a group that is whole.
    fn take_group(&mut self, group: Group) {
        let clock = self.clock();
        let Some((track, block, frames)) = group.block else { return };
        if let Some(stream) = self.choice.as_mut().and_then(|choice| choice.stream(track)) {
            stream.push(Block { keyframe: !group.refers, discard: group.discard, ..block }, &frames, clock);
        }
    }

    /// The file's clock; of milliseconds where it says none.
    fn clock(&self) -> Clock {
        self.clock.unwrap_or_default()
    }

    fn no_tracks(&self) -> IndexError {
        let names: Vec<_> = self.seen.iter().map(|id| ids::name(*id)).collect();
        let found = if names.is_empty() { "nothing".to_owned() } else { format!("only {}", names.join(", ")) };
        IndexError::NoTracks { found }
    }

    /// The index of what was met.
    pub fn finish(mut self, cut_off: Option<u64>) -> Result<MediaIndex, IndexError> {
        let clock = self.clock();
        let Some(choice) = self.choice.take() else {
            return Err(match cut_off {
                Some(_) => self.truncated(self.file_size.saturating_add(1)),
                None => self.no_tracks(),
            });
        };
        let container = self.container.unwrap_or(Container::Matroska);
        choice.finish(File { container, size: self.file_size, limits: self.limits, clock }, cut_off)
    }
}

fn malformed(path: &str, offset: u64, problem: impl Into<std::borrow::Cow<'static, str>>) -> IndexError {
    IndexError::Malformed { path: path.to_owned(), offset, problem: problem.into() }
}

/// A signed whole number (RFC 8794 §7.1) of at most eight bytes; zero for others.
fn signed(body: &[u8]) -> i64 {
    let Some(value) = ebml::unsigned(body).filter(|_| !body.is_empty()) else { return 0 };
    let unused = 64 - 8 * body.len();
    (value << unused).cast_signed() >> unused
}

/// What the file's own header says it is.
fn container(header: &Element<'_>) -> Result<Container, IndexError> {
    let mut kind = "matroska".to_owned();
    for child in header.children() {
        let child = child?;
        match child.id {
            ids::DOC_TYPE => kind = child.text(),
            ids::EBML_READ_VERSION if child.unsigned()? > 1 => {
                return Err(header.malformed(0, "it needs a reader of a later version of EBML"));
            }
            _ => {}
        }
    }
    match kind.as_str() {
        "matroska" => Ok(Container::Matroska),
        "webm" => Ok(Container::WebM),
        _ => Err(IndexError::NotMp4 { found: "an EBML file of another kind" }),
    }
}

/// The clock that `Info` sets.
fn clock(info: &Element<'_>) -> Result<Clock, IndexError> {
    for child in info.children() {
        let child = child?;
        if child.id == ids::TIMESTAMP_SCALE {
            let nanos = child.unsigned()?;
            let absurd = || info.malformed(0, format!("its times count in units of {nanos} nanoseconds"));
            return Clock::new(nanos).ok_or_else(absurd);
        }
    }
    Ok(Clock::default())
}
