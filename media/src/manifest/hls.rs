//! HLS playlists (RFC 8216, and Apple's HLS authoring specification).

use super::address::{self, below};
use super::bitrate::Bitrate;
use super::rate::FrameRate;
use crate::codec::Codec;
use crate::picture;
use crate::plan::TrackPlan;
use crate::presentation::{Offered, Placed, Presentation, Rendition, Text, TrackName};
use crate::time::Timescale;
use crate::track::VideoFormat;
use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;
use std::time::Duration;

/// The first version with fMP4 segments in ordinary playlists (`EXT-X-MAP`) on all players.
const VERSION: u32 = 7;

/// The multivariant playlist: a variant for each version of the pictures with each group of sound.
pub fn multivariant(offered: &Offered) -> String {
    let mut out = format!("#EXTM3U\n#EXT-X-VERSION:{VERSION}\n");
    if offered.all().all(|placed| is_independent(&placed.rendition)) {
        out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    let target = target_duration(offered.all().map(|placed| placed.rendition));
    let groups = Group::all(offered);
    for group in groups.iter().filter(|group| group.listed(offered)) {
        out.push('\n');
        group.write_members(&mut out, offered);
    }
    write_texts(&mut out, &offered.texts);
    out.push('\n');
    let groups: Vec<_> = groups.iter().map(Some).chain(groups.is_empty().then_some(None)).collect();
    let pictures: Vec<_> =
        offered.pictures.iter().map(Some).chain(offered.pictures.is_empty().then_some(None)).collect();
    for picture in pictures {
        for group in &groups {
            write_variant(&mut out, offered, picture.copied(), *group, target);
        }
    }
    out
}

/// The media playlist of `name`, beside its segments; none where there is no such track. Its `EXT-X-TARGETDURATION` is
/// that of all playlists of a presentation, which must be the same (RFC 8216 §6.2.4): `target` where that is more.
pub fn media(presentation: &Presentation, name: TrackName, target: u64) -> Option<String> {
    let rendition = presentation.rendition(name)?;
    let plan = rendition.plan;
    let target = target_duration(presentation.renditions()).max(target);
    let mut out = format!("#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-TARGETDURATION:{target}\n");
    out.push_str("#EXT-X-MEDIA-SEQUENCE:1\n#EXT-X-PLAYLIST-TYPE:VOD\n");
    if is_independent(&rendition) {
        out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    let _ = writeln!(out, "#EXT-X-MAP:URI=\"{}\"", address::INIT);
    let numbers = 1..=u32::try_from(plan.segments().len()).unwrap_or(u32::MAX);
    for (position, number) in (0..).zip(numbers) {
        // Differences of rounded times, so that rounding never adds up.
        let micros = micros(plan.timescale, plan.start(position + 1)) - micros(plan.timescale, plan.start(position));
        let _ = writeln!(out, "#EXTINF:{}.{:06},", micros / 1_000_000, micros % 1_000_000);
        let _ = writeln!(out, "{}", address::segment(number));
    }
    out.push_str("#EXT-X-ENDLIST\n");
    Some(out)
}

/// The media playlist of captions over a presentation of `duration`: one segment, because it is small. Its target duration
/// need not be that of the others (RFC 8216 §6.2.4).
pub fn text(duration: Duration) -> String {
    let micros = duration.as_micros().max(1);
    let target = (micros.saturating_add(500_000) / 1_000_000).max(1);
    format!(
        "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:1\n\
         #EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:{}.{:06},\n{}\n#EXT-X-ENDLIST\n",
        micros / 1_000_000,
        micros % 1_000_000,
        address::TEXT,
    )
}

/// `EXT-X-TARGETDURATION`, seconds: the longest segment, rounded.
pub fn target_duration<'a>(renditions: impl Iterator<Item = Rendition<'a>>) -> u64 {
    let longest = |plan: &TrackPlan| {
        let ticks = (0..plan.segments().len()).map(|i| plan.ticks(i)).max().unwrap_or(0);
        micros(plan.timescale, ticks).saturating_add(500_000) / 1_000_000
    };
    renditions.map(|r| longest(r.plan)).max().unwrap_or(0).max(1)
}

fn micros(timescale: Timescale, ticks: i64) -> u64 {
    let micros = i128::from(ticks.max(0)) * 1_000_000 + i128::from(timescale.get()) / 2;
    u64::try_from(micros / i128::from(timescale.get())).unwrap_or(u64::MAX)
}

/// Whether every segment can be decoded alone (RFC 8216 §4.3.5.1).
fn is_independent(rendition: &Rendition) -> bool {
    rendition.plan.segments().iter().all(|s| s.sync) && !rendition.track.open_gop
}

/// The sound of one codec: a player picks one track of a group.
struct Group<'a> {
    id: &'static str,
    members: Vec<Member<'a>>,
}

