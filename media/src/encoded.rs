//! Encoded pictures before they are made: when each is shown and where they are cut follows from the source alone, because one
//! picture comes out for each one that goes in. So players can be told of every segment at once, and spans of segments are
//! encoded apart, by anybody, in any order.
//!
//! The plan is a media index of pictures that do not exist yet: its times are true, its sizes stand for the most that an
//! encoder may write. Picture `i` in decode order is decoded when picture `i − LAG` is shown, over the whole track (the first
//! ones before), which no order of an encoder with at most [`LAG`] pictures ahead breaks, and which goes on from one span to
//! the next.

mod span;

pub use span::{Cut, EncodedSegment, Misfit, SpanWriter, keyframe_of};

use crate::cmaf::init::UPRIGHT;
use crate::codec::Codec;
use crate::index::{Container, MediaIndex};
use crate::plan::TARGET;
use crate::presentation::{Presentation, Rendition};
use crate::time::Timescale;
use crate::track::{Colour, Edit, Rotation, Sample, SampleTable, Track, TrackKind, VideoFormat};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Pictures by which decoding is ahead of showing: of an encoder with two B pictures in a row, one of which others refer to.
pub const LAG: usize = 2;
/// Bits a second that an encoder may write over a few seconds.
pub const FASTEST: u32 = 8_000_000;
/// A segment is cut anew where the source's keyframes leave it longer than this.
const LONG: Duration = Duration::from_secs(6);
/// Two cuts of the source nearer than this are one.
const SHORT: Duration = Duration::from_secs(2);
/// Segments of a span: so many that beginning anew costs nothing (0.995 of the time of one whole encode).
const SPAN: u32 = 4;
/// Spans of a track at the most: each has a job.
const MOST_SPANS: u32 = 256;
/// Segments of a span at the most: each is a time in one argument of an encoder, and those have 128 KiB on Linux.
const LONGEST_SPAN: u32 = 4096;
/// Where keyframes of the source are farther apart than this all of it is one span: each would decode what the one before did.
const APART: Duration = Duration::from_secs(30);

/// A picture that stays for longer than this is a slide, and its track is encoded without pictures that refer to later ones: an
/// encoder's delay would be as long, and times of decoding far from those of showing.
const LEAP: Duration = Duration::from_secs(10);

/// How encoded pictures look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Look {
    /// Pixels, upright and square.
    pub size: (u32, u32),
    /// Whether light of a wider range was brought to what every screen shows.
    pub tone_mapped: bool,
}

/// Pictures that are to be encoded: the one track of its index.
#[derive(Clone, Debug)]
pub struct Planned {
    presentation: Presentation,
}

/// What is encoded of a source for some segments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpanPlan {
    /// Segments of the source rendition to decode.
    pub feed: RangeInclusive<u32>,
    /// What is shown before this is left out, in ticks of the rendition; none where it begins with the first picture.
    pub from: Option<i64>,
    /// What is shown from here on is left out; none where it ends with the last picture.
    pub until: Option<i64>,
    /// When each segment begins.
    pub keyframes: Vec<i64>,
    /// Pictures by which decoding may be ahead of showing: none where each is to be decoded when it is shown.
    pub lag: usize,
    /// Ticks a second of all of these.
    pub timescale: Timescale,
}

impl Planned {
    /// The plan for a picture track of a source. None where nothing of it is ever shown.
    pub fn of(source: &Rendition<'_>, look: Look) -> Option<Self> {
        let format = source.video_format()?;
        let shown = Shown::of(source)?;
        let mut cuts = shown.cuts(source);
        loop {
            let planned = Self::new(Presentation::new(shown.index(source.track, format, look, &cuts)))?;
            let kept: Vec<usize> = (1..=planned.count()).map(|number| planned.first(number)).collect();
            // Cuts that no segment begins at are no keyframes.
            if kept.len() >= cuts.len() {
                return Some(planned);
            }
            cuts = kept;
        }
    }

    /// A plan as it was stored; none where the presentation is not one of a plan.
    pub fn new(presentation: Presentation) -> Option<Self> {
        let segments = presentation.video()?.plan.segments().len();
        (segments > 0).then_some(Self { presentation })
    }

    /// Its index and how that is cut.
    pub fn presentation(&self) -> &Presentation {
        &self.presentation
    }

