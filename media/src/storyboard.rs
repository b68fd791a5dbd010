//! Storyboards: which keyframes stand for which times, and how their pictures lie on sheets.
//!
//! A pure function of the media index, so whoever names the tiles and whoever decodes them agree without talking. Only
//! keyframes are used, so of a file's bytes a few in a hundred are read, unless they don't do ([`Storyboard::of_all_pictures`]).

use crate::cmaf::segment::{Entry, SegmentLayout};
use crate::codec::Codec;
use crate::index::MediaIndex;
use crate::picture;
use crate::time::Timescale;
use crate::timeline::{Timeline, Written};
use crate::track::{Parts, Track, TrackKind, VideoFormat};
use std::ops::Range;
use std::time::Duration;
use thiserror::Error;

/// Longest side of a tile, in pixels.
pub const TILE_SIDE: u32 = 320;
/// Pixels of a sheet at most.
pub const SHEET_PIXELS: u64 = 6_000_000;
/// Up to here a storyboard has about 100 tiles; beyond, 240.
const LONG: Duration = Duration::from_mins(20);
/// Stretches without a keyframe, but with other pictures, up to so long are borne with a tile of what is before or behind them.
const RARE: Duration = Duration::from_secs(20);
/// Where a poster is looked for, in percent of the duration: not at its ends, where it fades.
const POSTER_PERCENT: [u32; 6] = [10, 20, 33, 50, 67, 80];

/// Why there is no storyboard from keyframes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum NoStoryboard {
    /// Sound only.
    #[error("there is no video")]
    NoVideo,
    /// H.264 with open GOPs: its keyframes do not decode alone.
    #[error("the video's keyframes can't be decoded alone (open GOPs)")]
    OpenGop,
    /// An edit list with several parts or another speed: when its pictures are shown is not known.
    #[error("the video's edit list has several parts or another speed")]
    Edits,
    /// No keyframe is ever shown.
    #[error("the video has no keyframe that is shown")]
    NoKeyframe,
    /// Keyframes would leave long stretches without a tile, and others are on their way.
    #[error("the video's keyframes are too far apart")]
    Rare,
}

/// A keyframe that is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keyframe {
    /// Its sample in decode order.
    pub sample: usize,
    /// When it is shown, in ticks of its track from the start of the presentation.
    pub ticks: i64,
    /// The same as a duration, rounded down to nanoseconds.
    pub time: Duration,
}

/// A picture of the storyboard and when it stands for the video.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tile {
    /// The picture.
    pub keyframe: Keyframe,
    /// From here (midway from the tile before; the first from zero) …
    pub start: Duration,
    /// … up to here (midway to the next; the last to the end).
    pub end: Duration,
}

/// Where a tile lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Sheet, from 0.
    pub sheet: usize,
    /// Left edge in pixels.
    pub x: u32,
    /// Upper edge in pixels.
    pub y: u32,
}

/// All tiles of a video.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Storyboard {
    /// Of the whole presentation.
    pub duration: Duration,
    /// Width of a tile in pixels: even, upright, of square pixels.
    pub tile_width: u32,
    /// Height of a tile in pixels.
    pub tile_height: u32,
    /// Tiles side by side on a sheet.
    pub columns: u32,
    /// Rows of a full sheet.
    pub rows: u32,
    /// In order of time, each keyframe once.
    pub tiles: Vec<Tile>,
}

impl Storyboard {
    /// The storyboard of `index`.
    pub fn plan(index: &MediaIndex) -> Result<Self, NoStoryboard> {
        let (track, format) = video(index)?;
        decode_alone(track)?;
        if track.edit.parts != Parts::One {
            return Err(NoStoryboard::Edits);
        }
        Ok(Self::of(&nearest(&keyframes(track)?, wanted(index.duration)), index.duration, format))
    }

