//! What an index says, in the contract's words.

use super::generation;
use super::waveform;
use crate::config::Encoding;
use crate::ffmpeg::encode::EncodePictures;
use bytes::Bytes;
use std::time::Duration;
use vidstream_media::codec::Codec;
use vidstream_media::encoded::{Planned, SpanPlan};
use vidstream_media::index::{Container, MediaIndex};
use vidstream_media::picture::display_size;
use vidstream_media::playable::{Offer, Playability, Support, Warning, Way, is_packaged, not_packaged, support};
use vidstream_media::presentation::{Presentation, Rendition, TrackName};
use vidstream_media::remedy::{Remedy, remedies};
use vidstream_media::stored;
use vidstream_media::storyboard::{NoStoryboard, Storyboard, keyframes_are_rare, poster_candidates};
use vidstream_media::track::{Rotation, Track, TrackKind};
use vidstream_proto::pb;
use vidstream_proto::time::proto_duration;

/// All but where the index and the plans are stored, and its generation.
pub(super) fn result(presentation: &Presentation, wishes: Vec<Wish>) -> pb::IndexResult {
    let playability = Playability::of(presentation);
    let encoded = wishes.iter().any(|wish| wish.track.track == TrackName::Video.to_string());
    let index = presentation.index();
    pb::IndexResult {
        object: String::new(),
        media: Some(media(presentation, playability.offer)),
        warnings: playability.warnings.iter().map(warning).collect(),
        segmented: playability.offer == Offer::Packaged,
        generation: String::new(),
        format: stored::VERSION.into(),
        no_storyboard_reason: no_storyboard(index, encoded).map(|why| why.to_string()).unwrap_or_default(),
        no_poster_reason: no_poster(presentation),
        file: None,
        encode: wishes.into_iter().map(|wish| wish.track).collect(),
        work: None,
        normalised: Vec::new(),
    }
}

/// Why there can be no storyboard of the source's own pictures; nothing where there can be one. Where the pictures are encoded,
/// their keyframes come regularly and cost a hundredth of what a decode of everything does, which is done there already.
fn no_storyboard(index: &MediaIndex, encoded: bool) -> Option<NoStoryboard> {
    match Storyboard::plan(index) {
        Ok(_) => (encoded && keyframes_are_rare(index)).then_some(NoStoryboard::Rare),
        Err(NoStoryboard::OpenGop) if !encoded => None,
        Err(why) => Some(why),
    }
}

/// Why there can be no poster; nothing where pictures give one, or sound alone.
fn no_poster(presentation: &Presentation) -> String {
    match poster_candidates(presentation.index()) {
        Ok(_) => String::new(),
        Err(NoStoryboard::NoVideo) if waveform::heard(presentation).is_some() => String::new(),
        Err(why) => why.to_string(),
    }
}

fn media(presentation: &Presentation, offer: Offer) -> pb::Media {
    let index = presentation.index();
    let ignored = index.ignored.iter().map(|track| pb::IgnoredTrack {
        id: track.id,
        what: track.what.clone(),
        reason: track.reason.clone(),
    });
    pb::Media {
        container: match index.container {
            Container::Mp4 => "mp4",
            Container::Mov => "mov",
            Container::Matroska => "matroska",
            Container::WebM => "webm",
        }
        .to_owned(),
        duration: Some(proto_duration(index.duration)),
        tracks: tracks(presentation),
        ignored: ignored.collect(),
        plays_in: players(index, offer).into_iter().map(Into::into).collect(),
    }
}

/// Where every track plays, at least for some; warnings say where it does not.
fn players(index: &MediaIndex, offer: Offer) -> Vec<pb::Player> {
    let ways: &[(Way, pb::Player)] = match offer {
        Offer::Packaged => &[
            (Way::MseInMp4, pb::Player::Mse),
            (Way::Progressive, pb::Player::Progressive),
            (Way::AvPlayer, pb::Player::Avplayer),
        ],
        Offer::Progressive => &[(Way::Progressive, pb::Player::Progressive)],
        Offer::Nothing => &[],
    };
    let plays = |codec: &Codec, way: Way| !matches!(support(codec, way), Support::Nowhere(_));
    let carried = |track: &&Track, way| way == Way::Progressive || is_packaged(&track.codec);
    let everywhere =
        |way: Way| index.tracks.iter().filter(|track| carried(track, way)).all(|track| plays(&track.codec, way));
    // Of browsers, some play the file itself if it is Matroska: too few to be promised beside what all of them play.
    let promised = |way: Way| !(way == Way::Progressive && index.container == Container::Matroska && ways.len() > 1);
    ways.iter().filter(|(way, _)| promised(*way) && everywhere(*way)).map(|(_, player)| *player).collect()
}

fn is_wanted(remedy: &Remedy, encoding: Encoding) -> bool {
    match encoding {
        Encoding::All => true,
        Encoding::Needed => remedy.needed,
        Encoding::Nothing => false,
    }
}

/// A track that shall be encoded, and the plan of its pictures.
pub(super) struct Wish {
    pub track: pb::EncodedTrack,
    pub plan: Option<Bytes>,
}

