//! `moov` (ISO/IEC 14496-12 §8.2.1): which of its tracks are played.

use super::boxes::{FourCc, Node};
use super::fragments::Fragments;
use super::tables;
use super::track::{self, Heading, Kind, ReadTrack, TrackError};
use crate::index::{Container, IgnoredCause, IgnoredTrack, MediaIndex};
use crate::indexer::{IndexError, Limits};
use crate::time::Timescale;
use crate::track::{Edit, Track, TrackKind};
use std::collections::HashSet;

/// What is known of the file around `moov`.
#[derive(Clone, Copy, Debug)]
pub(super) struct File {
    pub container: Container,
    pub size: u64,
    pub limits: Limits,
}

/// The fragments to come, if `moov` announces any: with the samples that its own tables have.
pub(super) fn fragments(moov: &Node<'_>, file: File) -> Result<Option<Fragments>, IndexError> {
    let Some(mvex) = moov.find(*b"mvex")? else { return Ok(None) };
    let mut fragments = Fragments::new(&mvex, file.size, file.limits.samples)?;
    for trak in tracks(moov, file.limits)? {
        let Ok(heading) = track::heading(&trak, file.container) else { continue };
        let Ok(stbl) = track::tables(&trak) else { continue };
        if heading.kind == Kind::Other {
            continue;
        }
        let all_sync = heading.kind == Kind::Audio;
        // Tables that are wrong are met again where the track is read, which then has nothing else.
        let Ok(samples) = tables::gather(&stbl, all_sync, fragments.samples_left()) else { continue };
        let used = if samples.is_empty() { None } else { tables::descriptions(&stbl).ok() };
        fragments.add_track(heading.header.id, all_sync, samples, used);
    }
    Ok(Some(fragments))
}

/// The `trak` boxes of `moov`.
fn tracks<'a>(moov: &Node<'a>, limits: Limits) -> Result<Vec<Node<'a>>, IndexError> {
    let mut traks = Vec::new();
    for child in moov.children() {
        let child = child?;
        match &child.kind.0 {
            b"trak" => {
                let found = traks.len() as u64 + 1;
                if found > limits.tracks {
                    return Err(moov.over_limit(found, limits.tracks, "tracks"));
                }
                traks.push(child.open_as(moov, &format!("trak[{found}]")));
            }
            b"cmov" => return Err(IndexError::NothingPlayable { found: "its index is compressed (cmov)".to_owned() }),
            _ => {}
        }
    }
    Ok(traks)
}

/// Reads `moov`, whose fragments, if it has any, were read before.
pub(super) fn read(moov: &Node<'_>, file: File, fragments: Option<Fragments>) -> Result<MediaIndex, IndexError> {
    let traks = tracks(moov, file.limits)?;
    let timescale = movie_timescale(moov)?;
    let mut choice = Choice::new(file, timescale, fragments);
    let headings: Vec<_> = traks.iter().map(|trak| track::heading(trak, file.container)).collect();
    choice.survey(headings.iter().filter_map(|heading| heading.as_ref().ok()));
    for (trak, heading) in traks.iter().zip(headings) {
        choice.consider(trak, heading)?;
    }
    choice.finish(moov)
}

/// The timescale of `mvhd`, which edit lists use; none where it is zero.
fn movie_timescale(moov: &Node<'_>) -> Result<Option<Timescale>, IndexError> {
    let mvhd = moov.require(*b"mvhd")?;
    let (version, _, mut fields) = mvhd.full()?;
    fields.skip(if version == 1 { 16 } else { 8 })?;
    Ok(Timescale::new(fields.u32()?))
}

/// The tracks taken and left so far.
struct Choice {
    file: File,
    movie: Option<Timescale>,
    /// Tracks that others point to as their chapters.
    chapters: HashSet<u32>,
    /// Whether the flag that enables a track means anything: some tools never set it.
    flags_used: bool,
    taken_ids: HashSet<u32>,
    samples_left: u64,
    fragments: Option<Fragments>,
    video: Option<ReadTrack>,
    audio: Vec<ReadTrack>,
    ignored: Vec<IgnoredTrack>,
    /// The first error in a track that shows pictures, and in any other.
    damaged_video: Option<IndexError>,
    damaged: Option<IndexError>,
    /// A video that would be played, but for its encryption or its several codings: its sound alone is of no use.
    refused_video: bool,
}

impl Choice {
    fn new(file: File, movie: Option<Timescale>, mut fragments: Option<Fragments>) -> Self {
        let samples_left = fragments.as_mut().map_or(file.limits.samples, |fragments| *fragments.samples_left());
        Self {
            file,
            movie,
            chapters: HashSet::new(),
            flags_used: false,
            taken_ids: HashSet::new(),
            samples_left,
            fragments,
            video: None,
            audio: Vec::new(),
            ignored: Vec::new(),
            damaged_video: None,
            damaged: None,
            refused_video: false,
        }
    }

