//! What plays where: a table of codecs and players, what follows from it and from the plan for what is offered, and what
//! people are told.

use crate::codec::Codec;
use crate::presentation::{Presentation, Rendition};
use crate::track::{Parts, Rotation, Track, TrackKind};
use std::fmt;
use std::time::Duration;

/// Longest segment of a source rendition: a seek waits for as much.
pub const LONGEST_SEGMENT: Duration = Duration::from_secs(20);
/// Largest segment of a source rendition, in bytes: players hold several in memory.
pub const LARGEST_SEGMENT: u64 = 64 << 20;

/// A way in which players take media.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Way {
    /// Fragments through Media Source Extensions, as browsers play HLS and DASH.
    MseInMp4,
    /// The file itself, by address.
    Progressive,
    /// `AVPlayer`, which plays HLS by itself on Apple's devices.
    AvPlayer,
}

/// How far players that take media a way play a codec.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Support {
    /// All of them do.
    Everywhere,
    /// Some do; for people, where it does not: `Chrome, Edge and Firefox without hardware support`.
    Partly(&'static str),
    /// None does; for people, who: `Apple's native player`.
    Nowhere(&'static str),
}

/// Whether tracks of `codec` are packaged for HLS and DASH.
pub fn is_packaged(codec: &Codec) -> bool {
    !matches!(support(codec, Way::MseInMp4), Support::Nowhere(_))
}

/// The table: how far `codec` plays `way`. Tried in Chromium's MSE; `AVPlayer` from
/// Apple's HLS authoring specification, which lists AC-3 and E-AC-3.
pub fn support(codec: &Codec, way: Way) -> Support {
    use Support::{Everywhere, Nowhere, Partly};
    let professional = matches!(codec, Codec::H264 { avcc } if is_professional(avcc));
    match (codec, way) {
        (Codec::Foreign { .. }, _) => Nowhere("any player"),
        (Codec::H264 { .. }, Way::AvPlayer) if professional => Nowhere("Apple's native player"),
        (Codec::H264 { .. }, _) if professional => Partly("browsers that decode in hardware only"),
        (Codec::Hevc { .. } | Codec::Ac3 { .. } | Codec::Eac3 { .. }, Way::AvPlayer) => Everywhere,
        (Codec::Hevc { .. }, _) => Partly("Chrome, Edge and Firefox without hardware support"),
        (Codec::Vp9 { .. } | Codec::Mp3 | Codec::Pcm { .. }, Way::AvPlayer) => Nowhere("Apple's native player"),
        (Codec::Av1 { .. }, Way::AvPlayer) => Partly("Apple devices without an AV1 decoder"),
        (Codec::Av1 { .. }, _) => Partly("Safari on devices without an AV1 decoder"),
        (Codec::Opus { .. }, Way::AvPlayer) => Partly("Apple's native player on older devices"),
        // Safari's MSE takes some of these, and Chromium's none; so they are not packaged.
        (Codec::Mp3 | Codec::Ac3 { .. } | Codec::Eac3 { .. } | Codec::Pcm { .. }, Way::MseInMp4) => {
            Nowhere("HLS and DASH")
        }
        (Codec::Ac3 { .. } | Codec::Eac3 { .. }, _) => Partly("Chrome and Firefox"),
        (Codec::Pcm { .. }, _) => Partly("Firefox"),
        (
            Codec::H264 { .. }
            | Codec::Vp9 { .. }
            | Codec::Aac { .. }
            | Codec::Opus { .. }
            | Codec::Flac { .. }
            | Codec::Mp3,
            _,
        ) => Everywhere,
    }
}

/// Whether the profile of an `avcC` is beyond High: more than 8 bits, or more colour than 4:2:0.
fn is_professional(avcc: &[u8]) -> bool {
    matches!(avcc.get(1), Some(44 | 110 | 122 | 244))
}

/// What is offered of a source as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offer {
    /// HLS and DASH, and the file itself.
    Packaged,
    /// Only the file itself.
    Progressive,
    /// Nothing: no track has a sample to show.
    Nothing,
}

