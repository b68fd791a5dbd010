//! Rules about variants and the renditions beside them.

use crate::judges::playlists::codecs;
use crate::judges::playlists::m3u8::Attributes;
use crate::judges::playlists::show::{Rendition, Show, beside};
use crate::judges::playlists::track::{Fragment, Init, Sample};
use std::collections::BTreeSet;
use std::time::Duration;

/// A variant with the tracks that may be played with it.
pub struct Variant<'a> {
    /// Its attributes.
    pub list: Attributes,
    /// Its own playlist.
    pub main: &'a Rendition,
    /// Playlists of its group of sound; empty where it has none.
    pub sounds: Vec<&'a Rendition>,
}

/// The variants whose playlists are there.
pub fn all(show: &Show) -> Vec<Variant<'_>> {
    let sounds = |list: &Attributes| {
        let Some(group) = list.quoted("AUDIO") else { return Vec::new() };
        let members = show.master.media().into_iter().filter(|m| m.quoted("GROUP-ID").as_ref() == Some(&group));
        members.filter_map(|member| show.rendition(&member.quoted("URI")?)).collect()
    };
    let variant = |(list, uri): (Attributes, Option<String>)| {
        let main = show.rendition(&uri?)?;
        Some(Variant { sounds: sounds(&list), list, main })
    };
    show.master.variants().into_iter().filter_map(variant).collect()
}

impl Variant<'_> {
    fn init(&self) -> Option<&Init> {
        self.main.init.as_ref().ok()
    }

    /// What it is called in a message.
    pub fn name(&self) -> String {
        format!("{} with {}", self.main.uri, self.list.quoted("AUDIO").unwrap_or_else(|| "no group".to_owned()))
    }

    /// The track, where it is of pictures.
    fn video(&self) -> Option<&Init> {
        self.init().filter(|init| init.is_video())
    }
}

pub fn attributes(show: &Show) -> Vec<String> {
    let mut bad = Vec::new();
    let listed = show.master.variants();
    if listed.is_empty() {
        bad.push("no variant".to_owned());
    }
    bad.extend(listed.iter().filter(|(_, uri)| uri.is_none()).map(|_| "a variant without an address".to_owned()));
    for variant in all(show) {
        let all = ["BANDWIDTH", "AVERAGE-BANDWIDTH", "CODECS"];
        let of_pictures = ["RESOLUTION", "VIDEO-RANGE"];
        let missing = |name: &&&str| variant.list.get(name).is_none();
        bad.extend(all.iter().filter(missing).map(|name| format!("{}: no {name}", variant.name())));
        let pictures = of_pictures.iter().filter(|name| variant.list.get(name).is_some() != variant.video().is_some());
        bad.extend(pictures.map(|name| format!("{}: {name}", variant.name())));
    }
    bad
}

pub fn codecs(show: &Show) -> Vec<String> {
    let mut bad = Vec::new();
    for variant in all(show) {
        let tracks = std::iter::once(variant.main).chain(variant.sounds.iter().copied());
        let found = tracks.map(|track| match &track.init {
            Ok(init) => codecs::of(&init.entry).unwrap_or_else(|error| error),
            Err(error) => error.clone(),
        });
        let found: BTreeSet<_> = found.collect();
        let said = variant.list.quoted("CODECS").unwrap_or_default();
        let said: BTreeSet<_> = said.split(',').map(codecs::longest).collect();
        if said != found {
            bad.push(format!("{}: {said:?}, the bytes say {found:?}", variant.name()));
        }
    }
    bad
}

/// Width and height as people see them: `tkhd`'s, turned by its matrix (§6.2.2, §8.3.2).
pub fn shown_size(init: &Init) -> (u32, u32) {
    let (width, height) = (init.shown.0 >> 16, init.shown.1 >> 16);
    if init.matrix[0] == 0 && init.matrix[4] == 0 { (height, width) } else { (width, height) }
}

pub fn resolution(show: &Show) -> Vec<String> {
    let mut bad = Vec::new();
    for variant in all(show) {
        let Some(init) = variant.video() else { continue };
        let (width, height) = shown_size(init);
        if variant.list.get("RESOLUTION") != Some(format!("{width}x{height}").as_str()) {
            bad.push(format!("{}: {:?}, shown as {width}x{height}", variant.name(), variant.list.get("RESOLUTION")));
        }
    }
    bad
}