    fn rendition(&self) -> Rendition<'_> {
        self.presentation.video().expect("a plan has pictures")
    }

    /// Number of segments.
    pub fn count(&self) -> u32 {
        u32::try_from(self.rendition().plan.segments().len()).unwrap_or(u32::MAX)
    }

    /// Segments of a span, for pictures of `source`.
    pub fn span_len(&self, source: &Rendition<'_>) -> u32 {
        let usual = SPAN.max(self.count().div_ceil(MOST_SPANS));
        if source.plan.longest() > APART { self.count().min(LONGEST_SPAN).max(usual) } else { usual }
    }

    /// The place of the first picture of segment `number`, from 1; behind the last segment the number of pictures.
    fn first(&self, number: u32) -> usize {
        let rendition = self.rendition();
        let position = usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
        rendition.plan.first_sample(position).unwrap_or(rendition.track.samples.len())
    }

    /// The segment that begins with the picture at `place`, from 1.
    pub fn segment_at(&self, place: usize) -> Option<u32> {
        let segments = 1..=self.count();
        // The places of first pictures ascend.
        let (mut low, mut high) = (*segments.start(), *segments.end());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.first(middle) < place { low = middle + 1 } else { high = middle }
        }
        (self.first(low) == place).then_some(low)
    }

    /// When the picture at `place` is shown, in ticks; behind the last one none.
    fn shown(&self, place: usize) -> Option<i64> {
        let track = self.rendition().track;
        track.samples.get(place).map(|sample| sample.dts + i64::from(sample.cts) - track.edit.start)
    }

    /// Pictures that are decoded before anything is shown.
    fn lag(&self) -> usize {
        let track = self.rendition().track;
        track
            .samples
            .range(0..track.samples.len().min(LAG + 1))
            .take_while(|sample| sample.dts < track.edit.start)
            .count()
    }

    /// What is encoded of `source`, which the plan is of, for the segments of `numbers`.
    pub fn span(&self, source: &Rendition<'_>, numbers: RangeInclusive<u32>) -> SpanPlan {
        let (first, last) = (*numbers.start(), *numbers.end());
        let from = if first > 1 { self.shown(self.first(first)) } else { None };
        let until = self.shown(self.first(last.saturating_add(1)));
        let keyframes = numbers.filter_map(|number| self.shown(self.first(number))).collect();
        SpanPlan {
            feed: feed(source, from, until),
            from,
            until,
            keyframes,
            lag: self.lag(),
            timescale: source.plan.timescale,
        }
    }
}

/// The segments of `source` that are decoded for what is shown from `from` until `until`.
fn feed(source: &Rendition<'_>, from: Option<i64>, until: Option<i64>) -> RangeInclusive<u32> {
    let (mut first, mut last) = (1, 1);
    for (number, position) in (1..).zip(0..source.plan.segments().len()) {
        let mut pictures = source.plan.shown(source.track, position).peekable();
        let begins = pictures.peek().copied();
        let sync = source.plan.segments()[position].sync;
        if sync && begins.zip(from).is_some_and(|(begins, from)| begins <= from) {
            first = number;
        }
        // Of an open GOP pictures of the segment before are decoded with the one after.
        if pictures.any(|shown| until.is_none_or(|until| shown < until)) {
            last = number;
        }
    }
    first..=last.max(first)
}

/// When the pictures of a source are shown, in order, and when all is over.
struct Shown {
    times: Vec<i64>,
    end: i64,
    timescale: Timescale,
}

impl Shown {
    fn of(source: &Rendition<'_>) -> Option<Self> {
        let segments = 0..source.plan.segments().len();
        let all = segments.flat_map(|position| source.plan.shown(source.track, position));
        let mut times: Vec<i64> = all.filter(|time| *time >= 0).collect();
        times.sort_unstable();
        times.dedup();
        let timescale = source.plan.timescale;
        // What is on the screen first is there from the beginning.
        *times.first_mut()? = 0;
        let end = timescale_ticks(source.track.duration(), timescale);
        let last = *times.last()?;
        let usual = if times.len() > 1 { last / i64::try_from(times.len() - 1).ok()? } else { 1 };
        Some(Self { end: end.max(last + usual.max(1)), times, timescale })
    }