    /// The storyboard of the pictures that are nearest to the wanted times, keyframes or not. All of the video is decoded for
    /// it, so it is for files whose keyframes do not decode alone, or are rare ([`keyframes_are_rare`]).
    pub fn of_all_pictures(index: &MediaIndex) -> Result<Self, NoStoryboard> {
        let (track, format) = video(index)?;
        if track.edit.parts != Parts::One {
            return Err(NoStoryboard::Edits);
        }
        let interval = interval(index.duration).as_nanos().max(1);
        let mut chosen: Vec<Option<Keyframe>> = wanted(index.duration).map(|_| None).collect();
        let timeline = Timeline::of(track);
        for (sample, described) in timeline.kept().zip(track.samples.range(timeline.kept())) {
            let ticks = timeline.shown(sample, described);
            let time = track.timescale.duration(ticks);
            let Ok(place) = usize::try_from((time.as_nanos() + interval / 2) / interval) else { continue };
            let Some(best) = chosen.get_mut(place).filter(|_| ticks >= 0) else { continue };
            let distance = |time: Duration| time.as_nanos().abs_diff(place as u128 * interval);
            if best.is_none_or(|best| distance(time) < distance(best.time)) {
                *best = Some(Keyframe { sample, ticks, time });
            }
        }
        let chosen: Vec<_> = chosen.into_iter().flatten().collect();
        if chosen.is_empty() { Err(NoStoryboard::NoKeyframe) } else { Ok(Self::of(&chosen, index.duration, format)) }
    }

    fn of(chosen: &[Keyframe], duration: Duration, format: &VideoFormat) -> Self {
        let tiles = tiles(chosen, duration);
        let (tile_width, tile_height) = picture::fitted(picture::display_size(format), TILE_SIDE);
        let (columns, rows) = grid(tile_width, tile_height, tiles.len());
        Self { duration, tile_width, tile_height, columns, rows, tiles }
    }

    /// The storyboard of pictures that were made: shown at `times`, ascending ticks of `timescale`, of the size `tile`, on
    /// sheets of `grid` (columns and rows). None where that is no grid of at most [`SHEET_PIXELS`], or times descend.
    ///
    /// It is for naming the tiles, whoever planned them: which samples they came from is not known, and is 0.
    pub fn of_pictures(
        duration: Duration,
        tile: (u32, u32),
        grid: (u32, u32),
        timescale: Timescale,
        times: &[i64],
    ) -> Option<Self> {
        let (columns, rows) = grid;
        let pixels = [tile.0, tile.1, columns, rows].into_iter().try_fold(1_u64, |p, n| p.checked_mul(n.into()))?;
        if pixels == 0 || pixels > SHEET_PIXELS || !times.is_sorted() {
            return None;
        }
        let shown = times.iter().map(|&ticks| Keyframe { sample: 0, ticks, time: timescale.duration(ticks) });
        let shown: Vec<_> = shown.collect();
        Some(Self { duration, tile_width: tile.0, tile_height: tile.1, columns, rows, tiles: tiles(&shown, duration) })
    }

    /// Where tile `number` (from 0) lies.
    pub fn place(&self, number: usize) -> Place {
        let columns = self.columns as usize;
        let within = number % self.tiles_per_sheet();
        let pixels = |count: usize, side: u32| u32::try_from(count).expect("less than a sheet's tiles") * side;
        Place {
            sheet: number / self.tiles_per_sheet(),
            x: pixels(within % columns, self.tile_width),
            y: pixels(within / columns, self.tile_height),
        }
    }

    /// Number of sheets.
    pub fn sheets(&self) -> usize {
        self.tiles.len().div_ceil(self.tiles_per_sheet())
    }

    /// The tiles of `sheet`, from 0.
    pub fn tiles_of(&self, sheet: usize) -> Range<usize> {
        let first = sheet.saturating_mul(self.tiles_per_sheet()).min(self.tiles.len());
        first..(first + self.tiles_per_sheet()).min(self.tiles.len())
    }

