//! Rules about media segments and their samples.

use super::track::outermost;
use crate::judges::playlists::codecs::{self, NalUnit};
use crate::judges::playlists::show::{Rendition, Segment, Show};
use crate::judges::playlists::track::{Fragment, Init, Sample};
use std::collections::HashSet;

/// Messages of `wrong` for each segment that could be read, with its address.
fn each(show: &Show, wrong: impl Fn(&Init, &Fragment, &[u8]) -> Option<String>) -> Vec<String> {
    let mut bad = Vec::new();
    for (rendition, init) in show.tracks() {
        let read = |segment: &Segment| {
            let fragment = segment.fragment.as_ref().ok()?;
            Some(format!("{}: {}", segment.uri, wrong(init, fragment, show.files.bytes(&segment.uri))?))
        };
        bad.extend(rendition.segments.iter().filter_map(read));
    }
    bad
}

pub fn boxes(show: &Show) -> Vec<String> {
    let unread = |segment: &Segment| {
        let error = segment.fragment.as_ref().err()?;
        Some(format!("{}: {error}; {}", segment.uri, outermost(show.files.bytes(&segment.uri))))
    };
    let mut bad: Vec<_> = show.renditions.iter().flat_map(|one| &one.segments).filter_map(unread).collect();
    bad.extend(each(show, |_, fragment, _| {
        let right = fragment.outermost == ["moof", "mdat"] && fragment.in_track == ["tfhd", "tfdt", "trun"];
        (!right).then(|| format!("{:?}, in traf {:?}", fragment.outermost, fragment.in_track))
    }));
    bad
}

/// Messages of `wrong` for each track of which everything could be read.
fn each_track(show: &Show, wrong: impl Fn(&Init, &[&Fragment]) -> Option<String>) -> Vec<String> {
    let one = |(rendition, init, fragments): (&Rendition, &Init, Vec<&Fragment>)| {
        Some(format!("{}: {}", rendition.uri, wrong(init, &fragments)?))
    };
    show.whole().filter_map(one).collect()
}

pub fn numbers(show: &Show) -> Vec<String> {
    each_track(show, |_, fragments| {
        let broken = fragments.windows(2).find(|pair| pair[1].sequence != pair[0].sequence + 1)?;
        Some(format!("{} after {}", broken[1].sequence, broken[0].sequence))
    })
}

pub fn base(show: &Show) -> Vec<String> {
    // default-base-is-moof, and no base-data-offset.
    each(show, |_, fragment, _| {
        (fragment.flags & 0x02_0001 != 0x02_0000).then(|| format!("flags {:#x}", fragment.flags))
    })
}

pub fn filled(show: &Show) -> Vec<String> {
    each(show, |_, fragment, _| {
        let mut at = fragment.payload.start;
        for (i, sample) in fragment.samples.iter().enumerate() {
            if sample.bytes.start != at {
                return Some(format!("sample {i} at {}, not {at}", sample.bytes.start));
            }
            at = sample.bytes.end;
        }
        let whole = at == fragment.payload.end && !fragment.samples.is_empty();
        (!whole).then(|| format!("{} samples up to {at} of {}", fragment.samples.len(), fragment.payload.end))
    })
}

pub fn continuous(show: &Show) -> Vec<String> {
    each_track(show, |_, fragments| {
        let broken = fragments.windows(2).find(|pair| pair[1].time != pair[0].end())?;
        Some(format!("tfdt {} after an end at {}", broken[1].time, broken[0].end()))
    })
}

pub fn zero(show: &Show) -> Vec<String> {
    each_track(show, |init, fragments| {
        let first = fragments.first().filter(|first| init.is_video() && first.time != 0)?;
        Some(format!("{}", first.time))
    })
}

pub fn shown(show: &Show) -> Vec<String> {
    each_track(show, |_, fragments| {
        let samples = || fragments.iter().flat_map(|fragment| &fragment.samples);
        if let Some(early) = samples().find(|sample| sample.composition < 0) {
            return Some(format!("at {} by {}", early.time, early.composition));
        }
        let mut seen = HashSet::new();
        samples().find(|sample| !seen.insert(sample.shown())).map(|sample| format!("two at {}", sample.shown()))
    })
}

/// The NAL units of a sample; an error where their lengths do not fill it.
fn units(bytes: &[u8], length: usize) -> Result<Vec<u8>, String> {
    let mut heads = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (size, after) = rest.split_at_checked(length).ok_or("a length is cut off")?;
        let size = size.iter().fold(0, |size, byte| size << 8 | usize::from(*byte));
        let unit = after.get(..size).ok_or_else(|| format!("a unit of {size} bytes, {} are left", after.len()))?;
        heads.extend(unit.first());
        rest = &after[size..];
    }
    Ok(heads)
}

/// The samples of `fragment` with their bytes; those that lie outside of the segment are left to other rules.
fn samples<'a>(fragment: &'a Fragment, bytes: &'a [u8]) -> impl Iterator<Item = (&'a Sample, &'a [u8])> {
    fragment.samples.iter().filter_map(|sample| Some((sample, bytes.get(sample.bytes.clone())?)))
}

pub fn nal_units(show: &Show) -> Vec<String> {
    each(show, |init, fragment, bytes| {
        let (length, _) = codecs::nal_units(&init.entry)?;
        samples(fragment, bytes).find_map(|(sample, bytes)| match units(bytes, length) {
            Ok(units) => units.is_empty().then(|| format!("none at {}", sample.time)),
            Err(error) => Some(format!("at {}: {error}", sample.time)),
        })
    })
}

pub fn sync(show: &Show) -> Vec<String> {
    each(show, |init, fragment, bytes| {
        let mut marked = samples(fragment, bytes).filter(|(sample, _)| sample.sync());
        let wrong = |bytes: &[u8]| match codecs::nal_units(&init.entry) {
            Some((length, kind)) => units(bytes, length).is_ok_and(|heads| {
                let slices: Vec<_> = heads.into_iter().map(kind).filter(|kind| *kind != NalUnit::Other).collect();
                slices.first() != Some(&NalUnit::Sync)
            }),
            None => codecs::is_key_frame(&init.entry, bytes) == Some(false),
        };
        marked.find(|(_, bytes)| wrong(bytes)).map(|(sample, _)| format!("not the one at {}", sample.time))
    })
}
