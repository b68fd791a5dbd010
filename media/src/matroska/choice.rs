//! Which tracks of a file are played.

use super::ebml::Element;
use super::entry::{Entry, Kind};
use super::stream::{ReadTrack, Stream};
use super::times::{self, Clock};
use super::{ids, printable, sound, track_id, video};
use crate::index::{Container, IgnoredCause, IgnoredTrack, MediaIndex};
use crate::indexer::{IndexError, Limits};
use crate::track::{Edit, Track, TrackKind};
use std::collections::HashMap;

/// What is known of the file around its tracks.
#[derive(Clone, Copy, Debug)]
pub(super) struct File {
    pub container: Container,
    pub size: u64,
    pub limits: Limits,
    pub clock: Clock,
}

/// The tracks taken and left.
#[derive(Debug, Default)]
pub(super) struct Choice {
    streams: Vec<Stream>,
    /// Places in the list above, by track number.
    numbers: HashMap<u64, usize>,
    ignored: Vec<IgnoredTrack>,
    /// The first error in a track that shows pictures, and in any other.
    damaged_video: Option<IndexError>,
    damaged: Option<IndexError>,
    /// A video that would be played, but for its encryption: its sound alone is of no use.
    refused_video: bool,
}

impl Choice {
    /// Reads `Tracks`.
    pub fn read(tracks: &Element<'_>, limits: Limits) -> Result<Self, IndexError> {
        let mut choice = Self::default();
        let mut found = 0;
        for child in tracks.children() {
            let child = child?;
            if child.id != ids::TRACK_ENTRY {
                continue;
            }
            found += 1;
            let element = child.open(&format!("TrackEntry[{found}]"));
            if found > limits.tracks {
                return Err(over_limit(&element, found, limits.tracks, "tracks"));
            }
            match Entry::read(&element) {
                Ok(entry) => choice.consider(entry, &element, limits)?,
                Err(error) => choice.damage(0, "TrackEntry", error, false),
            }
        }
        Ok(choice)
    }

    /// The stream of track `number`, if it is played.
    pub fn stream(&mut self, number: u64) -> Option<&mut Stream> {
        self.streams.get_mut(*self.numbers.get(&number)?)
    }

    /// Whether no frame came of any track.
    pub fn is_empty(&self) -> bool {
        self.streams.iter().all(Stream::is_empty)
    }

    /// Takes a track or says why not; an error where the file as a whole is of no use.
    fn consider(&mut self, entry: Entry, element: &Element<'_>, limits: Limits) -> Result<(), IndexError> {
        let (number, is_video) = (entry.number, entry.kind == Kind::Video);
        let what = printable(&entry.codec);
        let stream = self.admits(&entry).and_then(|()| match entry.kind {
            Kind::Video => Ok(Stream::pictures(entry.clone(), video::describe(&entry)?)),
            _ => Ok(Stream::sound(entry.clone(), sound::describe(&entry)?)),
        });
        match stream {
            Ok(stream) => {
                let found = stream.pixels();
                if found > limits.pixels {
                    return Err(over_limit(element, found, limits.pixels, "pixels a picture"));
                }
                self.numbers.insert(number, self.streams.len());
                self.streams.push(stream);
            }
            Err((cause, reason)) => {
                self.refused_video |= is_video && cause == IgnoredCause::Encrypted;
                self.ignored.push(IgnoredTrack { id: track_id(number), what, is_video, cause, reason });
            }
        }
        Ok(())
    }

