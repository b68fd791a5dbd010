//! The frames of one track on their way into its table, and the track that they become.

use super::block::{Frame, Head};
use super::entry::Entry;
use super::times::{self, Clock, Order};
use super::{sound, video};
use crate::codec::Codec;
use crate::gathering::{Described, Gathering, Samples};
use crate::index::IgnoredCause;
use crate::time::Timescale;
use crate::track::{AudioFormat, Edit, Parts, Sample, SampleTableBuilder, Track, TrackKind};

/// A track that is played, unless its frames are wrong.
#[derive(Debug)]
pub(super) struct Stream {
    entry: Entry,
    media: Media,
    /// What is wrong with its frames, and where that was seen; no more of them are taken then.
    wrong: Option<(u64, String)>,
}

#[derive(Debug)]
enum Media {
    Pictures(Box<Pictures>),
    Sound(Box<Sound>),
}

/// A block's frames have this in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Block {
    /// Where it begins in the file.
    pub offset: u64,
    /// When it is shown, in ticks of the file.
    pub time: i64,
    pub keyframe: bool,
    /// Nanoseconds at its end that are not heard.
    pub discard: i64,
}

/// A track, and when it is first seen or heard on the file's clock, in nanoseconds.
#[derive(Debug)]
pub(super) struct ReadTrack {
    pub track: Track,
    pub starts: i128,
}

type Refusal = (IgnoredCause, String);

impl Stream {
    /// A stream of pictures.
    pub fn pictures(entry: Entry, description: video::Description) -> Self {
        let media = Media::Pictures(Box::new(Pictures {
            description,
            shown: SampleTableBuilder::default(),
            order: Order::default(),
            count: 0,
            key: None,
        }));
        Self { entry, media, wrong: None }
    }

    /// A stream of sound.
    pub fn sound(entry: Entry, description: sound::Description) -> Self {
        let timescale = Timescale::new(description.format.sample_rate.max(1)).expect("at least one");
        let media = Media::Sound(Box::new(Sound {
            description,
            timescale,
            samples: Gathering::default(),
            first: None,
            last: 0,
            discard: 0,
        }));
        Self { entry, media, wrong: None }
    }

    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Where something was found wrong with its frames.
    pub fn wrong_at(&self) -> Option<u64> {
        self.wrong.as_ref().map(|(at, _)| *at)
    }

    pub fn is_video(&self) -> bool {
        matches!(self.media, Media::Pictures(_))
    }

    /// Pixels of a picture, none of sound.
    pub fn pixels(&self) -> u64 {
        match &self.media {
            Media::Pictures(pictures) => {
                let format = &pictures.description.format;
                u64::from(format.width) * u64::from(format.height)
            }
            Media::Sound(_) => 0,
        }
    }

    /// Whether no frame came yet.
    pub fn is_empty(&self) -> bool {
        match &self.media {
            Media::Pictures(pictures) => pictures.count == 0,
            Media::Sound(sound) => sound.samples.is_empty(),
        }
    }

    /// Adds the frames of a block.
    pub fn push(&mut self, block: Block, frames: &[Frame], clock: Clock) {
        if self.wrong.is_none() {
            self.wrong = self.add(block, frames, clock).err().map(|problem| (block.offset, problem));
        }
    }

    fn add(&mut self, block: Block, frames: &[Frame], clock: Clock) -> Result<(), String> {
        for (number, frame) in frames.iter().enumerate().filter(|(_, frame)| frame.size > 0) {
            let offset = block.offset.saturating_add(frame.at);
            match &mut self.media {
                Media::Pictures(pictures) => {
                    // Frames of a lace follow each other.
                    let lasts = i64::try_from(self.entry.default_duration.unwrap_or(0)).unwrap_or(0);
                    let later = i128::from(lasts) * number as i128 / clock.nanos(1);
                    let time = i64::try_from(later).ok().and_then(|later| block.time.checked_add(later));
                    pictures.push(offset, frame, time.ok_or("a time beyond all others")?, block.keyframe)?;
                }
                Media::Sound(sound) => {
                    let time = (number == 0).then_some(block.time);
                    sound.push(offset, frame, time, clock)?;
                    sound.discard = block.discard;
                }
            }
        }
        Ok(())
    }

    /// The track; why it is not played, otherwise.
    pub fn finish(self, clock: Clock, default_language: Option<&str>) -> Result<ReadTrack, Refusal> {
        if let Some((_, problem)) = self.wrong {
            return Err((IgnoredCause::Damaged, problem));
        }
        if self.is_empty() {
            return Err((IgnoredCause::Empty, "it has no samples".to_owned()));
        }
        let is_video = self.is_video();
        let entry = self.entry;
        let Finished { timescale, codec, kind, edit, samples, starts } = match self.media {
            Media::Pictures(pictures) => pictures.finish(&entry, clock)?,
            Media::Sound(sound) => sound.finish(&entry, clock),
        };
        if let Some((cause, reason)) = samples.useless(is_video) {
            return Err((cause, reason.to_owned()));
        }
        let edit = Edit { end: edit.end.filter(|&end| end < samples.end), ..edit };
        if edit.start >= edit.end.unwrap_or(samples.end) {
            return Err((IgnoredCause::Empty, "nothing of it is ever shown".to_owned()));
        }
        let track = Track {
            id: super::track_id(entry.number),
            timescale,
            language: language(&entry, default_language),
            name: entry.name,
            codec,
            kind,
            edit,
            samples: samples.table,
            open_gop: samples.open_gop,
        };
        Ok(ReadTrack { track, starts })
    }
}

