//! A track to the coding that plays everywhere: what is asked of ffmpeg, and its arguments.

use super::args::{MAX_PIXELS, decoders};
use super::plan::Decoder;
use super::tones::Tones;
use vidstream_media::codec::{Codec, foreign};
use vidstream_media::encoded::{Look, SpanPlan};
use vidstream_media::picture::display_size;
use vidstream_media::presentation::Rendition;
use vidstream_media::remedy::LARGEST_PICTURE;
use vidstream_media::track::Rotation;

/// Bits a second that a segment has at the most, and what a player holds of them.
const FASTEST: &str = "8M";
const BUFFER: &str = "16M";

/// How pictures are encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EncodePictures {
    /// What decodes.
    pub decoder: Decoder,
    /// Pixels, upright and square.
    pub size: (u32, u32),
    /// Turn that makes it upright, before which the size is the other way round.
    pub rotation: Rotation,
    /// Light of a wider range, which is brought to what every screen shows.
    pub tones: Option<Tones>,
}

/// How sound is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EncodeSound {
    /// Decoders that may run, as ffmpeg calls them.
    pub decoders: &'static str,
    /// Channels of the source.
    pub channels: u16,
}

impl EncodePictures {
    /// What makes the pictures of `rendition` play everywhere; none where their coding can't be decoded.
    pub fn of(rendition: &Rendition) -> Option<Self> {
        let format = rendition.video_format()?;
        let size = fitted(display_size(format), LARGEST_PICTURE);
        let decoder = Decoder::of(&rendition.track.codec)?;
        Some(Self { decoder, size, rotation: format.rotation, tones: Tones::of(format) })
    }

    /// How they look then.
    pub fn look(&self) -> Look {
        Look { size: self.size, tone_mapped: self.tones.is_some() }
    }

    /// Arguments for a span: fragments on stdin, on stdout one fragment a segment, times as they are.
    pub fn args(&self, span: &SpanPlan) -> Vec<String> {
        let mut args = Vec::new();
        let mut add = |words: &[&str]| args.extend(words.iter().map(ToString::to_string));
        add_input(&mut add, decoders(self.decoder));
        add(&["-max_pixels", &MAX_PIXELS.to_string()]);
        // The plan turns pictures, once, whatever the feed's header says.
        add(&["-noautorotate", "-f", "mp4", "-i", "pipe:0", "-map", "0:v:0", "-an"]);
        // One picture out for each one in, on the source's own clock.
        add(&["-fps_mode", "passthrough", "-enc_time_base", "-1"]);
        add(&["-vf", &(selection(span) + &self.filters())]);
        add_h264(&mut add, &keyframes(span), span.lag);
        add(&["-video_track_timescale", &span.timescale.get().to_string()]);
        if self.tones.is_some() {
            add(&["-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709"]);
        }
        add(&["-map_metadata", "-1", "-map_chapters", "-1"]);
        // Without `frag_discont` the times of every span would begin at zero.
        add(&["-avoid_negative_ts", "disabled", "-movie_timescale", "90000"]);
        add(&["-movflags", "+frag_keyframe+delay_moov+default_base_moof+frag_discont", "-f", "mp4", "pipe:1"]);
        args
    }

    /// Fields to frames where there are any, then the size before the turn, then the turn.
    fn filters(&self) -> String {
        let (width, height) = match self.rotation {
            Rotation::None | Rotation::Half => self.size,
            Rotation::Quarter | Rotation::ThreeQuarters => (self.size.1, self.size.0),
        };
        let turn = match self.rotation {
            Rotation::None => "",
            Rotation::Quarter => "transpose=clock,",
            Rotation::Half => "hflip,vflip,",
            Rotation::ThreeQuarters => "transpose=cclock,",
        };
        let tones = self.tones.map(|tones| tones.filters() + ",").unwrap_or_default();
        format!("bwdif=mode=send_frame:deint=interlaced,scale={width}:{height},{tones}{turn}setsar=1,format=yuv420p")
    }
}

/// Leaves out what a span only needs for decoding (pictures before it, and of an open GOP some behind it).
fn selection(span: &SpanPlan) -> String {
    match (span.from, span.until) {
        (None, None) => String::new(),
        (Some(from), None) => format!("select='gte(pts,{from})',"),
        (None, Some(until)) => format!("select='lt(pts,{until})',"),
        (Some(from), Some(until)) => format!("select='gte(pts,{from})*lt(pts,{until})',"),
    }
}

/// Times of keyframes in seconds: rounded down to what ffmpeg reads, microseconds, so that none is after its picture.
fn keyframes(span: &SpanPlan) -> String {
    let scale = i128::from(span.timescale.get());
    let times = span.keyframes.iter().map(|ticks| {
        let micros = i128::from((*ticks).max(0)) * 1_000_000 / scale;
        format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
    });
    times.collect::<Vec<_>>().join(",")
}

impl EncodeSound {
    /// What makes the sound of `rendition` play everywhere; none where its coding can't be decoded.
    pub fn of(rendition: &Rendition) -> Option<Self> {
        let channels = rendition.audio_format()?.channels;
        Some(Self { decoders: sound_decoders(&rendition.track.codec)?, channels })
    }

    /// Arguments: fragments on stdin, fragments on stdout.
    pub fn args(&self) -> Vec<String> {
        let mut args = Vec::new();
        let mut add = |words: &[&str]| args.extend(words.iter().map(ToString::to_string));
        add_input(&mut add, self.decoders);
        add(&["-f", "mp4", "-i", "pipe:0", "-map", "0:a:0", "-vn"]);
        // Silence where the source has a hole, and before it where it starts late: players then need to know nothing of it.
        add(&["-af", "aresample=async=1:first_pts=0"]);
        add_aac(&mut add, self.channels);
        // Nothing of the file's own words is carried on.
        add(&["-map_metadata", "-1", "-map_chapters", "-1"]);
        add_output(&mut add);
        args
    }
}

