//! Rules about media playlists and their times.

use crate::judges::playlists::m3u8::{Line, Playlist};
use crate::judges::playlists::show::{Rendition, Show};
use crate::judges::playlists::track::{Fragment, Init};
use std::time::Duration;

/// Messages of `wrong` for each rendition, with its address.
fn each(show: &Show, wrong: impl Fn(&Rendition) -> Option<String>) -> Vec<String> {
    show.renditions.iter().filter_map(|one| Some(format!("{}: {}", one.uri, wrong(one)?))).collect()
}

pub fn finished(show: &Show) -> Vec<String> {
    each(show, |one| {
        let kind = one.playlist.tags("#EXT-X-PLAYLIST-TYPE").next() == Some("VOD");
        let end = matches!(one.playlist.lines.last(), Some(Line::Tag(name, _)) if name == "#EXT-X-ENDLIST");
        (!kind || !end).then(|| format!("VOD {kind}, ENDLIST at its end {end}"))
    })
}

/// Whether the tag `name` stands before the first address, or is not needed and not there.
fn leads(playlist: &Playlist, name: &str, needed: bool) -> bool {
    let tag = playlist.lines.iter().position(|line| matches!(line, Line::Tag(tag, _) if tag == name));
    let uri = playlist.lines.iter().position(|line| matches!(line, Line::Uri(_)));
    match (tag, uri) {
        (Some(tag), Some(uri)) => tag < uri,
        (None, _) => !needed,
        (_, None) => false,
    }
}

pub fn map(show: &Show) -> Vec<String> {
    each(show, |one| (!leads(&one.playlist, "#EXT-X-MAP", true)).then(|| "not there, or too late".to_owned()))
}

pub fn sequence(show: &Show) -> Vec<String> {
    each(show, |one| {
        let fits = leads(&one.playlist, "#EXT-X-MEDIA-SEQUENCE", false)
            && (!one.playlist.has("#EXT-X-MEDIA-SEQUENCE") || one.playlist.number("#EXT-X-MEDIA-SEQUENCE").is_some());
        (!fits).then(|| "too late, or no number".to_owned())
    })
}

pub fn durations(show: &Show) -> Vec<String> {
    each(show, |one| {
        let none = one.segments.is_empty().then(|| "no segment".to_owned());
        let bad = one.segments.iter().find(|segment| segment.entry.duration.is_none_or(|d| d.is_zero()));
        none.or_else(|| bad.map(|segment| segment.entry.uri.clone()))
    })
}

pub fn once(show: &Show) -> Vec<String> {
    each(show, |one| {
        let names: Vec<_> = one.segments.iter().map(|segment| &segment.uri).collect();
        let twice = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name));
        twice.map(|(_, name)| (*name).clone())
    })
}

fn target_of(playlist: &Playlist) -> Option<u64> {
    playlist.number("#EXT-X-TARGETDURATION")
}

pub fn target(show: &Show) -> Vec<String> {
    each(show, |one| {
        let Some(target) = target_of(&one.playlist) else { return Some("none".to_owned()) };
        let rounded = |duration: Duration| (duration + Duration::from_millis(500)).as_secs();
        let longest = one.segments.iter().filter_map(|segment| segment.entry.duration).max().map_or(0, rounded);
        (target < longest || target == 0).then(|| format!("{target}, the longest is {longest}"))
    })
}

pub fn one_target(show: &Show) -> Vec<String> {
    let first = show.renditions.first().and_then(|one| target_of(&one.playlist));
    each(show, |one| (target_of(&one.playlist) != first).then(|| format!("not {first:?}")))
}

pub fn sums(show: &Show) -> Vec<String> {
    let mut bad = Vec::new();
    for (rendition, init, fragments) in show.whole() {
        let starts = rendition.starts();
        let times = fragments.iter().map(|fragment| fragment.time).skip(1);
        let times = times.chain(fragments.last().map(|last| last.end()));
        for (i, ticks) in (1..).zip(times) {
            let (said, found) = (starts[i], init.at(ticks));
            if said.abs_diff(found) > Duration::from_micros(1) {
                bad.push(format!("{}: {said:?} before segment {}, tfdt says {found:?}", rendition.uri, i + 1));
            }
        }
    }
    bad
}

pub fn cuts(show: &Show) -> Vec<String> {
    let tracks: Vec<_> = show.whole().collect();
    let Some((pictures, ..)) = tracks.iter().find(|(_, init, _)| init.is_video()) else { return Vec::new() };
    let cuts = pictures.starts();
    let Some(end) = cuts.last() else { return Vec::new() };
    let mut bad = Vec::new();
    for (sound, init, fragments) in tracks.iter().filter(|(_, init, _)| !init.is_video()) {
        let longest = fragments.iter().flat_map(|fragment| &fragment.samples).map(|sample| sample.duration).max();
        let longest = init.at(longest.unwrap_or(0).into()) + Duration::from_micros(2);
        let starts = sound.starts();
        // Where pictures are far apart, or over, sound has cuts of its own.
        let far = cuts.windows(2).any(|pair| pair[1].saturating_sub(pair[0]) > Duration::from_secs(10));
        for start in starts.iter().skip(1).take(starts.len().saturating_sub(2)).filter(|start| *start < end && !far) {
            let after = cuts.iter().rev().find(|cut| **cut <= *start + Duration::from_micros(2));
            if after.is_none_or(|cut| start.saturating_sub(*cut) > longest) {
                bad.push(format!("{}: cut at {start:?}, the pictures at {after:?}", sound.uri));
            }
        }
    }
    bad
}

/// Whether each fragment can be decoded alone: it starts with a sync sample, and nothing in it is shown before that.
pub fn stands_alone(fragments: &[&Fragment]) -> bool {
    let alone = |fragment: &&Fragment| {
        let Some(first) = fragment.samples.first() else { return false };
        first.sync() && fragment.samples.iter().all(|sample| sample.shown() >= first.shown())
    };
    fragments.iter().all(alone)
}

/// Whether nothing is shown before the sync sample that it is decoded after, in all of a track. Where that is so, it has to be
/// said that segments stand alone; where only segments do, it may be.
pub fn is_closed(fragments: &[&Fragment]) -> bool {
    let mut samples = fragments.iter().flat_map(|fragment| &fragment.samples);
    let mut last_sync = None;
    stands_alone(fragments)
        && samples.all(|sample| {
            if sample.sync() {
                last_sync = Some(sample.shown());
            }
            last_sync.is_some_and(|sync| sync <= sample.shown())
        })
}

pub fn independent(show: &Show) -> Vec<String> {
    let truths: Vec<_> =
        show.whole().map(|(one, _, fragments)| (one, stands_alone(&fragments), is_closed(&fragments))).collect();
    let wrong = |playlist: &Playlist, alone: bool, closed: bool| {
        let said = playlist.has("#EXT-X-INDEPENDENT-SEGMENTS");
        (said && !alone) || (!said && closed)
    };
    let bad = truths.iter().filter(|(one, alone, closed)| wrong(&one.playlist, *alone, *closed));
    let mut bad: Vec<_> = bad.map(|(one, alone, _)| format!("{}: it is {alone}", one.uri)).collect();
    let alone = truths.iter().all(|(_, alone, _)| *alone);
    let closed = truths.iter().all(|(_, _, closed)| *closed);
    bad.extend(wrong(&show.master, alone, closed).then(|| format!("master.m3u8: it is {alone}")));
    bad
}

/// Ticks as time, for other rules.
pub fn span(init: &Init, from: u64, to: u64) -> Duration {
    init.at(to).saturating_sub(init.at(from))
}
