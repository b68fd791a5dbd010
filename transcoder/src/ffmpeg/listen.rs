//! Sound as ffmpeg makes it for who only wants to know how loud it is.

use super::encode::EncodeSound;
use vidstream_media::presentation::Rendition;

/// Values a second: what is heard of up to 4 kHz says how loud it is.
pub const RATE: usize = 8000;

/// Sound that is fed as fragments of an ISO file, to values of 16 bits, one channel, [`RATE`] a second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listen {
    decoders: &'static str,
}

impl Listen {
    /// What makes `rendition` heard; none where it is no sound, or its coding can't be decoded.
    pub fn of(rendition: &Rendition) -> Option<Self> {
        let EncodeSound { decoders, .. } = EncodeSound::of(rendition)?;
        Some(Self { decoders })
    }

    /// Arguments: fragments on stdin, values on stdout, of whichever byte order is little.
    pub fn args(&self) -> Vec<String> {
        let mut args = Vec::new();
        let mut add = |words: &[&str]| args.extend(words.iter().map(ToString::to_string));
        // Only what went wrong; stdin is data, not a keyboard.
        add(&["-hide_banner", "-v", "error", "-nostats", "-nostdin", "-threads", "1", "-filter_threads", "1"]);
        // The init segment says everything: not a byte is read ahead to guess.
        add(&["-probesize", "32", "-analyzeduration", "0"]);
        // Whatever the bytes turn out to be, they open no file, no network and no other demuxer or decoder.
        add(&["-protocol_whitelist", "pipe", "-format_whitelist", "mp4", "-codec_whitelist", self.decoders]);
        add(&["-f", "mp4", "-i", "pipe:0", "-map", "0:a:0", "-vn"]);
        // Times are not asked for: stretches that are far apart follow each other without the silence that would lie between.
        add(&["-ac", "1", "-ar", &RATE.to_string(), "-f", "s16le", "pipe:1"]);
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_command() {
        assert_eq!(
            Listen { decoders: "flac" }.args().join(" "),
            "-hide_banner -v error -nostats -nostdin -threads 1 -filter_threads 1 -probesize 32 -analyzeduration 0 \
             -protocol_whitelist pipe -format_whitelist mp4 -codec_whitelist flac -f mp4 -i pipe:0 -map 0:a:0 -vn \
             -ac 1 -ar 8000 -f s16le pipe:1"
        );
    }
}