/// Thousandths of a picture a second over `fragments`, and whether they are evenly spaced. None for less than two.
pub fn rate(init: &Init, fragments: &[&Fragment]) -> Option<(u64, bool)> {
    // Pictures before the start of an edit are squeezed into next to no time.
    let lasting = |sample: &&Sample| init.at(sample.duration.into()) > Duration::from_micros(200);
    let mut samples: Vec<_> = fragments.iter().flat_map(|fragment| &fragment.samples).filter(lasting).collect();
    // Before a track that starts late there are copies of its first picture.
    let copies = |pair: &&[&Sample]| pair[1].sync() && pair[0].bytes.len() == pair[1].bytes.len();
    samples.drain(..samples.windows(2).take_while(copies).count());
    // The first lasts longer where the track starts late; the last one's duration is often only a guess.
    let spaced = samples.get(1..samples.len().max(2) - 1).filter(|spaced| !spaced.is_empty());
    let spaced = spaced.or_else(|| samples.get(..samples.len().checked_sub(1)?)).filter(|spaced| !spaced.is_empty())?;
    let ticks: u64 = spaced.iter().map(|sample| u64::from(sample.duration)).sum();
    let even = spaced.iter().all(|sample| sample.duration == spaced[0].duration);
    let frames = u64::try_from(spaced.len()).ok()? * u64::from(init.timescale) * 1000;
    (ticks > 0).then(|| ((frames + ticks / 2) / ticks, even))
}

pub fn frame_rate(show: &Show) -> Vec<String> {
    let mut bad = Vec::new();
    for (rendition, init, fragments) in show.whole().filter(|(_, init, _)| init.is_video()) {
        let expected = rate(init, &fragments);
        for variant in all(show).iter().filter(|variant| variant.main.uri == rendition.uri) {
            let said = variant.list.get("FRAME-RATE").map(|text| text.replace('.', "").parse::<u64>());
            let fits = match (&said, expected) {
                (None, None) => true,
                (Some(Ok(said)), Some((rate, true))) => *said == rate,
                (Some(Ok(said)), Some((rate, false))) => said.abs_diff(rate) * 50 <= rate,
                _ => false,
            };
            if !fits {
                bad.push(format!("{}: {said:?}, of the samples {expected:?} (thousandths, even)", variant.name()));
            }
        }
    }
    bad
}

pub fn video_range(show: &Show) -> Vec<String> {
    let mut bad = Vec::new();
    for variant in all(show) {
        let Some(init) = variant.video() else { continue };
        let expected = match codecs::transfer(&init.entry) {
            Some(16) => "PQ",
            Some(18) => "HLG",
            _ => "SDR",
        };
        if variant.list.get("VIDEO-RANGE") != Some(expected) {
            bad.push(format!("{}: {:?}, not {expected}", variant.name(), variant.list.get("VIDEO-RANGE")));
        }
    }
    bad
}

pub fn captions(show: &Show) -> Vec<String> {
    let wrong = |v: &Variant| (v.list.get("CLOSED-CAPTIONS") == Some("NONE")) != v.video().is_some();
    all(show).iter().filter(|variant| wrong(variant)).map(Variant::name).collect()
}

pub fn groups(show: &Show) -> Vec<String> {
    let there: BTreeSet<_> = show.master.media().iter().filter_map(|media| media.quoted("GROUP-ID")).collect();
    let variants = show.master.variants();
    let used = variants.iter().flat_map(|(list, _)| [list.quoted("AUDIO"), list.quoted("SUBTITLES")]);
    let used: BTreeSet<_> = used.flatten().collect();
    there.symmetric_difference(&used).map(|group| format!("{group}: there {there:?}, used {used:?}")).collect()
}

pub fn group_codec(show: &Show) -> Vec<String> {
    let mut bad = Vec::new();
    for variant in all(show) {
        let kinds = variant.sounds.iter().filter_map(|sound| Some(sound.init.as_ref().ok()?.entry.kind));
        let kinds: BTreeSet<_> = kinds.collect();
        if kinds.len() > 1 {
            bad.push(format!("{}: {kinds:?}", variant.name()));
        }
    }
    bad
}

pub fn media(show: &Show) -> Vec<String> {
    let mut bad = Vec::new();
    for (i, media) in show.master.media().iter().enumerate() {
        let needed = ["TYPE", "GROUP-ID", "NAME", "DEFAULT", "AUTOSELECT"];
        let missing = needed.iter().filter(|name| media.get(name).is_none());
        bad.extend(missing.map(|name| format!("EXT-X-MEDIA {i}: no {name}")));
        // Without an address it is in the variant's own playlist, which then has to be sound.
        let own = all(show).iter().any(|v| v.list.get("AUDIO") == media.get("GROUP-ID") && v.video().is_none());
        let is_there =
            |uri: String| show.playlists().skip(1).any(|(name, playlist)| name == uri && playlist.has("#EXTINF"));
        match media.quoted("URI").map(is_there) {
            Some(true) => {}
            Some(false) => bad.push(format!("EXT-X-MEDIA {i}: nothing at its address")),
            None if own => {}
            None => bad.push(format!("EXT-X-MEDIA {i}: no URI")),
        }
    }
    bad
}

