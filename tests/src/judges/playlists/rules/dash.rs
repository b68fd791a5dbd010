//! Rules about the manifest.

use super::media::{is_closed, span, stands_alone};
use super::variants::{is_language, rate, shown_size};
use crate::judges::playlists::codecs;
use crate::judges::playlists::show::{Rendition, Show, beside};
use crate::judges::playlists::track::{Fragment, Init};
use roxmltree::{Document, Node};
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

/// A representation with the rendition that has the same init segment.
struct Track<'a> {
    set: Node<'a, 'a>,
    representation: Node<'a, 'a>,
    template: Node<'a, 'a>,
    rendition: &'a Rendition,
    init: &'a Init,
    fragments: Vec<&'a Fragment>,
}

impl<'a> Track<'a> {
    /// An attribute of the representation, or of its set.
    fn attribute(&self, name: &str) -> Option<&'a str> {
        self.representation.attribute(name).or_else(|| self.set.attribute(name))
    }
}

fn elements<'a>(document: &'a Document<'a>, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| node.has_tag_name(("urn:mpeg:dash:schema:mpd:2011", name)))
}

/// The address that `template` has for segment `number`.
fn address(template: Node, representation: Node, attribute: &str, number: u64) -> String {
    let text = template.attribute(attribute).unwrap_or_default();
    let id = representation.attribute("id").unwrap_or_default();
    text.replace("$RepresentationID$", id).replace("$Number$", &number.to_string())
}

/// `S` elements, repeats written out: start and duration in ticks.
fn segments(template: Node) -> Vec<(u64, u64)> {
    let mut all = Vec::new();
    let mut next = 0;
    for one in template.descendants().filter(|node| node.tag_name().name() == "S") {
        let number = |name| one.attribute(name).and_then(|text| text.parse::<u64>().ok());
        let start = number("t").unwrap_or(next);
        let length = number("d").unwrap_or(0);
        let repeats = number("r").unwrap_or(0).min(1_000_000);
        all.extend((0..=repeats).map(|i| (start + i * length, length)));
        next = start + (repeats + 1) * length;
    }
    all
}

/// Messages of `wrong` for each representation whose segments could be read; those of the document if it can't be.
fn each(show: &Show, wrong: impl Fn(&Track) -> Option<String>) -> Vec<String> {
    let text = show.files.manifest();
    let Ok(document) = Document::parse(&text) else { return Vec::new() };
    let mut bad = Vec::new();
    for representation in elements(&document, "Representation") {
        let template = representation.children().find(|node| node.tag_name().name() == "SegmentTemplate");
        let (Some(set), Some(template)) = (representation.parent_element(), template) else { continue };
        let first = address(template, representation, "media", 1);
        let of_it = |rendition: &Rendition| rendition.segments.first().is_some_and(|segment| segment.uri == first);
        let Some((rendition, init, fragments)) = show.whole().find(|(rendition, ..)| of_it(rendition)) else {
            continue;
        };
        let track = Track { set, representation, template, rendition, init, fragments };
        bad.extend(wrong(&track).map(|what| format!("{:?}: {what}", representation.attribute("id"))));
    }
    bad
}

/// `PT1.5S`, the only form of `xs:duration` that is written.
fn seconds(text: Option<&str>) -> Option<Duration> {
    let number = text?.strip_prefix("PT")?.strip_suffix('S')?.parse().ok()?;
    Duration::try_from_secs_f64(number).ok()
}

pub fn mpd(show: &Show) -> Vec<String> {
    let text = show.files.manifest();
    let document = match Document::parse(&text) {
        Ok(document) => document,
        Err(error) => return vec![error.to_string()],
    };
    let root = document.root_element();
    let holds = [
        ("an MPD", root.has_tag_name(("urn:mpeg:dash:schema:mpd:2011", "MPD"))),
        ("static", root.attribute("type") == Some("static")),
        ("the live profile of templates", {
            let profiles = root.attribute("profiles").unwrap_or_default();
            profiles.split(',').any(|profile| profile == "urn:mpeg:dash:profile:isoff-live:2011")
        }),
        ("minBufferTime", seconds(root.attribute("minBufferTime")).is_some_and(|time| !time.is_zero())),
        ("mediaPresentationDuration", seconds(root.attribute("mediaPresentationDuration")).is_some()),
        ("one period", elements(&document, "Period").count() == 1),
    ];
    holds.into_iter().filter(|(_, holds)| !holds).map(|(what, _)| format!("not {what}")).collect()
}

