//! Keyframes to pictures: one ffmpeg that is fed while it is read.

use super::args;
use super::child::{Child, ChildError, Feed, Output, explained};
use super::plan::Decode;
use super::program::Program;
use super::run::Run;
use crate::picture::Picture;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;

/// Why keyframes did not become pictures.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError<E> {
    /// Their bytes could not be read.
    #[error("the keyframes could not be read")]
    Read(#[source] E),
    /// ffmpeg did not end well.
    #[error(transparent)]
    Child(ChildError),
    /// There are not as many pictures as keyframes: which is which can't be told.
    #[error("{found} pictures came of {wanted} keyframes{}", explained(said))]
    Count {
        /// Pictures that came.
        found: usize,
        /// Keyframes that were fed.
        wanted: usize,
        /// The last of what ffmpeg said.
        said: String,
    },
}

/// How pictures are made.
#[derive(Clone, Debug)]
pub struct Pictures<'a> {
    /// With this.
    pub program: &'a Program,
    /// Like this.
    pub plan: Decode,
    /// As many as there are keyframes.
    pub count: usize,
    /// Within so long.
    pub time: Duration,
}

impl Pictures<'_> {
    /// Feeds what `feed` gives (fragmented MP4 with one keyframe a fragment) and sends each picture as it comes, in the
    /// order of the keyframes. Only when this ends well there was one for each; then it says what that took.
    pub async fn decode<E>(
        &self,
        feed: impl Stream<Item = Result<Bytes, E>>,
        pictures: mpsc::Sender<Picture>,
    ) -> Result<Run, DecodeError<E>> {
        let work = self.run(feed, pictures);
        let too_slow = Err(DecodeError::Child(ChildError::TooSlow(self.time)));
        tokio::time::timeout(self.time, work).await.unwrap_or(too_slow)
    }

    async fn run<E>(
        &self,
        feed: impl Stream<Item = Result<Bytes, E>>,
        pictures: mpsc::Sender<Picture>,
    ) -> Result<Run, DecodeError<E>> {
        let Child { feed: stdin, output, mut process } =
            self.program.lasting(self.time).start(args::decode(&self.plan), self.plan.size.bytes());
        let written = async { write(stdin, feed).await.map_err(DecodeError::Read) };
        let ((), found) = futures::try_join!(written, async { Ok(self.read(output, pictures).await) })?;
        let run = process.wait().await.map_err(DecodeError::Child)?;
        if found != self.count {
            return Err(DecodeError::Count { found, wanted: self.count, said: run.said });
        }
        Ok(Run { bytes_out: (found * self.plan.size.bytes()) as u64, ..run })
    }

    async fn read(&self, mut output: Output, pictures: mpsc::Sender<Picture>) -> usize {
        let mut found = 0;
        while let Some(bytes) = output.next().await {
            // A part of a picture at the end is none.
            let Some(picture) = Picture::of_video(self.plan.size, bytes) else { break };
            found += 1;
            // Nobody may want more than there should be.
            let _ = pictures.send(picture).await;
        }
        found
    }
}

/// Writes until there is no more, or until ffmpeg takes no more: then its end says why.
async fn write<E>(stdin: Feed, feed: impl Stream<Item = Result<Bytes, E>>) -> Result<(), E> {
    let mut feed = pin!(feed);
    while let Some(bytes) = feed.next().await {
        if stdin.write(bytes?).await.is_err() {
            break;
        }
    }
    Ok(())
}
