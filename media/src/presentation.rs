//! A source as players see it: an index, its plan, and the renditions that follow from both.

use crate::cmaf::{self, SegmentLayout};
use crate::index::MediaIndex;
use crate::plan::{Plan, TrackPlan};
use crate::playable::is_packaged;
use crate::track::{AudioFormat, Track, TrackKind, VideoFormat};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;

/// An index with its plan.
#[derive(Clone, Debug)]
pub struct Presentation {
    index: MediaIndex,
    plan: Plan,
}

/// One track of a presentation, as its address names it: `v1` for the video, `a1`, `a2`, … for sound in file order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TrackName {
    /// The video.
    Video,
    /// Sound, counted from 1.
    Audio(u16),
}

/// No such track name.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("`{0}` is not the name of a track; names are `v1`, `a1`, `a2` and so on")]
pub struct UnknownTrackName(String);

/// A track with samples to play, and how it is cut.
#[derive(Clone, Copy, Debug)]
pub struct Rendition<'a> {
    /// Its name in addresses.
    pub name: TrackName,
    /// The track.
    pub track: &'a Track,
    /// Its cuts and times.
    pub plan: &'a TrackPlan,
}

impl Presentation {
    /// Plans `index`.
    pub fn new(index: MediaIndex) -> Self {
        let plan = Plan::new(&index);
        Self { index, plan }
    }

    /// The index.
    pub fn index(&self) -> &MediaIndex {
        &self.index
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is packaged, the video first. Tracks whose edit leaves no sample, or whose codec players do not take in
    /// fragments, are left out.
    pub fn renditions(&self) -> impl Iterator<Item = Rendition<'_>> {
        self.tracks().filter(|r| is_packaged(&r.track.codec))
    }

    /// Every track that has something to play, whether players take it or not: what an encoder reads.
    pub fn tracks(&self) -> impl Iterator<Item = Rendition<'_>> {
        self.all_tracks().filter(|r| !r.plan.segments().is_empty())
    }

    /// Every track of the index, in its order, even one whose edit leaves nothing.
    pub fn all_tracks(&self) -> impl Iterator<Item = Rendition<'_>> {
        let mut sounds = 0;
        self.index.tracks.iter().zip(self.plan.tracks()).map(move |(track, plan)| {
            let name = match track.kind {
                TrackKind::Video(_) => TrackName::Video,
                TrackKind::Audio(_) => {
                    sounds += 1;
                    TrackName::Audio(sounds)
                }
            };
            Rendition { name, track, plan }
        })
    }

    /// The rendition called `name`.
    pub fn rendition(&self, name: TrackName) -> Option<Rendition<'_>> {
        self.renditions().find(|r| r.name == name)
    }

    /// The video, if there is any.
    pub fn video(&self) -> Option<Rendition<'_>> {
        self.rendition(TrackName::Video)
    }

    /// Sound, in file order.
    pub fn audio(&self) -> impl Iterator<Item = Rendition<'_>> {
        self.renditions().filter(|r| r.name != TrackName::Video)
    }
}

/// A rendition, and where its files are.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// What is played.
    pub rendition: Rendition<'a>,
    /// What is put before its name in addresses: empty, or ending in a slash.
    pub base: &'a str,
    /// Its rates, where the sizes of its segments do not say them.
    pub rates: Option<Rates>,
}

/// Bits a second.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rates {
    /// Of the fastest few seconds.
    pub peak: u64,
    /// Over everything.
    pub average: u64,
}

/// Captions beside the pictures, and where they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text {
    /// A language tag.
    pub language: String,
    /// What people choose them by.
    pub label: String,
    /// Whether players show them without being asked.
    pub forced: bool,
    /// Bytes of the WebVTT file.
    pub size: u64,
    /// What is put before the names of its files in addresses; ends in a slash.
    pub base: String,
}

/// All that players may choose from.
#[derive(Clone, Debug, Default)]
pub struct Offered<'a> {
    /// Versions of the pictures, first the one that plays everywhere.
    pub pictures: Vec<Placed<'a>>,
    /// Sound.
    pub sounds: Vec<Placed<'a>>,
    /// Captions.
    pub texts: Vec<Text>,
    /// Presentation end.
    pub duration: Duration,
}

impl<'a> Offered<'a> {
    /// What is packaged of one source as it is.
    pub fn all_of(presentation: &'a Presentation, base: &'a str) -> Self {
        let placed = |rendition| Placed { rendition, base, rates: None };
        Self {
            pictures: presentation.video().map(placed).into_iter().collect(),
            sounds: presentation.audio().map(placed).collect(),
            texts: Vec::new(),
            duration: presentation.index().duration,
        }
    }

    /// Everything, pictures first.
    pub fn all(&self) -> impl Iterator<Item = Placed<'a>> + '_ {
        self.pictures.iter().chain(&self.sounds).copied()
    }
}

impl<'a> Rendition<'a> {
    /// What a player needs before the first segment.
    pub fn init(&self) -> Vec<u8> {
        cmaf::init_segment(self.track, &self.plan.timeline)
    }

    /// Segment `number`, counted from 1; none beyond the last.
    pub fn segment(&self, number: u32) -> Option<SegmentLayout> {
        self.plan.layout(self.track, number)
    }

    /// When whoever decodes the segments in order gets the sample at `index`, in ticks of the plan's timescale.
    pub fn decoded_at(&self, index: usize) -> Option<i64> {
        let timeline = &self.plan.timeline;
        let written = timeline.written(index, self.track.samples.get(index)?);
        let hidden = timeline.edit_start().and_then(|start| i64::try_from(start).ok()).unwrap_or(0);
        Some(written.time + i64::from(written.composition) - hidden)
    }

    /// Shape and colour, if this is the video.
    pub fn video_format(&self) -> Option<&'a VideoFormat> {
        match &self.track.kind {
            TrackKind::Video(format) => Some(format),
            TrackKind::Audio(_) => None,
        }
    }

    /// Rate and channels, if this is sound.
    pub fn audio_format(&self) -> Option<AudioFormat> {
        match self.track.kind {
            TrackKind::Audio(format) => Some(format),
            TrackKind::Video(_) => None,
        }
    }
}

impl TrackName {
    /// Whether this is the sound that plays unless another is chosen.
    pub fn is_first_audio(self) -> bool {
        self == Self::Audio(1)
    }
}

impl fmt::Display for TrackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Video => f.write_str("v1"),
            Self::Audio(number) => write!(f, "a{number}"),
        }
    }
}

impl FromStr for TrackName {
    type Err = UnknownTrackName;

    fn from_str(name: &str) -> Result<Self, UnknownTrackName> {
        let unknown = || UnknownTrackName(name.to_owned());
        let parsed = match name.strip_prefix('a') {
            None => Self::Video,
            Some(number) => Self::Audio(number.parse().map_err(|_| unknown())?),
        };
        // One name a track: `a01` and `a+1` are not names.
        if parsed.to_string() == name && parsed != Self::Audio(0) { Ok(parsed) } else { Err(unknown()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_nothing_else_parses() {
        for name in ["v1", "a1", "a2", "a65535"] {
            assert_eq!(name.parse::<TrackName>().unwrap().to_string(), name);
        }
        for name in ["", "v2", "v", "a", "a0", "a01", "a+1", "a65536", "A1", "a1 "] {
            assert_eq!(name.parse::<TrackName>(), Err(UnknownTrackName(name.to_owned())));
        }
    }
}