    /// Width and height of `sheet` in pixels; the last has only the rows it needs.
    pub fn sheet_size(&self, sheet: usize) -> (u32, u32) {
        let rows = self.tiles_of(sheet).len().div_ceil(self.columns as usize);
        (self.columns * self.tile_width, u32::try_from(rows).expect("at most the rows of a sheet") * self.tile_height)
    }

    fn tiles_per_sheet(&self) -> usize {
        self.columns as usize * self.rows as usize
    }
}

/// Whether keyframes leave a stretch of pictures without a tile that is long for this video.
pub fn keyframes_are_rare(index: &MediaIndex) -> bool {
    let Ok((track, _)) = video(index) else { return false };
    let Ok(shown) = keyframes(track) else { return false };
    let longest = RARE.max(interval(index.duration) * 2);
    let ends = shown.iter().skip(1).map(|next| (next.time, next.sample)).chain([(index.duration, track.samples.len())]);
    // Where nothing is between two keyframes, or a picture, there is nothing else to be shown.
    shown.iter().zip(ends).any(|(here, (time, sample))| {
        time.saturating_sub(here.time) > longest && sample.saturating_sub(here.sample) > 2
    })
}

/// Keyframes in which to look for a poster, in the order of their times: a few places spread over the video. Of those that
/// do not decode alone the first is one, as nothing is before it.
pub fn poster_candidates(index: &MediaIndex) -> Result<Vec<Keyframe>, NoStoryboard> {
    let (track, _) = video(index)?;
    let mut shown = keyframes(track)?;
    if let Err(why) = decode_alone(track) {
        shown.retain(|keyframe| track.samples.sync_samples().next() == Some(keyframe.sample));
        return if shown.is_empty() { Err(why) } else { Ok(shown) };
    }
    Ok(nearest(&shown, POSTER_PERCENT.iter().map(|percent| index.duration * *percent / 100)))
}

/// What is written to ffmpeg to get one picture for each of some keyframes: an init segment, then one fragment each.
#[derive(Clone, Debug)]
pub struct Feed<'a> {
    track: &'a Track,
    keyframes: Vec<Keyframe>,
}

impl<'a> Feed<'a> {
    /// The feed of `keyframes` of the video of `index`, in ascending order of time.
    pub fn new(index: &'a MediaIndex, keyframes: impl IntoIterator<Item = Keyframe>) -> Result<Self, NoStoryboard> {
        Ok(Self { track: video(index)?.0, keyframes: keyframes.into_iter().collect() })
    }

    /// What comes first. It has no edit: fragments carry shown times.
    pub fn init(&self) -> Vec<u8> {
        crate::cmaf::feed_init(self.track)
    }

    /// The fragments in order, one a keyframe: a header, then bytes of the source.
    pub fn fragments(&self) -> impl Iterator<Item = SegmentLayout> {
        (1..).zip(0..self.keyframes.len()).map(|(sequence, i)| self.fragment(sequence, i))
    }

    fn fragment(&self, sequence: u32, position: usize) -> SegmentLayout {
        let keyframe = self.keyframes[position];
        let sample = self.track.samples.get(keyframe.sample);
        let entries: Vec<_> = sample
            .map(|sample| {
                let next = self.keyframes.get(position + 1).map(|next| next.ticks - keyframe.ticks);
                let duration = next.map_or(sample.duration, |ticks| u32::try_from(ticks).unwrap_or(u32::MAX));
                Entry { sample, written: Written { time: keyframe.ticks, duration, composition: 0 }, silence: None }
            })
            .into_iter()
            .collect();
        SegmentLayout::new(sequence, &entries)
    }
}

/// The video.
fn video(index: &MediaIndex) -> Result<(&Track, &VideoFormat), NoStoryboard> {
    let pictures = index.tracks.iter().find_map(|track| match &track.kind {
        TrackKind::Video(format) => Some((track, format)),
        TrackKind::Audio(_) => None,
    });
    pictures.ok_or(NoStoryboard::NoVideo)
}

