//! A file that can't be indexed, read once and in order into one that can: what is in it, what is asked of ffmpeg, and the
//! arguments.

use super::args::MAX_PIXELS;
use super::encode::{add_h264, add_output};
use vidstream_media::remedy::LARGEST_PICTURE;
use vidstream_proto::pb;

/// Pictures in a row that refer to later ones.
const BETWEEN: usize = 2;

/// A keyframe every four seconds, so that segments can be cut there.
const KEYFRAMES: &str = "expr:gte(t,n_forced*4)";

/// Sound tracks that are taken.
const MOST_SOUNDS: usize = 16;

/// Bytes from the file's start in which its streams are looked for, and microseconds of its media.
const LOOKED_AT: [&str; 2] = ["10000000", "10000000"];

/// Decoders that may run on what people upload, as ffmpeg calls them: what is common, and not what is odd.
const DECODERS: &str = "h264,hevc,vp8,libvpx,vp9,libvpx-vp9,libdav1d,libaom-av1,av1,mpeg1video,mpeg2video,mpeg4,msmpeg4v1,\
    msmpeg4,msmpeg4v2,msmpeg4v3,h261,h263,h263i,h263p,flv,vp6,vp6a,vp6f,theora,wmv1,wmv2,wmv3,vc1,mjpeg,prores,dvvideo,gif,\
    rawvideo,svq1,svq3,cinepak,dnxhd,ffv1,huffyuv,ffvhuff,aac,aac_fixed,aac_latm,opus,libopus,vorbis,libvorbis,mp3float,mp3,\
    mp2float,mp2,mp1float,mp1,ac3,ac3_fixed,eac3,flac,alac,wmav1,wmav2,wmapro,wmavoice,pcm_s16le,pcm_s16be,pcm_s8,pcm_u8,\
    pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be,pcm_alaw,pcm_mulaw,pcm_bluray,pcm_dvd,\
    pcm_s302m,adpcm_ms,adpcm_ima_wav,adpcm_ima_qt,adpcm_swf,nellymoser,speex,libspeex,amrnb,amrwb,dca,truehd,wavpack";

/// A stream of a file, as its header tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stream {
    /// Its place in the file.
    pub index: usize,
    /// Whether it shows pictures.
    pub is_video: bool,
    /// What ffmpeg calls its coding.
    pub codec: String,
    /// Channels, of sound.
    pub channels: u16,
}

/// What becomes of the streams of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Normalise {
    demuxer: String,
    streams: Vec<(Stream, Way)>,
}

/// What becomes of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// Its bytes are kept.
    Copied,
    /// It becomes H.264 or AAC.
    Encoded,
}

/// Nothing in the file is pictures or sound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there are neither pictures nor sound in it that can be read")]
pub struct NothingToPlay;

/// Arguments that make ffmpeg say on stdout which streams a file has that is read on stdin.
pub fn probe_args(demuxer: &str) -> Vec<String> {
    let mut args = input(demuxer);
    // A header of lines says it all; of the media itself nothing is asked.
    let output =
        ["-map", "0:v?", "-map", "0:a?", "-c", "copy", "-t", "0.01", "-f", "framehash", "-hash", "crc32", "pipe:1"];
    args.extend(output.map(ToOwned::to_owned));
    args
}

/// The streams that `said`, what came of [`probe_args`], tells of.
pub fn streams(said: &str) -> Vec<Stream> {
    let mut streams: Vec<Stream> = Vec::new();
    for line in said.lines() {
        // `#codec_id 0: h264`
        let Some((field, value)) = line.strip_prefix('#').and_then(|line| line.split_once(": ")) else { continue };
        let Some((field, index)) = field.split_once(' ') else { continue };
        let Ok(index) = index.trim().parse::<usize>() else { continue };
        let value = value.trim();
        if field == "media_type" {
            streams.push(Stream { index, is_video: value == "video", codec: String::new(), channels: 2 });
            continue;
        }
        let Some(stream) = streams.iter_mut().find(|stream| stream.index == index) else { continue };
        match field {
            "codec_id" => value.clone_into(&mut stream.codec),
            "channel_layout_name" if value.starts_with("mono") => stream.channels = 1,
            _ => {}
        }
    }
    streams
}