pub fn names(show: &Show) -> Vec<String> {
    let media = show.master.media();
    let names: Vec<_> = media.iter().map(|media| (media.get("TYPE"), media.quoted("NAME"))).collect();
    let twice = names.iter().enumerate().filter(|(i, name)| names[..*i].contains(name));
    twice.map(|(_, name)| format!("{name:?}")).collect()
}

pub fn defaults(show: &Show) -> Vec<String> {
    let media = show.master.media();
    let sounds = media.iter().filter(|media| media.get("TYPE") == Some("AUDIO"));
    let groups: BTreeSet<_> = sounds.filter_map(|media| media.quoted("GROUP-ID")).collect();
    let mut bad = Vec::new();
    for group in groups {
        let of_group = media.iter().filter(|media| media.quoted("GROUP-ID").as_deref() == Some(group.as_str()));
        let defaults: Vec<_> = of_group.filter(|media| media.get("DEFAULT") == Some("YES")).collect();
        if defaults.len() != 1 {
            bad.push(format!("{group}: {} of them", defaults.len()));
        }
        let unchosen = defaults.iter().any(|media| media.get("AUTOSELECT") != Some("YES"));
        bad.extend(unchosen.then(|| format!("{group}: not AUTOSELECT")));
    }
    bad
}

pub fn autoselect(show: &Show) -> Vec<String> {
    let media = show.master.media();
    let chosen = media.iter().filter(|media| media.get("AUTOSELECT") == Some("YES"));
    let keys: Vec<_> =
        chosen.map(|media| (media.get("GROUP-ID"), media.get("LANGUAGE"), media.get("FORCED"))).collect();
    let twice = keys.iter().enumerate().filter(|(i, key)| keys[..*i].contains(key));
    twice.map(|(_, key)| format!("{key:?}")).collect()
}

pub fn languages(show: &Show) -> Vec<String> {
    let media = show.master.media();
    let given = media.iter().filter_map(|media| media.get("LANGUAGE")).map(|text| text.trim_matches('"').to_owned());
    given.filter(|tag| !is_language(tag)).collect()
}

/// Whether `tag` is one of RFC 5646 by its shape, with the shortest code of its language (§2.2.1, §4.1), and known.
pub fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let primary = parts.next().is_some_and(|first| {
        matches!(first.len(), 2 | 3) && first.bytes().all(|b| b.is_ascii_lowercase()) && !matches!(first, "und" | "eng")
    });
    primary && parts.all(|part| matches!(part.len(), 1..=8) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Captions are text over the whole presentation, which nobody gets who did not choose it.
pub fn texts(show: &Show) -> Vec<String> {
    let mut bad = Vec::new();
    let end = |uri: &str| show.rendition(uri).and_then(|one| one.starts().last().copied());
    let whole = show.renditions.iter().filter_map(|one| end(&one.uri)).max().unwrap_or_default();
    for (uri, playlist) in &show.texts {
        let entries = playlist.entries();
        let lasting: Duration = entries.iter().filter_map(|entry| entry.duration).sum();
        let finished = playlist.has("#EXT-X-ENDLIST") && playlist.tags("#EXT-X-PLAYLIST-TYPE").next() == Some("VOD");
        let target = playlist.number("#EXT-X-TARGETDURATION").map(Duration::from_secs);
        let held = target.is_some_and(|target| entries.iter().filter_map(|e| e.duration).all(|d| d < target + HALF));
        if lasting.abs_diff(whole) > Duration::from_millis(250) || !finished || !held {
            bad.push(format!("{uri}: {lasting:?} of {whole:?}, finished {finished}, target {target:?}"));
        }
        for entry in entries {
            let text = String::from_utf8(show.files.bytes(&beside(uri, &entry.uri)).to_vec());
            if !text.is_ok_and(|text| text.starts_with("WEBVTT\n") && text.contains(" --> ")) {
                bad.push(format!("{uri}: {} is no WebVTT", entry.uri));
            }
        }
    }
    let media = show.master.media();
    let of_text = media.iter().filter(|media| media.get("TYPE") == Some("SUBTITLES"));
    let unasked = of_text.filter(|media| media.get("DEFAULT") != Some("NO"));
    bad.extend(unasked.map(|media| format!("{:?} is DEFAULT", media.get("NAME"))));
    bad
}

/// `EXTINF` is rounded before it is compared.
const HALF: Duration = Duration::from_millis(500);

pub fn channels(show: &Show) -> Vec<String> {
    let mut bad = Vec::new();
    for media in show.master.media() {
        // Captions have none.
        let Some(Ok(init)) = media.quoted("URI").and_then(|uri| show.rendition(&uri)).map(|r| r.init.as_ref()) else {
            continue;
        };
        let found = codecs::channels(&init.entry).map(|channels| channels.to_string());
        if media.quoted("CHANNELS").ok_or_else(|| "no CHANNELS".to_owned()) != found {
            bad.push(format!("{:?}: {:?}, the bytes say {found:?}", media.get("NAME"), media.get("CHANNELS")));
        }
    }
    bad
}
