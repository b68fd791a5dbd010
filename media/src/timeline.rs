//! Where media time becomes shown time, and the times written into fragments: the one place that knows edits, delays
//! and negative composition offsets.
//!
//! With D the track's delay, M the media time of its edit, both counted from the first sample kept, and
//! `neg = min(0, smallest composition offset)`, a fragment carries `cts − neg` (never negative), and the init segment an
//! edit that starts at `s = M − D − neg`. This is the layout on which ffmpeg and hls.js agree to the tick: signed offsets
//! without an edit, and a constant shift, are each shown late by one of them. Where a [`Still`] fills the wait before
//! pictures, all of that is as if they were not late, and decode times are later by the wait.

mod squeeze;

use crate::still::Still;
use crate::time::Timescale;
use crate::track::{Sample, Track, TrackKind};
use squeeze::Squeeze;
use std::ops::Range;

/// Sound kept before the start of an edit: more than any encoder's priming, and enough for a decoder to settle.
const AUDIO_LEAD: std::time::Duration = std::time::Duration::from_millis(250);

/// Numbers in a file are not trusted: a time beyond this (centuries in any sane timescale) is cut to it, so that sums
/// of a few can't overflow.
const FAR: i64 = 1 << 59;

/// The times of one track: which samples are kept, when each is shown, and what a fragment says of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timeline {
    kept: Range<usize>,
    /// Ticks per second of what fragments say.
    timescale: Timescale,
    /// The finer clock that fragments use where pictures are hidden. All times below but the next two are on it.
    squeeze: Option<Squeeze>,
    /// Media time that is shown at zero (M − D), in ticks of the track.
    origin: i64,
    /// Ticks by which the first picture, which straddles the start, is moved to show at zero.
    clamp: i64,
    /// Decode time of the first sample kept.
    base: i64,
    /// Smallest composition offset where it is negative, else zero.
    neg: i64,
    /// Media time of the edit in the init segment; zero for none.
    edit_start: i64,
    late: Late,
    hides_pictures: bool,
}

/// By how much everything is shown later than the file says: less than a millisecond, where pictures are hidden.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shift {
    ticks: i64,
    timescale: Timescale,
}

/// How a track that starts late says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Late {
    No,
    /// All decode times move: sound.
    Decode(i64),
    /// All decode times move, and copies of the first picture take the time before: pictures, whose first decode time must
    /// be 0 because hls.js takes it for the start of the playlist.
    Still(Still),
    /// The first sample is stretched: pictures of which there can be no still. Moving composition offsets instead left a
    /// hole at the start of the buffer.
    First(u32),
}

/// What a fragment says of one sample, all in ticks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written {
    /// Decode time.
    pub time: i64,
    /// Decode duration.
    pub duration: u32,
    /// Composition offset.
    pub composition: u32,
}

impl Timeline {
    /// The times of `track`, from its edit and its samples.
    pub fn of(track: &Track) -> Self {
        Self::shifted(track, None)
    }

    /// The times of `track` beside a video whose times are shifted.
    pub fn shifted(track: &Track, shift: Option<Shift>) -> Self {
        let start = track.edit.start.clamp(-FAR, FAR);
        let shift = shift.map_or(0, |shift| shift.timescale.convert(shift.ticks, track.timescale));
        let delay = track.edit.delay.clamp(0, FAR) + shift;
        let kept = kept(track, start);
        let mut timeline = Self {
            kept: kept.clone(),
            timescale: track.timescale,
            squeeze: None,
            origin: start - delay,
            clamp: 0,
            base: 0,
            neg: i64::from(track.samples.min_cts()).min(0),
            edit_start: 0,
            late: Late::No,
            hides_pictures: false,
        };
        if matches!(track.kind, TrackKind::Video(_)) {
            timeline.settle_start(track, start);
        }
        let squeeze = if timeline.hides_pictures { Squeeze::of(track, kept.clone(), start) } else { None };
        if let Some(squeeze) = squeeze {
            timeline.neg = squeeze.min_cts(track, kept).min(0);
            timeline.timescale = squeeze.timescale(track.timescale);
            let delay = delay.saturating_mul(squeeze.factor()).min(FAR);
            timeline.squeeze = Some(squeeze);
            timeline.settle_edit(track, 0, delay);
        } else {
            timeline.settle_edit(track, start, delay);
        }
        timeline
    }