    fn survey<'h>(&mut self, headings: impl Iterator<Item = &'h Heading>) {
        for heading in headings {
            self.flags_used |= heading.header.enabled;
            self.chapters.extend(&heading.chapters);
        }
    }

    /// Takes a track or says why not; an error where the file as a whole is of no use.
    fn consider(&mut self, trak: &Node<'_>, heading: Result<Heading, IndexError>) -> Result<(), IndexError> {
        let heading = match heading {
            Ok(heading) => heading,
            Err(error) => {
                self.damage(0, "trak".to_owned(), error, false);
                return Ok(());
            }
        };
        if let Err((what, cause, reason)) = self.admits(&heading) {
            self.ignore(heading.header.id, what, heading.kind == Kind::Video, cause, reason);
            return Ok(());
        }
        let is_video = heading.kind == Kind::Video;
        let id = heading.header.id;
        let stream = self.fragments.as_mut().and_then(|fragments| fragments.take(id));
        match track::read(trak, heading, self.movie, stream, &mut self.samples_left) {
            Ok(read) if read.bytes_end > self.file.size => {
                Err(IndexError::Truncated { have: self.file.size, need: read.bytes_end })
            }
            Ok(read) => {
                if let Some(error) = self.too_large(&read.track, trak) {
                    return Err(error);
                }
                self.taken_ids.insert(id);
                if is_video {
                    self.video = Some(read);
                } else {
                    self.audio.push(read);
                }
                Ok(())
            }
            Err(TrackError::Index { what, error }) => {
                self.damage(id, what.to_string(), error, is_video);
                Ok(())
            }
            Err(TrackError::Ignored { what, cause, reason }) => {
                let shuts_out = matches!(cause, IgnoredCause::Encrypted | IgnoredCause::SeveralDescriptions);
                self.refused_video |= is_video && shuts_out;
                self.ignore(id, what, is_video, cause, reason);
                Ok(())
            }
        }
    }

    /// Whether pictures are larger than is decoded.
    fn too_large(&self, track: &Track, place: &Node<'_>) -> Option<IndexError> {
        let TrackKind::Video(format) = &track.kind else { return None };
        let (found, limit) = (u64::from(format.width) * u64::from(format.height), self.file.limits.pixels);
        (found > limit).then(|| place.over_limit(found, limit, "pixels a picture"))
    }

    /// Whether a track is worth reading, by what its heading says.
    fn admits(&self, heading: &Heading) -> Result<(), (FourCc, IgnoredCause, String)> {
        let what = heading.entry.unwrap_or(heading.handler);
        let refuse = |cause, reason: &str| Err((what, cause, reason.to_owned()));
        if heading.kind == Kind::Other {
            let name = super::names::handler(heading.handler.0)
                .map_or_else(|| format!("a track of kind {}", heading.handler), str::to_owned);
            return Err((what, IgnoredCause::NotCarried, format!("{name} is not played")));
        }
        if self.taken_ids.contains(&heading.header.id) {
            return refuse(IgnoredCause::Damaged, "another track has the same id");
        }
        if heading.kind == Kind::Audio {
            return Ok(());
        }
        if self.chapters.contains(&heading.header.id) {
            return refuse(IgnoredCause::Auxiliary, "it holds the pictures of chapters");
        }
        if self.flags_used && !heading.header.enabled {
            return refuse(IgnoredCause::Auxiliary, "the file turns it off");
        }
        if self.video.is_some() {
            return refuse(IgnoredCause::Surplus, "only the first video track is played");
        }
        Ok(())
    }

    fn ignore(&mut self, id: u32, what: FourCc, is_video: bool, cause: IgnoredCause, reason: String) {
        self.ignored.push(IgnoredTrack { id, what: what.to_string(), is_video, cause, reason });
    }

    fn damage(&mut self, id: u32, what: String, error: IndexError, is_video: bool) {
        let reason = error.to_string();
        self.ignored.push(IgnoredTrack { id, what, is_video, cause: IgnoredCause::Damaged, reason });
        let first = if is_video { &mut self.damaged_video } else { &mut self.damaged };
        first.get_or_insert(error);
    }

    fn finish(mut self, moov: &Node<'_>) -> Result<MediaIndex, IndexError> {
        if self.video.is_none()
            && let Some(error) = self.damaged_video
        {
            return Err(error);
        }
        if self.video.is_none() && self.refused_video {
            return Err(IndexError::nothing(&self.ignored, None));
        }
        let tracks = on_one_clock(self.video.take().into_iter().chain(self.audio).collect());
        if tracks.is_empty() {
            return Err(IndexError::nothing(&self.ignored, self.damaged));
        }
        let duration = tracks.iter().map(Track::duration).max().unwrap_or_default();
        if duration.is_zero() {
            return Err(IndexError::ZeroDuration);
        }
        let (found, limit) = (duration.as_secs(), self.file.limits.seconds);
        if found > limit {
            return Err(moov.over_limit(found, limit, "seconds"));
        }
        Ok(MediaIndex {
            container: self.file.container,
            file_size: self.file.size,
            tracks,
            ignored: self.ignored,
            duration,
            cut_off: None,
        })
    }
}

/// Takes off what all tracks wait at the start: a movie cut out of a live stream counts on from where that began.
fn on_one_clock(tracks: Vec<ReadTrack>) -> Vec<Track> {
    let wait = |read: &ReadTrack| (read.late, read.track.timescale);
    let shortest = tracks.iter().map(wait).min_by_key(|&(late, timescale)| timescale.duration(late));
    let started = |read: ReadTrack| {
        let common = shortest.map_or(0, |(late, timescale)| timescale.convert(late, read.track.timescale));
        let ticks = common.min(read.late);
        let edit = Edit { delay: read.track.edit.delay - ticks, ..read.track.edit };
        Track { edit, ..read.track }
    };
    tracks.into_iter().map(started).collect()
}