impl Normalise {
    /// What becomes of a file that `demuxer` reads: the first pictures that are no cover, and sound.
    pub fn of(demuxer: &str, streams: Vec<Stream>) -> Result<Self, NothingToPlay> {
        let (pictures, sounds): (Vec<_>, Vec<_>) = streams.into_iter().partition(|stream| stream.is_video);
        let cover = |stream: &Stream| {
            SOUND_ONLY.contains(&demuxer) || (!sounds.is_empty() && COVERS.contains(&stream.codec.as_str()))
        };
        let pictures = pictures.into_iter().find(|stream| !cover(stream));
        let streams: Vec<_> = pictures
            .into_iter()
            .chain(sounds.iter().take(MOST_SOUNDS).cloned())
            .map(|stream| {
                let way = way(demuxer, &stream);
                (stream, way)
            })
            .collect();
        if streams.is_empty() {
            return Err(NothingToPlay);
        }
        Ok(Self { demuxer: demuxer.to_owned(), streams })
    }

    /// Arguments: the file on stdin, in order; fragments of all streams on stdout.
    pub fn args(&self) -> Vec<String> {
        let mut args = input(&self.demuxer);
        let mut add = |words: &[&str]| args.extend(words.iter().map(ToString::to_string));
        let (mut pictures, mut sounds) = (0, 0);
        for (stream, way) in &self.streams {
            // Both are counted among their own kind, as `probe_args` mapped them.
            let (kind, number) = if stream.is_video { ("v", &mut pictures) } else { ("a", &mut sounds) };
            let place = self.place_among(stream);
            add(&["-map", &format!("0:{kind}:{place}")]);
            match way {
                Way::Copied => {
                    add(&[&format!("-c:{kind}:{number}"), "copy"]);
                    if stream.codec == "aac" {
                        // Out of its transport's frames; what is in none stays as it is.
                        add(&[&format!("-bsf:a:{number}"), "aac_adtstoasc"]);
                    }
                }
                Way::Encoded if stream.is_video => {
                    add(&["-vf", &filters(), "-fps_mode", "vfr", "-fpsmax", "60"]);
                    add_h264(&mut add, KEYFRAMES, BETWEEN);
                }
                Way::Encoded => {
                    // Options of a stream of several: `add_aac` says what is the same for all.
                    add(&[&format!("-filter:a:{number}"), "aresample=async=1"]);
                    add(&[&format!("-c:a:{number}"), "aac"]);
                    add(&[&format!("-ac:a:{number}"), if stream.channels == 1 { "1" } else { "2" }]);
                    add(&[&format!("-b:a:{number}"), if stream.channels == 1 { "96k" } else { "160k" }]);
                }
            }
            *number += 1;
        }
        // FLAC in ISO files was an experiment of older builds.
        add(&["-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1", "-strict", "-2"]);
        // Streams that come far apart wait for each other, within bounds.
        add(&["-max_muxing_queue_size", "4096", "-max_interleave_delta", "10000000"]);
        add_output(&mut add);
        args
    }

    /// What comes out, in the order of its tracks, for whoever wonders what it was.
    pub fn tracks(&self) -> Vec<pb::NormalisedTrack> {
        let track = |(stream, way): &(Stream, Way)| pb::NormalisedTrack {
            codec: stream.codec.clone(),
            copied: *way == Way::Copied,
        };
        self.streams.iter().map(track).collect()
    }

    /// The place of a stream among those of its kind in the file. The probe maps pictures first, then sound.
    fn place_among(&self, stream: &Stream) -> usize {
        if stream.is_video { stream.index } else { stream.index - self.pictures_in_file() }
    }

    fn pictures_in_file(&self) -> usize {
        self.streams.iter().filter(|(stream, _)| !stream.is_video).map(|(stream, _)| stream.index).min().unwrap_or(0)
    }
}

/// Containers of sound: pictures in them are covers.
const SOUND_ONLY: [&str; 5] = ["mp3", "flac", "aac", "wav", "amr"];
/// Codings of covers, where there is sound beside them.
const COVERS: [&str; 3] = ["png", "bmp", "webp"];