    /// What the init segment and the first fragment say of an edit that starts at `start` after `delay`.
    fn settle_edit(&mut self, track: &Track, start: i64, delay: i64) {
        let first = track.samples.get(self.kept.start).map(|sample| self.on_clock(self.kept.start, sample));
        self.base = first.map_or(0, |s| s.dts);
        if let Some(still) = first.and_then(|first| self.still_before(track, first)) {
            self.edit_start = still.edit_start();
            self.late = Late::Still(still);
            return;
        }
        let shift = start - self.base - delay - self.neg;
        self.edit_start = shift.max(0);
        self.late = match (&track.kind, first) {
            _ if shift >= 0 => Late::No,
            (TrackKind::Video(_), Some(first)) => late_picture(-shift, first, self.neg),
            _ => Late::Decode(-shift),
        };
    }

    /// The still before the pictures of `track`, where they start late and `first` can be shown on its own: a keyframe
    /// which no picture of its GOP is shown before. Where pictures are hidden it is one of those.
    fn still_before(&self, track: &Track, first: Sample) -> Option<Still> {
        let wait = self.shown(self.kept.start, first);
        let none = self.kept.is_empty() || self.hides_pictures || wait <= 0 || !first.sync;
        if none || !matches!(track.kind, TrackKind::Video(_)) {
            return None;
        }
        let later = track.samples.range(self.kept.start + 1..self.kept.end).take_while(|s| !s.sync);
        let composition = u32::try_from(i64::from(first.cts) - self.neg + self.clamp).ok()?;
        let still = Still::before(first, composition, wait, self.timescale)?;
        later.into_iter().all(|s| media_time(s) > media_time(first)).then_some(still)
    }

    /// The sample at `index` on the clock of the fragments.
    fn on_clock(&self, index: usize, sample: Sample) -> Sample {
        self.squeeze.as_ref().map_or(sample, |squeeze| squeeze.sample(index, sample))
    }

    /// Moves a first picture that straddles the start of the edit to show at zero (players drop what is earlier, and
    /// with it everything up to the next keyframe), and notes where whole pictures lie before the start.
    fn settle_start(&mut self, track: &Track, start: i64) {
        let Some(first) = track.samples.get(self.kept.start) else { return };
        let before_start = media_time(first) < start;
        // Presentation order differs from decode order only within a GOP.
        let in_first_gop = |(i, s): &(usize, Sample)| *i == 0 || !s.sync;
        let gop = track.samples.range(self.kept.clone()).enumerate().take_while(in_first_gop);
        self.hides_pictures = before_start
            && gop.skip(1).take_while(|(_, s)| s.dts + self.neg <= start).any(|(_, s)| media_time(s) <= start);
        if before_start && !self.hides_pictures {
            self.clamp = start - media_time(first);
        }
    }

    /// Indexes of the samples that are packaged, in decode order: those of the edit and what they need for decoding.
    pub fn kept(&self) -> Range<usize> {
        self.kept.clone()
    }

    /// Those of them that follow each other as in the file: without pictures that are squeezed.
    pub fn paced(&self) -> Range<usize> {
        let first = self.squeeze.as_ref().map_or(self.kept.start, Squeeze::first);
        first.min(self.kept.end)..self.kept.end
    }

    /// Media time at which the edit in the init segment starts; none where it needs no edit.
    pub fn edit_start(&self) -> Option<u64> {
        u64::try_from(self.edit_start).ok().filter(|s| *s > 0)
    }

