//! Fragments on their way from ffmpeg into a made file, indexed without reading them again.
//!
//! Of what passes the indexer is shown what it asks for, which is never the media; when the file is whole it has seen all of
//! that.

use crate::ffmpeg::filter::Sink;
use bytes::{Buf as _, Bytes, BytesMut};
use std::ops::Range;
use vidstream_backends::objects::ObjectError;
use vidstream_media::index::MediaIndex;
use vidstream_media::mp4::{IndexError, Indexer, Limits, Step};
use vidstream_source::made::{MadeFile, MadeWriter};

/// Writes a made file and remembers what its index is in.
#[derive(Debug)]
pub(crate) struct Recording {
    writer: MadeWriter,
    watch: Watch,
}

/// Why what ffmpeg wrote did not become a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// The store failed.
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// It makes no sense.
    #[error("what ffmpeg wrote can't be read")]
    Index(#[from] IndexError),
    /// Reading its tables broke off.
    #[error("reading the tables of what ffmpeg wrote broke off")]
    Broke(#[from] tokio::task::JoinError),
}

impl Recording {
    /// Of a file of which no more is indexed than `limits` allow.
    pub fn new(writer: MadeWriter, limits: Limits) -> Result<Self, RecordError> {
        Ok(Self { writer, watch: Watch::new(limits)? })
    }

    /// Takes the next bytes.
    pub async fn push(&mut self, bytes: Bytes) -> Result<(), RecordError> {
        self.watch.pass(&bytes)?;
        Ok(self.writer.push(bytes).await?)
    }

    /// The file, durable, and its index.
    pub async fn finish(self) -> Result<(MadeFile, MediaIndex), RecordError> {
        let Self { writer, watch } = self;
        let file = writer.finish().await?;
        let index = tokio::task::spawn_blocking(move || watch.index()).await??;
        Ok((file, index))
    }
}

impl Sink for Recording {
    type Error = RecordError;

    async fn take(&mut self, bytes: Bytes) -> Result<(), RecordError> {
        self.push(bytes).await
    }
}

/// Shows an indexer, of bytes that pass, those it asks for: boxes, a window of a megabyte at most. What it makes of them is a
/// few bytes a sample, so neither the tables of a long film nor its media are ever in memory.
#[derive(Debug)]
struct Watch {
    indexer: Indexer,
    wanted: Range<u64>,
    /// Where the next byte is that passes.
    at: u64,
    /// The bytes before it, from where the indexer still looks.
    window: BytesMut,
}

impl Watch {
    fn new(limits: Limits) -> Result<Self, IndexError> {
        let mut indexer = Indexer::growing(limits);
        let wanted = match indexer.step(&[])? {
            Step::Need(range) | Step::Await(range) => range,
            Step::Done(_) => 0..0,
        };
        Ok(Self { indexer, wanted, at: 0, window: BytesMut::new() })
    }

    fn pass(&mut self, bytes: &[u8]) -> Result<(), IndexError> {
        let end = self.at + bytes.len() as u64;
        let unseen = usize::try_from(self.wanted.start.saturating_sub(self.at)).unwrap_or(usize::MAX);
        self.window.extend_from_slice(bytes.get(unseen..).unwrap_or_default());
        self.at = end;
        while self.wanted.end <= self.at {
            // Of a file without an end there is no index yet.
            let Err(range) = self.show()? else { break };
            self.look_at(range);
        }
        Ok(())
    }

    /// The index, or what is wanted next.
    fn show(&mut self) -> Result<Result<Box<MediaIndex>, Range<u64>>, IndexError> {
        let length = usize::try_from(self.wanted.end - self.wanted.start).unwrap_or(usize::MAX);
        match self.indexer.step(self.window.get(..length).unwrap_or(&self.window))? {
            Step::Need(range) | Step::Await(range) => Ok(Err(range)),
            Step::Done(index) => Ok(Ok(index)),
        }
    }

    /// Leaves out what lies before `range`, which begins where the last one did or behind it.
    fn look_at(&mut self, range: Range<u64>) {
        let passed = usize::try_from(range.start - self.wanted.start).unwrap_or(usize::MAX);
        self.window.advance(passed.min(self.window.len()));
        self.wanted = range;
    }

    /// The index, now that all has passed.
    fn index(mut self) -> Result<MediaIndex, IndexError> {
        self.indexer.ends_at(self.at)?;
        self.wanted.end = self.wanted.end.min(self.at);
        loop {
            match self.show()? {
                // Whoever wrote it ended well: nothing of it may be missing.
                Ok(index) if index.cut_off.is_some() => {
                    return Err(IndexError::Truncated { have: self.at, need: self.at + 1 });
                }
                Ok(index) => return Ok(*index),
                Err(range) => self.look_at(range),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vidstream_media::mp4::index_bytes;

    /// A film of fragments, as ffmpeg writes them.
    fn film(name: &str, flags: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        let input =
            "-f lavfi -i testsrc2=size=128x72:rate=25:duration=9 -f lavfi -i sine=duration=9 -c:v libx264 -bf 2 -g 25";
        let done = std::process::Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin"])
            .args(input.split(' '))
            .args(["-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", flags, "-frag_duration", "500000"])
            .arg(&path)
            .status()
            .expect("ffmpeg runs");
        assert!(done.success());
        std::fs::read(path).expect("it was just made")
    }

    #[test]
    fn the_index_is_that_of_the_whole_however_the_bytes_come() {
        for flags in ["+frag_keyframe+delay_moov+default_base_moof", "+frag_every_frame+empty_moov+default_base_moof"] {
            let film = film("film.mp4", flags);
            let whole = index_bytes(&film).expect("an index");
            assert!(whole.tracks.len() == 2 && film.len() > 100_000);
            for step in [1, 7, 4096, 100_000, film.len()] {
                let mut watch = Watch::new(Limits::default()).expect("it begins");
                for chunk in film.chunks(step) {
                    watch.pass(chunk).expect("it is sound");
                    // No more than a window, and what came at once.
                    assert!(watch.window.len() <= (1 << 20) + step, "{} bytes", watch.window.len());
                }
                assert_eq!(watch.index().expect("an index"), whole, "in steps of {step}");
            }
        }
    }

    #[test]
    fn a_film_that_ends_in_the_midst_of_its_media_is_none() {
        let film = film("film.mp4", "+frag_keyframe+delay_moov+default_base_moof");
        for end in [film.len() * 9 / 10, film.len() / 2, 3000, 20, 0] {
            let mut watch = Watch::new(Limits::default()).expect("it begins");
            watch.pass(&film[..end]).expect("so far it is sound");
            watch.index().expect_err("something is missing");
        }
    }
}
