//! The table.

mod dash;
mod media;
mod rate;
mod segments;
mod text;
mod track;
mod variants;

use super::Rule;

const fn rule(name: &'static str, source: &'static str, check: fn(&super::Show) -> Vec<String>) -> Rule {
    Rule { name, source, check }
}

/// Every rule.
#[rustfmt::skip]
pub const RULES: &[Rule] = &[
    // What is sent.
    rule("every address answers", "RFC 8216 §6.2.1", text::answers),
    rule("addresses are relative and stay below the video", "ARCHITECTURE.md, Addresses", text::relative),
    rule("content types", "RFC 8216 §4; RFC 6381; ISO/IEC 23009-1 annex C", text::content_types),
    // Playlists as text.
    rule("UTF-8 without a mark and without control characters", "RFC 8216 §4.1", text::characters),
    rule("#EXTM3U is the first line", "RFC 8216 §4.3.1.1", text::first_line),
    rule("a playlist is a multivariant or a media playlist", "RFC 8216 §4.1", text::one_kind),
    rule("known tags only, and singular ones once", "RFC 8216 §4.3", text::tags),
    rule("version 7 or later, for fMP4", "RFC 8216 §7; Apple, Media Playlists", text::version),
    rule("attribute lists are well-formed, no name twice", "RFC 8216 §4.2", text::attributes),
    rule("attributes are known and of their type", "RFC 8216 §4.3.4.1, §4.3.4.2; rfc8216bis (VIDEO-RANGE)", text::types),
    // The multivariant playlist.
    rule("a variant has its attributes", "RFC 8216 §4.3.4.2; Apple, Multivariant Playlist", variants::attributes),
    rule("CODECS are those of the bytes", "RFC 8216 §4.3.4.2; RFC 6381", variants::codecs),
    rule("RESOLUTION is the size shown", "RFC 8216 §4.3.4.2; ISO/IEC 14496-12 §8.3.2", variants::resolution),
    rule("FRAME-RATE is the track's, of a variable one the mean", "RFC 8216 §4.3.4.2", variants::frame_rate),
    rule("VIDEO-RANGE is the transfer function's", "rfc8216bis §4.4.6.2; ISO/IEC 23091-2 §8.2", variants::video_range),
    rule("CLOSED-CAPTIONS=NONE on every variant with pictures", "RFC 8216 §4.3.4.2.1; Apple, Accessibility", variants::captions),
    rule("BANDWIDTH is the true peak", "RFC 8216 §4.3.4.2; Apple, Multivariant Playlist (within 10 %)", rate::peak),
    rule("AVERAGE-BANDWIDTH is the true average", "RFC 8216 §4.3.4.2; Apple, Multivariant Playlist", rate::average),
    rule("every group is used, and every group used is there", "RFC 8216 §4.3.4.2.1", variants::groups),
    rule("a group is of one codec", "RFC 8216 §4.3.4.1.1; media-dependent choice of players", variants::group_codec),
    rule("EXT-X-MEDIA has its attributes", "RFC 8216 §4.3.4.1", variants::media),
    rule("names are unique", "RFC 8216 §4.3.4.1.1", variants::names),
    rule("one DEFAULT a group, and it is chosen by itself", "RFC 8216 §4.3.4.1, §4.3.4.1.1", variants::defaults),
    rule("AUTOSELECT once a language of a group", "RFC 8216 §4.3.4.1.1", variants::autoselect),
    rule("LANGUAGE is a tag and says something", "RFC 8216 §4.3.4.1; RFC 5646 §2.1, §4.1", variants::languages),
    rule("captions are text over the whole, and nobody's default", "RFC 8216 §3.5, §4.3.4.1, §6.2.4; Apple, Subtitles", variants::texts),
    rule("CHANNELS are those of the bytes", "RFC 8216 §4.3.4.1; Apple, Multivariant Playlist", variants::channels),
    rule("EXT-X-INDEPENDENT-SEGMENTS where it is true", "RFC 8216 §4.3.5.1; Apple, Multivariant Playlist", media::independent),
    // Media playlists.
    rule("a finished playlist of a video on demand", "RFC 8216 §4.3.3.4, §4.3.3.5; Apple, Media Playlists", media::finished),
    rule("EXT-X-MAP before the first segment", "RFC 8216 §4.3.2.5", media::map),
    rule("EXT-X-MEDIA-SEQUENCE before the first segment", "RFC 8216 §4.3.3.2", media::sequence),
    rule("every segment has EXTINF, above zero", "RFC 8216 §4.3.2.1", media::durations),
    rule("no segment twice", "RFC 8216 §6.2.1", media::once),
    rule("TARGETDURATION holds every rounded EXTINF", "RFC 8216 §4.3.3.1", media::target),
    rule("one TARGETDURATION for all", "RFC 8216 §6.2.4", media::one_target),
    rule("EXTINF sums are tfdt, to the microsecond", "RFC 8216 §3, §6.2.4; Apple, Media Segmentation", media::sums),
    rule("sound is cut where the pictures are", "RFC 8216 §6.2.4 (matching positions)", media::cuts),
    // Init segments.
    rule("ftyp and moov, of one track", "ISO/IEC 23000-19 §7.3.1; RFC 8216 §3.3", track::init_boxes),
    rule("no samples in the init segment", "ISO/IEC 23000-19 §7.5.13; RFC 8216 §3.3", track::no_samples),
    rule("trex and fragments are of the track", "ISO/IEC 14496-12 §8.8.3, §8.8.7", track::ids),
    rule("handler and media header agree", "ISO/IEC 14496-12 §8.4.3, §8.4.5", track::handlers),
    rule("sample entries that AVPlayer and MSE take, once", "Apple, Video (avc1, hvc1 not avc3, hev1); ISO/IEC 14496-15 §5.4.2", track::entry),
    rule("one edit at most, to the end and at rate 1", "ISO/IEC 23000-19 §7.5.13; ISO/IEC 14496-12 §8.6.6", track::edits),
    rule("tkhd shows the sample entry's size", "ISO/IEC 14496-12 §8.3.2, §12.1.4", track::shown),
    // Media segments.
    rule("moof and mdat", "ISO/IEC 23000-19 §7.3.2.3; RFC 8216 §3.3", segments::boxes),
    rule("numbers rise by one", "ISO/IEC 14496-12 §8.8.5", segments::numbers),
    rule("addresses of data are counted from moof", "ISO/IEC 23000-19 §7.5.17; ISO/IEC 14496-12 §8.8.7", segments::base),
    rule("samples fill mdat", "ISO/IEC 14496-12 §8.8.8, §8.1.1", segments::filled),
    rule("a segment goes on where the one before ended", "ISO/IEC 23000-19 §7.3.2.3; ISO/IEC 14496-12 §8.8.12", segments::continuous),
    rule("the first pictures have tfdt 0", "hls.js takes it for the start of the playlist", segments::zero),
    rule("no sample is shown before it is decoded, nor two at once", "ISO/IEC 14496-12 §8.6.1.3", segments::shown),
    rule("samples are whole NAL units", "ISO/IEC 14496-15 §5.3.2, §8.3.2", segments::nal_units),
    rule("sync samples are where decoding can start", "ISO/IEC 14496-12 §8.6.2; codec bindings", segments::sync),
    // The manifest.
    rule("an MPD of a finished presentation", "ISO/IEC 23009-1 §5.3.1.2", dash::mpd),
    rule("ids are unique", "ISO/IEC 23009-1 §5.3.2.2, §5.3.3.2, §5.3.5.2", dash::ids),
    rule("one representation a track, of the same files", "ISO/IEC 23009-1 §5.3.9.4.4; ARCHITECTURE.md, Addresses", dash::files),
    rule("captions are the same files as in the playlists", "ISO/IEC 23009-1 §5.3.9.1, §5.3.3.2", dash::texts),
    rule("S@t and S@d are those of the segments", "ISO/IEC 23009-1 §5.3.9.6", dash::timeline),
    rule("codecs are those of the bytes", "ISO/IEC 23009-1 §5.3.7.2; RFC 6381", dash::codecs),
    rule("mimeType and contentType are the track's", "ISO/IEC 23009-1 §5.3.7.2, §5.3.3.2", dash::types),
    rule("bandwidth feeds a player that waited minBufferTime", "ISO/IEC 23009-1 §5.3.5.2", dash::bandwidth),
    rule("size, rate and shape of pictures", "ISO/IEC 23009-1 §5.3.7.2", dash::pictures),
    rule("rate and channels of sound", "ISO/IEC 23009-1 §5.3.7.2; ISO/IEC 23091-3", dash::sound),
    rule("startWithSAP where it is true", "ISO/IEC 23009-1 §5.3.7.2; ISO/IEC 14496-12 annex I", dash::access_points),
    rule("lang is a tag and says something", "ISO/IEC 23009-1 §5.3.3.2; RFC 5646", dash::languages),
    rule("mediaPresentationDuration is the longest edit's", "ISO/IEC 23009-1 §5.3.1.2", dash::duration),
];