struct Member<'a> {
    placed: Placed<'a>,
    /// Unique over all groups, fit for a quoted string.
    name: String,
    language: Option<String>,
    /// Whether a player may choose it by language alone: the first of its language in its group.
    autoselect: bool,
}

impl<'a> Group<'a> {
    fn all(offered: &Offered<'a>) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        let mut names = HashSet::new();
        for placed in &offered.sounds {
            let rendition = placed.rendition;
            let id = group_id(&rendition.track.codec);
            let position = groups.iter().position(|g| g.id == id).unwrap_or_else(|| {
                groups.push(Self { id, members: Vec::new() });
                groups.len() - 1
            });
            let members = &mut groups[position].members;
            let language = rendition.track.language.as_deref().and_then(language_tag);
            let autoselect = members.iter().all(|m| m.language != language);
            let name = unique(name_of(&rendition, language.as_deref()), &mut names);
            members.push(Member { placed: *placed, name, language, autoselect });
        }
        groups
    }

    /// Whether its members are named: not where one sound track is all there is, and so itself the variant.
    fn listed(&self, offered: &Offered) -> bool {
        !offered.pictures.is_empty() || self.members.len() > 1
    }

    fn write_members(&self, out: &mut String, offered: &Offered) {
        for (i, member) in self.members.iter().enumerate() {
            let yes_no = |yes| if yes { "YES" } else { "NO" };
            let _ = write!(out, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{}\",NAME=\"{}\"", self.id, member.name);
            if let Some(language) = &member.language {
                let _ = write!(out, ",LANGUAGE=\"{language}\"");
            }
            let _ = write!(out, ",DEFAULT={},AUTOSELECT={}", yes_no(i == 0), yes_no(member.autoselect));
            let channels = member.placed.rendition.audio_format().map_or(0, |f| f.channels);
            if channels > 0 {
                let _ = write!(out, ",CHANNELS=\"{channels}\"");
            }
            // Without a picture, the first member's playlist is the variant's own (RFC 8216 §4.3.4.2.1).
            if !offered.pictures.is_empty() || i > 0 {
                let Placed { rendition, base, .. } = member.placed;
                let _ = write!(out, ",URI=\"{}\"", below(base, rendition.name, address::PLAYLIST));
            }
            out.push('\n');
        }
    }

    fn bitrate(&self, target: u64) -> Bitrate {
        self.members.iter().map(|m| Bitrate::placed(&m.placed, target)).fold(Bitrate::default(), Bitrate::max)
    }
}

/// The group of captions.
const TEXTS: &str = "text";

/// Captions are nobody's default: who wants them chooses them, or has a player that does by language.
fn write_texts(out: &mut String, texts: &[Text]) {
    let mut names = HashSet::new();
    let mut chosen = HashSet::new();
    if !texts.is_empty() {
        out.push('\n');
    }
    for text in texts {
        let language = language_tag(&text.language);
        let name = unique(quotable(&text.label), &mut names);
        let _ = write!(out, "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"{TEXTS}\",NAME=\"{name}\"");
        if let Some(language) = &language {
            let _ = write!(out, ",LANGUAGE=\"{language}\"");
        }
        // What is forced is always chosen by the player (RFC 8216 §4.3.4.1), so there is one of a language.
        let first = chosen.insert((language, text.forced));
        let auto = if first { "YES" } else { "NO" };
        let _ = write!(out, ",DEFAULT=NO,AUTOSELECT={auto}");
        if text.forced && first {
            out.push_str(",FORCED=YES");
        }
        let _ = writeln!(out, ",URI=\"{}{}\"", text.base, address::PLAYLIST);
    }
}