/// Whether the bytes of a stream can be kept: what is indexed, in containers that say when each picture is shown.
fn way(demuxer: &str, stream: &Stream) -> Way {
    let timeless = ["avi", "h264", "hevc", "mpegvideo"].contains(&demuxer);
    let kept: &[&str] = match stream.is_video {
        true if timeless => &[],
        true => &["h264", "hevc", "vp9", "av1"],
        false => &["aac", "opus", "flac", "mp3", "ac3", "eac3"],
    };
    if kept.contains(&stream.codec.as_str()) { Way::Copied } else { Way::Encoded }
}

/// What every reading begins with.
fn input(demuxer: &str) -> Vec<String> {
    let pixels = MAX_PIXELS.to_string();
    let [size, duration] = LOOKED_AT;
    let args = [
        // Only what went wrong; stdin is data, not a keyboard.
        &["-hide_banner", "-v", "error", "-nostats", "-nostdin"][..],
        // Whatever the bytes turn out to be, they open no file, no network and no other demuxer or decoder.
        &["-protocol_whitelist", "pipe", "-format_whitelist", demuxer, "-codec_whitelist", DECODERS],
        &["-max_pixels", &pixels, "-probesize", size, "-analyzeduration", duration],
        // Damaged packets are left out where a decoder would make noise of them; times that lack are made.
        &["-fflags", "+genpts+discardcorrupt", "-f", demuxer, "-i", "pipe:0"],
    ];
    args.concat().into_iter().map(ToOwned::to_owned).collect()
}

/// Fields to frames, square pixels, and not more of them than every player takes. Sizes are known to ffmpeg only.
fn filters() -> String {
    let (long, short) = LARGEST_PICTURE;
    let wide = "iw*if(sar,sar,1)";
    let scale = format!("min(1,min({long}/max({wide},ih),{short}/min({wide},ih)))");
    format!(
        "bwdif=mode=send_frame:deint=interlaced,scale=w='max(2,2*trunc({wide}*{scale}/2))':h='max(2,2*trunc(ih*{scale}/2))',\
         setsar=1,format=yuv420p"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "#format: frame checksums\n#version: 2\n#hash: crc32\n#software: Lavf\n#tb 0: 1/90000\n\
        #media_type 0: video\n#codec_id 0: h264\n#dimensions 0: 320x240\n#sar 0: 1/1\n#tb 1: 1/90000\n#media_type 1: audio\n\
        #codec_id 1: mp2\n#sample_rate 1: 48000\n#channel_layout_name 1: mono\n#stream#, dts\n0, 0, 0, 3600, 12, ab\n";

    #[test]
    fn the_header_tells_the_streams() {
        let found = streams(SAID);
        let short: Vec<_> = found.iter().map(|s| (s.index, s.is_video, s.codec.as_str(), s.channels)).collect();
        assert_eq!(short, [(0, true, "h264", 2), (1, false, "mp2", 1)]);
        assert_eq!(streams("#codec_id 7: x\n#x\nnoise: 1\n#media_type x: video\n"), []);
    }

    #[test]
    fn the_whole_command() {
        let plan = Normalise::of("mpegts", streams(SAID)).expect("plays");
        insta::assert_snapshot!(plan.args().join(" "));
        let plan = Normalise::of("avi", streams(SAID)).expect("plays");
        insta::assert_snapshot!(plan.args().join(" "));
        insta::assert_snapshot!(probe_args("mpegts").join(" "));
    }

    #[test]
    fn covers_are_no_video() {
        let stream = |index, is_video, codec: &str| Stream { index, is_video, codec: codec.to_owned(), channels: 2 };
        let plan = Normalise::of("mp3", vec![stream(0, true, "mjpeg"), stream(1, false, "mp3")]).expect("plays");
        assert_eq!(plan.streams.len(), 1);
        assert!(plan.args().join(" ").contains("-map 0:a:0 -c:a:0 copy"), "{:?}", plan.args());
        assert_eq!(Normalise::of("mp3", vec![stream(0, true, "mjpeg")]), Err(NothingToPlay));
        assert_eq!(Normalise::of("gif", vec![stream(0, true, "gif")]).expect("plays").streams.len(), 1);
    }
}