/// All that shall be encoded.
pub(super) fn wishes(presentation: &Presentation, encoding: Encoding) -> Vec<Wish> {
    let remedies = remedies(presentation).into_iter().filter(|remedy| is_wanted(remedy, encoding));
    let wish = |remedy: Remedy| {
        let rendition = presentation.tracks().find(|rendition| rendition.name == remedy.track);
        let (segments, plan) = rendition.and_then(|rendition| pictures(&rendition)).unzip();
        Wish { track: pb::EncodedTrack { segments, ..encode(&remedy) }, plan }
    };
    remedies.map(wish).collect()
}

/// How the pictures of a rendition are encoded; none for sound, and for what can't be decoded.
fn pictures(rendition: &Rendition) -> Option<(pb::EncodedSegments, Bytes)> {
    let encode = EncodePictures::of(rendition)?;
    let planned = Planned::of(rendition, encode.look())?;
    let (count, stored) = (planned.count(), planned.presentation().index().encode());
    // How a picture is encoded follows from the same arguments for every span.
    let span = planned.span(rendition, 1..=count);
    let arguments = encode.args(&SpanPlan { keyframes: Vec::new(), ..span });
    let segments = pb::EncodedSegments {
        plan: generation([stored.as_slice(), arguments.join(" ").as_bytes()]),
        format: stored::VERSION.into(),
        count,
        span: planned.span_len(rendition),
        ..pb::EncodedSegments::default()
    };
    Some((segments, stored.into()))
}

fn encode(remedy: &Remedy) -> pb::EncodedTrack {
    pb::EncodedTrack {
        track: remedy.track.to_string(),
        needed: remedy.needed,
        // A turned picture would be chosen by players that show it on its side, and a sound in two codings is two to choose from.
        replaces: remedy.track != TrackName::Video || remedy.cures.contains(&Warning::Turned),
        reason: remedy.reason.clone(),
        cures: remedy.cures.iter().map(|cured| warning(cured).code).collect(),
        part: None,
        result: None,
        segments: None,
    }
}

/// The tracks, each with why it is not packaged as it is.
fn tracks(presentation: &Presentation) -> Vec<pb::MediaTrack> {
    let tracks = presentation.all_tracks();
    let described = tracks.map(|rendition| pb::MediaTrack {
        not_packaged_reason: not_packaged(&rendition).map(|why| why.to_string()).unwrap_or_default(),
        ..track(rendition.track)
    });
    described.collect()
}

pub(super) fn track(track: &Track) -> pb::MediaTrack {
    let common = pb::MediaTrack {
        id: track.id,
        codec: track.codec.codec_string(),
        language: track.language.clone().unwrap_or_default(),
        name: track.name.clone().unwrap_or_default(),
        bit_rate: bit_rate(track),
        ..pb::MediaTrack::default()
    };
    match &track.kind {
        TrackKind::Video(format) => {
            let (width, height) = display_size(format);
            pb::MediaTrack {
                kind: pb::TrackKind::Video.into(),
                width,
                height,
                rotation_degrees: match format.rotation {
                    Rotation::None => 0,
                    Rotation::Quarter => 90,
                    Rotation::Half => 180,
                    Rotation::ThreeQuarters => 270,
                },
                frame_rate: frame_rate(track),
                ..common
            }
        }
        TrackKind::Audio(format) => pb::MediaTrack {
            kind: pb::TrackKind::Audio.into(),
            sample_rate: format.sample_rate,
            channels: format.channels.into(),
            ..common
        },
    }
}

/// Time that the track's samples take.
fn decoded(track: &Track) -> Duration {
    track.timescale.duration(track.samples.end_dts())
}

#[expect(clippy::cast_precision_loss, reason = "a mean for people")]
fn frame_rate(track: &Track) -> f64 {
    let seconds = decoded(track).as_secs_f64();
    if seconds > 0.0 { track.samples.len() as f64 / seconds } else { 0.0 }
}

fn bit_rate(track: &Track) -> u64 {
    let bytes: u64 = track.samples.range(0..track.samples.len()).map(|sample| u64::from(sample.size)).sum();
    let rate = u128::from(bytes) * 8 * 1_000_000_000 / decoded(track).as_nanos().max(1);
    if decoded(track).is_zero() { 0 } else { u64::try_from(rate).unwrap_or(u64::MAX) }
}

fn warning(warning: &Warning) -> pb::Warning {
    let code = match warning {
        Warning::CutOff(_) => "CUT_OFF",
        Warning::NoPictures(_) => "NO_PICTURES",
        Warning::Edits(_) => "SEVERAL_EDITS",
        Warning::ParameterSetsInBand => "PARAMETER_SETS_IN_BAND",
        Warning::NotPlayed(_) => "NOT_PLAYED",
        Warning::SoundNotPackaged(_) => "SOUND_NOT_PACKAGED",
        Warning::OpenGop => "OPEN_GOP",
        Warning::LongSegment(_) => "KEYFRAMES_FAR_APART",
        Warning::LargeSegment(_) => "SEGMENTS_TOO_LARGE",
        Warning::Codec { .. } => "CODEC_NOT_EVERYWHERE",
        Warning::StartsBetweenKeyframes => "STARTS_BETWEEN_KEYFRAMES",
        Warning::Turned => "TURNED",
    };
    pb::Warning { code: code.to_owned(), message: warning.to_string() }
}