pub fn ids(show: &Show) -> Vec<String> {
    let text = show.files.manifest();
    let Ok(document) = Document::parse(&text) else { return Vec::new() };
    let mut bad = Vec::new();
    for (name, needed) in [("Period", false), ("AdaptationSet", false), ("Representation", true)] {
        let mut seen = HashSet::new();
        for element in elements(&document, name) {
            match element.attribute("id") {
                Some(id) if seen.insert(id) => {}
                None if !needed => {}
                id => bad.push(format!("{name} {id:?}")),
            }
        }
    }
    bad
}

/// Files of captions that the playlists name.
fn captions(show: &Show) -> impl Iterator<Item = String> + '_ {
    show.texts.iter().flat_map(|(uri, list)| list.entries().into_iter().map(|entry| beside(uri, &entry.uri)))
}

pub fn texts(show: &Show) -> Vec<String> {
    let text = show.files.manifest();
    let Ok(document) = Document::parse(&text) else { return Vec::new() };
    let of_text = |node: &Node| {
        let set = node.parent_element().and_then(|representation| representation.parent_element());
        set.is_some_and(|set| {
            set.attribute("mimeType") == Some("text/vtt") && set.attribute("contentType") == Some("text")
        })
    };
    let named = elements(&document, "BaseURL").filter(of_text).filter_map(|node| node.text().map(ToOwned::to_owned));
    let (named, listed): (BTreeSet<_>, BTreeSet<_>) = (named.collect(), captions(show).collect());
    named.symmetric_difference(&listed).cloned().collect()
}

pub fn files(show: &Show) -> Vec<String> {
    let text = show.files.manifest();
    let Ok(document) = Document::parse(&text) else { return Vec::new() };
    let mut named = Vec::new();
    for representation in elements(&document, "Representation") {
        for template in representation.children().filter(|node| node.tag_name().name() == "SegmentTemplate") {
            let first = template.attribute("startNumber").and_then(|text| text.parse().ok()).unwrap_or(1);
            let numbers = (first..).zip(segments(template));
            named.push(address(template, representation, "initialization", 0));
            named.extend(numbers.map(|(number, _)| address(template, representation, "media", number)));
        }
    }
    let text_files = show.playlists().map(|(uri, _)| uri.to_owned()).chain(["manifest.mpd".to_owned()]);
    let text_files: BTreeSet<_> = text_files.chain(captions(show)).collect();
    let wanted: BTreeSet<_> = show.files.0.keys().filter(|uri| !text_files.contains(*uri)).collect();
    let found: BTreeSet<_> = named.iter().collect();
    let mut bad: Vec<_> = wanted.symmetric_difference(&found).map(|uri| (**uri).clone()).collect();
    bad.extend((named.len() != found.len()).then(|| "a file twice".to_owned()));
    bad
}

pub fn timeline(show: &Show) -> Vec<String> {
    each(show, |track| {
        let found: Vec<_> = track.fragments.iter().map(|one| (one.time, one.end() - one.time)).collect();
        let said = segments(track.template);
        let scale = track.template.attribute("timescale").and_then(|text| text.parse().ok()).unwrap_or(1);
        if scale != track.init.timescale {
            return Some(format!("timescale {scale}, not {}", track.init.timescale));
        }
        (said != found).then(|| format!("{said:?}, the segments say {found:?}"))
    })
}

pub fn codecs(show: &Show) -> Vec<String> {
    each(show, |track| {
        let said = track.attribute("codecs").map(codecs::longest);
        let found = codecs::of(&track.init.entry);
        (said.as_ref() != found.as_ref().ok()).then(|| format!("{said:?}, the bytes say {found:?}"))
    })
}

pub fn types(show: &Show) -> Vec<String> {
    each(show, |track| {
        let kind = if track.init.is_video() { "video" } else { "audio" };
        let said = (track.attribute("contentType"), track.attribute("mimeType"));
        (said != (Some(kind), Some(&format!("{kind}/mp4")))).then(|| format!("{said:?}"))
    })
}

/// A player that starts at any segment, gets `bandwidth` and waited `minBufferTime` has every sample in time.
pub fn bandwidth(show: &Show) -> Vec<String> {
    each(show, |track| {
        let wait = seconds(track.representation.document().root_element().attribute("minBufferTime"))?;
        let Some(rate) = track.attribute("bandwidth").and_then(|text| text.parse::<u128>().ok()) else {
            return Some("none".to_owned());
        };
        let sizes: Vec<_> = track.rendition.segments.iter().map(|one| show.files.bytes(&one.uri).len()).collect();
        for (first, start) in track.fragments.iter().enumerate() {
            let mut before = 0;
            for (fragment, size) in track.fragments[first..].iter().zip(&sizes[first..]) {
                for sample in &fragment.samples {
                    let time = wait + span(track.init, start.time, sample.time);
                    let needed = u128::try_from(before + sample.bytes.end).unwrap_or(u128::MAX) * 8;
                    if needed * 1_000_000_000 > rate * time.as_nanos() {
                        return Some(format!("{rate}: {needed} bits in {time:?} from segment {}", first + 1));
                    }
                }
                before += size;
            }
        }
        None
    })
}