/// What every encode begins with; `allowed` are the decoders that may run.
fn add_input(add: &mut impl FnMut(&[&str]), allowed: &str) {
    // Only what went wrong; stdin is data, not a keyboard.
    add(&["-hide_banner", "-v", "error", "-nostats", "-nostdin"]);
    // Times as they are: the result is played beside tracks that are not encoded.
    add(&["-copyts"]);
    // The init segment says everything: not a byte is read ahead to guess.
    add(&["-probesize", "32", "-analyzeduration", "0"]);
    // Whatever the bytes turn out to be, they open no file, no network and no other demuxer or decoder.
    add(&["-protocol_whitelist", "pipe", "-format_whitelist", "mp4", "-codec_whitelist", allowed]);
}

/// Fragments of at most so much media, times as they are. Written late, `moov` has edits that say what comes before zero
/// (priming, reordered pictures) and which track begins late.
pub(super) fn add_output(add: &mut impl FnMut(&[&str])) {
    add(&["-avoid_negative_ts", "disabled", "-frag_duration", "4000000", "-movie_timescale", "90000"]);
    add(&["-movflags", "+frag_keyframe+delay_moov+default_base_moof", "-f", "mp4", "pipe:1"]);
}

/// How H.264 is made: keyframes where they are asked for and nowhere else, and so many pictures in a row that refer to later ones.
pub(super) fn add_h264(add: &mut impl FnMut(&[&str]), keyframes: &str, between: usize) {
    add(&["-c:v", "libx264", "-preset", "veryfast", "-crf", "22", "-profile:v", "high"]);
    add(&["-maxrate", FASTEST, "-bufsize", BUFFER, "-bf", &between.to_string()]);
    add(&["-g", "100000", "-keyint_min", "1", "-sc_threshold", "0"]);
    add(&["-force_key_frames", keyframes]);
}

/// How AAC is made of sound with so many channels.
fn add_aac(add: &mut impl FnMut(&[&str]), channels: u16) {
    let (channels, rate) = if channels == 1 { ("1", "96k") } else { ("2", "160k") };
    add(&["-c:a", "aac", "-ac", channels, "-b:a", rate]);
}

/// Names of the decoders of sound, over the builds of ffmpeg; none for pictures.
fn sound_decoders(codec: &Codec) -> Option<&'static str> {
    match codec {
        Codec::Aac { .. } => Some("aac,aac_fixed"),
        Codec::Opus { .. } => Some("opus,libopus"),
        Codec::Flac { .. } => Some("flac"),
        Codec::Mp3 => Some("mp3float,mp3"),
        Codec::Ac3 { .. } => Some("ac3,ac3_fixed"),
        Codec::Eac3 { .. } => Some("eac3"),
        Codec::Pcm { .. } => Some(PCM),
        Codec::Foreign { entry } => entry.first_chunk().and_then(foreign::decoders),
        Codec::H264 { .. } | Codec::Hevc { .. } | Codec::Vp9 { .. } | Codec::Av1 { .. } => None,
    }
}

const PCM: &str = "pcm_s16le,pcm_s16be,pcm_s8,pcm_u8,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,\
                   pcm_f64le,pcm_f64be";

/// The largest size of the same shape inside of `largest` (longer and shorter side), even on both sides.
fn fitted((width, height): (u32, u32), (long, short): (u32, u32)) -> (u32, u32) {
    let (longer, shorter) = (width.max(height).max(1), width.min(height).max(1));
    // As fractions of whole numbers: which bound is reached first?
    let (numerator, denominator) = if u64::from(long) * u64::from(shorter) < u64::from(short) * u64::from(longer) {
        (long.min(longer), longer)
    } else {
        (short.min(shorter), shorter)
    };
    let scaled = |side: u32| {
        let exact = u64::from(side) * u64::from(numerator) / u64::from(denominator);
        u32::try_from(exact).unwrap_or(u32::MAX).max(2) & !1
    };
    (scaled(width), scaled(height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vidstream_media::time::Timescale;

    #[test]
    fn pictures_keep_their_shape_and_are_even() {
        let large = LARGEST_PICTURE;
        for (size, becomes) in [
            ((3840, 2160), (1920, 1080)),
            ((2160, 3840), (1080, 1920)),
            ((1280, 720), (1280, 720)),
            ((161, 121), (160, 120)),
            ((4096, 1716), (1920, 804)),
            ((1440, 1440), (1080, 1080)),
            ((1, 1), (2, 2)),
        ] {
            assert_eq!(fitted(size, large), becomes, "{size:?}");
        }
    }

    #[test]
    fn the_whole_command_for_pictures() {
        let rotation = Rotation::Quarter;
        let tones = Some(Tones::of_codes(9, 16, 9));
        let encode = EncodePictures { decoder: Decoder::Hevc, size: (1080, 1920), rotation, tones };
        let span = SpanPlan {
            feed: 5..=9,
            from: Some(1_440_000),
            until: Some(2_880_001),
            keyframes: vec![1_440_000, 1_800_001, 2_160_000],
            lag: 2,
            timescale: Timescale::new(90_000).expect("not zero"),
        };
        insta::assert_snapshot!(encode.args(&span).join(" "));
    }

    #[test]
    fn the_whole_command_for_sound() {
        let encode = EncodeSound { decoders: "opus,libopus", channels: 6 };
        insta::assert_snapshot!(encode.args().join(" "));
    }
}
