//! The walk over a file's elements to its index, without I/O.

use super::walk::{Visit, Walk};
use crate::indexer::{IndexError, Limits, Step};
use std::ops::Range;

/// Bytes asked for at the beginning of an element before the media.
const HEAD_BYTES: u64 = 4096;

/// Bytes of the media that are asked for at once: of a film a few seconds, of which the headers of blocks are read.
const WINDOW_BYTES: u64 = 4 << 20;

/// Reads the media index of a Matroska or WebM file, asking for the byte ranges it needs one after the other: what describes
/// its tracks, then everything up to its end, as it comes. Frames larger than what is asked for at once are passed over.
///
/// [`crate::indexer::Indexer`] finds out which files it is for.
#[derive(Debug)]
pub struct Indexer {
    file_size: u64,
    limits: Limits,
    walk: Walk,
    state: State,
}

#[derive(Debug)]
enum State {
    Start,
    /// Bytes of the range were asked for, which begins with an element.
    Asked(Range<u64>),
}

/// An error, and the element it was met in.
struct Fault {
    at: u64,
    error: IndexError,
}

impl Indexer {
    /// An indexer for a file of `file_size` bytes.
    pub fn new(file_size: u64, limits: Limits) -> Self {
        Self { file_size, limits, walk: Walk::new(file_size, limits), state: State::Start }
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
                Ok(self.ask(0, 0))
            }
            State::Asked(range) => {
                let window = self.exactly(&range, bytes)?;
                match self.go(range.start, window) {
                    // What was recorded before a crash plays.
                    Err(Fault { at, error }) if self.plays_as_far_as(&error) => self.finish(Some(at)),
                    Err(Fault { error, .. }) => Err(error),
                    Ok(step) => Ok(step),
                }
            }
        }
    }

    /// Asks for `len` bytes from the element at `at` on, or more where that saves another read.
    fn ask(&mut self, at: u64, len: u64) -> Step {
        let in_media = self.walk.is_in_media();
        let len = len.max(if in_media { WINDOW_BYTES } else { HEAD_BYTES });
        let range = at..self.file_size.min(at.saturating_add(len));
        self.state = State::Asked(range.clone());
        if in_media { Step::Await(range) } else { Step::Need(range) }
    }

    /// The bytes of `range` out of what was given for it.
    fn exactly<'b>(&self, range: &Range<u64>, bytes: &'b [u8]) -> Result<&'b [u8], IndexError> {
        let wanted = usize::try_from(range.end - range.start).ok();
        wanted.and_then(|wanted| bytes.get(..wanted)).ok_or_else(|| {
            let have = range.start.saturating_add(bytes.len() as u64);
            IndexError::Truncated { have, need: self.file_size }
        })
    }

    /// Goes from element to element, from the one at `start`, where `window` begins.
    fn go(&mut self, start: u64, window: &[u8]) -> Result<Step, Fault> {
        let mut at = start;
        loop {
            let rest = usize::try_from(at - start).ok().and_then(|at| window.get(at..)).unwrap_or_default();
            match self.walk.visit(at, rest).map_err(|error| Fault { at, error })? {
                Visit::Next(next) => at = next,
                Visit::Ask(len) => return Ok(self.ask(at, len)),
                Visit::End(cut_off) => return self.finish(cut_off).map_err(|error| Fault { at, error }),
            }
        }
    }

    /// Whether frames before `error` are worth showing. What is beyond a limit is refused as a whole.
    fn plays_as_far_as(&self, error: &IndexError) -> bool {
        !matches!(error, IndexError::OverLimit { .. }) && self.walk.has_frames()
    }

    /// The index of the file, whole or cut off at a place in it.
    fn finish(&mut self, cut_off: Option<u64>) -> Result<Step, IndexError> {
        let walk = std::mem::replace(&mut self.walk, Walk::new(self.file_size, self.limits));
        walk.finish(cut_off).map(|index| Step::Done(Box::new(index)))
    }
}