pub fn pictures(show: &Show) -> Vec<String> {
    each(show, |track| {
        if !track.init.is_video() {
            return track.attribute("width").map(|_| "sound has a width".to_owned());
        }
        let (width, height) = shown_size(track.init);
        let said = (track.attribute("width"), track.attribute("height"), track.attribute("sar"));
        if said != (Some(&width.to_string()), Some(&height.to_string()), Some("1:1")) {
            return Some(format!("{said:?}, shown as {width}x{height}"));
        }
        let shape = track.attribute("par").and_then(|par| par.split_once(':'));
        let shape = shape.and_then(|(w, h)| Some((w.parse::<u64>().ok()?, h.parse::<u64>().ok()?)));
        if shape.is_none_or(|(w, h)| w * u64::from(height) != h * u64::from(width) || w == 0) {
            return Some(format!("par {:?} of {width}x{height}", track.attribute("par")));
        }
        let said = track.attribute("frameRate").and_then(thousandths);
        let expected = rate(track.init, &track.fragments).map(|(rate, _)| rate);
        // Rates that are no common ones are rounded to a whole number, and variable ones are a mean.
        let fits = said.zip(expected).is_none_or(|(said, found)| said.abs_diff(found) <= 500 + found / 50);
        // 25, 30; 23.976, 29.97, 59.94.
        let common = |rate: u64| rate.is_multiple_of(1000) || [23_976, 29_970, 59_940].contains(&rate);
        let exact = expected.is_some_and(common) && said != expected;
        (said.is_some() != expected.is_some() || !fits || exact)
            .then(|| format!("frameRate {said:?}, not {expected:?}"))
    })
}

/// A `FrameRateType` in thousandths.
fn thousandths(text: &str) -> Option<u64> {
    let (frames, seconds) = text.split_once('/').unwrap_or((text, "1"));
    let (frames, seconds) = (frames.parse::<u64>().ok()?, seconds.parse::<u64>().ok()?);
    (frames * 1000 + seconds / 2).checked_div(seconds)
}

pub fn sound(show: &Show) -> Vec<String> {
    each(show, |track| {
        if track.init.is_video() {
            return None;
        }
        let rate = codecs::sample_rate(&track.init.entry);
        let channels = codecs::channels(&track.init.entry);
        let configuration =
            track.representation.children().find(|one| one.tag_name().name() == "AudioChannelConfiguration");
        let scheme = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011";
        let configuration = configuration.filter(|one| one.attribute("schemeIdUri") == Some(scheme));
        let said = configuration.and_then(|one| one.attribute("value"));
        if said.map(ToOwned::to_owned) != channels.as_ref().ok().map(ToString::to_string) {
            return Some(format!("{said:?} channels, the bytes say {channels:?}"));
        }
        let said = track.attribute("audioSamplingRate");
        (said != Some(&rate.to_string())).then(|| format!("{said:?} Hz, the bytes say {rate}"))
    })
}

pub fn access_points(show: &Show) -> Vec<String> {
    each(show, |track| {
        let said = track.attribute("startWithSAP");
        let (alone, closed) = (stands_alone(&track.fragments), is_closed(&track.fragments));
        let wrong = if said == Some("1") { !alone } else { closed };
        wrong.then(|| format!("{said:?}, it is {alone}"))
    })
}

pub fn languages(show: &Show) -> Vec<String> {
    each(show, |track| track.attribute("lang").filter(|tag| !is_language(tag)).map(ToOwned::to_owned))
}

pub fn duration(show: &Show) -> Vec<String> {
    let text = show.files.manifest();
    let Ok(document) = Document::parse(&text) else { return Vec::new() };
    let said = seconds(document.root_element().attribute("mediaPresentationDuration")).unwrap_or_default();
    let end = |(_, init, fragments): (&Rendition, &Init, Vec<&Fragment>)| {
        let start = init.edits.first().map_or(0, |(_, time, _)| *time);
        let ends = fragments.iter().flat_map(|one| &one.samples);
        let ends = ends.map(|sample| sample.shown() + i64::from(sample.duration) - start);
        init.at(u64::try_from(ends.max().unwrap_or(0)).unwrap_or(0))
    };
    let found = show.whole().map(end).max().unwrap_or_default();
    // Beyond the end of an edit there may be the padding of sound, and pictures that others before the end are decoded from.
    let bad = said > found + Duration::from_millis(50) || found > said + Duration::from_millis(200);
    bad.then(|| format!("{said:?}, the longest track ends at {found:?}")).into_iter().collect()
}