/// Whether keyframes that are fed one after the other, without what is between them, become pictures.
fn decode_alone(track: &Track) -> Result<(), NoStoryboard> {
    // An H.264 decoder drops the keyframe of an open GOP when frame numbers wrap between keyframes fed alone.
    if track.open_gop && matches!(track.codec, Codec::H264 { .. }) {
        return Err(NoStoryboard::OpenGop);
    }
    Ok(())
}

/// All keyframes that are shown, in order of time.
fn keyframes(track: &Track) -> Result<Vec<Keyframe>, NoStoryboard> {
    let timeline = Timeline::of(track);
    let kept = timeline.kept();
    let keyframe = |sample| {
        let ticks = timeline.shown(sample, track.samples.get(sample)?);
        Some(Keyframe { sample, ticks, time: track.timescale.duration(ticks) })
    };
    let mut shown: Vec<_> = track
        .samples
        .sync_samples()
        .skip_while(|i| *i < kept.start)
        .take_while(|i| *i < kept.end)
        .filter_map(keyframe)
        .filter(|keyframe| keyframe.ticks >= 0)
        .collect();
    shown.sort_by_key(|keyframe| keyframe.ticks);
    shown.dedup_by_key(|keyframe| keyframe.ticks);
    if shown.is_empty() { Err(NoStoryboard::NoKeyframe) } else { Ok(shown) }
}

/// Time between wanted tiles of a video of `duration`.
fn interval(duration: Duration) -> Duration {
    if duration > LONG {
        return duration / 240;
    }
    (duration / 100).clamp(Duration::from_secs(1), Duration::from_secs(5))
}

/// When tiles are wanted of a video of `duration`.
fn wanted(duration: Duration) -> impl Iterator<Item = Duration> {
    let interval = interval(duration);
    let steps = duration.as_nanos() / interval.as_nanos().max(1);
    let times = (0..=u32::try_from(steps).unwrap_or(u32::MAX)).map(move |step| interval.saturating_mul(step));
    times.take_while(move |time| *time < duration)
}

/// The keyframe nearest to each of `wanted`, which ascend; each once.
fn nearest(shown: &[Keyframe], wanted: impl Iterator<Item = Duration>) -> Vec<Keyframe> {
    let mut chosen: Vec<Keyframe> = Vec::new();
    let mut at = 0;
    for time in wanted {
        while shown.get(at + 1).is_some_and(|next| next.time.abs_diff(time) < shown[at].time.abs_diff(time)) {
            at += 1;
        }
        if chosen.last().is_none_or(|last| last.sample != shown[at].sample) {
            chosen.push(shown[at]);
        }
    }
    chosen
}

/// Each keyframe from midway to the one before up to midway to the next.
fn tiles(keyframes: &[Keyframe], duration: Duration) -> Vec<Tile> {
    let mut start = Duration::ZERO;
    let nexts = keyframes.iter().skip(1).map(Some).chain([None]);
    let tile = |(keyframe, next): (&Keyframe, Option<&Keyframe>)| {
        let end = next.map_or(duration, |next| (keyframe.time + next.time) / 2).max(start);
        Tile { keyframe: *keyframe, start: std::mem::replace(&mut start, end), end }
    };
    keyframes.iter().zip(nexts).map(tile).collect()
}

/// Columns and rows of a full sheet for `count` tiles.
fn grid(width: u32, height: u32, count: usize) -> (u32, u32) {
    let most = u32::try_from(SHEET_PIXELS / (u64::from(width) * u64::from(height))).expect("at least a tile of 2×2");
    let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
    let columns = most.isqrt().clamp(1, count.min(most));
    (columns, (most / columns).min(count.div_ceil(columns)))
}

#[cfg(test)]
mod tests;