fn write_variant(out: &mut String, offered: &Offered, picture: Option<Placed>, group: Option<&Group>, target: u64) {
    let Some(main) = picture.or_else(|| group.and_then(|g| g.members.first()).map(|m| m.placed)) else { return };
    let video = picture.map(|placed| placed.rendition);
    let sound = group.map_or(Bitrate::default(), |g| g.bitrate(target));
    let bitrate = picture.map_or(Bitrate::default(), |placed| Bitrate::placed(&placed, target)).with(sound);
    let _ = write!(out, "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={}", bitrate.peak, bitrate.average);
    let _ = write!(out, ",CODECS=\"{}\"", codecs(video, group));
    if let Some(video) = video {
        if let Some(format) = video.video_format() {
            let (width, height) = picture::display_size(format);
            let _ = write!(out, ",RESOLUTION={width}x{height}");
        }
        if let Some(rate) = FrameRate::of(&video) {
            let _ = write!(out, ",FRAME-RATE={}", rate.decimal());
        }
        let _ = write!(out, ",VIDEO-RANGE={}", video.video_format().map_or("SDR", video_range));
    }
    if let Some(group) = group.filter(|g| g.listed(offered)) {
        let _ = write!(out, ",AUDIO=\"{}\"", group.id);
    }
    if !offered.texts.is_empty() {
        let _ = write!(out, ",SUBTITLES=\"{TEXTS}\"");
    }
    if video.is_some() {
        out.push_str(",CLOSED-CAPTIONS=NONE");
    }
    let _ = writeln!(out, "\n{}", below(main.base, main.rendition.name, address::PLAYLIST));
}

/// `CODECS`: the video's, then each different one of the group.
fn codecs(video: Option<Rendition>, group: Option<&Group>) -> String {
    let sounds =
        group.into_iter().flat_map(|g| g.members.iter().map(|m| m.placed.rendition.track.codec.codec_string()));
    let sounds: BTreeSet<_> = sounds.collect();
    let all: Vec<_> = video.map(|v| v.track.codec.codec_string()).into_iter().chain(sounds).collect();
    all.join(",")
}

fn group_id(codec: &Codec) -> &'static str {
    match codec {
        Codec::Opus { .. } => "opus",
        Codec::Flac { .. } => "flac",
        _ => "aac",
    }
}

/// `VIDEO-RANGE` from the transfer characteristics (ISO/IEC 23091-2 §8.2).
fn video_range(format: &VideoFormat) -> &'static str {
    match format.colour.map(|c| c.transfer) {
        Some(16) => "PQ",
        Some(18) => "HLG",
        _ => "SDR",
    }
}

/// The tag where it can be one (RFC 5646 §2.1), and says something.
pub(super) fn language_tag(language: &str) -> Option<String> {
    let subtag = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    (language.split('-').all(subtag) && language != "und").then(|| language.to_owned())
}

/// What people read in a player's menu.
pub(super) fn name_of(rendition: &Rendition, language: Option<&str>) -> String {
    let given = rendition.track.name.as_deref().map(quotable);
    let number = match rendition.name {
        TrackName::Audio(number) => number,
        TrackName::Video => 1,
    };
    given
        .filter(|name| !name.is_empty())
        .or_else(|| language.map(str::to_owned))
        .unwrap_or_else(|| format!("Audio {number}"))
}

/// `text` in a quoted string (RFC 8216 §4.2): no quotes and no line breaks; control characters help nobody.
fn quotable(text: &str) -> String {
    let fit = |c: char| match c {
        '"' => '\'',
        c if c.is_control() => ' ',
        c => c,
    };
    text.chars().map(fit).collect::<String>().trim().to_owned()
}

/// `name`, or with a number behind it where it is taken.
fn unique(name: String, taken: &mut HashSet<String>) -> String {
    let numbered = (2..).map(|n| format!("{name} {n}"));
    let free = std::iter::once(name.clone()).chain(numbered).find(|name| !taken.contains(name));
    let free = free.expect("numbers do not run out");
    taken.insert(free.clone());
    free
}
