//! The DASH manifest (ISO/IEC 23009-1): static, one period, one adaptation set a track.
//!
//! `S@t` is the `tfdt` of its segment. The init segment's edit brings times to the presentation's, so there is no
//! `presentationTimeOffset`.

use super::address::{self, below};
use super::bitrate::sustained;
use super::hls::{language_tag, name_of, target_duration};
use super::rate::FrameRate;
use crate::picture;
use crate::plan::TrackPlan;
use crate::presentation::{Offered, Placed, Rendition, Text};
use crate::track::{AudioFormat, VideoFormat};
use std::fmt::Write as _;
use std::time::Duration;

/// The manifest.
pub fn manifest(offered: &Offered) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // A player that waited for the longest segment can begin anywhere.
    let target = target_duration(offered.all().map(|placed| placed.rendition));
    let _ = writeln!(
        out,
        "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" type=\"static\" \
         mediaPresentationDuration=\"PT{:.3}S\" minBufferTime=\"PT{}S\">",
        offered.duration.as_secs_f64(),
        target,
    );
    out.push_str("  <Period id=\"0\" start=\"PT0S\">\n");
    for (position, placed) in offered.pictures.iter().enumerate() {
        write_adaptation_set(&mut out, *placed, &id(placed, &offered.pictures[..position]), target);
    }
    for (position, placed) in offered.sounds.iter().enumerate() {
        write_adaptation_set(&mut out, *placed, &id(placed, &offered.sounds[..position]), target);
    }
    for (number, text) in (1..).zip(&offered.texts) {
        write_text(&mut out, text, number, offered.duration);
    }
    out.push_str("  </Period>\n</MPD>\n");
    out
}

/// Its name, and a number where others before it have the same.
fn id(placed: &Placed, before: &[Placed]) -> String {
    let name = placed.rendition.name;
    match before.iter().filter(|other| other.rendition.name == name).count() {
        0 => name.to_string(),
        others => format!("{name}-{}", others + 1),
    }
}

fn write_adaptation_set(out: &mut String, placed: Placed, id: &str, target: u64) {
    let rendition = &placed.rendition;
    let content = if rendition.video_format().is_some() { "video" } else { "audio" };
    let _ = write!(
        out,
        "    <AdaptationSet contentType=\"{content}\" mimeType=\"{content}/mp4\" segmentAlignment=\"true\""
    );
    if rendition.plan.segments().iter().all(|s| s.sync) && !rendition.track.open_gop {
        out.push_str(" startWithSAP=\"1\"");
    }
    let language = rendition.track.language.as_deref().and_then(language_tag);
    if let Some(language) = &language {
        let _ = write!(out, " lang=\"{language}\"");
    }
    if let Some(format) = rendition.video_format() {
        let (width, height) = picture::display_size(format);
        let divisor = gcd(width, height).max(1);
        let _ = write!(out, " par=\"{}:{}\"", width / divisor, height / divisor);
    }
    out.push_str(">\n");
    if rendition.audio_format().is_some() {
        let _ = writeln!(out, "      <Label>{}</Label>", escaped(&name_of(rendition, language.as_deref())));
        let role = if id == "a1" { "main" } else { "alternate" };
        let _ = writeln!(out, "      <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"{role}\"/>");
    }
    write_representation(out, &placed, id, target);
    out.push_str("    </AdaptationSet>\n");
}

/// Captions as one file beside the media (§5.3.9.1, a representation without segments).
fn write_text(out: &mut String, text: &Text, number: usize, duration: Duration) {
    out.push_str("    <AdaptationSet contentType=\"text\" mimeType=\"text/vtt\"");
    if let Some(language) = language_tag(&text.language) {
        let _ = write!(out, " lang=\"{language}\"");
    }
    let role = if text.forced { "forced-subtitle" } else { "subtitle" };
    let bits = u128::from(text.size) * 8;
    let _ = writeln!(
        out,
        ">\n      <Label>{}</Label>\n      <Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"{role}\"/>\n      \
         <Representation id=\"t{number}\" bandwidth=\"{}\">\n        <BaseURL>{}{}</BaseURL>\n      \
         </Representation>\n    </AdaptationSet>",
        escaped(&text.label),
        // To be there as soon as anything else is.
        bits.div_ceil(duration.as_secs().max(1).into()).max(1),
        escaped(&text.base),
        address::TEXT,
    );
}

fn write_representation(out: &mut String, placed: &Placed, id: &str, target: u64) {
    let Placed { rendition, base, rates } = placed;
    // The same that `minBufferTime` says.
    let bandwidth = rates.map_or_else(|| sustained(rendition.plan, target), |rates| rates.peak);
    let codecs = escaped(&rendition.track.codec.codec_string());
    let _ = write!(out, "      <Representation id=\"{id}\" codecs=\"{codecs}\" bandwidth=\"{bandwidth}\"");
    if let Some(format) = rendition.video_format() {
        write_video_attributes(out, rendition, format);
    }
    if let Some(format) = rendition.audio_format() {
        let _ = write!(out, " audioSamplingRate=\"{}\"", format.sample_rate);
    }
    out.push_str(">\n");
    if let Some(AudioFormat { channels, .. }) = rendition.audio_format() {
        let _ = writeln!(
            out,
            "        <AudioChannelConfiguration \
             schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" value=\"{channels}\"/>",
        );
    }
    let init = escaped(&below(base, rendition.name, address::INIT));
    let media = escaped(&below(base, rendition.name, "$Number$.m4s"));
    let timescale = rendition.plan.timescale.get();
    let _ = writeln!(
        out,
        "        <SegmentTemplate timescale=\"{timescale}\" initialization=\"{init}\" media=\"{media}\" startNumber=\"1\">",
    );
    write_timeline(out, rendition.plan);
    out.push_str("        </SegmentTemplate>\n      </Representation>\n");
}

fn write_video_attributes(out: &mut String, rendition: &Rendition, format: &VideoFormat) {
    let (width, height) = picture::display_size(format);
    let _ = write!(out, " width=\"{width}\" height=\"{height}\" sar=\"1:1\"");
    if let Some(rate) = FrameRate::of(rendition) {
        let _ = write!(out, " frameRate=\"{}\"", rate.fraction());
    }
}

/// `SegmentTimeline`, equal durations in a row said once (§5.3.9.6).
fn write_timeline(out: &mut String, plan: &TrackPlan) {
    let segments = plan.segments();
    let duration = |i: usize| segments.get(i + 1).map_or(plan.end(), |next| next.time) - segments[i].time;
    out.push_str("          <SegmentTimeline>\n");
    let mut first = 0;
    while first < segments.len() {
        let repeats = (first + 1..segments.len()).take_while(|&i| duration(i) == duration(first)).count();
        let _ = write!(out, "            <S t=\"{}\" d=\"{}\"", segments[first].time, duration(first));
        if repeats > 0 {
            let _ = write!(out, " r=\"{repeats}\"");
        }
        out.push_str("/>\n");
        first += 1 + repeats;
    }
    out.push_str("          </SegmentTimeline>\n");
}

/// `text` for XML content and attributes; characters XML 1.0 can't hold (§2.2) are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => out.push(c),
            _ => {}
        }
    }
    out
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn hostile_text_is_harmless_in_xml() {
        assert_eq!(escaped("\"><script>'&\u{0}\u{b}\u{fffe}é"), "&quot;&gt;&lt;script&gt;&apos;&amp;é");
    }
}