    /// Places of the pictures that segments may begin with.
    fn cuts(&self, source: &Rendition<'_>) -> Vec<usize> {
        let ticks = |time: Duration| timescale_ticks(time, self.timescale).max(1);
        let own = (1..source.plan.segments().len()).filter_map(|position| {
            let sync = source.plan.segments()[position].sync;
            source.plan.shown(source.track, position).next().filter(|_| sync)
        });
        let mut begins = vec![0];
        for cut in own {
            if cut - begins[begins.len() - 1] >= ticks(SHORT) && cut < self.end {
                begins.push(cut);
            }
        }
        let ends = begins.iter().copied().skip(1).chain([self.end]).collect::<Vec<_>>();
        let mut cuts = Vec::new();
        for (begin, end) in begins.into_iter().zip(ends) {
            let parts = if end - begin > ticks(LONG) { (end - begin + ticks(TARGET) / 2) / ticks(TARGET) } else { 1 };
            cuts.extend((0..parts.max(1)).map(|part| begin + (end - begin) / parts.max(1) * part));
        }
        let mut places: Vec<usize> =
            cuts.into_iter().map(|cut| self.times.partition_point(|time| *time < cut)).collect();
        places.retain(|place| *place < self.times.len());
        places.dedup();
        places
    }

    /// Whether a picture stays for so long that none may be decoded before it for one behind it.
    fn leaps(&self) -> bool {
        let longest = timescale_ticks(LEAP, self.timescale);
        self.times.windows(2).any(|two| two[1] - two[0] > longest)
    }

    /// The index of the pictures, with keyframes at the places of `cuts`.
    fn index(&self, source: &Track, format: &VideoFormat, look: Look, cuts: &[usize]) -> MediaIndex {
        let lag = if self.leaps() { 0 } else { LAG.min(self.times.len() - 1) };
        // What shows at zero is decoded before.
        let before = self.times[lag];
        let decoded = |place: usize| match place.checked_sub(lag) {
            None => self.times[place],
            Some(shown) => self.times.get(shown).copied().unwrap_or(self.end) + before,
        };
        let mut keyframes = cuts.iter().peekable();
        let mut offset = 0;
        let samples = self.times.iter().enumerate().map(|(place, shown)| {
            let (dts, next) = (decoded(place), decoded(place + 1));
            let duration = u32::try_from(next - dts).unwrap_or(u32::MAX);
            let bits = u64::from(duration) * u64::from(FASTEST) / u64::from(self.timescale.get());
            let size = u32::try_from(bits / 8).unwrap_or(u32::MAX);
            let composition = i32::try_from(shown + before - dts).unwrap_or(i32::MAX);
            let sync = keyframes.next_if(|cut| **cut <= place).is_some();
            let sample = Sample { offset, size, dts, cts: composition, duration, sync };
            offset += u64::from(size);
            sample
        });
        let samples = SampleTable::from_samples(samples.collect());
        let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
        let format = VideoFormat {
            width: side(look.size.0),
            height: side(look.size.1),
            sample_aspect: (1, 1),
            matrix: UPRIGHT,
            rotation: Rotation::None,
            colour: if look.tone_mapped { Some(EVERY_SCREEN) } else { format.colour },
        };
        let track = Track {
            id: 1,
            timescale: self.timescale,
            language: source.language.clone(),
            name: source.name.clone(),
            codec: Codec::H264 { avcc: UNKNOWN.to_vec() },
            kind: TrackKind::Video(format),
            edit: Edit { start: before, ..Edit::default() },
            samples,
            open_gop: false,
        };
        MediaIndex {
            container: Container::Mp4,
            file_size: offset,
            duration: self.timescale.duration(self.end),
            tracks: vec![track],
            ignored: Vec::new(),
            cut_off: None,
        }
    }
}

/// BT.709, limited range.
const EVERY_SCREEN: Colour = Colour { primaries: 1, transfer: 1, matrix: 1, full_range: false };

/// A decoder's configuration without parameter sets: the encoder says the true one.
const UNKNOWN: [u8; 7] = [1, 0x64, 0, 0x28, 0xff, 0xe0, 0];

fn timescale_ticks(time: Duration, timescale: Timescale) -> i64 {
    let ticks = time.as_nanos() * u128::from(timescale.get()) + 500_000_000;
    i64::try_from(ticks / 1_000_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