    /// Ticks per second of what fragments say.
    pub fn timescale(&self) -> Timescale {
        self.timescale
    }

    /// By how much everything is shown later, where pictures before the start of the edit are hidden.
    pub fn shift(&self) -> Option<Shift> {
        self.squeeze.as_ref().map(|squeeze| Shift { ticks: squeeze.shift(), timescale: self.timescale })
    }

    /// Whether players miss the beginning: the edit starts in the middle of a GOP, and its times can't be squeezed.
    pub fn starts_between_keyframes(&self) -> bool {
        self.hides_pictures && self.squeeze.is_none()
    }

    /// What is shown before the first picture, where it starts late.
    pub(crate) fn still(&self) -> Option<Still> {
        match self.late {
            Late::Still(still) => Some(still),
            _ => None,
        }
    }

    /// Ticks from zero until this track's first sample, where it starts late.
    pub fn lateness(&self) -> i64 {
        match self.late {
            Late::No => 0,
            Late::Decode(ticks) => ticks,
            Late::Still(still) => still.duration(),
            Late::First(ticks) => i64::from(ticks),
        }
    }

    /// When the sample at `index` is shown, in ticks of the track from the start of the presentation; negative: before it.
    pub fn shown(&self, index: usize, sample: Sample) -> i64 {
        media_time(sample) - self.origin + if index == self.kept.start { self.clamp } else { 0 }
    }

    /// What a fragment says of the sample at `index`.
    pub fn written(&self, index: usize, sample: Sample) -> Written {
        let first = index == self.kept.start;
        let (moved, stretched) = match self.late {
            Late::No => (0, 0),
            Late::Decode(ticks) => (ticks, 0),
            Late::Still(still) => (still.duration(), 0),
            Late::First(ticks) if first => (0, i64::from(ticks)),
            Late::First(ticks) => (i64::from(ticks), 0),
        };
        let clamp = if first { self.clamp } else { 0 };
        let sample = self.on_clock(index, sample);
        Written {
            time: sample.dts - self.base + moved,
            duration: saturated(i64::from(sample.duration) + stretched),
            composition: saturated(i64::from(sample.cts) - self.neg + stretched + clamp),
        }
    }
}

/// Presentation time of a sample on the media's own timeline.
fn media_time(sample: Sample) -> i64 {
    sample.dts + i64::from(sample.cts)
}

/// The samples of the edit that starts at `start`, and those they need for decoding.
fn kept(track: &Track, start: i64) -> Range<usize> {
    let samples = &track.samples;
    let first = match track.kind {
        TrackKind::Video(_) => {
            let at_or_before = |i: &usize| samples.get(*i).is_some_and(|s| media_time(s) <= start);
            samples.sync_samples().take_while(at_or_before).last().unwrap_or(0)
        }
        TrackKind::Audio(_) => {
            let lead =
                i64::try_from(AUDIO_LEAD.as_millis()).expect("a constant") * i64::from(track.timescale.get()) / 1000;
            samples.first_at_or_after(start - lead)
        }
    };
    let Some(end) = track.edit.end.map(|end| end.clamp(-FAR, FAR)) else { return first..samples.len() };
    // The last sample shown before the end, whatever is decoded before it: later pictures may be its references.
    let mut last = samples.first_at_or_after(end - i64::from(samples.min_cts()));
    while last > first && samples.get(last - 1).is_some_and(|s| media_time(s) >= end) {
        last -= 1;
    }
    first..last.max(first)
}

/// How a video that starts `ticks` late says so; decode times where the fields of a fragment are too small.
fn late_picture(ticks: i64, first: Sample, neg: i64) -> Late {
    let longest = i64::from(first.duration).max(i64::from(first.cts) - neg);
    match u32::try_from(ticks) {
        Ok(stretch) if longest + ticks <= i64::from(u32::MAX) => Late::First(stretch),
        _ => Late::Decode(ticks),
    }
}

fn saturated(ticks: i64) -> u32 {
    u32::try_from(ticks.max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