    /// Whether a track is worth reading.
    fn admits(&self, entry: &Entry) -> Result<(), (IgnoredCause, String)> {
        let refuse = |cause, reason: &str| Err((cause, reason.to_owned()));
        match entry.kind {
            Kind::Video | Kind::Audio => {}
            Kind::Subtitle => return refuse(IgnoredCause::NotCarried, "a subtitle or text track is not played"),
            Kind::Other => return refuse(IgnoredCause::NotCarried, "a track of its kind is not played"),
        }
        if self.numbers.contains_key(&entry.number) {
            return refuse(IgnoredCause::Damaged, "another track has the same number");
        }
        if let Some((cause, reason)) = entry.encoded {
            return refuse(cause, reason);
        }
        if entry.kind == Kind::Video {
            if !entry.enabled {
                return refuse(IgnoredCause::Auxiliary, "the file turns it off");
            }
            if self.streams.iter().any(Stream::is_video) {
                return refuse(IgnoredCause::Surplus, "only the first video track is played");
            }
        }
        Ok(())
    }

    fn damage(&mut self, id: u32, what: &str, error: IndexError, is_video: bool) {
        let (what, reason) = (what.to_owned(), error.to_string());
        self.ignored.push(IgnoredTrack { id, what, is_video, cause: IgnoredCause::Damaged, reason });
        let first = if is_video { &mut self.damaged_video } else { &mut self.damaged };
        first.get_or_insert(error);
    }

    /// The index of the tracks, all of whose frames came that are whole: up to `cut_off`, if anything is behind that.
    pub fn finish(mut self, file: File, cut_off: Option<u64>) -> Result<MediaIndex, IndexError> {
        let mut read = Vec::new();
        for stream in std::mem::take(&mut self.streams) {
            let (is_video, id) = (stream.is_video(), track_id(stream.entry().number));
            let what = printable(&stream.entry().codec);
            let offset = stream.wrong_at().unwrap_or(0);
            match stream.finish(file.clock, default_language(file.container)) {
                Ok(track) => read.push(track),
                Err((IgnoredCause::Damaged, problem)) => {
                    let (path, problem) = (format!("track {id}"), problem.into());
                    self.damage(id, &what, IndexError::Malformed { path, offset, problem }, is_video);
                }
                Err((cause, reason)) => self.ignored.push(IgnoredTrack { id, what, is_video, cause, reason }),
            }
        }
        read.sort_by_key(|read| matches!(read.track.kind, TrackKind::Audio(_)));
        let is_video = |read: &ReadTrack| matches!(read.track.kind, TrackKind::Video(_));
        if !read.iter().any(is_video) {
            if let Some(error) = self.damaged_video {
                return Err(error);
            }
            if self.refused_video {
                return Err(IndexError::nothing(&self.ignored, None));
            }
        }
        let tracks = on_one_clock(read);
        if tracks.is_empty() {
            return Err(IndexError::nothing(&self.ignored, self.damaged));
        }
        let duration = tracks.iter().map(Track::duration).max().unwrap_or_default();
        if duration.is_zero() {
            return Err(IndexError::ZeroDuration);
        }
        let (found, limit) = (duration.as_secs(), file.limits.seconds);
        if found > limit {
            let (path, unit) = ("Segment".to_owned(), "seconds");
            return Err(IndexError::OverLimit { path, offset: 0, found, limit, unit });
        }
        let File { container, size: file_size, .. } = file;
        Ok(MediaIndex { container, file_size, tracks, ignored: self.ignored, duration, cut_off })
    }
}

fn over_limit(element: &Element<'_>, found: u64, limit: u64, unit: &'static str) -> IndexError {
    IndexError::OverLimit { path: element.path.clone().into_owned(), offset: element.offset, found, limit, unit }
}

/// The language of tracks that have none: English by the specification, which recorders that write WebM do not mean.
fn default_language(container: Container) -> Option<&'static str> {
    (container == Container::Matroska).then_some("eng")
}

/// Lets the presentation begin where the first track does: recordings of live streams count on from where those began.
fn on_one_clock(tracks: Vec<ReadTrack>) -> Vec<Track> {
    let zero = tracks.iter().map(|read| read.starts).min().unwrap_or(0);
    let placed = |read: ReadTrack| {
        let delay = times::from_nanos(read.starts - zero, read.track.timescale).unwrap_or(0);
        Track { edit: Edit { delay, ..read.track.edit }, ..read.track }
    };
    tracks.into_iter().map(placed).collect()
}