fn language(entry: &Entry, default: Option<&str>) -> Option<String> {
    match (&entry.language_tag, entry.language.as_deref().or(default)) {
        (Some(tag), _) => crate::language::from_extended(tag.as_bytes()),
        (None, code) => code.and_then(crate::language::from_code),
    }
}

struct Finished {
    timescale: Timescale,
    codec: Codec,
    kind: TrackKind,
    edit: Edit,
    samples: Samples,
    starts: i128,
}

#[derive(Debug)]
struct Pictures {
    description: video::Description,
    /// In decode order, each with the time at which it is shown in place of its decode time.
    shown: SampleTableBuilder,
    order: Order,
    count: u64,
    /// What the first key frame begins with.
    key: Option<Head>,
}

impl Pictures {
    fn push(&mut self, offset: u64, frame: &Frame, time: i64, keyframe: bool) -> Result<(), String> {
        self.order.push(time)?;
        if keyframe && self.key.is_none() {
            self.key = Some(frame.head);
        }
        self.count += 1;
        self.shown.push(Sample { offset, size: frame.size, dts: time, cts: 0, duration: 0, sync: keyframe });
        Ok(())
    }

    fn finish(self, entry: &Entry, clock: Clock) -> Result<Finished, Refusal> {
        let damaged = |reason: String| (IgnoredCause::Damaged, reason);
        let first = self.order.first.unwrap_or(0);
        let last = self.order.last.unwrap_or(0);
        // Where nothing says how long a picture lasts, as long as the others on average.
        let lasts = match (entry.default_duration, self.count.checked_sub(1)) {
            (Some(nanos), _) => i128::from(nanos),
            (None, Some(others @ 1..)) => (clock.nanos(last) - clock.nanos(first)) / i128::from(others),
            _ => 40_000_000,
        };
        let shown = self.shown.finish();
        let grid = entry.default_duration.and_then(|nanos| times::Grid::new(nanos, clock));
        let on_grid = grid.and_then(|grid| Some((grid.timescale(), times::decoded_on(grid, &shown, &self.order)?)));
        let (timescale, decoded) = if let Some(on_grid) = on_grid {
            on_grid
        } else {
            let timescale = clock.timescale();
            let step = times::from_nanos(lasts, timescale).unwrap_or(0);
            (timescale, times::decoded(&shown, &self.order, clock, timescale, step).map_err(damaged)?)
        };
        let rate = 1e9 / to_float(lasts.max(1));
        let format = self.description.format;
        let codec = self.description.codec.codec(&format, self.key.as_ref(), rate)?;
        let edit = Edit { start: decoded.start, ..Edit::default() };
        let starts = clock.nanos(first);
        Ok(Finished { timescale, codec, kind: TrackKind::Video(format), edit, samples: decoded.samples, starts })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for a table of levels")]
fn to_float(nanos: i128) -> f64 {
    nanos as f64
}

#[derive(Debug)]
struct Sound {
    description: sound::Description,
    timescale: Timescale,
    samples: Gathering,
    /// Time of the first frame in ticks of the file.
    first: Option<i64>,
    /// Samples of the last frame.
    last: u32,
    /// Nanoseconds at the end of the last block that are not heard.
    discard: i64,
}

impl Sound {
    /// Adds a frame, where it has one with the time of its block. Times in files are rounded, and frames follow each
    /// other: a time is believed only where it is more than half a frame from where the frame would follow.
    fn push(&mut self, offset: u64, frame: &Frame, time: Option<i64>, clock: Clock) -> Result<(), String> {
        let duration = self.description.frames.samples(&frame.head);
        // One that is damaged lasts as long as the one before it.
        let duration = duration.or((self.last > 0).then_some(self.last));
        let duration =
            duration.ok_or_else(|| format!("its first frame is none of {}", self.description.codec.name()))?;
        self.last = duration;
        if let Some(time) = time {
            let since = time.checked_sub(*self.first.get_or_insert(time)).ok_or("a time beyond all others")?;
            let at = clock.convert(since, self.timescale).ok_or("a time beyond all others")?;
            let rounding = clock.convert(1, self.timescale).unwrap_or(0);
            let apart = (at - self.samples.next()).unsigned_abs();
            if apart > u64::from(duration / 2).max(rounding.unsigned_abs()) {
                self.samples.go_on_at(at)?;
            }
        }
        self.samples.push(Described { offset, size: frame.size, duration, cts: 0, sync: true })
    }

    fn finish(self, entry: &Entry, clock: Clock) -> Finished {
        let Self { description: sound::Description { codec, format, skip, .. }, timescale, .. } = self;
        let samples = self.samples.finish();
        let unheard = times::from_nanos(self.discard.max(0).into(), timescale).unwrap_or(0);
        let end = (unheard > 0).then(|| samples.end - unheard);
        let edit = Edit { delay: 0, start: skip.into(), end, parts: Parts::One };
        let AudioFormat { sample_rate, .. } = format;
        // The codec's delay is taken off every block's time, and what it leaves out is not heard.
        let later = i128::from(skip) * 1_000_000_000 / i128::from(sample_rate.max(1));
        let starts = clock.nanos(self.first.unwrap_or(0)) - i128::from(entry.codec_delay) + later;
        Finished { timescale, codec, kind: TrackKind::Audio(format), edit, samples, starts }
    }
}