/// What is offered, and what people should know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Playability {
    /// What is offered.
    pub offer: Offer,
    /// Each once, the graver first.
    pub warnings: Vec<Warning>,
}

/// Something about a source that people should know; its text is a sentence without a full stop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Warning {
    /// The file ends in the middle of its media, after as much as this plays.
    CutOff(Duration),
    /// Only sound is left: why the pictures are not played.
    NoPictures(String),
    /// An edit list with several parts, or a speed other than 1.
    Edits(Parts),
    /// Parameter sets are between the pictures only.
    ParameterSetsInBand,
    /// Pictures that no player takes, by the name of their coding.
    NotPlayed(&'static str),
    /// Sound that HLS and DASH leave out, by the name of its codec.
    SoundNotPackaged(&'static str),
    /// An H.264 video with open GOPs: a seek ends playback in Chromium.
    OpenGop,
    /// Keyframes too far apart to be cut there.
    LongSegment(Duration),
    /// More bytes between keyframes than players can hold.
    LargeSegment(u64),
    /// A codec that some players do not play.
    Codec {
        /// Its name.
        codec: &'static str,
        /// Where it does not play.
        not_in: &'static str,
    },
    /// An edit that starts between keyframes.
    StartsBetweenKeyframes,
    /// A picture that is turned by a mark in the file, which `AVPlayer` ignores in HLS.
    Turned,
}

impl Playability {
    /// Of a planned source.
    pub fn of(presentation: &Presentation) -> Self {
        let index = presentation.index();
        let mut warnings: Vec<_> = index.cut_off.map(|_| Warning::CutOff(index.duration)).into_iter().collect();
        warnings.extend(index.lost_pictures().map(|track| Warning::NoPictures(track.reason.clone())));
        let before = warnings.len();
        warnings.extend(index.tracks.iter().filter_map(edit_obstacle));
        warnings.extend(presentation.renditions().flat_map(|rendition| obstacles(&rendition)));
        let foreign = presentation.tracks().find(|r| r.video_format().is_some() && !is_packaged(&r.track.codec));
        warnings.extend(foreign.map(|rendition| Warning::NotPlayed(rendition.track.codec.name())));
        let sounds = || index.tracks.iter().filter(|track| matches!(track.kind, TrackKind::Audio(_)));
        let left_out = sounds().filter(|track| !is_packaged(&track.codec));
        let silent = sounds().next().is_some() && presentation.audio().next().is_none();
        let packaged = warnings.len() == before && !silent;
        warnings.extend(left_out.map(|track| Warning::SoundNotPackaged(track.codec.name())));
        for track in &index.tracks {
            warnings.extend(codec_warnings(&track.codec));
        }
        for rendition in presentation.renditions() {
            warnings.extend(picture_warnings(&rendition));
        }
        let offer = match packaged {
            _ if presentation.plan().tracks().iter().all(|plan| plan.segments().is_empty()) => Offer::Nothing,
            true if presentation.renditions().next().is_some() => Offer::Packaged,
            _ => Offer::Progressive,
        };
        let mut seen = Vec::new();
        for warning in warnings {
            if !seen.contains(&warning) {
                seen.push(warning);
            }
        }
        Self { offer, warnings: seen }
    }
}

/// Why the shown times of a track can't be packaged.
fn edit_obstacle(track: &Track) -> Option<Warning> {
    (track.edit.parts != Parts::One).then_some(Warning::Edits(track.edit.parts))
}

/// Why a track can't be packaged as it is.
pub(crate) fn obstacles(rendition: &Rendition) -> Vec<Warning> {
    let plan = rendition.plan;
    let longest = plan.longest();
    let largest = plan.segments().iter().map(|s| s.len).max().unwrap_or(0);
    let open_gop = rendition.track.open_gop && matches!(rendition.track.codec, Codec::H264 { .. });
    [
        (!rendition.track.codec.has_parameter_sets()).then_some(Warning::ParameterSetsInBand),
        open_gop.then_some(Warning::OpenGop),
        (longest > LONGEST_SEGMENT).then_some(Warning::LongSegment(longest)),
        (largest > LARGEST_SEGMENT).then_some(Warning::LargeSegment(largest)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Why HLS and DASH can't have a track as it is; none where they can.
pub fn not_packaged(rendition: &Rendition) -> Option<Warning> {
    let codec = &rendition.track.codec;
    let lacking = || match (is_packaged(codec), rendition.video_format()) {
        (true, _) => None,
        (false, Some(_)) => Some(Warning::NotPlayed(codec.name())),
        (false, None) => Some(Warning::SoundNotPackaged(codec.name())),
    };
    edit_obstacle(rendition.track).or_else(lacking).or_else(|| obstacles(rendition).into_iter().next())
}

/// One warning a place where `codec` does not play.
pub(crate) fn codec_warnings(codec: &Codec) -> Vec<Warning> {
    let mut warnings: Vec<Warning> = Vec::new();
    let packaged = [Way::MseInMp4, Way::AvPlayer, Way::Progressive];
    let ways = if is_packaged(codec) { &packaged[..] } else { &[Way::Progressive] };
    for &way in ways {
        if let Support::Partly(not_in) | Support::Nowhere(not_in) = support(codec, way) {
            let warning = Warning::Codec { codec: codec.name(), not_in };
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    warnings
}

fn picture_warnings(rendition: &Rendition) -> Vec<Warning> {
    let Some(format) = rendition.video_format() else { return Vec::new() };
    [
        rendition.plan.timeline.starts_between_keyframes().then_some(Warning::StartsBetweenKeyframes),
        (format.rotation != Rotation::None).then_some(Warning::Turned),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutOff(after) => {
                let (seconds, minutes) = (after.as_secs_f64(), after.as_secs() / 60);
                f.write_str("the file is cut off; what came after ")?;
                match (minutes / 60, minutes % 60) {
                    (0, 0) => write!(f, "{seconds:.1} seconds is missing"),
                    (hours, minutes) => write!(f, "{hours}:{minutes:02}:{:02} is missing", after.as_secs() % 60),
                }
            }
            Self::NoPictures(reason) => write!(f, "only the sound plays: {reason}"),
            Self::Edits(Parts::Speed) => f.write_str("its edit list changes the speed; it plays as a plain file only"),
            Self::Edits(_) => f.write_str("its edit list has several parts; it plays as a plain file only"),
            Self::ParameterSetsInBand => {
                f.write_str("its decoder configuration is between the pictures only; it plays as a plain file only")
            }
            Self::NotPlayed(codec) => write!(f, "{codec} plays in no browser"),
            Self::SoundNotPackaged(codec) => write!(f, "{codec} plays from the plain file only"),
            Self::OpenGop => f.write_str(
                "the video has open GOPs, on which browsers fail after a seek; it plays as a plain file only",
            ),
            Self::LongSegment(longest) => write!(
                f,
                "keyframes are up to {} seconds apart, too far to seek well; it plays as a plain file only",
                longest.as_secs(),
            ),
            Self::LargeSegment(largest) => write!(
                f,
                "there are up to {} MiB between keyframes, too much for browsers; it plays as a plain file only",
                largest >> 20,
            ),
            Self::Codec { codec, not_in } => write!(f, "{codec} does not play in {not_in}"),
            Self::StartsBetweenKeyframes => {
                f.write_str("the video starts between keyframes; some players skip its first moments")
            }
            Self::Turned => f.write_str("the picture lies on its side in Apple's native player"),
        }
    }
}

#[cfg(test)]
mod tests;
